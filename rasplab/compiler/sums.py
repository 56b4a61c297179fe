"""Means: which values they take, listed where they are few, else as a range with its lattice (floor 3)."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import gcd, lcm

import numpy as np

MAX_VALUES = 1500
"""A mean with more possible values than this is kept as a Range."""


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers between low and high that are multiples of unit / k for some k of 1 .. denominator."""

    low: Fraction
    high: Fraction
    unit: Fraction
    denominator: int = 1

    @staticmethod
    def of_value(value) -> Range:
        """A single number."""
        value = Fraction(value)
        return Range(value, value, abs(value) or Fraction(1))

    @staticmethod
    def of_values(values) -> Range:
        """The range of listed numbers."""
        numbers = [Fraction(v) for v in values]
        return Range(min(numbers), max(numbers), common_unit(numbers))

    def scaled(self, factor: Fraction) -> Range:
        """The range of factor * x."""
        ends = sorted((self.low * factor, self.high * factor))
        return Range(*ends, self.unit * abs(factor) or Fraction(1), self.denominator)

    def __add__(self, other: Range) -> Range:
        """The range of x + y: the smaller denominator goes into the unit, whatever it is."""
        few, top = sorted((self.denominator, other.denominator))
        unit = common_unit([self.unit, other.unit]) / lcm(*range(1, few + 1))
        return Range(self.low + other.low, self.high + other.high, unit, top)

    def mean(self, count: int) -> Range:
        """The range of the mean of up to `count` such numbers."""
        return Range(self.low, self.high, self.unit / lcm(*range(1, self.denominator + 1)), count)

    def with_value(self, value) -> Range:
        """The range that also holds one more number."""
        value = Fraction(value)
        unit = common_unit([self.unit, value]) if value else self.unit
        return Range(min(self.low, value), max(self.high, value), unit, self.denominator)


def common_unit(numbers: list[Fraction]) -> Fraction:
    """The largest number that every one of `numbers` is a multiple of (1 if all are 0)."""
    bottom = lcm(*(n.denominator for n in numbers)) if numbers else 1
    top = gcd(*(int(n * bottom) for n in numbers)) if numbers else 0
    return Fraction(top, bottom) if top else Fraction(1)


def mean_values(inferred, node, widths):
    """The ValueSet (or Range) of an Aggregate whose operand's values are listed."""
    from rasplab.compiler.infer import is_number

    operand = inferred.sets[node.values]
    if widths.high.max() <= 1 or not all(is_number(v) for v in operand.values):
        return _Collector(inferred, node, widths).single()
    return _Means(inferred, node, widths).run()


class _Collector:
    """Gathers (value, cell) pairs into a ValueSet."""

    def __init__(self, inferred, node, widths):
        self.inferred, self.node, self.widths = inferred, node, widths
        self.operand = inferred.sets[node.values]
        self.ids: dict[tuple, int] = {}
        self.values: list = []
        self.columns: list[np.ndarray] = []

    def allow(self, value, cells: np.ndarray) -> None:
        """`value` may occur in `cells` (bool [cell])."""
        from rasplab.compiler.infer import value_key

        key = value_key(value)
        if key not in self.ids:
            self.ids[key] = len(self.values)
            self.values.append(value)
            self.columns.append(np.zeros(self.inferred.cells.count, bool))
        self.columns[self.ids[key]] |= cells

    def single(self):
        """Rows that select nothing give the default, rows that select one key its value."""
        reached = self._reached()
        for value, cells in zip(self.operand.values, reached.T, strict=True):
            self.allow(value, cells & (self.widths.high >= 1))
        empty = self.widths.low == 0
        if empty.any():
            self.allow(self.node.default, empty)
        return self.result()

    def _reached(self) -> np.ndarray:
        """bool [cell, value]: the values that some key which may be selected can hold."""
        cells = self.inferred.cells
        rows = []
        for n in range(1, cells.max_len + 1):
            held = self.operand.cells[cells.of_length(n)].astype(np.float32)
            rows.append(self.widths.may[n].astype(np.float32) @ held > 0)
        return np.concatenate(rows)

    def result(self):
        """The ValueSet gathered, without values that occur nowhere."""
        from rasplab.compiler.infer import ValueSet

        kept = [c for c, cells in enumerate(self.columns) if cells.any()]
        cells = np.column_stack([self.columns[c] for c in kept])
        return ValueSet(tuple(self.values[c] for c in kept), cells)


class _Means(_Collector):
    """Means of integers on a lattice: sums as bit sets (bit s set: offset + s can be a sum)."""

    def run(self):
        numbers = [Fraction(v) for v in self.operand.values]
        self.unit = common_unit(numbers)
        self.low = min(int(n / self.unit) for n in numbers)
        steps = np.array([int(n / self.unit) - self.low for n in numbers])
        width = int(self.widths.high.max())
        if (int(steps.max()) * width + 1) * width > 4 * MAX_VALUES:
            return self._range(width)
        self.held = [self._bits(steps[row]) for row in self.operand.cells]
        self._visit_cells()
        if len(self.values) > MAX_VALUES:
            return self._range(width)
        return self.result()

    def _range(self, width: int) -> Range:
        return Range.of_values(self.operand.values).mean(width).with_value(self.node.default)

    @staticmethod
    def _bits(steps: np.ndarray) -> int:
        return sum(1 << int(s) for s in set(steps.tolist()))

    def _visit_cells(self) -> None:
        cells, cache = self.inferred.cells, {}
        for cell in range(cells.count):
            n, q = int(cells.length[cell]), int(cells.position[cell])
            start = n * (n - 1) // 2
            may, must = self.widths.may[n][q], self.widths.must[n][q]
            held = [self.held[start + k] for k in np.nonzero(may)[0]]
            exact = bool((may == must).all())
            bounds = (int(self.widths.low[cell]), int(self.widths.high[cell]))
            key = (tuple(held), bounds, exact)
            if key not in cache:
                cache[key] = self._means(held, bounds, exact)
            here = np.arange(cells.count) == cell
            for value in cache[key]:
                self.allow(value, here)

    def _means(self, held: list[int], bounds: tuple[int, int], exact: bool) -> list:
        low, high = bounds
        values = [self.node.default] if low == 0 else []
        union = 0
        for bits in held:
            union |= bits
        sums, total = 1, 1
        for k in range(1, high + 1):
            sums = _sumset(sums, held[k - 1] if exact else union)
            if k >= max(low, 1):
                values += self._quotients(sums, k)
            total = sums
        del total
        return values

    def _quotients(self, sums: int, k: int) -> list:
        values = []
        for s in range(sums.bit_length()):
            if sums >> s & 1:
                mean = (s + k * self.low) * self.unit / k
                values.append(int(mean) if mean.denominator == 1 else float(mean))
        return values


def _sumset(a: int, b: int) -> int:
    """Bit sets: every sum of a member of `a` and a member of `b`."""
    result, shift = 0, 0
    while b:
        if b & 1:
            result |= a << shift
        b >>= 1
        shift += 1
    return result

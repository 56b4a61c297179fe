"""Means: which values they take, listed where they are few, else as a range with its lattice."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import gcd, lcm

import numpy as np

from rasplab.compiler.infer.values import ValueSet, is_number, unique_rows, value_key

MAX_VALUES = 1500
"""A mean with more possible values than this is kept as a Range."""


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers from low to high that are multiples of unit / k for some k of 1 .. denominator."""

    low: Fraction
    high: Fraction
    unit: Fraction
    denominator: int = 1

    @staticmethod
    def of_value(value) -> Range:
        """A single number."""
        value = decimal(value)
        return Range(value, value, abs(value) or Fraction(1))

    @staticmethod
    def of_values(values) -> Range:
        """The range of listed numbers."""
        numbers = [decimal(v) for v in values]
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
        value = decimal(value)
        unit = common_unit([self.unit, value]) if value else self.unit
        return Range(min(self.low, value), max(self.high, value), unit, self.denominator)


def decimal(value) -> Fraction:
    """The number as it is written: 0.1 is a tenth, not the float nearest to it."""
    return Fraction(repr(value)) if isinstance(value, float) else Fraction(value)


def common_unit(numbers: list[Fraction]) -> Fraction:
    """The largest number that every one of `numbers` is a multiple of (1 if all are 0)."""
    bottom = lcm(*(n.denominator for n in numbers)) if numbers else 1
    top = gcd(*(int(n * bottom) for n in numbers)) if numbers else 0
    return Fraction(top, bottom) if top else Fraction(1)


def mean_values(value_sets, node, widths):
    """The ValueSet (or Range) of an Aggregate whose operand's values are listed."""

    operand = value_sets.sets[node.values]
    if widths.high.max() <= 1 or not all(is_number(v) for v in operand.values):
        return _Collector(value_sets, node, widths).single()
    return _Means(value_sets, node, widths).run()


class _Collector:
    """Gathers (value, cell) pairs into a ValueSet."""

    def __init__(self, value_sets, node, widths):
        self.value_sets, self.node, self.widths = value_sets, node, widths
        self.operand = value_sets.sets[node.values]
        self.ids: dict[tuple, int] = {}
        self.values: list = []
        self.columns: list[np.ndarray] = []

    def allow(self, value, cells: np.ndarray) -> None:
        """`value` may occur in `cells` (bool [cell])."""

        key = value_key(value)
        if key not in self.ids:
            self.ids[key] = len(self.values)
            self.values.append(value)
            self.columns.append(np.zeros(self.value_sets.cells.count, bool))
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
        cells = self.value_sets.cells
        first, kind = unique_rows(self.operand.cells)
        held, ones = (
            self.operand.cells[first].astype(np.float32),
            np.eye(len(first), dtype=np.float32),
        )
        rows = []
        for n in range(1, cells.max_len + 1):
            kinds = self.widths.may[n].astype(np.float32) @ ones[kind[cells.of_length(n)]] > 0
            rows.append(kinds.astype(np.float32) @ held > 0)
        return np.concatenate(rows)

    def result(self):
        """The ValueSet gathered, without values that occur nowhere."""

        kept = [c for c, cells in enumerate(self.columns) if cells.any()]
        cells = np.column_stack([self.columns[c] for c in kept])
        return ValueSet(tuple(self.values[c] for c in kept), cells)


class _Means(_Collector):
    """Means of numbers on a lattice: sets of sums, counted in units from the smallest value."""

    def run(self):
        numbers = [Fraction(v) for v in self.operand.values]
        self.unit = common_unit(numbers)
        self.low = min(int(n / self.unit) for n in numbers)
        steps = [int(n / self.unit) - self.low for n in numbers]
        width = int(self.widths.high.max())
        make = _Bits.of if max(steps) * width < 64 * MAX_VALUES else _Sparse.of
        self.held = [make(steps[k] for k in np.nonzero(row)[0]) for row in self.operand.cells]
        self.nothing = make([0])
        try:
            self._visit_cells()
        except _TooMany:
            return self._range(width)
        return self.result()

    def _range(self, width: int) -> Range:
        return Range.of_values(self.operand.values).mean(width).with_value(self.node.default)

    def _visit_cells(self) -> None:
        kinds: dict[tuple, list[int]] = {}
        for cell in range(self.value_sets.cells.count):
            kinds.setdefault(self._kind(cell), []).append(cell)
        for kind, alike in kinds.items():
            here = np.zeros(self.value_sets.cells.count, bool)
            here[alike] = True
            for value in self._means(*kind):
                self.allow(value, here)
            if len(self.values) > MAX_VALUES:
                raise _TooMany

    def _kind(self, cell: int) -> tuple:
        """What decides the means of a cell: what its keys hold, how many they are, whether they
        are known.
        """
        cells = self.value_sets.cells
        n, q = int(cells.length[cell]), int(cells.position[cell])
        start = n * (n - 1) // 2
        may, must = self.widths.may[n][q], self.widths.must[n][q]
        held = tuple(self.held[start + k] for k in np.flatnonzero(may))
        bounds = (int(self.widths.low[cell]), int(self.widths.high[cell]))
        return held, bounds, bool((may == must).all())

    def _means(self, held: tuple, bounds: tuple[int, int], exact: bool) -> list:
        low, high = bounds
        values = [self.node.default] if low == 0 else []
        union = _union(held, self.nothing)
        sums = self.nothing
        for k in range(1, high + 1):
            sums = sums.plus(held[k - 1] if exact else union)
            if k >= max(low, 1):
                values += self._quotients(sums, k)
            if len(values) > 2 * MAX_VALUES:
                raise _TooMany
        return values

    def _quotients(self, sums, k: int) -> list:
        means = ((s + k * self.low) * self.unit / k for s in sums.members())
        return [int(m) if m.denominator == 1 else float(m) for m in means]


class _TooMany(Exception):
    """More values than a ValueSet lists."""


@dataclass(frozen=True, slots=True)
class _Bits:
    """A set of small numbers as the bits of one: sums of two sets are shifts."""

    bits: int

    @staticmethod
    def of(members) -> _Bits:
        """The set of `members`."""
        return _Bits(sum(1 << s for s in set(members)))

    def plus(self, other: _Bits) -> _Bits:
        """Every sum of a member of each."""
        result = 0
        for shift in other.members():
            result |= self.bits << shift
        return _Bits(result)

    def members(self) -> list[int]:
        """The numbers, ascending."""
        return [s for s, bit in enumerate(reversed(bin(self.bits)[2:])) if bit == "1"]


@dataclass(frozen=True, slots=True)
class _Sparse:
    """A set of few large numbers."""

    numbers: frozenset[int]

    @staticmethod
    def of(members) -> _Sparse:
        """The set of `members`."""
        return _Sparse(frozenset(members))

    def plus(self, other: _Sparse) -> _Sparse:
        """Every sum of a member of each. Raises _TooMany early: sums only grow in number."""
        if len(self.numbers) > 2 * MAX_VALUES:
            raise _TooMany
        return _Sparse(frozenset(a + b for a in self.numbers for b in other.numbers))

    def members(self) -> list[int]:
        """The numbers, ascending."""
        return sorted(self.numbers)


def _union(sets: list, nothing):
    return type(nothing).of(m for s in sets for m in s.members())

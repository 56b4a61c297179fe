"""Values of aggregates: listed where they are few, else as a range with its lattice.

A mean of k numbers takes every average of k members of their sets. `mean_values` collects them as
sets of sums, on the lattice that the numbers share.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from rasplab.compiler.infer.columns import ValueSet
from rasplab.compiler.infer.leaf_tables import LeafTables
from rasplab.compiler.infer.ranges import Range, as_value, common_unit, recovered
from rasplab.compiler.infer.selector_bounds import SelectorBounds
from rasplab.program.graph import Aggregate
from rasplab.program.values import Value, is_number, typed_key, value_key

MAX_VALUES = 1500
"""A mean with more possible values than this is kept as a Range."""


def mean_values(
    tables: LeafTables, node: Aggregate, bounds: SelectorBounds, smooth: bool = False
) -> ValueSet | Range:
    """The values of an Aggregate whose operand's values are listed.

    bounds  of the node's selector: how many keys, and which, a row can select
    smooth  whether what reads the mean is continuous: floats of the operand then stand for the
            fractions that they are roundings of, and means that only rounding tells apart are one
    """
    operand = tables.sets[node.values]
    if bounds.high.max() <= 1 or not all(is_number(v) for v in operand.values):
        return _Collector(tables, node, bounds).values_of_one_key()
    smooth = smooth and not tables.shows_kinds
    return _Means(tables, node, bounds, recovered if smooth else Fraction).values_of_means()


def sum_values(tables: LeafTables, node: Aggregate, bounds: SelectorBounds) -> ValueSet | Range:
    """The values of width times mean, for an Aggregate of numbers whose values are listed."""
    return _Sums(tables, replace(node, default=0), bounds, recovered).values_of_means()


class _Collector:
    """Gathers values and the cells where they occur into a ValueSet."""

    def __init__(self, tables: LeafTables, node: Aggregate, bounds: SelectorBounds):
        self.cells, self.node, self.bounds = tables.cells, node, bounds
        self.operand = tables.sets[node.values]
        self.ids: dict[tuple, int] = {}
        self.key: Callable[[Value], tuple] = typed_key
        self.values: list[Value] = []
        self.columns: list[np.ndarray] = []

    def allow(self, value: Value, cells: np.ndarray) -> None:
        """Note that `value` may occur in `cells`, bool [cell]."""
        key = self.key(value)
        if key not in self.ids:
            self.ids[key] = len(self.values)
            self.values.append(value)
            self.columns.append(np.zeros(self.cells.count, bool))
        self.columns[self.ids[key]] |= cells

    def values_of_one_key(self) -> ValueSet:
        """Rows that select nothing give the default, rows that select one key its value."""
        for value, cells in zip(self.operand.values, self._reachable().T, strict=True):
            self.allow(value, cells & (self.bounds.high >= 1))
        empty = self.bounds.low == 0
        if empty.any():
            self.allow(self.node.default, empty)
        return self.result()

    def _reachable(self) -> np.ndarray:
        """The values that a key can hold which the cell may select: bool [cell, value]."""
        held, kind = self.operand.allowed.astype(np.float32), self.operand.kind
        one_hot = np.eye(len(held), dtype=np.float32)
        rows = []
        for n in range(1, self.cells.max_len + 1):
            # kinds [query, kind of key cell], then kinds @ held: counts of ways, of which only the
            # sign matters, so float32 is exact enough.
            kinds = self.bounds.may[n].astype(np.float32) @ one_hot[kind[self.cells.of_length(n)]]
            rows.append((kinds > 0).astype(np.float32) @ held > 0)
        return np.concatenate(rows)

    def result(self) -> ValueSet:
        """The ValueSet gathered, without values that occur nowhere."""
        occurring = [c for c, cells in enumerate(self.columns) if cells.any()]
        cells = np.column_stack([self.columns[c] for c in occurring])
        return ValueSet.of_cells(tuple(self.values[c] for c in occurring), cells)


class _Means(_Collector):
    """Means of numbers on a lattice: sets of sums, counted in units from the smallest value."""

    def __init__(
        self,
        tables: LeafTables,
        node: Aggregate,
        bounds: SelectorBounds,
        exact: Callable[[Any], Fraction],
    ):
        super().__init__(tables, node, bounds)
        # A head gives the number, whose kind it cannot tell; only where the program may see it,
        # 2 and 2.0 are two values, and what tells them apart is refused.
        self.shows_kinds = tables.shows_kinds
        self.key = typed_key if self.shows_kinds else value_key
        numbers = [exact(v) for v in self.operand.values if is_number(v)]
        self.smooth = exact is recovered
        self.range = Range(min(numbers), max(numbers), common_unit(numbers))
        self.unit = common_unit(numbers)
        self.low = min(int(n / self.unit) for n in numbers)
        steps = [int(n / self.unit) - self.low for n in numbers]
        self.most = int(bounds.high.max())
        # One bit per possible sum while the sums of `most` numbers stay in a few machine words.
        few = max(steps) * self.most < 64 * MAX_VALUES
        self.sum_set: Callable[[Iterable[int]], _SumSet] = _BitSet.of if few else _SparseSet.of
        self.held = [
            self.sum_set(steps[k] for k in np.nonzero(row)[0]) for row in self.operand.cells
        ]
        self.zero: _SumSet = self.sum_set([0])

    def values_of_means(self) -> ValueSet | Range:
        """The means, or their range where they are too many to list."""
        try:
            self._visit_cells()
        except _TooMany:
            return self._range()
        return self.result()

    def _range(self) -> Range:
        listed = self.range if self.smooth else Range.of_values(self.operand.values)
        return listed.mean(self.most).with_value(self.node.default)

    def _visit_cells(self) -> None:
        self._means(*self._kind(int(self.bounds.high.argmax())))  # too many, most likely there
        kinds: dict[tuple, list[int]] = {}
        for cell in range(self.cells.count):
            kinds.setdefault(self._kind(cell), []).append(cell)
        for kind, alike in kinds.items():
            here = np.zeros(self.cells.count, bool)
            here[alike] = True
            for value in self._means(*kind):
                self.allow(value, here)
            if len(self.values) > MAX_VALUES:
                raise _TooMany

    def _kind(self, cell: int) -> tuple:
        """What decides the means of a cell; cells of one kind take the same means.

        Returns the sets of the keys that may be selected, (least, most) selected keys, and whether
        every key that may be selected must be.
        """
        n, q = int(self.cells.length[cell]), int(self.cells.position[cell])
        start = self.cells.first(n)
        may, must = self.bounds.may[n][q], self.bounds.must[n][q]
        held = tuple(self.held[start + k] for k in np.flatnonzero(may))
        counts = (int(self.bounds.low[cell]), int(self.bounds.high[cell]))
        return held, counts, bool((may == must).all())

    def _means(
        self, held: tuple[_SumSet, ...], counts: tuple[int, int], exact: bool
    ) -> list[Value]:
        """Every mean of least to most members.

        With known keys (`exact`) the k-th summand comes from the k-th key; else each summand can
        come from any of them, which allows more sums than occur but never fewer.
        """
        low, high = counts
        values: list[Value] = [self.node.default] if low == 0 else []
        union = self.sum_set(m for s in held for m in s.members())
        sums: _SumSet = self.zero
        for k in range(1, high + 1):
            sums = sums.plus(held[k - 1] if exact else union)
            # a row selects `low` keys at least; no key gives the default, not a mean
            if k >= max(low, 1):
                values += self._quotients(sums, k)
            if len(values) > 2 * MAX_VALUES:
                raise _TooMany
        return values

    def _quotients(self, sums: _SumSet, k: int) -> list[Value]:
        # A sum of k numbers is held as (sum - k * low * unit) / unit.
        means = ((s + k * self.low) * self.unit / k for s in sums.members())
        if self.shows_kinds:
            return [float(m) for m in means] if k > 1 else self._single(sums)
        return [as_value(m) for m in means]

    def _single(self, sums: _SumSet) -> list[Value]:
        """The values that one key alone gives: itself, an int or a float."""
        steps = set(sums.members())
        return [
            v
            for v in self.operand.values
            if is_number(v) and int(Fraction(v) / self.unit) - self.low in steps
        ]


class _Sums(_Means):
    """Sums of numbers on a lattice: as means, and not divided."""

    def _quotients(self, sums: _SumSet, k: int) -> list[Value]:
        return [as_value((s + k * self.low) * self.unit) for s in sums.members()]

    def _range(self) -> Range:
        return self.range.total(self.most)


class _TooMany(Exception):
    """More values than a ValueSet lists."""


@dataclass(frozen=True, slots=True)
class _BitSet:
    """A set of small numbers as the bits of one: sums of two sets are shifts."""

    bits: int

    @staticmethod
    def of(members: Iterable[int]) -> _BitSet:
        """The set of `members`."""
        return _BitSet(sum(1 << s for s in set(members)))

    def plus(self, other: Any) -> _BitSet:
        """Every sum of a member of each; `other` is a _BitSet too."""
        result = 0
        for shift in other.members():
            result |= self.bits << shift
        return _BitSet(result)

    def members(self) -> list[int]:
        """The numbers, ascending."""
        # bit s is the s-th digit from the right
        return [s for s, bit in enumerate(reversed(bin(self.bits)[2:])) if bit == "1"]


@dataclass(frozen=True, slots=True)
class _SparseSet:
    """A set of few large numbers."""

    numbers: frozenset[int]

    @staticmethod
    def of(members: Iterable[int]) -> _SparseSet:
        """The set of `members`."""
        return _SparseSet(frozenset(members))

    def plus(self, other: Any) -> _SparseSet:
        """Every sum of a member of each; `other` is a _SparseSet too.

        Raises _TooMany early, as sums only grow in number.
        """
        if len(self.numbers) > 2 * MAX_VALUES:
            raise _TooMany
        return _SparseSet(frozenset(a + b for a in self.numbers for b in other.numbers))

    def members(self) -> list[int]:
        """The numbers, ascending."""
        return sorted(self.numbers)


_SumSet = _BitSet | _SparseSet
"""A set of whole numbers; all sets of one aggregate are of one class."""

"""Which values every s-op can take at every (length, position), and how they hang together.

A *leaf* is what elementwise expressions are made of: the token, the position, or a node that
attention computes (or, where a joint table would be too large, an elementwise node cut off to stand
alone). A node's *column* over some leaves is its value for every combination of leaf values that
can meet in a cell.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from rasplab.base.errors import CompileError
from rasplab.base.limits import current, way_out
from rasplab.compiler.infer.means import Range, mean_values
from rasplab.compiler.infer.normal_form import normal_and
from rasplab.compiler.infer.selector_bounds import Selectors
from rasplab.compiler.infer.values import (
    BYTES_A_CELL,
    POSITION,
    TOKEN,
    Cells,
    Column,
    Fault,
    Joint,
    ValueSet,
    apply,
    is_number,
    max_cells,
    unique_rows,
)
from rasplab.program.domain import Domain
from rasplab.program.functions import CASTS, FUNCTIONS
from rasplab.program.graph import Aggregate, Constant, Indices, Map, Program, SelectorWidth, Tokens

MAX_ROWS = 70_000
"""Combinations of leaf values that one table may hold; beyond it an expression is cut in two."""

BYTES_A_PAIR = 800
"""What a combination of leaf values takes per pattern of cells it occurs in: 8 numbers in some ten
arrays at a time."""


class ValueSets:
    """The value sets of a program on a domain, node by node; columns and joints on demand, each
    computed once.

    ranges   nodes whose values are too many to list: numbers with a lattice, usable linearly and as
             an output
    doubts   (node, reason): what is legal only if some combination never occurs; to be checked on
             inputs
    sums     targets over leaves taken apart into a sum of functions of one leaf each, or None
    Raises CompileError where a use needs values that cannot be listed.
    """

    def __init__(self, program: Program, domain: Domain):
        self.program, self.domain = program, domain
        _check_size(domain)
        self.cells = Cells(domain.max_len)
        self.sets: dict[int, ValueSet] = {}
        self.ranges: dict[int, Range] = {}
        self.doubts: list[tuple[int, str]] = []
        self.leaf_sets: dict[int, tuple[int, ...]] = {}
        self.sums: dict[tuple, tuple | None] = {}
        self._joints: dict[tuple, Joint] = {}
        self._columns: dict[tuple, Column] = {}
        self.selectors = Selectors(self)
        self._leaf(TOKEN, domain.vocab, np.ones((self.cells.count, len(domain.vocab)), bool))
        positions = np.eye(domain.max_len, dtype=bool)[self.cells.position]
        self.sets[POSITION] = ValueSet(tuple(range(domain.max_len)), positions, True, True)
        for i in range(len(program.nodes)):
            if not program.is_selector(i):
                self._visit(i)

    def _leaf(self, leaf: int, values: tuple, cells: np.ndarray) -> None:
        self.sets[leaf] = ValueSet(tuple(values), cells)

    def _visit(self, i: int) -> None:
        match self.program.nodes[i]:
            case SelectorWidth(selector):
                self.leaf_sets[i] = (i,)
                self.sets[i] = self._width_set(selector)
            case Aggregate():
                self.leaf_sets[i] = (i,)
                self._aggregate(i)
            case node:
                self._elementwise(i, node)
        if i in self.sets and len({isinstance(v, str) for v in self.sets[i].values}) > 1:
            self.doubts.append((i, "mixing strings with other values"))

    # --- elementwise nodes ------------------------------------------------------------------------

    def _elementwise(self, i: int, node) -> None:
        match node:
            case Tokens():
                self.leaf_sets[i] = (TOKEN,)
            case Indices():
                self.leaf_sets[i] = (POSITION,)
            case Constant():
                self.leaf_sets[i] = ()
            case Map(_, args):
                self.leaf_sets[i] = self._map_leaves(i, args)
        if any(leaf in self.ranges for leaf in self.leaf_sets[i]):
            self.ranges[i] = self._range_of(i)
            return
        column = self.column(i, self.leaf_sets[i])
        for value in column.values:
            if isinstance(value, Fault):
                self.doubts.append((i, value.reason))
        self.sets[i] = self._set_of(i, column)

    def _map_leaves(self, i: int, args: tuple[int, ...]) -> tuple[int, ...]:
        """The leaves of a Map: those of its operands, unless their joint table is too large: then
        the operands.
        """
        leaves = tuple(sorted({leaf for a in args for leaf in self.leaf_sets[a]}))
        if any(leaf in self.ranges for leaf in leaves) or self.fits(leaves):
            return leaves
        cut = tuple(sorted({a for a in args if self.leaf_sets[a]}))
        if not self.fits(cut):
            sizes = " x ".join(str(len(self.sets[a].values)) for a in cut)
            raise CompileError(
                f"{self.program.labels[i]!r} joins {sizes} values: "
                f"more than {MAX_ROWS:,} combinations",
                self.program.span(i),
                "use a smaller vocabulary or max_len, or compute it in smaller steps",
            )
        return cut

    def fits(self, leaves: tuple[int, ...]) -> bool:
        """Whether a joint table of these leaves holds at most MAX_ROWS combinations."""
        try:
            self.joint(leaves)
        except _TooLarge:
            return False
        return True

    def _set_of(self, i: int, column: Column) -> ValueSet:
        good = [c for c, v in enumerate(column.values) if not isinstance(v, Fault)]
        if not good:
            self._refuse_fault(i, column.values[0])
        cells = self.cells_of(self.leaf_sets[i], column)[:, good]
        values = tuple(column.values[c] for c in good)
        return ValueSet(values, cells, self._stays_distinct(i, column))

    def _refuse_fault(self, i: int, fault: Fault) -> None:
        raise CompileError(
            f"{self.program.labels[i]!r} fails on every input: {fault.reason}", self.program.span(i)
        )

    def _stays_distinct(self, i: int, column: Column) -> bool:
        """Injective in one distinct leaf, given the others, which are the same at every position of
        an input.
        """
        leaves = self.leaf_sets[i]
        spread = [leaf for leaf in leaves if not self._uniform(leaf)]
        if len(spread) != 1 or not self.sets[spread[0]].distinct:
            return False
        at = leaves.index(spread[0])
        codes = self.joint(leaves).codes
        context = np.delete(codes, at, axis=1)
        pairs = np.column_stack([context, column.codes])
        return len(np.unique(pairs, axis=0)) == len(codes)

    def _uniform(self, leaf: int) -> bool:
        """Whether the leaf holds one value all over an input, given its length."""
        cells = self.sets[leaf].cells
        if not (cells.sum(1) == 1).all():
            return False
        codes = cells.argmax(1)
        return bool(
            (codes == codes[self.cells.count - self.cells.max_len :][self.cells.length - 1]).all()
        ) or all(
            len(set(codes[self.cells.of_length(n)])) == 1 for n in range(1, self.cells.max_len + 1)
        )

    def _range_of(self, i: int) -> Range:
        """A linear expression over ranges: its range. Raises CompileError for anything else."""
        terms = self.linear(i)
        if terms is None:
            label = self.program.labels[i]
            raise CompileError(
                f"{label!r} needs every single value of a mean that has too many to list",
                self.program.span(i),
                "use a smaller max_len or fewer different numbers, or only sums of it",
            )
        coefficients, const = terms
        result = Range.of_value(const)
        for leaf, coefficient in coefficients.items():
            result = result + self.range(leaf).scaled(coefficient)
        return result

    def range(self, leaf: int) -> Range:
        """Bounds and lattice of a numeric leaf, listed or not."""
        if leaf in self.ranges:
            return self.ranges[leaf]
        return Range.of_values(self.sets[leaf].values)

    def linear(self, i: int) -> tuple[dict[int, Fraction], Fraction] | None:
        """The node as sum of coefficient x leaf plus a constant; None where it is not written as
        one.
        """
        node = self.program.nodes[i]
        match node:
            case Constant(value) if is_number(value):
                return {}, Fraction(value)
            case Map("pos", (a,)):
                return self.linear(a)
            case Map("neg", (a,)):
                return _scaled(self.linear(a), Fraction(-1))
            case Map("+", (a, b)):
                return _plus(self.linear(a), self.linear(b), 1)
            case Map("-", (a, b)):
                return _plus(self.linear(a), self.linear(b), -1)
            case Map("*", (a, b)):
                left, right = self.linear(a), self.linear(b)
                if left and right and not (left[0] and right[0]):
                    return _scaled(right, left[1]) if not left[0] else _scaled(left, right[1])
            case Map("/", (a, b)):
                left, right = self.linear(a), self.linear(b)
                if left and right and not right[0] and right[1]:
                    return _scaled(left, 1 / right[1])
        if i in self.ranges and self.leaf_sets.get(i) == (i,):
            return {i: Fraction(1)}, Fraction(0)
        if i in self.sets and all(is_number(v) for v in self.sets[i].values):
            return {i: Fraction(1)}, Fraction(0)
        return None

    def joint(self, leaves: tuple[int, ...]) -> Joint:
        """The combinations of leaf values that share a cell. Raises _TooLarge beyond MAX_ROWS."""
        if leaves not in self._joints:
            self._joints[leaves] = self._build_joint(leaves)
        return self._joints[leaves]

    def _build_joint(self, leaves: tuple[int, ...]) -> Joint:
        cells = [self.sets[leaf].cells for leaf in leaves]
        first, pattern = unique_rows(
            np.concatenate([*cells, np.zeros((self.cells.count, 1), bool)], axis=1)
        )
        codes = np.zeros((1, 0), int)
        rows, patterns = np.zeros(len(first), int), np.arange(len(first))
        for c in cells:
            allowed = c[first]
            if int(allowed.sum(1)[patterns].sum()) > current().memory // BYTES_A_PAIR:
                raise _TooLarge
            pair, value = np.nonzero(allowed[patterns])
            met, rows = np.unique(rows[pair] * c.shape[1] + value, return_inverse=True)
            if len(met) > MAX_ROWS:
                raise _TooLarge
            rows, patterns = rows.reshape(-1), patterns[pair]
            codes = np.column_stack([codes[met // c.shape[1]], met % c.shape[1]])
        return Joint(leaves, codes, rows, patterns, pattern)

    def cells_of(self, leaves: tuple[int, ...], column: Column) -> np.ndarray:
        """bool [cell, value of column]: which of a column's values can occur where."""
        joint = self.joint(leaves)
        by_pattern = np.zeros((joint.cell_pattern.max() + 1, len(column.values)), bool)
        by_pattern[joint.patterns, column.codes[joint.rows]] = True
        return by_pattern[joint.cell_pattern]

    def column(self, i: int, leaves: tuple[int, ...]) -> Column:
        """Node (or leaf) i over the rows of joint(leaves); its own leaves must be among them."""
        key = (i, leaves)
        if key not in self._columns:
            self._columns[key] = self._build_column(i, leaves)
        return self._columns[key]

    def _build_column(self, i: int, leaves: tuple[int, ...]) -> Column:
        joint = self.joint(leaves)
        if i in leaves:
            return Column(self.sets[i].values, joint.codes[:, leaves.index(i)])
        node = self.program.nodes[i]
        match node:
            case Tokens(cast):
                return apply(CASTS[cast], [self.column(TOKEN, leaves)], len(joint.codes))
            case Indices():
                return self.column(POSITION, leaves)
            case Constant(value):
                return Column((value,), np.zeros(len(joint.codes), int))
            case Map(fn, args):
                return apply(
                    FUNCTIONS[fn].apply, [self.column(a, leaves) for a in args], len(joint.codes)
                )
        raise AssertionError(f"node {i} is not over leaves {leaves}")

    # --- attention nodes --------------------------------------------------------------------------

    def _width_set(self, selector: int) -> ValueSet:
        from rasplab.compiler.infer.total_order import is_strict_order

        conjuncts = normal_and(self.program, selector)
        top = self.cells.max_len
        if not self.domain.causal and is_strict_order(self, conjuncts):
            cells = np.arange(top)[None] < self.cells.length[:, None]
            return ValueSet(tuple(range(top)), cells, True, True)
        widths = self.selectors.widths(conjuncts)
        numbers = np.arange(int(widths.high.max()) + 1)
        cells = (numbers >= widths.low[:, None]) & (numbers <= widths.high[:, None])
        used = np.nonzero(cells.any(0))[0]
        return ValueSet(tuple(int(v) for v in used), cells[:, used])

    def _aggregate(self, i: int) -> None:
        node = self.program.nodes[i]
        widths = self.selectors.widths(normal_and(self.program, node.selector))
        if node.values in self.ranges:
            if widths.high.max() > 1:
                self.ranges[i] = (
                    self.range(node.values).mean(int(widths.high.max())).with_value(node.default)
                )
            else:
                self.ranges[i] = self.range(node.values).with_value(node.default)
            return
        result = mean_values(self, node, widths)
        if isinstance(result, Range):
            self.ranges[i] = result
        else:
            self.sets[i] = result
        values = self.sets[node.values].values
        if widths.high.max() > 1 and not all(is_number(v) for v in values):
            if any(is_number(v) for v in values) and any(isinstance(v, bool) for v in values):
                self._refuse_mixed_mean(i)
            self.doubts.append((i, "taking the mean of values that are no numbers"))

    def _refuse_mixed_mean(self, i: int) -> None:
        """Whether bools may be averaged depends on the numbers beside them: no fixed form."""
        raise CompileError(
            f"{self.program.labels[i]!r} may take the mean of bools among numbers",
            self.program.span(i),
            "make them numbers first, indicator(...), or give the inner aggregate a bool default",
        )


def _check_size(domain: Domain) -> None:
    """Refuse a domain whose (length, position, value) table alone would not fit."""
    n, widest = domain.max_len, max(domain.max_len, len(domain.vocab))
    wanted = n * (n + 1) // 2 * widest
    if wanted > max_cells():
        raise CompileError(
            f"a domain of {len(domain.vocab):,} tokens up to length {n:,} is too large to analyse: "
            f"{wanted * BYTES_A_CELL / 2**30:,.1f} GiB",
            hint=f"use a smaller vocabulary or max_len; {way_out('memory')}",
        )


class _TooLarge(Exception):
    """A joint table beyond MAX_ROWS."""


def _scaled(terms, factor: Fraction):
    if terms is None:
        return None
    return {leaf: c * factor for leaf, c in terms[0].items()}, terms[1] * factor


def _plus(left, right, sign: int):
    if left is None or right is None:
        return None
    coefficients = dict(left[0])
    for leaf, c in right[0].items():
        coefficients[leaf] = coefficients.get(leaf, Fraction(0)) + sign * c
    return coefficients, left[1] + sign * right[1]

"""Elementwise expressions over leaves: which combinations of leaf values occur, and what they give.

A *leaf* is the token, the position, or an s-op that attention computes (or, where a joint table
would be too large, an elementwise s-op that is cut off and treated as given). A *joint* lists the
combinations of some leaves' values that share a cell; an s-op's *column* is its value for each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import partial

import numpy as np

from rasplab.base.errors import CompileError
from rasplab.base.limits import current, way_out
from rasplab.base.text import size_text
from rasplab.compiler.infer.columns import (
    BYTES_A_CELL,
    Cells,
    Column,
    Joint,
    ValueSet,
    map_columns,
    max_cells,
    total,
)
from rasplab.compiler.infer.joints import TooLarge, build_joint
from rasplab.compiler.infer.ranges import EXACT, Range, Rounding
from rasplab.compiler.infer.values import (
    POSITION,
    TOKEN,
    Result,
    call_or_fault,
    elementwise_or_fault,
)
from rasplab.program.domain import Domain
from rasplab.program.functions import CASTS
from rasplab.program.graph import Constant, Indices, Map, Program, Tokens
from rasplab.program.values import is_number

MAX_ROWS = 140_000
"""Combinations of leaf values beyond which an expression is cut in two."""

BYTES_A_ROW = 4000
"""Bytes per combination of values while an s-op is computed from them, neurons included."""


def max_rows() -> int:
    """Combinations of values that one table may hold."""
    return current().memory // BYTES_A_ROW


Affine = tuple[dict[int, Fraction], Fraction]
"""A sum of coefficient x leaf, and a constant."""


class LeafTables:
    """Value sets by node, and tables over combinations of leaf values, each computed once.

    sets       the values of tokens, positions and s-ops, where they can be listed
    ranges     s-ops whose values are too many to list: bounds and lattice of their numbers
    leaf_sets  the leaves that each s-op is a function of; an s-op of attention is its own leaf
    roundings  how far the interpreter's floats may be from the numbers that stand for a node's
    doubts     (node, reason): what is legal only if some combination of values never occurs
    ill_kinded whether an s-op may mix strings and numbers, or a selector compare them
    partial    whether a function fails on some of its values
    total      whether functions have values also where they fail, so that what no output reads may
               fail on an input: any value that they have elsewhere
    shows_kinds  whether an int and the float equal to it are two values (kinds.py)
    """

    def __init__(
        self, program: Program, domain: Domain, total: bool = False, shows_kinds: bool = False
    ):
        self.program, self.domain, self.total = program, domain, total
        self.shows_kinds = shows_kinds
        _check_size(domain)
        self.cells = Cells(domain.max_len)
        self.ranges: dict[int, Range] = {}
        self.leaf_sets: dict[int, tuple[int, ...]] = {}
        self.roundings: dict[int, Rounding] = {}
        self.doubts: list[tuple[int, str]] = []
        self.ill_kinded = self.partial = False
        self._joints: dict[tuple[int, ...], Joint] = {}
        self._columns: dict[tuple[int, tuple[int, ...]], Column] = {}
        longest, anything = domain.max_len, np.ones((1, len(domain.vocab)), bool)
        position, places = self.cells.position, tuple(range(longest))
        self.sets: dict[int, ValueSet] = {
            TOKEN: ValueSet(tuple(domain.vocab), anything, np.zeros(self.cells.count, int)),
            POSITION: ValueSet(places, np.eye(longest, dtype=bool), position, True, True),
        }

    def value_count(self, leaf: int) -> int:
        """The number of values of a leaf, or s-op, that are listed."""
        return len(self.sets[leaf].values)

    # --- combinations of leaf values --------------------------------------------------------------

    def leaves_of(self, nodes: tuple[int, ...]) -> tuple[int, ...]:
        """The leaves that some of `nodes` are functions of, ascending."""
        return tuple(sorted({leaf for i in nodes for leaf in self.leaf_sets[i]}))

    def fits(self, leaves: tuple[int, ...], most: int | None = None) -> bool:
        """Whether a joint table of these leaves holds at most `most` (MAX_ROWS) combinations."""
        most = min(MAX_ROWS if most is None else most, max_rows())
        if leaves not in self._joints:
            try:
                self._joints[leaves] = self._build_joint(leaves, most)
            except TooLarge:
                return False
        return len(self._joints[leaves].codes) <= most

    def joint(self, leaves: tuple[int, ...]) -> Joint:
        """The combinations of leaf values that share a cell.

        Raises TooLarge beyond `max_rows` combinations.
        """
        if leaves not in self._joints:
            self._joints[leaves] = self._build_joint(leaves, max_rows())
        return self._joints[leaves]

    def _build_joint(self, leaves: tuple[int, ...], most: int) -> Joint:
        return build_joint(leaves, [self.sets[leaf] for leaf in leaves], self.cells, most)

    # --- s-ops over them --------------------------------------------------------------------------

    def column(self, i: int, leaves: tuple[int, ...]) -> Column:
        """Node (or leaf) i over the rows of joint(leaves); its own leaves must be among them."""
        key = (i, leaves)
        if key not in self._columns:
            self._columns[key] = self._build_column(i, leaves)
        return self._columns[key]

    def _build_column(self, i: int, leaves: tuple[int, ...]) -> Column:
        joint = self.joint(leaves)
        count = len(joint.codes)
        if i in leaves:
            return Column(self.sets[i].values, joint.codes[:, leaves.index(i)])
        match self.program.nodes[i]:
            case Tokens(cast):
                read = partial(call_or_fault, CASTS[cast])
                return self._map(read, [self.column(TOKEN, leaves)], count)
            case Indices():
                return self.column(POSITION, leaves)
            case Constant(value):
                return Column((value,), np.zeros(count, int))
            case Map(fn, args):
                columns = [self.column(a, leaves) for a in args]
                return self._map(partial(elementwise_or_fault, fn), columns, count)
        raise AssertionError(f"node {i} is not a function of the leaves {leaves}")

    def _map(
        self, function: Callable[[Sequence[Result]], Result], columns: Sequence[Column], count: int
    ) -> Column:
        column = map_columns(function, columns, count)
        return total(column) if self.total else column

    # --- linear expressions -----------------------------------------------------------------------

    def range(self, leaf: int) -> Range:
        """Bounds and lattice of a numeric leaf, listed or not."""
        if leaf in self.ranges:
            return self.ranges[leaf]
        return Range.of_values(self.sets[leaf].values)

    def rounding(self, leaf: int) -> Rounding:
        """How far the interpreter's number may be from the one that stands for it here."""
        return self.roundings.get(leaf, EXACT)

    def range_of_sum(self, terms: Affine) -> Range:
        """Bounds and lattice of a sum of coefficient x leaf and a constant."""
        result = Range.of_value(terms[1])
        for leaf, coefficient in terms[0].items():
            result = result + self.range(leaf).scaled(coefficient)
        return result

    def linear(self, i: int) -> Affine | None:
        """The node as sum of coefficient x leaf plus a constant; None where it is not linear.

        Only the written form counts: +, -, multiplication and division by constants, and rounding
        of numbers that are whole, and less than a half off where the interpreter computes them.
        """
        match self.program.nodes[i]:
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
            case Map("round", (a,)):
                terms = self.linear(a)
                if terms and self.rounding(a).absolute < 0.5 and self.range_of_sum(terms).is_whole:
                    return terms
        if i in self.ranges and self.leaf_sets.get(i) == (i,):
            return {i: Fraction(1)}, Fraction(0)
        if i in self.sets and all(is_number(v) for v in self.sets[i].values):
            return {i: Fraction(1)}, Fraction(0)
        return None


def _check_size(domain: Domain) -> None:
    """Refuse a domain whose (length, position, value) table alone would not fit."""
    n, widest = domain.max_len, max(domain.max_len, len(domain.vocab))
    entries = n * (n + 1) // 2 * widest
    if entries > max_cells():
        raise CompileError(
            f"a domain of {len(domain.vocab):,} tokens up to length {n:,} is too large to analyse: "
            f"{size_text(entries * BYTES_A_CELL)}",
            hint=f"use a smaller vocabulary or max_len; {way_out('memory')}",
        )


def _scaled(terms: Affine | None, factor: Fraction) -> Affine | None:
    if terms is None:
        return None
    return {leaf: c * factor for leaf, c in terms[0].items()}, terms[1] * factor


def _plus(left: Affine | None, right: Affine | None, sign: int) -> Affine | None:
    if left is None or right is None:
        return None
    coefficients = dict(left[0])
    for leaf, c in right[0].items():
        coefficients[leaf] = coefficients.get(leaf, Fraction(0)) + sign * c
    return coefficients, left[1] + sign * right[1]

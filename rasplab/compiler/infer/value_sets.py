"""Which values every s-op can take at every (length, position): the compiler's first stage.

Input: a Program and its Domain. Output: ValueSets, filled node by node in the program's order.
Elementwise s-ops are tabulated over their leaves (leaf_tables.py). Widths and aggregates follow
from bounds on how many keys a selector selects (selector_bounds.py over normal_form.py, with
total_order.py for ranks) and from sets of means (means.py, ranges.py).
"""

from __future__ import annotations

from typing import NoReturn

import numpy as np

from rasplab.base.errors import CompileError
from rasplab.base.limits import way_out
from rasplab.base.text import size_text
from rasplab.compiler.infer.columns import Column, ValueSet, total, unique_rows, values_by_pattern
from rasplab.compiler.infer.kinds import has_large_int, shows_kinds
from rasplab.compiler.infer.leaf_tables import BYTES_A_ROW, LeafTables, max_rows
from rasplab.compiler.infer.means import mean_values, sum_values
from rasplab.compiler.infer.normal_form import normal_and
from rasplab.compiler.infer.ranges import Range
from rasplab.compiler.infer.ready_parts import ReadyParts
from rasplab.compiler.infer.rounding import rounding_of, rounding_of_sum
from rasplab.compiler.infer.selector_bounds import SelectorBounds, Selectors
from rasplab.compiler.infer.steps import Step, step_of
from rasplab.compiler.infer.sums import sums_of
from rasplab.compiler.infer.total_order import is_strict_order
from rasplab.compiler.infer.values import POSITION, TOKEN, Fault, code_of_equal
from rasplab.compiler.lower.value_tables import Split
from rasplab.program.domain import Domain
from rasplab.program.graph import (
    Aggregate,
    Constant,
    Indices,
    Map,
    Node,
    Program,
    SelectorWidth,
    Tokens,
    operands,
)
from rasplab.program.values import is_number, value_key

FEW_ROWS = 1000
"""Combinations of leaf values up to which all leaves are joined: what occurs is known best then."""


def infer(program: Program, domain: Domain, total: bool = False) -> ValueSets:
    """The value sets of every s-op of `program` on every input of `domain`.

    total  give functions values also where they fail, as `LeafTables` says
    Raises CompileError where a use needs values that cannot be listed, or a table is too large.
    """
    value_sets = ValueSets(program, domain, total, shows_kinds(program))
    if value_sets.has_large_means and not value_sets.shows_kinds:
        return ValueSets(program, domain, total, shows_kinds=True)
    return value_sets


class ValueSets(LeafTables):
    """The value sets of a program on a domain, and the tables of its selectors.

    selectors  tables and bounds of the selectors, computed on demand
    failing    nodes that may fail on an input: by a function of theirs, or by what they read
    infinite   s-ops that may hold inf or nan; unaveraged: those that may be the mean of no numbers
    unlisted   functions whose leaves have too many combinations to list, or that read such
    steps      functions of ranges that take few values, each a leaf of its own
    averaged   means and sums over several keys, and what is computed of them
    has_large_means  whether one of these, or what it meets, is an int that floats would round
    leaf_sums  cache of the lowering, kept here as several attempts share it: targets over leaves
               as a `Split` into one table per leaf, or None where no such sum exists
    """

    def __init__(
        self, program: Program, domain: Domain, total: bool = False, shows_kinds: bool = False
    ):
        super().__init__(program, domain, total, shows_kinds)
        self.sums = sums_of(program)
        self.steps: dict[int, Step] = {}
        self.unlisted: set[int] = set()
        self.failing: set[int] = set()
        self.infinite: set[int] = set()
        self.unaveraged: set[int] = set()
        self.averaged: set[int] = set()
        self.has_large_means = False
        self.selectors = Selectors(self)
        self._ready = ReadyParts(program)
        self.leaf_sums: dict[tuple[tuple[int, ...], bytes], Split | None] = {}
        for i in range(len(program.nodes)):
            if not program.is_selector(i):
                self._visit(i)
            # a choice may leave the operand aside that fails: then its column has no Fault
            is_table = isinstance(program.nodes[i], Map) and i in self.sets
            is_table = is_table and self.leaf_sets[i] != (i,)  # a sum reads what it adds up
            read = self.leaf_sets[i] if is_table else operands(program.nodes[i])
            if self.failing.intersection(read):
                self.failing.add(i)

    def _visit(self, i: int) -> None:
        match self.program.nodes[i]:
            case SelectorWidth(selector):
                self.leaf_sets[i] = (i,)
                self.sets[i] = self._width_set(selector)
            case Aggregate() as node:
                self.leaf_sets[i] = (i,)
                self._aggregate(i, node)
            case Map() if i in self.sums.aggregates and self._can_sum(i):
                self.leaf_sets[i] = (i,)
                self._sum(i)
            case node:
                self._elementwise(i, node)
        self.roundings[i] = rounding_of(self, self.sums, i)
        self._note_large_means(i)
        if i in self.sets and len({isinstance(v, str) for v in self.sets[i].values}) > 1:
            self.doubts.append((i, "mixing strings with other values"))
            self.ill_kinded = True

    def _note_large_means(self, i: int) -> None:
        node = self.program.nodes[i]
        read = node.args if isinstance(node, Map) else ()
        computed = (*read, node.values) if isinstance(node, Aggregate) else read
        if i in self.averaged or self.averaged.intersection(computed):
            self.averaged.add(i)
            listed = (self.sets[a].values for a in (i, *read) if a in self.sets)
            self.has_large_means = self.has_large_means or any(map(has_large_int, listed))

    def repeats_numbers(self, i: int) -> bool:
        """Whether a mean, or a function of one, has values that differ in kind alone, as 2 and 2.0.

        A head gives the number, so nothing after it can tell them apart.
        """
        keys = [value_key(v) for v in self.sets[i].values] if i in self.averaged else []
        return len(set(keys)) < len(keys)

    # --- elementwise nodes ------------------------------------------------------------------------

    def _elementwise(self, i: int, node: Node) -> None:
        match node:
            case Tokens():
                self.leaf_sets[i] = (TOKEN,)
            case Indices():
                self.leaf_sets[i] = (POSITION,)
            case Constant():
                self.leaf_sets[i] = ()
            case Map(_, args):
                self.leaf_sets[i] = self._map_leaves(i, args)
        if i in self.unlisted or any(leaf in self.ranges for leaf in self.leaf_sets[i]):
            self._of_ranges(i)
            return
        column = self.column(i, self.leaf_sets[i])
        for value in column.values:
            if isinstance(value, Fault):
                self._note_fault(i, value)
        self.sets[i] = self._set_of(i, column)

    def _map_leaves(self, i: int, args: tuple[int, ...]) -> tuple[int, ...]:
        """The leaves of a Map: its operands' leaves; parts of it where these are too many."""
        leaves = self.leaves_of(args)
        if any(i in self.ranges for i in (*leaves, *args)):
            self.unlisted.add(i)
            return leaves
        if not self.fits(leaves, FEW_ROWS):
            parts = self._ready.parts(args, self.leaf_sets, self._ready.before(leaves))
            if parts != leaves and self.fits(parts) and self._is_smaller(parts, leaves):
                return parts
        if self.fits(leaves):
            return leaves
        cut = tuple(sorted({a for a in args if self.leaf_sets[a]}))
        if self.fits(cut, max_rows()):
            return cut
        if self.linear(i) is None and step_of(self, i, leaves) is None:
            self._refuse_joint(i, cut)
        self.unlisted.add(i)
        return leaves

    def _is_smaller(self, parts: tuple[int, ...], leaves: tuple[int, ...]) -> bool:
        """Whether the joint of `parts` has at most half of the combinations that `leaves` have."""
        return not self.fits(leaves, 2 * len(self.joint(parts).codes))

    def _refuse_joint(self, i: int, parts: tuple[int, ...]) -> NoReturn:
        sizes = " x ".join(str(len(self.sets[a].values)) for a in parts)
        raise CompileError(
            f"{self.program.labels[i]!r} joins too many values, {sizes}: more than "
            f"{max_rows():,} combinations, {size_text(max_rows() * BYTES_A_ROW)}",
            self.program.span(i),
            f"use a smaller vocabulary or max_len; {way_out('memory')}",
        )

    def _set_of(self, i: int, column: Column) -> ValueSet:
        valid = {c: v for c, v in enumerate(column.values) if not isinstance(v, Fault)}
        if not valid and i in self.program.outputs:
            self._refuse_fault(i, column)
        if not valid:  # no output reads it on any input that is not refused
            column, valid = total(column), {0: 0}
        joint = self.joint(self.leaf_sets[i])
        allowed = values_by_pattern(column, joint)
        if len(valid) < len(column.values):
            allowed = allowed[:, list(valid)]
        allowed[~allowed.any(1), 0] = True  # where it always fails, some value: no output reads it
        first, kind = unique_rows(allowed)
        distinct = self._stays_distinct(i, column)
        return ValueSet(tuple(valid.values()), allowed[first], kind[joint.cell_pattern], distinct)

    def _refuse_fault(self, i: int, column: Column) -> NoReturn:
        fault = column.values[0]
        reason = fault.reason if isinstance(fault, Fault) else ""
        raise CompileError(
            f"{self.program.labels[i]!r} fails on every input: {reason}", self.program.span(i)
        )

    def _stays_distinct(self, i: int, column: Column) -> bool:
        """Whether the s-op differs at any two positions of an input.

        True if it is injective in one distinct leaf for fixed values of its other leaves, and these
        are the same at every position of an input.
        """
        leaves = self.leaf_sets[i]
        varying = [leaf for leaf in leaves if not self._uniform(leaf)]
        if len(varying) != 1 or not self.sets[varying[0]].distinct:
            return False
        at = leaves.index(varying[0])
        codes = self.joint(leaves).codes
        context = np.delete(codes, at, axis=1)
        # 1 and 1.0 are two values of the column, and equal to a selector.
        codes_of = np.array(code_of_equal(column.values))
        pairs = np.column_stack([context, codes_of[column.codes]])
        return len(np.unique(pairs, axis=0)) == len(codes)

    def _uniform(self, leaf: int) -> bool:
        """Whether the leaf holds one value all over an input, given its length."""
        known = self.sets[leaf]
        if not (known.allowed.sum(1) == 1).all():
            return False
        # At every position what is at the first one of inputs of that length.
        first = self.cells.first(self.cells.length)
        return bool((known.kind == known.kind[first]).all())

    def _note_fault(self, i: int, fault: Fault) -> None:
        self.failing.add(i)
        self.partial = True
        self.infinite |= {i} if fault.infinite else set()
        self.doubts.append((i, fault.reason))

    def _of_ranges(self, i: int) -> None:
        """A function of ranges: a linear one is a range, a step a leaf of its own."""
        terms = self.linear(i)
        if terms is not None:
            self.ranges[i] = self.range_of_sum(terms)
            return
        step = step_of(self, i, self.leaf_sets[i])
        if step is None:
            raise CompileError(
                f"{self.program.labels[i]!r} needs every single value of a mean that has too many "
                "to list",
                self.program.span(i),
                "use a smaller max_len or fewer different numbers, only sums of it, or compare it "
                "with a number",
            )
        if step.fault is not None and not self.total:
            self._note_fault(i, step.fault)
        self.leaf_sets[i] = (i,)
        self.steps[i] = step
        anything = np.ones((1, len(step.values)), bool)
        self.sets[i] = ValueSet(step.values, anything, np.zeros(self.cells.count, int))

    # --- attention nodes --------------------------------------------------------------------------

    def _width_set(self, selector: int) -> ValueSet:
        conjuncts = normal_and(self.program, selector)
        top = self.cells.max_len
        if not self.domain.causal and is_strict_order(self, conjuncts):
            # The widths of a strict total order are the ranks: 0 .. n-1, each once. In a causal
            # model a position compares itself with earlier ones only, and ranks can repeat.
            ranks = np.tri(top, dtype=bool)  # [length - 1, rank]
            return ValueSet(tuple(range(top)), ranks, self.cells.length - 1, True, True)
        bounds = self.selectors.bounds(conjuncts)
        # Every width between the bounds is allowed: a superset of those that occur.
        pairs = bounds.low * (top + 1) + bounds.high
        _, first, kind = np.unique(pairs, return_index=True, return_inverse=True)
        numbers = np.arange(int(bounds.high.max()) + 1)
        low, high = bounds.low[first, None], bounds.high[first, None]
        allowed = (numbers >= low) & (numbers <= high)
        occurring = np.nonzero(allowed.any(0))[0]
        values = tuple(int(v) for v in occurring)
        return ValueSet(values, allowed[:, occurring], kind.reshape(-1))

    def _aggregate(self, i: int, node: Aggregate) -> None:
        bounds = self.selectors.bounds(normal_and(self.program, node.selector))
        most = int(bounds.high.max())
        if most > 1:
            self.averaged.add(i)
        if self._is_only_summed(i, node):
            # Nothing reads the means themselves, so they need no list.
            numbers = Range.of_values(self.sets[node.values].values)
            self.ranges[i] = numbers.mean(most).with_value(node.default)
            return
        if node.values in self.ranges:
            operand = self.range(node.values)
            values = operand.mean(most) if most > 1 else operand
            self.ranges[i] = values.with_value(node.default)
            return
        result = mean_values(self, node, bounds, i in self.sums.smooth)
        if isinstance(result, Range):
            self.ranges[i] = result
        else:
            self.sets[i] = result
        self._doubt_mean(i, node, bounds)

    def _can_sum(self, i: int) -> bool:
        """Whether product i is a sum of numbers; of whole numbers, where it is rounded."""
        node = self.program.nodes[self.sums.aggregates[i]]
        assert isinstance(node, Aggregate)
        if self.shows_kinds:
            return False  # a sum of one int is an int, any other a float: no head can tell
        if node.values in self.ranges:
            numbers = self.ranges[node.values].total(1)
        elif all(map(is_number, (node.default, *self.sets[node.values].values))):
            numbers = Range.of_values(self.sets[node.values].values)
        else:
            return False
        if i not in self.sums.rounded:
            return True
        product = rounding_of_sum(self, self.sums.aggregates[i])
        return numbers.is_whole and product.absolute < 0.5

    def _is_only_summed(self, i: int, node: Aggregate) -> bool:
        """Whether nothing but sums reads an aggregate."""
        readers = self.sums.readers[i]
        summed = all(self.sums.aggregates.get(r) == i and self._can_sum(r) for r in readers)
        return (
            summed and bool(readers) and i not in self.program.outputs and node.values in self.sets
        )

    def _sum(self, i: int) -> None:
        """The values of a sum: a leaf of its own, as its head gives it."""
        node = self.program.nodes[self.sums.aggregates[i]]
        assert isinstance(node, Aggregate)
        bounds = self.selectors.bounds(normal_and(self.program, node.selector))
        self.averaged.add(i)
        if node.values in self.ranges:
            self.ranges[i] = self.range(node.values).total(int(bounds.high.max()))
            return
        result = sum_values(self, node, bounds)
        if isinstance(result, Range):
            self.ranges[i] = result
        else:
            self.sets[i] = result

    def _doubt_mean(self, i: int, node: Aggregate, bounds: SelectorBounds) -> None:
        """Note that a mean of strings or bools may occur: legal only if no input has one."""
        values = self.sets[node.values].values
        if bounds.high.max() > 1 and not all(is_number(v) for v in values):
            if any(is_number(v) for v in values) and any(isinstance(v, bool) for v in values):
                self._refuse_mixed_mean(i)
            self.doubts.append((i, "taking the mean of values that are not numbers"))
            self.failing.add(i)
            self.unaveraged.add(i)

    def _refuse_mixed_mean(self, i: int) -> NoReturn:
        # Whether bools may be averaged depends on the numbers beside them: there is no one form.
        raise CompileError(
            f"{self.program.labels[i]!r} may take the mean of bools among numbers",
            self.program.span(i),
            "make them numbers first, indicator(...), or give the inner aggregate a bool default",
        )

"""Selectors over value sets: their truth tables, and bounds on how many keys a row selects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
from jaxtyping import Bool, Int

from rasplab.base.errors import CompileError
from rasplab.compiler.infer.columns import Column, cells_of, component, kinds_of, map_columns
from rasplab.compiler.infer.leaf_tables import LeafTables, max_rows
from rasplab.compiler.infer.normal_form import Conjunct, Literal
from rasplab.compiler.infer.running_count import is_equality, keys_are_counted
from rasplab.compiler.infer.values import Fault, Result, call_or_fault
from rasplab.program.functions import PREDICATES
from rasplab.program.values import is_number

MAX_KIND_PAIRS = 10_000_000
"""Pairs of kinds of cells that are compared at once."""


@dataclass(frozen=True)
class SelectorBounds:
    """What a selector selects on every input of the domain, and what it may select on some.

    low, high  how many keys the row of a cell selects, at least and at most
    may, must  by length n, bool [query, key]: selected on some input, selected on every input
    """

    low: Int[np.ndarray, " cell"]
    high: Int[np.ndarray, " cell"]
    may: dict[int, Bool[np.ndarray, "query key"]]
    must: dict[int, Bool[np.ndarray, "query key"]]


class Selectors:
    """Tables and bounds of a program's selectors, from the value sets of their operands."""

    def __init__(self, tables: LeafTables):
        self.tables = tables
        self._bounds: dict[tuple[Conjunct, ...], SelectorBounds] = {}

    # --- truth tables -----------------------------------------------------------------------------

    def tuples(self, nodes: tuple[int, ...]) -> tuple[tuple[int, ...], Column]:
        """Several s-ops seen as one: their leaves, and a column of tuples of their values.

        Raises CompileError where the values are too many to list or to combine.
        """
        tables, leaves = self.tables, self.tables.leaves_of(nodes)
        for i in (*leaves, *nodes):
            if i in tables.ranges:
                self._refuse_select(nodes, i)
        if not tables.fits(leaves):
            leaves = tuple(sorted({i for i in nodes if tables.leaf_sets[i]}))
        if not tables.fits(leaves, max_rows()):
            names = " and ".join(tables.program.labels[i] for i in nodes)
            raise CompileError(
                f"a selector joins more than {max_rows():,} combinations of {names}",
                tables.program.span(nodes[0]),
                "use a smaller vocabulary or max_len, or select in several steps",
            )
        columns = [tables.column(i, leaves) for i in nodes]
        return leaves, map_columns(_tuple_or_fault, columns, len(tables.joint(leaves).codes))

    def _refuse_select(self, nodes: tuple[int, ...], leaf: int) -> NoReturn:
        program = self.tables.program
        raise CompileError(
            f"select needs every single value of {program.labels[leaf]!r}, a mean "
            "with too many to list",
            program.span(nodes[0]),
            "use a smaller max_len or fewer different numbers",
        )

    def predicate(
        self, conjunct: Conjunct
    ) -> tuple[Column, Column, Bool[np.ndarray, "key_value query_value"]]:
        """Key column, query column, and truth table of a conjunct; faults test False."""
        _, keys = self.tuples(conjunct.keys)
        _, queries = self.tuples(conjunct.queries)
        return keys, queries, self.table(conjunct, keys, queries)

    def table(
        self, conjunct: Conjunct, keys: Column, queries: Column
    ) -> Bool[np.ndarray, "key_value query_value"]:
        """Whether the conjunct holds, for every key value and query value; faults test False."""
        table = np.ones((len(keys.values), len(queries.values)), bool)
        for clause in conjunct.clauses:
            holds = np.zeros_like(table)
            for literal in clause:
                at_key = conjunct.keys.index(literal.keys)
                at_query = conjunct.queries.index(literal.queries)
                holds |= self._literal_table(literal, keys, at_key, queries, at_query)
            table &= holds
        return table

    def _literal_table(
        self, literal: Literal, keys: Column, at_key: int, queries: Column, at_query: int
    ) -> np.ndarray:
        key_codes, key_values = component(keys, at_key)
        query_codes, query_values = component(queries, at_query)
        return self._value_table(literal, key_values, query_values)[np.ix_(key_codes, query_codes)]

    def _value_table(
        self, literal: Literal, keys: Sequence[Result], queries: Sequence[Result]
    ) -> np.ndarray:
        table = _rank_table(literal, keys, queries)
        if table is not None:
            return table
        return np.array([[self._test(literal, k, q) for q in queries] for k in keys])

    def _test(self, literal: Literal, key: Result, query: Result) -> bool:
        if isinstance(key, Fault) or isinstance(query, Fault):
            return False
        try:
            return literal.test(key, query)
        except TypeError as error:
            doubt = (literal.keys, f"comparing {key!r} with {query!r}: {error}")
            if doubt not in self.tables.doubts:
                self.tables.doubts.append(doubt)
                self.tables.ill_kinded = True
            return False

    # --- bounds -----------------------------------------------------------------------------------

    def bounds(self, conjuncts: tuple[Conjunct, ...]) -> SelectorBounds:
        """How many keys each row of an `and` of conjuncts selects, and which."""
        if conjuncts not in self._bounds:
            self._bounds[conjuncts] = self._build_bounds(conjuncts)
        return self._bounds[conjuncts]

    def _build_bounds(self, conjuncts: tuple[Conjunct, ...]) -> SelectorBounds:
        tables = self.tables
        parts = [self._conjunct_bounds(c) for c in conjuncts]
        may, must, lows, highs = {}, {}, [], []
        longest = tables.cells.max_len
        visible = np.tri(longest, dtype=bool) | (not tables.domain.causal)
        for n in range(1, longest + 1):
            may[n] = np.logical_and.reduce([visible[:n, :n], *(part[n][0] for part in parts)])
            must[n] = np.logical_and.reduce([visible[:n, :n], *(part[n][1] for part in parts)])
            # As many keys as must be selected at least, as may be at most.
            lows.append(must[n].view(np.int8).sum(1, dtype=np.int32))
            highs.append(may[n].view(np.int8).sum(1, dtype=np.int32))
        low, high = np.concatenate(lows), np.concatenate(highs)
        # What follows from permutations and distinct keys, and not from cells one by one.
        if any(self._keys_distinct(c) for c in conjuncts) or keys_are_counted(tables, conjuncts):
            high = np.minimum(high, 1)
        # a causal row does not see all keys, so the one that it equals may be hidden
        if len(conjuncts) == 1 and self._onto(conjuncts[0]) and not tables.domain.causal:
            low = np.maximum(low, 1)
        return SelectorBounds(low, high, may, must)

    def _conjunct_bounds(self, conjunct: Conjunct) -> dict[int, tuple[np.ndarray, np.ndarray]]:
        """(may, must) of one conjunct, by length: bool [query, key].

        A key may be selected if some pair of a value of its and one of the query's hits, and must
        be if no such pair misses. Cells with equal sets of values are looked at once.
        """
        tables = self.tables
        key_leaves, keys = self.tuples(conjunct.keys)
        query_leaves, queries = self.tuples(conjunct.queries)
        table = self.table(conjunct, keys, queries)
        key_kinds = kinds_of(keys, tables.joint(key_leaves))
        query_kinds = kinds_of(queries, tables.joint(query_leaves))
        hits = _some_pair(table.T, query_kinds, key_kinds)
        misses = _some_pair(~table.T, query_kinds, key_kinds)
        self_may, self_must = self._self_selection(conjunct)
        bounds = {}
        for n in range(1, tables.cells.max_len + 1):
            # Off the diagonal, key and query are taken as independent: bounds, not exact sets.
            cells = tables.cells.of_length(n)
            may, must = hits(cells), ~misses(cells)
            np.fill_diagonal(may, may.diagonal() & self_may[cells])
            np.fill_diagonal(must, must.diagonal() | self_must[cells])
            bounds[n] = (may, must)
        return bounds

    def _self_selection(self, conjunct: Conjunct) -> tuple[np.ndarray, np.ndarray]:
        """Whether a position may, and must, select itself: bool [cell] each.

        There key and query hold values of the same cell, so only combinations that occur together
        count: `tokens == tokens` always selects itself, whatever the two sets allow.
        """
        tables = self.tables
        nodes = tuple(sorted({*conjunct.keys, *conjunct.queries}))
        leaves = tables.leaves_of(nodes)
        if not tables.fits(leaves):
            return np.ones(tables.cells.count, bool), np.zeros(tables.cells.count, bool)
        columns = {i: tables.column(i, leaves) for i in nodes}
        selected = np.ones(len(tables.joint(leaves).codes), bool)
        for clause in conjunct.clauses:
            selected &= np.logical_or.reduce([self._row_test(lit, columns) for lit in clause])
        outcomes = cells_of(Column((False, True), selected.astype(int)), tables.joint(leaves))
        return outcomes[:, 1], ~outcomes[:, 0]

    def _row_test(self, literal: Literal, columns: dict[int, Column]) -> np.ndarray:
        key, query = columns[literal.keys], columns[literal.queries]
        return self._value_table(literal, key.values, query.values)[key.codes, query.codes]

    def _keys_distinct(self, conjunct: Conjunct) -> bool:
        """Whether it is an equality with keys that differ at every position: one key at most."""
        return any(
            len(clause) == 1
            and is_equality(clause[0])
            and self.tables.sets[clause[0].keys].distinct
            for clause in conjunct.clauses
        )

    def _onto(self, conjunct: Conjunct) -> bool:
        """Whether it equates a permutation with queries in 0 .. n-1: exactly one key."""
        if len(conjunct.clauses) != 1 or len(conjunct.clauses[0]) != 1:
            return False
        literal = conjunct.clauses[0][0]
        if not (is_equality(literal) and self.tables.sets[literal.keys].permutation):
            return False
        queries = self.tables.sets[literal.queries]
        integers = [int(v) for v in queries.values if is_number(v) and v == int(v)]
        if len(integers) < len(queries.values):
            return False
        # [kind of cell]: the least and the largest position that is asked for
        lowest = np.where(queries.allowed, integers, self.tables.cells.max_len).min(1)
        highest = np.where(queries.allowed, integers, -1).max(1)
        inside = highest[queries.kind] < self.tables.cells.length
        return bool(lowest.min() >= 0 and inside.all())


def _rank_table(
    literal: Literal, keys: Sequence[Result], queries: Sequence[Result]
) -> np.ndarray | None:
    """The truth table of a literal where all are strings, or all numbers; else None.

    Comparing ranks as arrays gives the same as comparing the values one by one.
    """
    values = (*keys, *queries)
    strings = [v for v in values if isinstance(v, str)]
    numbers = [v for v in values if is_number(v)]
    if len(values) not in (len(strings), len(numbers)):
        return None
    distinct = sorted(set(strings)) if strings else sorted(set(numbers))
    rank = {v: k for k, v in enumerate(distinct)}
    ranks = np.array([rank[v] for v in (strings or numbers)])
    predicate = PREDICATES[literal.predicate]
    table = predicate(ranks[: len(keys), None], ranks[None, len(keys) :])
    return np.asarray(table != literal.negated)


Kinds = tuple[np.ndarray, np.ndarray]
"""The kind of every cell, and the values of every kind, as `kinds_of` gives them."""


def _some_pair(table: np.ndarray, queries: Kinds, keys: Kinds) -> Callable[[slice], np.ndarray]:
    """A function from a slice of cells to bool [query cell, key cell]: some pair is in the table.

    table  bool [query value, key value]
    All pairs of kinds are multiplied out at once if they fit into MAX_KIND_PAIRS, else by slice.
    Products count pairs, of which only the sign matters, so that float32 is exact enough.
    """
    query_kind, key_kind = queries[0], keys[0]
    key_values = keys[1].T.astype(np.float32)
    counts = queries[1].astype(np.float32) @ table.astype(np.float32)
    if len(counts) * key_values.shape[1] <= MAX_KIND_PAIRS:
        by_kind = counts @ key_values > 0
        # Rows, then columns: four times as fast as both in one step.
        return lambda cells: by_kind.take(query_kind[cells], 0).take(key_kind[cells], 1)
    return lambda cells: counts[query_kind[cells]] @ key_values[:, key_kind[cells]] > 0


def _tuple_or_fault(values: Sequence[Result]) -> Result:
    return call_or_fault(lambda *parts: parts, values)

"""Selectors over inferred values: their tables, and how many keys a row can select."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rasplab.base.errors import CompileError
from rasplab.compiler.infer.normal_form import Conjunct
from rasplab.compiler.infer.values import Column, Fault, apply, component, is_number, unique_rows
from rasplab.program.functions import PREDICATES

MAX_KIND_PAIRS = 10_000_000
"""Pairs of kinds of cells that are held against each other at once."""


@dataclass(frozen=True)
class Widths:
    """Bounds of a selector. low, high [cell]: how many keys a row selects; may, must [n] -> bool
    [query, key].
    """

    low: np.ndarray
    high: np.ndarray
    may: dict[int, np.ndarray]
    must: dict[int, np.ndarray]


class Selectors:
    """Tables and widths of a program's selectors, from the value sets of its operands."""

    def __init__(self, value_sets):
        self.value_sets = value_sets
        self._widths: dict[tuple[Conjunct, ...], Widths] = {}

    def tuples(self, nodes: tuple[int, ...]) -> tuple[tuple[int, ...], Column]:
        """Several s-ops seen as one: their leaves, and a column of tuples of their values."""
        leaves = tuple(sorted({leaf for i in nodes for leaf in self.value_sets.leaf_sets[i]}))
        for leaf in leaves:
            if leaf in self.value_sets.ranges:
                self._refuse_select(nodes, leaf)
        if not self.value_sets.fits(leaves):
            leaves = tuple(sorted({i for i in nodes if self.value_sets.leaf_sets[i]}))
        if not self.value_sets.fits(leaves):
            names = " and ".join(self.value_sets.program.labels[i] for i in nodes)
            raise CompileError(
                f"a selector joins too many combinations of {names}",
                self.value_sets.program.span(nodes[0]),
                "use a smaller vocabulary or max_len, or select in several steps",
            )
        columns = [self.value_sets.column(i, leaves) for i in nodes]
        return leaves, apply(
            lambda *values: values, columns, len(self.value_sets.joint(leaves).codes)
        )

    def _refuse_select(self, nodes: tuple[int, ...], leaf: int) -> None:
        raise CompileError(
            f"select needs every single value of {self.value_sets.program.labels[leaf]!r}, a mean "
            "with too many to list",
            self.value_sets.program.span(nodes[0]),
            "use a smaller max_len or fewer different numbers",
        )

    def predicate(self, conjunct: Conjunct) -> tuple[Column, Column, np.ndarray]:
        """Key column, query column, and table bool [key value, query value] of a conjunct; faults
        test False.
        """
        _, keys = self.tuples(conjunct.keys)
        _, queries = self.tuples(conjunct.queries)
        return keys, queries, self.table(conjunct, keys, queries)

    def table(self, conjunct: Conjunct, keys: Column, queries: Column) -> np.ndarray:
        """Bool [key value, query value]: does the conjunct hold; faults test False."""
        table = np.ones((len(keys.values), len(queries.values)), bool)
        for clause in conjunct.clauses:
            chosen = np.zeros_like(table)
            for literal in clause:
                at_key, at_query = (
                    conjunct.keys.index(literal.keys),
                    conjunct.queries.index(literal.queries),
                )
                chosen |= self._literal_table(literal, keys, at_key, queries, at_query)
            table &= chosen
        return table

    def _literal_table(
        self, literal, keys: Column, at_key: int, queries: Column, at_query: int
    ) -> np.ndarray:
        key_codes, key_values = component(keys, at_key)
        query_codes, query_values = component(queries, at_query)
        return self._value_table(literal, key_values, query_values)[np.ix_(key_codes, query_codes)]

    def _value_table(self, literal, keys, queries) -> np.ndarray:
        table = _ordered_test(literal, keys, queries)
        if table is not None:
            return table
        return np.array([[self._test(literal, k, q) for q in queries] for k in keys])

    def _test(self, literal, key, query) -> bool:
        if isinstance(key, Fault) or isinstance(query, Fault):
            return False
        try:
            return literal.test(key, query)
        except TypeError as error:
            doubt = (literal.keys, f"comparing {key!r} with {query!r}: {error}")
            if doubt not in self.value_sets.doubts:
                self.value_sets.doubts.append(doubt)
            return False

    def widths(self, conjuncts: tuple[Conjunct, ...]) -> Widths:
        """How many keys each row of an `and` of conjuncts selects, at least and at most."""
        if conjuncts not in self._widths:
            self._widths[conjuncts] = self._build_widths(conjuncts)
        return self._widths[conjuncts]

    def _build_widths(self, conjuncts: tuple[Conjunct, ...]) -> Widths:
        parts = [self._conjunct_bounds(c) for c in conjuncts]
        may, must, low, high = {}, {}, [], []
        for n in range(1, self.value_sets.cells.max_len + 1):
            may[n], must[n] = np.ones((n, n), bool), np.ones((n, n), bool)
            if self.value_sets.domain.causal:
                may[n] &= np.tri(n, dtype=bool)
                must[n] &= np.tri(n, dtype=bool)
            for part in parts:
                may[n] &= part[n][0]
                must[n] &= part[n][1]
            low.append(must[n].sum(1))
            high.append(may[n].sum(1))
        low, high = np.concatenate(low), np.concatenate(high)
        if any(self._keys_distinct(c) for c in conjuncts):
            high = np.minimum(high, 1)
        if len(conjuncts) == 1 and self._onto(conjuncts[0]) and not self.value_sets.domain.causal:
            low = np.maximum(low, 1)
        return Widths(low, high, may, must)

    def _conjunct_bounds(self, conjunct: Conjunct) -> dict[int, tuple[np.ndarray, np.ndarray]]:
        """Per length: bool [query, key] of what may, and what must, be selected by this conjunct
        alone.
        """
        key_leaves, keys = self.tuples(conjunct.keys)
        query_leaves, queries = self.tuples(conjunct.queries)
        table = self.table(conjunct, keys, queries)
        key_kind, at_key = _kinds(self.value_sets.cells_of(key_leaves, keys))
        query_kind, at_query = _kinds(self.value_sets.cells_of(query_leaves, queries))
        hit = at_query @ table.T.astype(np.float32)
        miss = at_query @ (~table).T.astype(np.float32)
        hits = _pairs(hit, query_kind, at_key, key_kind)
        misses = _pairs(miss, query_kind, at_key, key_kind)
        own_may, own_must = self._own(conjunct)
        bounds = {}
        for n in range(1, self.value_sets.cells.max_len + 1):
            cells = self.value_sets.cells.of_length(n)
            may, must = hits(cells) > 0, misses(cells) == 0
            np.fill_diagonal(may, may.diagonal() & own_may[cells])
            np.fill_diagonal(must, must.diagonal() | own_must[cells])
            bounds[n] = (may, must)
        return bounds

    def _own(self, conjunct: Conjunct) -> tuple[np.ndarray, np.ndarray]:
        """[cell]: may, and must, a position select itself. There key and query values belong
        together.
        """
        nodes = tuple(sorted({*conjunct.keys, *conjunct.queries}))
        leaves = tuple(sorted({leaf for i in nodes for leaf in self.value_sets.leaf_sets[i]}))
        unknown = (
            np.ones(self.value_sets.cells.count, bool),
            np.zeros(self.value_sets.cells.count, bool),
        )
        if not self.value_sets.fits(leaves):
            return unknown
        columns = {i: self.value_sets.column(i, leaves) for i in nodes}
        tested = np.ones(len(self.value_sets.joint(leaves).codes), bool)
        for clause in conjunct.clauses:
            tested &= np.logical_or.reduce([self._own_literal(lit, columns) for lit in clause])
        seen = self.value_sets.cells_of(leaves, Column((False, True), tested.astype(int)))
        return seen[:, 1], ~seen[:, 0]

    def _own_literal(self, literal, columns: dict[int, Column]) -> np.ndarray:
        key, query = columns[literal.keys], columns[literal.queries]
        return self._value_table(literal, key.values, query.values)[key.codes, query.codes]

    def _keys_distinct(self, conjunct: Conjunct) -> bool:
        """An equality with keys that differ at every position selects one key at most."""
        return any(
            len(clause) == 1
            and self._is_equality(clause[0])
            and self.value_sets.sets[clause[0].keys].distinct
            for clause in conjunct.clauses
        )

    def _is_equality(self, literal) -> bool:
        return (
            literal.predicate == "=="
            and not literal.negated
            or literal.predicate == "!="
            and literal.negated
        )

    def _onto(self, conjunct: Conjunct) -> bool:
        """An equality of a permutation with queries in 0 .. n-1 selects exactly one key."""
        if len(conjunct.clauses) != 1 or len(conjunct.clauses[0]) != 1:
            return False
        literal = conjunct.clauses[0][0]
        if not (self._is_equality(literal) and self.value_sets.sets[literal.keys].permutation):
            return False
        queries = self.value_sets.sets[literal.queries]
        if not all(is_number(v) and v == int(v) for v in queries.values):
            return False
        numbers = np.array([int(v) for v in queries.values])
        outside = (numbers < 0)[None] | (numbers[None] >= self.value_sets.cells.length[:, None])
        return not (queries.cells & outside).any()


def _ordered_test(literal, keys, queries) -> np.ndarray | None:
    """Bool [key, query] where all are strings, or all numbers: by their ranks, not one by one."""
    values = (*keys, *queries)
    if not (all(isinstance(v, str) for v in values) or all(is_number(v) for v in values)):
        return None
    rank = {v: k for k, v in enumerate(sorted(set(values)))}
    ranks = np.array([rank[v] for v in values])
    predicate = PREDICATES[literal.predicate]
    return predicate(ranks[: len(keys), None], ranks[None, len(keys) :]) != literal.negated


def _kinds(cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cells with the same values are of one kind: the kind of each, and the values of each kind."""
    first, kind = unique_rows(cells)
    return kind, cells[first].astype(np.float32)


def _pairs(hits: np.ndarray, query_kind, at_key: np.ndarray, key_kind):
    """Slice of cells -> how many (query value, key value) hits each pair of them can have."""
    if len(hits) * len(at_key) <= MAX_KIND_PAIRS:
        met = hits @ at_key.T
        return lambda cells: met[np.ix_(query_kind[cells], key_kind[cells])]
    return lambda cells: hits[query_kind[cells]] @ at_key[key_kind[cells]].T

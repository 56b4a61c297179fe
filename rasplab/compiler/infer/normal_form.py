"""Normal forms of selectors: an `and` of conjuncts, each a test of key s-ops against query s-ops.

`normal_and` serves aggregates (a head adds scores, which is `and`); `normal_or` serves widths,
where the parts of an `or` may be counted by separate heads.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

from rasplab.base.errors import CompileError
from rasplab.program.functions import PREDICATES
from rasplab.program.graph import Combine, Program, Select
from rasplab.program.values import Value

MAX_CLAUSES = 64
"""Clauses that a selector may multiply out to; beyond that it is refused."""


@dataclass(frozen=True, slots=True, order=True)
class Literal:
    """One `select(keys, queries, predicate)`, or its negation."""

    keys: int
    queries: int
    predicate: str
    negated: bool = False

    def test(self, key: Value, query: Value) -> bool:
        """Whether `key` is selected by `query`; raises what the predicate raises."""
        return bool(PREDICATES[self.predicate](key, query)) != self.negated


Clause = tuple[Literal, ...]


@dataclass(frozen=True, slots=True)
class Conjunct:
    """A conjunction of clauses, each an `or` of literals, that test the same s-ops.

    keys, queries  node ids of the s-ops on the key side and on the query side
    """

    keys: tuple[int, ...]
    queries: tuple[int, ...]
    clauses: tuple[Clause, ...]


def normal_and(program: Program, selector: int) -> tuple[Conjunct, ...]:
    """The selector as one `and` of conjuncts."""
    return _conjuncts(_Clauses(program, "and").of(selector))


def normal_or(program: Program, selector: int) -> tuple[tuple[Conjunct, ...], ...]:
    """The selector as an `or` of terms, each an `and` of conjuncts."""
    terms = _Clauses(program, "or").of(selector)
    return tuple(_conjuncts([(literal,) for literal in term]) for term in terms)


def conjunction(a: tuple[Conjunct, ...], b: tuple[Conjunct, ...]) -> tuple[Conjunct, ...]:
    """The `and` of two conjunct lists."""
    return _conjuncts([clause for conjunct in (*a, *b) for clause in conjunct.clauses])


class _Clauses:
    """The clauses of selectors, joined by `outer`; negations are pushed down to the literals.

    Inside a clause the literals are joined by the other connective.
    """

    def __init__(self, program: Program, outer: str):
        self.program, self.outer = program, outer
        self.known: dict[tuple[int, bool], list[Clause]] = {}

    def of(self, selector: int, negated: bool = False) -> list[Clause]:
        """The clauses of a selector, or of its negation."""
        # a selector that several read is a chain that doubles where it is not remembered
        if (selector, negated) not in self.known:
            self.known[selector, negated] = self._made(selector, negated)
        return self.known[selector, negated]

    def _made(self, selector: int, negated: bool) -> list[Clause]:
        match self.program.nodes[selector]:
            case Select(keys, queries, predicate):
                return [(Literal(keys, queries, predicate, negated),)]
            case Combine("not", (inner,)):
                return self.of(inner, not negated)
            case Combine(fn, parts):
                lists = [self.of(part, negated) for part in parts]
                # by De Morgan a negated `and` is an `or` of negations
                if (fn == self.outer) != negated:
                    return _distinct([clause for clauses in lists for clause in clauses])
                return _multiply(self.program, selector, lists)
        raise AssertionError(f"node {selector} is not a selector")


def _multiply(program: Program, selector: int, lists: list[list[Clause]]) -> list[Clause]:
    """Every join of one clause from each list, without clauses that others imply."""
    joined: list[Clause] = [()]
    for clauses in lists:
        if len(joined) * len(clauses) > MAX_CLAUSES:
            raise CompileError(
                f"{program.labels[selector]!r} multiplies out to more than {MAX_CLAUSES:,} clauses",
                program.span(selector),
                "compute part of it as an s-op first, or nest `and` and `or` less deeply",
            )
        joined = _distinct([_join(choice) for choice in product(joined, clauses)])
    return joined


def _join(clauses: tuple[Clause, ...]) -> Clause:
    return tuple(sorted({literal for clause in clauses for literal in clause}))


def _distinct(clauses: list[Clause]) -> list[Clause]:
    """Each clause once, without those that another clause's literals already imply."""
    sets = list(dict.fromkeys(frozenset(c) for c in clauses))
    return [tuple(sorted(s)) for s in sets if not any(other < s for other in sets)]


def _conjuncts(clauses: list[Clause]) -> tuple[Conjunct, ...]:
    """Clauses over the same key and query s-ops become one conjunct."""
    groups: dict[tuple[tuple[int, ...], tuple[int, ...]], list[Clause]] = {}
    for clause in clauses:
        keys = tuple(sorted({literal.keys for literal in clause}))
        queries = tuple(sorted({literal.queries for literal in clause}))
        groups.setdefault((keys, queries), []).append(clause)
    return tuple(
        Conjunct(keys, queries, tuple(dict.fromkeys(group)))
        for (keys, queries), group in groups.items()
    )

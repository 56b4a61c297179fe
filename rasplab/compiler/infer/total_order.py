"""Strict total orders: a selector that orders the positions has their ranks as its widths."""

from __future__ import annotations

from itertools import product

from rasplab.compiler.infer.leaf_tables import LeafTables
from rasplab.compiler.infer.normal_form import Conjunct
from rasplab.program.functions import PREDICATES

MAX_OPERANDS = 3
"""S-ops that an order may compare; the proof visits at most 27 ** MAX_OPERANDS triples of signs."""

Signs = tuple[int, ...]
"""How key and query compare, s-op by s-op: -1, 0 or 1."""


def is_strict_order(tables: LeafTables, conjuncts: tuple[Conjunct, ...]) -> bool:
    """Whether the selector orders the positions of every input strictly and totally.

    Proof: each literal compares an s-op with itself, so whether a key is selected depends only on
    the signs of the comparisons. One s-op differs at every position, so its sign is never 0 between
    two positions. The relation on such signs is antisymmetric and total, and transitive for all
    signs that three positions can have; so a position's width is its rank.
    """
    literals = [lit for c in conjuncts for clause in c.clauses for lit in clause]
    nodes = sorted({lit.keys for lit in literals})
    if len(nodes) > MAX_OPERANDS or any(lit.keys != lit.queries for lit in literals):
        return False
    if any(i in tables.ranges for i in nodes):
        return False
    apart = [at for at, i in enumerate(nodes) if tables.sets[i].distinct]
    if not apart:
        return False
    # before[s]: whether the key comes before the query when they compare as s.
    before: dict[Signs, bool] = {
        signs: _selected(conjuncts, nodes, signs)
        for signs in product((-1, 0, 1), repeat=len(nodes))
    }
    if before[(0,) * len(nodes)]:
        return False  # not strict: a position selects itself
    # signs that two different positions can have; reversing them swaps the two
    between = [s for s in before if all(s[at] for at in apart)]
    total = all(before[s] != before[_reversed(s)] for s in between)
    selected = [s for s in between if before[s]]
    return total and all(
        before[u] for s in selected for t in selected for u in _composed(s, t) if u in between
    )


def _selected(conjuncts: tuple[Conjunct, ...], nodes: list[int], signs: Signs) -> bool:
    """Whether a key that compares with the query as `signs` say is selected."""
    return all(
        any(
            PREDICATES[lit.predicate](signs[nodes.index(lit.keys)], 0) != lit.negated
            for lit in clause
        )
        for c in conjuncts
        for clause in c.clauses
    )


def _reversed(signs: Signs) -> Signs:
    return tuple(-s for s in signs)


def _composed(s: Signs, t: Signs) -> list[Signs]:
    """The signs that a and c can have where a and b have `s`, b and c have `t`."""
    # a < b < c gives a < c; a = b or b = c passes the other sign on; a < b > c says nothing
    choices = [
        (a,) if a == b or not b else (b,) if not a else (-1, 0, 1)
        for a, b in zip(s, t, strict=True)
    ]
    return list(product(*choices))

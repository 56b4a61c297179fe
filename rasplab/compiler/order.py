"""Ranks: the width of a strict total order of positions is a permutation (floor 3)."""

from __future__ import annotations

import numpy as np

from rasplab.compiler.normalize import Conjunct

MAX_TUPLES = 3000
"""Operand combinations up to which an order is recognised (its table has their square)."""


def is_strict_order(inferred, conjuncts: tuple[Conjunct, ...]) -> bool:
    """Whether the selector orders the positions of every input strictly and totally.

    Proof: take all tuples of operand values, keys and queries reading the same s-ops, one of them
    different at every position. If the relation on tuples is a transitive tournament, so is its
    restriction to the tuples of one input, and a tuple's width is its rank there. A tournament is
    transitive exactly when its scores are 0 .. m-1 (Landau).
    """
    nodes = {i for c in conjuncts for i in (*c.keys, *c.queries)}
    if any({lit.keys for lit in clause} - nodes for c in conjuncts for clause in c.clauses):
        return False
    same = all(set(c.keys) == set(c.queries) for c in conjuncts)
    if not same or any(i in inferred.ranges for i in nodes):
        return False
    if not any(inferred.sets[i].distinct for i in nodes):
        return False
    leaves = tuple(sorted({leaf for i in nodes for leaf in inferred.leaf_sets[i]}))
    if not inferred.fits(leaves):
        return False
    _, tuples = inferred.selectors.tuples(tuple(sorted(nodes)))
    if len(tuples.values) > MAX_TUPLES:
        return False
    joined = Conjunct(
        tuple(sorted(nodes)), tuple(sorted(nodes)), tuple(k for c in conjuncts for k in c.clauses)
    )
    before = inferred.selectors.table(joined, tuples, tuples)
    if before.diagonal().any() or (before == before.T).sum() != len(before):
        return False
    return bool((np.sort(before.sum(0)) == np.arange(len(before))).all())

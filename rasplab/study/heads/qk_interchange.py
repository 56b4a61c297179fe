"""Operand swaps: a head's queries alone, or its keys alone, are taken from elsewhere, and the model
is held against what the interpreter says when the selector compares those.

Interchange of whole patterns says that a head selects as a selector does. Operands say more: that
it compares what the selector compares, each on its own side.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import reduce
from typing import Literal

import numpy as np

from rasplab.base.rng import stream
from rasplab.model.interventions import codes_with_operands
from rasplab.program.batch.evaluate import BatchTrace, Column, evaluate_batch
from rasplab.program.batch.selectors import selected
from rasplab.program.graph import Combine, Program, Select
from rasplab.study.heads.counterfactuals import Prediction, Swap, predicted
from rasplab.study.heads.interchange import Bench, Estimate, estimate
from rasplab.transformer.sites import Site

FAMILIES = ("input", "rows")
"""Families of swaps whose inputs serve: the operands come from another input, or from other places
of the same one. Queries take the swap's rows; keys the places in another order, each once, for two
keys that are alike leave most programs without an answer."""


@dataclass(frozen=True, slots=True)
class Operands:
    """Interchange accuracy of some heads on a selector, its operands swapped one at a time.

    queries    the heads' queries, and the selector's, taken from elsewhere; keys as they are
    keys       the other way round
    arbitrary  the higher of the two against another pair's prediction: what chance reaches
    A side that changes no answer has no pairs: a selector of positions compares the same keys on
    every input of a length, but for places taken from other rows.
    """

    queries: Estimate
    keys: Estimate
    arbitrary: Estimate


def operands(bench: Bench, heads: tuple[Site, ...], r: int) -> Operands:
    """Both sides for `heads` swapped together and reading r of the bench."""
    (queries, lucky_q), (keys, lucky_k) = (_side(bench, heads, r, side) for side in ("q", "k"))
    by_chance = max((lucky_q, lucky_k), key=lambda e: e.value if e.pairs else -1.0)
    return Operands(queries, keys, by_chance)


def _side(
    bench: Bench, heads: tuple[Site, ...], r: int, side: Literal["q", "k"]
) -> tuple[Estimate, Estimate]:
    """The accuracy, and the same on arbitrary targets."""
    counts = [np.zeros((4, len(swap)), int) for swap in bench.swaps]
    for k, swap in enumerate(bench.swaps):
        if swap.family in FAMILIES:
            swap = _reordered(swap, bench.seed) if side == "k" else swap
            wanted = _predicted(bench, k, swap, r, side)
            got = codes_with_operands(bench.model, swap.ids, swap.sources, swap.rows, heads, side)
            for at, p in ((0, wanted), (2, wanted.rolled(bench.clean[k]))):
                counts[k][at : at + 2] = (p.right(got) & p.changed).sum(1), p.changed.sum(1)
    hits, changed, lucky_hits, lucky = np.concatenate(counts, 1)
    return estimate(bench, hits, changed), estimate(bench, lucky_hits, lucky)


def _reordered(swap: Swap, seed: int) -> Swap:
    """The swap with its rows each once, in a random order, where they are not in place."""
    if swap.family == "input":
        return swap
    rng = stream(seed, "qk interchange")
    return replace(swap, rows=rng.random(swap.rows.shape).argsort(-1))


def _predicted(bench: Bench, k: int, swap: Swap, r: int, side: Literal["q", "k"]) -> Prediction:
    """What the interpreter says to swap k when one side of the selector of reading r is moved."""
    domain, reading = bench.model.domain, bench.readings[r]
    here, there = (
        evaluate_batch(bench.program, ids, domain.vocab, domain.causal)
        for ids in (swap.ids, swap.sources)
    )
    compared = _compared(bench.program, here, there, swap, side)
    chosen = compared(reading.selector)
    if domain.causal:
        chosen = chosen & np.tri(chosen.shape[-1], dtype=bool)
    full = np.broadcast_to(chosen, (*swap.ids.shape, swap.ids.shape[1]))
    reads = dict.fromkeys(reading.readers, full)
    trace = evaluate_batch(bench.program, swap.ids, domain.vocab, domain.causal, reads)
    return predicted(trace, bench.model.readout, bench.clean[k]).where(
        _usual(trace, bench.in_distribution_values)
    )


def _compared(
    program: Program, here: BatchTrace, there: BatchTrace, swap: Swap, side: Literal["q", "k"]
) -> Callable[[int], np.ndarray]:
    """Selectors by node, bool [pair, query, key], with one side of every comparison moved."""

    def moved(node: int) -> Column:
        column = there[node]
        return Column(np.take_along_axis(column.codes, swap.rows, 1), column.values)

    def of(node: int) -> np.ndarray:
        match program.nodes[node]:
            case Select(keys, queries, predicate):
                key = moved(keys) if side == "k" else here[keys]
                query = moved(queries) if side == "q" else here[queries]
                return selected(key, query, predicate)[0]
            case Combine("not", (selector,)):
                return ~of(selector)
            case Combine(fn, selectors):
                return reduce(np.logical_and if fn == "and" else np.logical_or, map(of, selectors))
        raise AssertionError(program.nodes[node])

    return of


def _usual(trace: BatchTrace, in_distribution_values: dict[int, set]) -> np.ndarray:
    """bool [pair]: where no s-op takes a value that it takes on no input: a width of 0, say, of a
    selector that always selects something. What a head makes of that is no question."""
    fair = np.ones(len(trace.ids), bool)
    for node, column in trace.columns.items():
        known = np.array([v in in_distribution_values[node] for v in column.values])
        fair &= known[column.codes].all(-1)
    return fair

"""Operand swaps: heads take only their queries, or only their keys, from another input.

Interchange of whole patterns shows that heads select as a selector does. Operands show more: that
they compare what the selector compares, each on its own side. From an experiment and a group of
heads, `operands` gives the interchange accuracy of either side, against what the interpreter
predicts when that side of the selector's comparison comes from the source.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import reduce
from typing import Literal

import numpy as np

from rasplab.base.rng import stream
from rasplab.model.interventions import codes_with_operands
from rasplab.program.batch.evaluate import BatchTrace, Column
from rasplab.program.batch.selectors import selected
from rasplab.program.graph import Combine, Program, Select
from rasplab.study.heads.counterfactuals import Prediction, SwapBatch, prediction_of
from rasplab.study.heads.estimates import Estimate
from rasplab.study.heads.interchange import InterchangeExperiment
from rasplab.transformer.sites import Site

Side = Literal["q", "k"]

OPERAND_FAMILIES = ("input", "rows")
"""Families of swaps whose pairs serve: operands come from another input, or from other places of
the same one. In `rows`, queries take the swap's rows; keys take all places in another order, since
two equal keys leave most programs without an answer."""


@dataclass(frozen=True, slots=True)
class OperandAccuracy:
    """Interchange accuracy of heads on a selector, its operands swapped one at a time.

    queries    the queries of heads and selector from the source; keys as they are
    keys       the other way round
    arbitrary  the higher of the two against another pair's prediction: what chance reaches
    A side that changes no answer has no pairs: a selector of positions compares the same keys on
    all inputs of a length, except where places are taken from other rows.
    """

    queries: Estimate
    keys: Estimate
    arbitrary: Estimate


def operands(experiment: InterchangeExperiment, heads: tuple[Site, ...], r: int) -> OperandAccuracy:
    """The accuracy of both sides, `heads` swapped together, for reading r of the experiment."""
    queries, arbitrary_q = _side(experiment, heads, r, "q")
    keys, arbitrary_k = _side(experiment, heads, r, "k")
    chance = max((arbitrary_q, arbitrary_k), key=lambda e: e.value if e.pairs else -1.0)
    return OperandAccuracy(queries, keys, chance)


def _side(
    experiment: InterchangeExperiment, heads: tuple[Site, ...], r: int, side: Side
) -> tuple[Estimate, Estimate]:
    """The accuracy of one side, and the same against arbitrary targets."""
    # per batch: hits and trials of the prediction, then of the arbitrary one, each per pair
    counts = [np.zeros((4, len(batch)), int) for batch in experiment.batches]
    for k, batch in enumerate(experiment.batches):
        if batch.family in OPERAND_FAMILIES:
            batch = _distinct_rows(batch, experiment.bootstrap.seed) if side == "k" else batch
            prediction = _predicted(experiment, k, batch, r, side)
            answers = codes_with_operands(
                experiment.model, batch.ids, batch.sources, batch.rows, heads, side
            )
            for at, p in ((0, prediction), (2, prediction.arbitrary(experiment.clean[k]))):
                counts[k][at] = (p.right(answers) & p.changed).sum(1)
                counts[k][at + 1] = p.changed.sum(1)
    hits, changed, arbitrary_hits, arbitrary = np.concatenate(counts, 1)
    estimate = experiment.bootstrap.estimate
    return estimate(hits, changed), estimate(arbitrary_hits, arbitrary)


def _distinct_rows(batch: SwapBatch, seed: int) -> SwapBatch:
    """The batch with each row of the source once, in a random order, unless they are in place."""
    if batch.family == "input":
        return batch
    rng = stream(seed, "qk interchange")
    return replace(batch, rows=rng.random(batch.rows.shape).argsort(-1))


def _predicted(
    experiment: InterchangeExperiment, k: int, batch: SwapBatch, r: int, side: Side
) -> Prediction:
    """The prediction for batch k when one side of the selector of reading r is swapped.

    Only pairs on which every s-op takes a value that it also takes without a swap: off-distribution
    values (a width of 0, say, of a selector that always selects something) are not scored.
    """
    semantics, reading = experiment.semantics, experiment.readings[r]
    # the readers get the selector of the moved operands; all else is computed from the inputs
    here, source = semantics.evaluate(batch.ids), semantics.evaluate(batch.sources)
    selector = _with_moved_side(semantics.program, here, source, batch, side)(reading.selector)
    if semantics.domain.causal:
        selector = selector & np.tri(selector.shape[-1], dtype=bool)
    full = np.broadcast_to(selector, (*batch.ids.shape, batch.ids.shape[1]))
    trace = semantics.evaluate(batch.ids, dict.fromkeys(reading.readers, full))
    prediction = prediction_of(trace, experiment.model.readout, experiment.clean[k])
    return prediction.where(_in_distribution(trace, experiment.in_distribution_values))


def _with_moved_side(
    program: Program, here: BatchTrace, source: BatchTrace, batch: SwapBatch, side: Side
) -> Callable[[int], np.ndarray]:
    """Selectors by node, bool [pair, query, key], with one side of each comparison moved."""

    def moved(node: int) -> Column:
        column = source[node]
        return Column(np.take_along_axis(column.codes, batch.rows, 1), column.values)

    def selector_of(node: int) -> np.ndarray:
        match program.nodes[node]:
            case Select(keys, queries, predicate):
                key = moved(keys) if side == "k" else here[keys]
                query = moved(queries) if side == "q" else here[queries]
                return selected(key, query, predicate)[0]
            case Combine("not", (part,)):
                return ~selector_of(part)
            case Combine(fn, parts):
                join = np.logical_and if fn == "and" else np.logical_or
                return reduce(join, map(selector_of, parts))
        raise AssertionError(program.nodes[node])

    return selector_of


def _in_distribution(trace: BatchTrace, values: dict[int, set]) -> np.ndarray:
    """bool [pair]: where each s-op takes one of its `values` at every position."""
    inside = np.ones(len(trace.ids), bool)
    for node, column in trace.columns.items():
        known = np.array([v in values[node] for v in column.values])
        inside &= known[column.codes].all(-1)
    return inside

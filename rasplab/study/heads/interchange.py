"""Interchange interventions: heads attend with patterns of another input; is the answer predicted?

`set_up` draws the swaps of `counterfactuals` that change what the interpreter predicts, and runs
the model on their sources. `swap_heads` runs the model with heads swapped and counts the positions
that come out as predicted; `accuracies` are shares of these counts.

Interchange-intervention accuracy (Geiger et al. 2021, arXiv:2106.02997): of the positions where the
prediction differs from the answer without a swap, the share that comes out as predicted. A head
whose output nothing reads scores 0, however well the model does its task.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from itertools import groupby
from math import ceil

import numpy as np
from jaxtyping import Bool, Float, Int

from rasplab.base.rng import stream
from rasplab.model.bridge import LensModel
from rasplab.model.interventions import codes_with_patterns
from rasplab.program.batch.compare import equal_cells
from rasplab.program.batch.evaluate import Column
from rasplab.program.semantics import Semantics
from rasplab.study.heads.counterfactuals import (
    FAMILIES,
    FULL_LENGTH_SHARE,
    Prediction,
    SelectorReading,
    SwapBatch,
    clean_output,
    drawn_swaps,
    informative_pairs,
    predict,
    rows_of,
    selector_readings,
    swap_lengths,
)
from rasplab.study.heads.estimates import NO_ESTIMATE, Estimate, PairBootstrap
from rasplab.study.tasks.tasks import DRAWINGS, inputs_of
from rasplab.transformer.sites import Site, all_heads

MIN_PAIRS = 20
"""Pairs with a changed prediction that a family of swaps needs to decide."""


@dataclass(frozen=True, eq=False)
class InterchangeExperiment:
    """A model and a program with swaps drawn, and what both give before a head is replaced.

    readings     of selectors, in the order of the predictions
    batches      the swaps, by length and family
    clean        per batch, the program's output without a swap
    predictions  per batch, one for each reading
    patterns     per batch, the model's own on the sources, carried to the inputs; BOS is key 0 and
                 has no query
    """

    model: LensModel
    semantics: Semantics
    readings: tuple[SelectorReading, ...]
    batches: tuple[SwapBatch, ...]
    clean: tuple[Column, ...]
    predictions: tuple[tuple[Prediction, ...], ...]
    patterns: tuple[Float[np.ndarray, "_ head _ _"], ...]
    bootstrap: PairBootstrap

    @property
    def heads(self) -> tuple[Site, ...]:
        """Every head, in forward order: the order of the patterns."""
        return all_heads(self.model.n_layers, self.model.n_heads)

    def on(self, model: LensModel) -> InterchangeExperiment:
        """The same swaps for another model of the same shape."""
        return replace(self, model=model, patterns=_source_patterns(model, self.batches))

    @cached_property
    def answers(self) -> tuple[Column, ...]:
        """Per batch, the model's answers with nothing replaced."""
        return tuple(self.model.codes(batch.ids) for batch in self.batches)

    @cached_property
    def lengths(self) -> Int[np.ndarray, " pair"]:
        """The length of the input of each pair."""
        return np.concatenate([np.full(len(b), b.ids.shape[1]) for b in self.batches])

    def tokens(self, sources: bool = True) -> Bool[np.ndarray, "pair token"]:
        """Which tokens of the vocabulary occur in the input of each pair, or also in its source."""
        tokens = np.zeros((len(self.lengths), len(self.semantics.domain.vocab)), bool)
        start = 0
        for batch in self.batches:
            rows = np.arange(start, start + len(batch))[:, None]
            for ids in (batch.ids, batch.sources) if sources else (batch.ids,):
                tokens[rows, ids] = True
            start += len(batch)
        return tokens

    @cached_property
    def in_distribution_values(self) -> dict[int, set]:
        """By s-op: the values that it takes on the inputs and sources without a swap."""
        values: dict[int, set] = {}
        for ids in (ids for batch in self.batches for ids in (batch.ids, batch.sources)):
            for node, column in self.semantics.evaluate(ids).columns.items():
                codes = np.unique(column.codes)
                values.setdefault(node, set()).update(column.values[c] for c in codes)
        return values


def set_up(
    model: LensModel, semantics: Semantics, pairs: int = 200, seed: int = 0
) -> InterchangeExperiment:
    """Draw about `pairs` pairs of each family, and evaluate what every comparison needs.

    Raises RaspValueError where the model has no output for a value of the program, and what the
    interpreter raises.
    """
    drawn = _informative_swaps(model, semantics, pairs, seed)
    batches, clean, predictions = (tuple(column) for column in zip(*drawn, strict=True))
    families = [np.full(len(b), FAMILIES.index(b.family)) for b in batches]
    return InterchangeExperiment(
        model,
        semantics,
        tuple(selector_readings(semantics.program)),
        batches,
        clean,
        predictions,
        _source_patterns(model, batches),
        PairBootstrap(np.concatenate(families), seed),
    )


def _informative_swaps(
    model: LensModel, semantics: Semantics, pairs: int, seed: int
) -> Iterator[tuple[SwapBatch, Column, tuple[Prediction, ...]]]:
    """Batches with the program's output without the swap, and its predictions under it."""
    readout, rng = model.readout, stream(seed, "interchange pairs")
    inputs = inputs_of(model)
    drawn = list(drawn_swaps(semantics.domain, seed, DRAWINGS[inputs]))
    lengths = swap_lengths(semantics.domain)
    for batch in drawn:
        # a family has one batch for each length; `pairs` are divided as Domain.sample divides
        full = batch.ids.shape[1] == lengths[-1]
        share = ceil(pairs * ((1 - FULL_LENGTH_SHARE) / len(lengths) + FULL_LENGTH_SHARE * full))
        clean = clean_output(semantics, readout, batch.ids, inputs == "random")
        predictions = predict(semantics, readout, batch, clean)
        chosen = informative_pairs(predictions, share, rng)
        yield batch.take(chosen), rows_of(clean, chosen), tuple(p.take(chosen) for p in predictions)


def _source_patterns(model: LensModel, batches: Iterable[SwapBatch]) -> tuple[np.ndarray, ...]:
    """Per batch: the model's patterns on the sources, carried to the inputs."""
    moved = []
    for batch in batches:
        patterns = model.patterns_of(batch.sources)  # [pair, layer, head, query, key]
        # layer by layer, in the order of InterchangeExperiment.heads
        by_head = patterns.reshape(len(patterns), -1, *patterns.shape[-2:])
        moved.append(batch.moved_patterns(by_head))
    return tuple(moved)


@dataclass(frozen=True, eq=False)
class SwapCounts:
    """Positions counted per pair, for one replacement of heads.

    hits, changed              right under the prediction, of those where it differs from `clean`
    unchanged_hits, unchanged  right of those where the prediction is the same as `clean`
    arbitrary_hits, arbitrary  as hits and changed, against another pair's prediction
    clean_hits, positions      right as without a swap, of all that the model can output
    moved                      other than the model's own answer with nothing replaced
    """

    hits: Int[np.ndarray, "pair reading"]
    changed: Int[np.ndarray, "pair reading"]
    unchanged_hits: Int[np.ndarray, "pair reading"]
    unchanged: Int[np.ndarray, "pair reading"]
    arbitrary_hits: Int[np.ndarray, "pair reading"]
    arbitrary: Int[np.ndarray, "pair reading"]
    clean_hits: Int[np.ndarray, " pair"]
    positions: Int[np.ndarray, " pair"]
    moved: Int[np.ndarray, " pair"]


Replacement = Callable[[int], Mapping[Site, np.ndarray]]
"""For batch number k, the pattern [pair, pos, pos + 1] that each replaced head attends with."""


def swap_heads(experiment: InterchangeExperiment, heads: Iterable[Site]) -> SwapCounts:
    """The counts when each of `heads` attends as it does on the sources."""
    return replace_patterns(experiment, swap_of(experiment, heads))


def swap_of(experiment: InterchangeExperiment, heads: Iterable[Site]) -> Replacement:
    """The replacement under which each of `heads` attends as it does on the sources."""
    places = {head: experiment.heads.index(head) for head in heads}
    return lambda k: {h: experiment.patterns[k][:, i] for h, i in places.items()}


def replace_patterns(experiment: InterchangeExperiment, replacement: Replacement) -> SwapCounts:
    """Run the model on the inputs of every batch with patterns replaced, and count."""
    counts = [_counted(experiment, k, a) for k, a in replaced_answers(experiment, replacement)]
    names = [field.name for field in fields(SwapCounts)]
    return SwapCounts(*(np.concatenate([getattr(c, name) for c in counts]) for name in names))


def replaced_answers(
    experiment: InterchangeExperiment, replacement: Replacement
) -> Iterator[tuple[int, Column]]:
    """The number of each batch, and the model's answers to it with patterns replaced."""
    batches = experiment.batches
    # batches of one length run together: fewer and larger passes through the model
    for _, group in groupby(range(len(batches)), lambda k: batches[k].ids.shape[1]):
        numbers = list(group)
        rows = [replacement(k) for k in numbers]
        ids = np.concatenate([batches[k].ids for k in numbers])
        patterns = {head: np.concatenate([r[head] for r in rows]) for head in rows[0]}
        answers = codes_with_patterns(experiment.model, ids, patterns)
        # and the answers are cut at the ends of the batches again
        ends = np.cumsum([len(batches[k]) for k in numbers])[:-1]
        for k, codes in zip(numbers, np.split(answers.codes, ends), strict=True):
            yield k, Column(codes, answers.values)


def _counted(experiment: InterchangeExperiment, k: int, answers: Column) -> SwapCounts:
    """The counts of batch k, of the model's answers to it."""
    clean, predictions = experiment.clean[k], experiment.predictions[k]
    others = [p.arbitrary(clean) for p in predictions]
    # bool [pair, pos, reading]
    right = np.stack([p.right(answers) for p in predictions], -1)
    changed = np.stack([p.changed for p in predictions], -1)
    unchanged = np.stack([p.unchanged for p in predictions], -1)
    right_arbitrary = np.stack([p.right(answers) for p in others], -1)
    arbitrary = np.stack([p.changed for p in others], -1)
    clean_hits, positions = agreement(experiment, clean, answers)
    return SwapCounts(
        hits=(right & changed).sum(1),
        changed=changed.sum(1),
        unchanged_hits=(right & unchanged).sum(1),
        unchanged=unchanged.sum(1),
        arbitrary_hits=(right_arbitrary & arbitrary).sum(1),
        arbitrary=arbitrary.sum(1),
        clean_hits=clean_hits,
        positions=positions,
        moved=(~equal_cells(experiment.answers[k], answers)).sum(1),
    )


def agreement(
    experiment: InterchangeExperiment, clean: Column, answers: Column
) -> tuple[Int[np.ndarray, " pair"], Int[np.ndarray, " pair"]]:
    """Per pair: positions where the model gives the clean output, of those where it can."""
    possible = Semantics.representable(clean, experiment.model.readout.values)
    return (equal_cells(clean, answers) & possible).sum(1), possible.sum(1)


def clean_accuracy(experiment: InterchangeExperiment) -> Estimate:
    """The share of positions where the model gives the program's output, nothing replaced."""
    counts = [
        agreement(experiment, clean, experiment.model.codes(batch.ids))
        for batch, clean in zip(experiment.batches, experiment.clean, strict=True)
    ]
    hits, positions = (np.concatenate(column) for column in zip(*counts, strict=True))
    return experiment.bootstrap.estimate(hits, positions)


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Interchange-intervention accuracy of heads on one reading.

    heads      how many were swapped together
    families   by family of swaps
    unchanged  the share right where the prediction does not change, over all families
    arbitrary  the accuracy against arbitrary targets: the predictions of other pairs
    """

    heads: int
    families: tuple[tuple[str, Estimate], ...]
    unchanged: Estimate
    arbitrary: Estimate

    @property
    def deciding_families(self) -> tuple[str, ...]:
        """The families that decide: those of `input` and `rows` with MIN_PAIRS pairs or more.

        Where neither has enough: `keys`, else `length`, whose patterns are less like any of the
        model's own. For several heads `keys` decides too: when the rows of all heads are swapped,
        whatever a position computes moves with them, and `rows` distinguishes little.
        """
        enough = [f for f, e in self.families if e.pairs >= MIN_PAIRS]
        preferred = ("input", "rows") if self.heads == 1 else ("input", "rows", "keys")
        natural = tuple(f for f in preferred if f in enough)
        return natural or tuple(f for f in ("keys", "length") if f in enough)[:1]

    @property
    def deciding(self) -> tuple[Estimate, ...]:
        """The estimates of the deciding families."""
        estimates = dict(self.families)
        return tuple(estimates[f] for f in self.deciding_families)

    @property
    def worst(self) -> Estimate:
        """The deciding estimate with the lowest value; NO_ESTIMATE without one."""
        return min(self.deciding, key=lambda e: e.value, default=NO_ESTIMATE)

    @property
    def worst_family(self) -> str | None:
        """The family of that estimate; None without one."""
        estimates = dict(self.families)
        return min(self.deciding_families, key=lambda f: estimates[f].value, default=None)


def accuracies(
    experiment: InterchangeExperiment, counts: SwapCounts, heads: int
) -> tuple[Accuracy, ...]:
    """For each reading of the experiment, the accuracy of `heads` heads swapped together."""
    return tuple(
        _accuracy(experiment.bootstrap, counts, heads, r) for r in range(len(experiment.readings))
    )


def _accuracy(bootstrap: PairBootstrap, counts: SwapCounts, heads: int, r: int) -> Accuracy:
    hits, changed = counts.hits[:, r], counts.changed[:, r]
    families = tuple(
        (name, bootstrap.estimate(hits, changed, bootstrap.families == i))
        for i, name in enumerate(FAMILIES)
    )
    return Accuracy(
        heads,
        families,
        bootstrap.estimate(counts.unchanged_hits[:, r], counts.unchanged[:, r]),
        bootstrap.estimate(counts.arbitrary_hits[:, r], counts.arbitrary[:, r]),
    )

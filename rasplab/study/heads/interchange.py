"""Interchange interventions: a head's pattern is taken from elsewhere, and the model is held
against what the interpreter says when a selector is taken from there.

Interchange-intervention accuracy (Geiger et al. 2021, arXiv:2106.02997): the share of positions
that come out as predicted, of those where the prediction differs from the unswapped answer. A head
that nothing reads scores 0 there, however well the model does its task.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby

import numpy as np

from rasplab.base.errors import RaspValueError
from rasplab.base.rng import stream
from rasplab.base.stats import bootstrap_counts, percentiles, wilson
from rasplab.model.bridge import LensModel
from rasplab.model.interventions import codes_with_patterns
from rasplab.model.native import require_numbers
from rasplab.model.verify import same_values
from rasplab.program.batch.evaluate import Column, evaluate_batch
from rasplab.program.graph import Program
from rasplab.study.heads.counterfactuals import (
    FAMILIES,
    Prediction,
    Reading,
    Swap,
    candidates,
    clean_output,
    informative_pairs,
    predict,
    readings,
    representable,
    rows_of,
)
from rasplab.study.tasks.tasks import DRAWN, inputs_of, require_vocab
from rasplab.transformer.decode import CodeTable
from rasplab.transformer.sites import Site, all_heads

RESAMPLES = 400
"""Bootstrap samples, of pairs of inputs."""

MIN_PAIRS = 20
"""Pairs with a changed prediction below which a family of swaps decides nothing."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A share in [0, 1] with a 95% interval, and the pairs of inputs it rests on."""

    value: float
    low: float
    high: float
    pairs: int

    def __str__(self) -> str:
        return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"


NOTHING = Estimate(float("nan"), 0.0, 1.0, 0)


@dataclass(frozen=True, eq=False)
class Bench:
    """A model and a program with swaps drawn, and what both say without a head being replaced.

    patterns     per swap, the model's own at the sources, moved: [pair, head, pos, pos + 1]
    clean        per swap, what the program says unswapped
    predictions  per swap, one for each of `readings`
    """

    model: LensModel
    program: Program
    seed: int
    readings: tuple[Reading, ...]
    swaps: tuple[Swap, ...]
    clean: tuple[Column, ...]
    predictions: tuple[tuple[Prediction, ...], ...]
    patterns: tuple[np.ndarray, ...]

    @property
    def heads(self) -> tuple[Site, ...]:
        """Every head, in forward order; the order of the patterns."""
        return all_heads(self.model.n_layers, self.model.n_heads)

    def on(self, model: LensModel) -> Bench:
        """The same swaps for another model of the same shape."""
        return replace(self, model=model, patterns=_moved(model, self.swaps))

    @cached_property
    def families(self) -> np.ndarray:
        """The family of every pair, as its place in FAMILIES [pair]."""
        return np.concatenate([np.full(len(s), FAMILIES.index(s.family)) for s in self.swaps])

    @cached_property
    def in_distribution_values(self) -> dict[int, set]:
        """By s-op: the values it takes on the swaps' inputs and sources, unswapped."""
        domain, found = self.model.domain, {}
        for ids in (ids for swap in self.swaps for ids in (swap.ids, swap.sources)):
            trace = evaluate_batch(self.program, ids, domain.vocab, domain.causal)
            for node, column in trace.columns.items():
                codes = np.unique(column.codes)
                found.setdefault(node, set()).update(column.values[c] for c in codes)
        return found

    @cached_property
    def draws(self) -> np.ndarray:
        """How often each bootstrap sample takes each pair [resample, pair]; whole families."""
        rng = stream(self.seed, "interchange bootstrap")
        weights = np.zeros((RESAMPLES, len(self.families)))
        for family in range(len(FAMILIES)):
            of = np.flatnonzero(self.families == family)
            if len(of):
                weights[:, of] = bootstrap_counts(len(of), RESAMPLES, rng)
        return weights


def set_up(model: LensModel, program: Program, pairs: int = 200, seed: int = 0) -> Bench:
    """Draw about `pairs` pairs of each family and evaluate what every comparison needs.

    Raises RaspValueError where the program's values are not the model's, or nothing is selected;
    and what the interpreter raises.
    """
    require_numbers(model)
    require_vocab(program, model.domain)
    found = tuple(readings(program))
    if not found:
        raise RaspValueError(
            "the program reads no selector, so there is nothing to match heads with"
        )
    drawn = _telling_swaps(model, program, pairs, seed)
    swaps, clean, predictions = (tuple(column) for column in zip(*drawn, strict=True))
    return Bench(model, program, seed, found, swaps, clean, predictions, _moved(model, swaps))


def _telling_swaps(
    model: LensModel, program: Program, pairs: int, seed: int
) -> Iterator[tuple[Swap, Column, tuple[Prediction, ...]]]:
    """Swaps with the program's answers to them, without and with the swap."""
    domain, readout, rng = model.domain, model.readout, stream(seed, "interchange pairs")
    inputs = inputs_of(model)
    drawn = list(candidates(domain, seed, DRAWN[inputs]))
    share = -(-pairs * len(FAMILIES) // len(drawn))
    for swap in drawn:
        clean = clean_output(program, domain, readout, swap.ids, inputs == "random")
        predictions = predict(program, domain, readout, swap, clean)
        kept = informative_pairs(predictions, share, rng)
        yield swap.take(kept), rows_of(clean, kept), tuple(p.take(kept) for p in predictions)


def _moved(model: LensModel, swaps: Iterable[Swap]) -> tuple[np.ndarray, ...]:
    own = (model.patterns_of(s.sources) for s in swaps)
    return tuple(
        s.moved_patterns(p.reshape(len(p), -1, *p.shape[-2:]))
        for s, p in zip(swaps, own, strict=True)
    )


@dataclass(frozen=True, eq=False)
class Tally:
    """Positions counted per pair, for one replacement of heads.

    hits, changed          right under the prediction, of those it changes [pair, reading]
    kept_hits, kept        right of those that it leaves as they were [pair, reading]
    lucky_hits, lucky      the same as hits and changed, against another pair's prediction
    clean_hits, positions  as without any swap, of all [pair]
    """

    hits: np.ndarray
    changed: np.ndarray
    kept_hits: np.ndarray
    kept: np.ndarray
    lucky_hits: np.ndarray
    lucky: np.ndarray
    clean_hits: np.ndarray
    positions: np.ndarray


Replacement = Callable[[int], Mapping[Site, np.ndarray]]
"""For swap number k, the rows [pair, pos, pos + 1] that heads attend with instead of their own."""


def interchanged(bench: Bench, heads: Iterable[Site]) -> Tally:
    """The tally when each of `heads` takes its own pattern from the sources."""
    places = {head: bench.heads.index(head) for head in heads}
    return tally(bench, lambda k: {h: bench.patterns[k][:, i] for h, i in places.items()})


def tally(bench: Bench, replacement: Replacement) -> Tally:
    """Run the model on every swap's inputs with heads replaced, and count."""
    parts = []
    for _, group in groupby(range(len(bench.swaps)), lambda k: bench.swaps[k].ids.shape[1]):
        ks = list(group)
        rows = [replacement(k) for k in ks]
        ids = np.concatenate([bench.swaps[k].ids for k in ks])
        patterns = {head: np.concatenate([r[head] for r in rows]) for head in rows[0]}
        got = codes_with_patterns(bench.model, ids, patterns)
        ends = np.cumsum([len(bench.swaps[k]) for k in ks])[:-1]
        for k, codes in zip(ks, np.split(got.codes, ends), strict=True):
            parts.append(_counted(bench, k, CodeTable(codes, got.values)))
    return Tally(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _counted(bench: Bench, k: int, got: CodeTable) -> tuple:
    """The columns of a Tally for swap k, of what the model said to it."""
    clean, predictions = bench.clean[k], bench.predictions[k]
    columns = []
    for wanted in (predictions, [p.rolled(clean) for p in predictions]):
        right = np.stack([p.right(got) for p in wanted], -1)
        for side in ("changed", "kept"):
            among = np.stack([getattr(p, side) for p in wanted], -1)
            columns += [(right & among).sum(1), among.sum(1)]
    return (*columns[:6], *_agreeing(bench, clean, got))


def _agreeing(bench: Bench, clean: Column, got: CodeTable) -> tuple[np.ndarray, np.ndarray]:
    """Positions where the model says what the program says, and those where it could [pair]."""
    said = representable(bench.model.readout, clean)
    agree = same_values(clean.values, got.values)(clean.codes, got.codes)
    return (agree & said).sum(1), said.sum(1)


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Interchange-intervention accuracy of some heads on one reading.

    heads      how many were swapped together
    families   by family of swaps
    kept       right where the prediction does not change, all families
    arbitrary  the accuracy on arbitrary targets: the predictions of other pairs
    """

    heads: int
    families: tuple[tuple[str, Estimate], ...]
    kept: Estimate
    arbitrary: Estimate

    @property
    def deciding(self) -> tuple[Estimate, ...]:
        """The families that decide: `input` and `rows` where they have enough pairs; else `keys`,
        else `length`, whose patterns are less like any of the model's own.

        For several heads together `keys` decides too: with every head's rows swapped, whatever a
        position computes moves with them, and `rows` says little.
        """
        enough = {f: e for f, e in self.families if e.pairs >= MIN_PAIRS}
        wanted = ("input", "rows") if self.heads == 1 else ("input", "rows", "keys")
        natural = tuple(enough[f] for f in wanted if f in enough)
        return natural or tuple(enough[f] for f in ("keys", "length") if f in enough)[:1]

    @property
    def worst(self) -> Estimate:
        """The deciding family with the lowest value; NOTHING without one."""
        return min(self.deciding, key=lambda e: e.value, default=NOTHING)


def accuracies(bench: Bench, found: Tally, heads: int) -> tuple[Accuracy, ...]:
    """One for each reading of the bench, of a tally with so many heads swapped."""
    return tuple(_accuracy(bench, found, heads, r) for r in range(len(bench.readings)))


def _accuracy(bench: Bench, found: Tally, heads: int, r: int) -> Accuracy:
    families = tuple(
        (name, estimate(bench, found.hits[:, r], found.changed[:, r], bench.families == i))
        for i, name in enumerate(FAMILIES)
    )
    return Accuracy(
        heads,
        families,
        estimate(bench, found.kept_hits[:, r], found.kept[:, r]),
        estimate(bench, found.lucky_hits[:, r], found.lucky[:, r]),
    )


def estimate(
    bench: Bench, hits: np.ndarray, of: np.ndarray, among: np.ndarray | None = None
) -> Estimate:
    """Hits as a share of `of`, both [pair], over the pairs of `among`; resampled by pairs.

    The interval is the bootstrap's 95%, widened to Wilson's for as many trials as pairs: where
    every pair agrees a bootstrap alone would be certain after one.
    """
    used = of > 0 if among is None else (of > 0) & among
    n = int(used.sum())
    if not n:
        return NOTHING
    draws, hits, of = bench.draws[:, used], hits[used], of[used]
    shares = (draws @ hits) / np.maximum(draws @ of, 1)
    value = float(hits.sum() / of.sum())
    low, high = percentiles(shares[draws.sum(1) > 0])
    below, above = wilson(value, n)
    return Estimate(value, float(min(low, below)), float(max(high, above)), n)


def surely_more(bench: Bench, more: Tally, less: Tally, r: int) -> bool:
    """Whether `more` has more hits on reading r than `less`, in 97.5% of bootstrap samples."""
    gain = bench.draws @ (more.hits[:, r] - less.hits[:, r])
    return bool(np.quantile(gain, 0.025) > 0)


def baseline(bench: Bench) -> Estimate:
    """How often the model says what the program says, nothing replaced."""
    hits, of = [], []
    for swap, clean in zip(bench.swaps, bench.clean, strict=True):
        got: CodeTable = bench.model.codes(swap.ids)
        for column, counted in zip((hits, of), _agreeing(bench, clean, got), strict=True):
            column.append(counted)
    return estimate(bench, np.concatenate(hits), np.concatenate(of))

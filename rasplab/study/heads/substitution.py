"""Substitution: heads attend with a selector's pattern, or with patterns that should not do.

Necessity: answers get worse when the pattern comes from another input. Sufficiency: answers stay
right when the pattern is the selector's own, and not when it is uniform, the previous token, a
random selector of the same widths, or the selector at another input. From the joint swaps of an
experiment and a group of heads, `substitution` measures both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from rasplab.base.rng import stream
from rasplab.model.interventions import attending
from rasplab.study.heads.estimates import Estimate
from rasplab.study.heads.head_groups import JointSwaps
from rasplab.study.heads.interchange import InterchangeExperiment, SwapCounts, replace_patterns
from rasplab.transformer.sites import Site

Selectors = Sequence[Bool[np.ndarray, "_ _ _"]]
"""Per batch of the experiment: bool [pair, query, key]."""


@dataclass(frozen=True, slots=True)
class Substitution:
    """Shares of positions right (as the program outputs without a swap) under replaced patterns.

    necessity    the heads' patterns from another input: the lower, the more necessary they are
    jointly      the same for these heads and all that look alike, together
    sufficiency  the selector's pattern at the input itself
    controls     by name: the same with a pattern that should not do
    imposed      interchange accuracy with the selector's pattern at another input put in, whatever
                 the heads' own patterns are
    counts       whether BOS was attended like one key more, as these heads do
    """

    necessity: Estimate
    jointly: Estimate
    sufficiency: Estimate
    controls: tuple[tuple[str, Estimate], ...]
    imposed: Estimate
    counts: bool

    @property
    def margin(self) -> float:
        """Sufficiency minus the best control."""
        return self.sufficiency.value - max(e.value for _, e in self.controls)


def substitution(
    swaps: JointSwaps, heads: tuple[Site, ...], r: int, alike: Iterable[Site]
) -> Substitution:
    """Necessity and sufficiency of `heads` together, for reading r of the experiment.

    alike  the heads that look like the selector
    """
    experiment = swaps.experiment
    right, elsewhere = _selectors(experiment, r)
    # heads that read a width attend to BOS like one key more: so must the pattern put in
    counts = _attend_bos(experiment, heads, elsewhere)
    controls = {name: make(experiment, right) for name, make in CONTROLS.items()}
    results = {
        name: _imposed(experiment, heads, selectors, counts)
        for name, selectors in controls.items()
        if not all(map(np.array_equal, selectors, right))  # the selector itself is no control
    }
    imposed = _imposed(experiment, heads, elsewhere, counts)
    results["selector elsewhere"] = imposed
    return Substitution(
        _share_right(experiment, swaps.counts(heads)),
        _share_right(experiment, swaps.counts({*heads, *alike})),
        _share_right(experiment, _imposed(experiment, heads, right, counts)),
        tuple((name, _share_right(experiment, result)) for name, result in results.items()),
        experiment.bootstrap.estimate(imposed.hits[:, r], imposed.changed[:, r]),
        counts,
    )


def _selectors(
    experiment: InterchangeExperiment, r: int
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Per batch: the selector of reading r at the inputs, and carried over from the sources."""
    node, evaluate = experiment.readings[r].selector, experiment.semantics.evaluate
    here, elsewhere = [], []
    for batch in experiment.batches:
        shape = (*batch.ids.shape, batch.ids.shape[1])
        here.append(np.broadcast_to(evaluate(batch.ids).selector(node), shape))
        elsewhere.append(batch.moved(evaluate(batch.sources).selector(node)))
    return here, elsewhere


def _attend_bos(
    experiment: InterchangeExperiment, heads: tuple[Site, ...], moved: Selectors
) -> bool:
    """Whether the heads' patterns overlap more with the form of the selector that counts BOS."""
    places = [experiment.heads.index(h) for h in heads]
    overlap = [0.0, 0.0]
    for patterns, selector in zip(experiment.patterns, moved, strict=True):
        for counts in (False, True):
            form = attending(selector, counts)[:, None, 1:]  # without BOS's query
            overlap[counts] += float(np.minimum(patterns[:, places], form).sum())
    return overlap[True] > overlap[False]


def _imposed(
    experiment: InterchangeExperiment, heads: tuple[Site, ...], selectors: Selectors, counts: bool
) -> SwapCounts:
    """The counts when every head attends evenly where these selectors select."""
    return replace_patterns(
        experiment, lambda k: dict.fromkeys(heads, attending(selectors[k], counts)[:, 1:])
    )


def _share_right(experiment: InterchangeExperiment, counts: SwapCounts) -> Estimate:
    return experiment.bootstrap.estimate(counts.clean_hits, counts.positions)


def _uniform(experiment: InterchangeExperiment, right: Selectors) -> Selectors:
    return [np.ones_like(s) & _visible(experiment, s) for s in right]


def _previous(experiment: InterchangeExperiment, right: Selectors) -> Selectors:
    return [np.broadcast_to(np.eye(s.shape[1], k=-1, dtype=bool), s.shape) for s in right]


def _random(experiment: InterchangeExperiment, right: Selectors) -> Selectors:
    """As many keys per row as the selector has, anywhere among the visible ones."""
    rng = stream(experiment.bootstrap.seed, "substitution controls")
    selectors = []
    for s in right:
        # ranks of random numbers; keys that are not visible (2) come last
        draws = np.where(_visible(experiment, s), rng.random(s.shape), 2)
        rank = draws.argsort(-1).argsort(-1)
        selectors.append(rank < s.sum(-1, keepdims=True))
    return selectors


def _visible(experiment: InterchangeExperiment, selector: np.ndarray) -> np.ndarray:
    """Keys that each query may attend to, bool [query, key]."""
    n = selector.shape[-1]
    causal = experiment.semantics.domain.causal
    return np.tri(n, dtype=bool) if causal else np.ones((n, n), bool)


CONTROLS: dict[str, Callable[[InterchangeExperiment, Selectors], Selectors]] = {
    "uniform": _uniform,
    "previous token": _previous,
    "random, same widths": _random,
}
"""Patterns that should not do, made of the selector at the inputs."""

"""Substitution: a head's pattern replaced by a selector's, and by patterns that should not do.

Necessity: the answers get worse when the pattern comes from elsewhere. Sufficiency: they stay
right when it is exactly what the selector says, and not when it is uniform, the previous token, a
random selector of the same widths, or the selector at another input.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from rasplab.base.rng import stream
from rasplab.model.interventions import attending
from rasplab.program.batch.evaluate import evaluate_batch
from rasplab.study.heads.head_groups import Swapped
from rasplab.study.heads.interchange import Bench, Estimate, Tally, estimate, tally
from rasplab.transformer.sites import Site


@dataclass(frozen=True, slots=True)
class Substitution:
    """Shares of positions right (as the program says unswapped), under replacements.

    necessity   the heads' patterns from elsewhere: lower is more necessary
    jointly     the same for these heads and all that look alike, together
    sufficiency the selector's pattern at the input itself
    controls    name -> the same with a pattern that should not do
    imposed     interchange accuracy with the selector's pattern from elsewhere put in, whatever
                the heads' own patterns are
    counts      whether BOS was attended like one key more, as these heads do
    """

    necessity: Estimate
    jointly: Estimate
    sufficiency: Estimate
    controls: tuple[tuple[str, Estimate], ...]
    imposed: Estimate
    counts: bool

    @property
    def margin(self) -> float:
        """Sufficiency above the best control."""
        return self.sufficiency.value - max(e.value for _, e in self.controls)


def substitution(
    swapped: Swapped, heads: tuple[Site, ...], r: int, alike: Iterable[Site]
) -> Substitution:
    """All of it for `heads` taken together and reading r of the bench."""
    bench = swapped.bench
    own, moved = _selectors(bench, r)
    counts = _counts(bench, heads, moved)
    made = {name: make(bench, own) for name, make in CONTROLS.items()}
    shown = {
        name: _put(bench, heads, control, counts)
        for name, control in made.items()
        if not all(map(np.array_equal, control, own))  # the selector itself is no control
    }
    elsewhere = _put(bench, heads, moved, counts)
    shown["selector elsewhere"] = elsewhere
    return Substitution(
        _right(bench, swapped.tally(heads)),
        _right(bench, swapped.tally({*heads, *alike})),
        _right(bench, _put(bench, heads, own, counts)),
        tuple((name, _right(bench, found)) for name, found in shown.items()),
        estimate(bench, elsewhere.hits[:, r], elsewhere.changed[:, r]),
        counts,
    )


def _selectors(bench: Bench, r: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Per swap: the selector at the inputs, and moved from the sources, [pair, pos, pos]."""
    selector, domain = bench.readings[r].selector, bench.model.domain

    def at(ids: np.ndarray) -> np.ndarray:
        return evaluate_batch(bench.program, ids, domain.vocab, domain.causal).selector(selector)

    own = [np.broadcast_to(at(s.ids), (*s.ids.shape, s.ids.shape[1])) for s in bench.swaps]
    return own, [s.moved(at(s.sources)) for s in bench.swaps]


def _counts(bench: Bench, heads: tuple[Site, ...], moved: list[np.ndarray]) -> bool:
    """Whether the heads' patterns overlap more with the counting form of the selector."""
    places = [bench.heads.index(h) for h in heads]
    overlap = [0.0, 0.0]
    for patterns, selector in zip(bench.patterns, moved, strict=True):
        for counts in (False, True):
            form = attending(selector, counts)[:, None, 1:]
            overlap[counts] += float(np.minimum(patterns[:, places], form).sum())
    return overlap[1] > overlap[0]


def _put(bench: Bench, heads: tuple[Site, ...], selectors: list[np.ndarray], counts: bool) -> Tally:
    """The tally with every head attending as these selectors say."""
    return tally(bench, lambda k: dict.fromkeys(heads, attending(selectors[k], counts)[:, 1:]))


def _right(bench: Bench, found: Tally) -> Estimate:
    return estimate(bench, found.clean_hits, found.positions)


def _uniform(bench: Bench, own: list[np.ndarray]) -> list[np.ndarray]:
    return [np.ones_like(s) & _mask(bench, s) for s in own]


def _previous(bench: Bench, own: list[np.ndarray]) -> list[np.ndarray]:
    return [np.broadcast_to(np.eye(s.shape[1], k=-1, dtype=bool), s.shape) for s in own]


def _random(bench: Bench, own: list[np.ndarray]) -> list[np.ndarray]:
    """As many keys per row as the selector has, anywhere that the row may look."""
    rng = stream(bench.seed, "substitution controls")
    drawn = []
    for s in own:
        order = np.where(_mask(bench, s), rng.random(s.shape), 2).argsort(-1).argsort(-1)
        drawn.append(order < s.sum(-1, keepdims=True))
    return drawn


def _mask(bench: Bench, selector: np.ndarray) -> np.ndarray:
    n = selector.shape[-1]
    return np.tri(n, dtype=bool) if bench.model.domain.causal else np.ones((n, n), bool)


CONTROLS: dict[str, Callable[[Bench, list[np.ndarray]], list[np.ndarray]]] = {
    "uniform": _uniform,
    "previous token": _previous,
    "random, same widths": _random,
}

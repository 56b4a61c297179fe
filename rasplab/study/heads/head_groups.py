"""Groups of heads that do a selector's work together: the smallest whose joint swap is right.

A selector may be split over heads (each swap alone has part of the effect) or repeated (no swap
alone has any). From an experiment and a reading, `best_group` grows groups from the best single
heads and from all heads that look like the selector, and prunes them. `JointSwaps` runs each joint
swap once.
"""

from __future__ import annotations

from collections.abc import Iterable

from rasplab.study.heads.interchange import (
    Accuracy,
    InterchangeExperiment,
    SwapCounts,
    accuracies,
    swap_heads,
)
from rasplab.transformer.sites import Site

SUFFICIENT_ACCURACY = 0.97
"""Interchange accuracy from which a group is not grown further."""

MIN_HEAD_GAIN = 0.03
"""Interchange accuracy that a head must add to join a group, or to stay in it."""

MAX_GROUP_SIZE = 4
"""Heads to which a group is grown, at most; heads that look alike are taken together, however many
they are."""

MAX_STARTS = 2
"""Single heads from which groups are grown, at most."""

MIN_START_ACCURACY = 0.05
"""Interchange accuracy of a single head from which a group is grown from it."""


class JointSwaps:
    """Joint swaps of heads in one experiment, each run once."""

    def __init__(self, experiment: InterchangeExperiment) -> None:
        self.experiment = experiment
        self._runs: dict[frozenset[Site], tuple[SwapCounts, tuple[Accuracy, ...]]] = {}

    def counts(self, heads: Iterable[Site]) -> SwapCounts:
        """What is counted when these heads are swapped together."""
        return self._run(heads)[0]

    def accuracy(self, heads: Iterable[Site], r: int) -> Accuracy:
        """The interchange accuracy of these heads on reading r."""
        return self._run(heads)[1][r]

    def value(self, heads: Iterable[Site], r: int) -> float:
        """That accuracy as one number: the worst deciding family's, 0 where none decides."""
        worst = self.accuracy(heads, r).worst
        return worst.value if worst.pairs else 0.0

    def _run(self, heads: Iterable[Site]) -> tuple[SwapCounts, tuple[Accuracy, ...]]:
        key = frozenset(heads)
        if key not in self._runs:
            counts = swap_heads(self.experiment, sorted(key))
            self._runs[key] = counts, accuracies(self.experiment, counts, len(key))
        return self._runs[key]


def best_group(swaps: JointSwaps, r: int, alike: Iterable[Site]) -> tuple[Site, ...]:
    """The group with the highest accuracy on reading r that no head could leave without loss.

    alike  heads that look like the selector: a group is also grown from the best of them together
    """
    ranked = sorted(swaps.experiment.heads, key=lambda h: -swaps.value([h], r))
    starts: list[tuple[Site, ...]] = [
        (h,) for h in ranked[:MAX_STARTS] if swaps.value([h], r) >= MIN_START_ACCURACY
    ]
    alike = sorted(alike, key=lambda h: -swaps.value([h], r))
    if len(alike) > 1:
        starts.append(tuple(alike))
    groups = [_pruned(swaps, r, _grown(swaps, r, start)) for start in starts]
    # among accuracies equal to two digits, the smaller group
    best = max(groups or [(ranked[0],)], key=lambda g: (round(swaps.value(g, r), 2), -len(g)))
    return _with_voters(swaps, r, best, alike)


def _with_voters(
    swaps: JointSwaps, r: int, group: tuple[Site, ...], alike: Iterable[Site]
) -> tuple[Site, ...]:
    """`group` and the heads that could stand in for one of its members.

    Of heads that vote, a majority is a group that needs no other; which of them it holds is
    arbitrary. A head that adds to the rest of the group what the member left out does, votes too.
    """
    voters = [
        head
        for head in alike
        if head not in group
        and any(_adds(swaps, r, tuple(h for h in group if h != m), head) for m in group)
    ]
    joint = tuple(sorted((*group, *voters)))
    worse = swaps.value(joint, r) < swaps.value(group, r) - MIN_HEAD_GAIN
    return group if worse or len(group) == 1 else joint


def _grown(swaps: JointSwaps, r: int, group: tuple[Site, ...]) -> tuple[Site, ...]:
    """`group` and the heads that add accuracy, the best one first."""
    # each round runs the model once for each head that is left and has an effect
    while swaps.value(group, r) < SUFFICIENT_ACCURACY and len(group) < MAX_GROUP_SIZE:
        others = [h for h in swaps.experiment.heads if h not in group and _has_effect(swaps, h)]
        if not others:
            break
        best = max(others, key=lambda h: swaps.value((*group, h), r))
        if not _adds(swaps, r, group, best):
            break
        group = (*group, best)
    return group


def _has_effect(swaps: JointSwaps, head: Site) -> bool:
    """Whether swapping this head alone changes any answer."""
    counts = swaps.counts([head])
    return bool((counts.clean_hits < counts.positions).any())


def _pruned(swaps: JointSwaps, r: int, group: tuple[Site, ...]) -> tuple[Site, ...]:
    """`group` without the heads that add no accuracy, the worst single one tried first."""
    for head in sorted(group, key=lambda h: swaps.value([h], r)):
        rest = tuple(h for h in group if h != head)
        if rest and not _adds(swaps, r, rest, head):
            group = rest
    return tuple(sorted(group))


def _adds(swaps: JointSwaps, r: int, group: tuple[Site, ...], head: Site) -> bool:
    """Whether `head` adds MIN_HEAD_GAIN to `group`, and hits in 97.5% of bootstrap samples."""
    joined = (*group, head)
    gain = swaps.value(joined, r) - swaps.value(group, r)
    more, less = swaps.counts(joined).hits[:, r], swaps.counts(group).hits[:, r]
    return gain >= MIN_HEAD_GAIN and swaps.experiment.bootstrap.surely_more(more, less)

"""Heads that do a selector's work together: the smallest group whose joint swap does what the
interpreter says.

A selector may be split over heads (each swap alone does half), or repeated (no swap alone does
anything): groups are grown from the best heads and from all heads that look alike, then pruned.
"""

from __future__ import annotations

from collections.abc import Iterable

from rasplab.study.heads.interchange import (
    Accuracy,
    Bench,
    Tally,
    accuracies,
    interchanged,
    surely_more,
)
from rasplab.transformer.sites import Site

ENOUGH = 0.97
"""Accuracy from which a group is not grown further."""

GAIN = 0.03
"""A head joins for at least so much accuracy, and stays for it."""

MOST = 4
"""Heads in a group."""

STARTS = 2
"""Single heads from which groups are grown."""

HOPEFUL = 0.05
"""Single accuracy from which a group is grown from a head."""


class Swapped:
    """The tallies of joint swaps on one bench, each run once."""

    def __init__(self, bench: Bench):
        self.bench = bench
        self._known: dict[frozenset[Site], tuple[Tally, tuple[Accuracy, ...]]] = {}

    def tally(self, heads: Iterable[Site]) -> Tally:
        """Counts when these heads are swapped together."""
        return self._of(heads)[0]

    def accuracy(self, heads: Iterable[Site], r: int) -> Accuracy:
        """How far that does what reading r says."""
        return self._of(heads)[1][r]

    def value(self, heads: Iterable[Site], r: int) -> float:
        """The accuracy as one number: that of the worst deciding family; 0 without one."""
        worst = self.accuracy(heads, r).worst
        return worst.value if worst.pairs else 0.0

    def _of(self, heads: Iterable[Site]) -> tuple[Tally, tuple[Accuracy, ...]]:
        key = frozenset(heads)
        if key not in self._known:
            found = interchanged(self.bench, sorted(key))
            self._known[key] = found, accuracies(self.bench, found, len(key))
        return self._known[key]


def best_group(swapped: Swapped, r: int, alike: Iterable[Site]) -> tuple[Site, ...]:
    """The group that does reading r best: no head could leave without loss."""
    ranked = sorted(swapped.bench.heads, key=lambda h: -swapped.value([h], r))
    starts = [(h,) for h in ranked[:STARTS] if swapped.value([h], r) >= HOPEFUL]
    alike = sorted(alike, key=lambda h: -swapped.value([h], r))[:MOST]
    if len(alike) > 1:
        starts.append(tuple(alike))
    groups = [_pruned(swapped, r, _grown(swapped, r, start)) for start in starts]
    # of equally good ones the smaller
    return max(groups or [(ranked[0],)], key=lambda g: (round(swapped.value(g, r), 2), -len(g)))


def _grown(swapped: Swapped, r: int, group: tuple[Site, ...]) -> tuple[Site, ...]:
    """`group` with heads added while each surely adds."""
    while swapped.value(group, r) < ENOUGH and len(group) < MOST:
        others = [h for h in swapped.bench.heads if h not in group and _touches(swapped, h)]
        if not others:
            break
        added = max(others, key=lambda h: swapped.value((*group, h), r))
        if not _adds(swapped, r, group, added):
            break
        group = (*group, added)
    return group


def _touches(swapped: Swapped, head: Site) -> bool:
    """Whether swapping this head alone ever changes an answer."""
    found = swapped.tally([head])
    return bool((found.clean_hits < found.positions).any())


def _pruned(swapped: Swapped, r: int, group: tuple[Site, ...]) -> tuple[Site, ...]:
    """`group` without the heads that add nothing."""
    for head in sorted(group, key=lambda h: swapped.value([h], r)):
        rest = tuple(h for h in group if h != head)
        if rest and not _adds(swapped, r, rest, head):
            group = rest
    return tuple(sorted(group))


def _adds(swapped: Swapped, r: int, group: tuple[Site, ...], head: Site) -> bool:
    more = (*group, head)
    gain = swapped.value(more, r) - swapped.value(group, r)
    return gain >= GAIN and surely_more(swapped.bench, swapped.tally(more), swapped.tally(group), r)

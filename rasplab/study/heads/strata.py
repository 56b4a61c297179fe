"""Where swaps do what is predicted: interchange accuracy by length, positions and tokens.

An accuracy over all pairs hides a model that does its task at some lengths only, not at some
position, or only with some tokens. `strata_of` divides the pairs of one joint swap by the length of
the input and by the tokens that occur in the pair, and the answers by their position.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

import numpy as np

from rasplab.base.stats import wilson
from rasplab.base.text import ranges_text
from rasplab.program.values import Atom
from rasplab.study.heads.domain_accuracy import failing_tokens
from rasplab.study.heads.estimates import Estimate
from rasplab.study.heads.head_groups import JointSwaps
from rasplab.study.heads.interchange import (
    FAMILIES,
    InterchangeExperiment,
    replaced_answers,
    swap_of,
)
from rasplab.transformer.sites import Site

MIN_STRATUM = 5
"""Pairs with a changed prediction that a length or a token needs to count."""

SUSPECT_MARGIN = 0.05
"""By how much fewer pairs must come out right with a token that the model's answers fail with."""


@dataclass(frozen=True, slots=True)
class Strata:
    """Parts of the pairs of one joint swap, on one reading of a selector.

    lengths  by length of the input: the interchange accuracy over the deciding families; lengths
             with fewer than MIN_STRATUM pairs are left out
    tokens   those with which swaps fail while they succeed with the others
    positions  from 0: those whose rows surely do not have the predicted effect, at lengths that do
             not fail as a whole; not looked for where the swaps fail altogether
    lowest   the accuracy from which a length counts as one where the swaps do what is predicted
    """

    lengths: tuple[tuple[int, Estimate], ...]
    tokens: tuple[Atom, ...]
    positions: tuple[int, ...]
    lowest: float

    @property
    def holding(self) -> tuple[int, ...]:
        """The lengths at which the swaps do what is predicted."""
        return tuple(n for n, e in self.lengths if e.value >= self.lowest)

    @property
    def failing(self) -> tuple[int, ...]:
        """The lengths at which they surely do not."""
        return tuple(n for n, e in self.lengths if e.high < self.lowest)

    @property
    def holds(self) -> bool:
        """Whether there is no length, no position and no token with which the swaps fail."""
        return not (self.failing or self.positions or self.tokens)

    def __str__(self) -> str:
        text = f"at lengths {ranges_text(self.holding)}" if self.holding else "at no length"
        text += f", not at {ranges_text(self.failing)}" if self.failing else ""
        several = "s" if len(self.positions) > 1 else ""
        if self.positions:
            text += f", not at position{several} {ranges_text(self.positions)}"
        names = ", ".join(map(repr, self.tokens))
        return text + (f", not with {names}" if self.tokens else "")


def strata_of(
    swaps: JointSwaps,
    heads: tuple[Site, ...],
    r: int,
    lowest: float,
    suspects: Collection[Atom] = (),
) -> Strata:
    """The strata of the joint swap of `heads`, on reading r.

    lowest    the accuracy that a length, or a position, needs
    suspects  tokens with which the model's answers are wrong: swaps are pairs of inputs, fewer than
              the inputs that show this, so that less of a difference between them is enough
    """
    experiment, counts, accuracy = swaps.experiment, swaps.counts(heads), swaps.accuracy(heads, r)
    families = [FAMILIES.index(f) for f in FAMILIES if f in accuracy.deciding_families]
    hits, changed = counts.hits[:, r], counts.changed[:, r]
    used = np.isin(experiment.bootstrap.families, families) & (changed > 0)
    lengths = []
    for n in np.unique(experiment.lengths):
        mask = used & (experiment.lengths == n)
        if mask.sum() >= MIN_STRATUM:
            lengths.append((int(n), experiment.bootstrap.estimate(hits, changed, mask)))
    right, present = hits[used] == changed[used], experiment.tokens()[used]
    tokens = set(failing_tokens(experiment.semantics.domain.vocab, present, right))
    tokens |= _confirmed(experiment, right, present, suspects)
    ordered = tuple(t for t in experiment.semantics.domain.vocab if t in tokens)
    strata = Strata(tuple(lengths), ordered, (), lowest)
    if accuracy.worst.pairs and accuracy.worst.low >= lowest:
        used &= ~np.isin(experiment.lengths, strata.failing)
        return replace(strata, positions=_failing_positions(experiment, heads, r, used, lowest))
    return strata


def _failing_positions(
    experiment: InterchangeExperiment,
    heads: Iterable[Site],
    r: int,
    used: np.ndarray,
    lowest: float,
) -> tuple[int, ...]:
    """The positions whose rows surely do not have the predicted effect, over the pairs used.

    A row is taken from a position of the source: where that differs from the position it is put at,
    the former is what the heads computed it for.
    """
    width = int(experiment.lengths.max())
    hits, changed = np.zeros(width, int), np.zeros(width, int)
    starts = np.cumsum([0, *map(len, experiment.batches)])
    for k, answers in replaced_answers(experiment, swap_of(experiment, heads)):
        prediction = experiment.predictions[k][r]
        mask = prediction.changed & used[starts[k] : starts[k + 1], None]
        rows = experiment.batches[k].rows
        np.add.at(changed, rows[mask], 1)
        np.add.at(hits, rows[mask & prediction.right(answers)], 1)
    enough = np.flatnonzero(changed >= MIN_STRATUM)
    # one of many positions looks bad by chance: all intervals hold together at 95% (Bonferroni)
    level = 1 - 0.05 / max(1, len(enough))
    ends = (wilson(float(hits[p] / changed[p]), int(changed[p]), level)[1] for p in enough)
    return tuple(int(p) for p, high in zip(enough, ends, strict=True) if high < lowest)


def _confirmed(
    experiment: InterchangeExperiment,
    right: np.ndarray,
    present: np.ndarray,
    suspects: Collection[Atom],
) -> set[Atom]:
    """The suspects with which swaps come out right less often than without, by SUSPECT_MARGIN."""
    confirmed = set()
    for token, column in zip(experiment.semantics.domain.vocab, present.T, strict=True):
        if token not in suspects or min(column.sum(), (~column).sum()) < MIN_STRATUM:
            continue
        if right[column].mean() < right[~column].mean() - SUSPECT_MARGIN:
            confirmed.add(token)
    return confirmed

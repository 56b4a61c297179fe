"""Where swaps do what is predicted: interchange accuracy by length, and tokens that it fails with.

An accuracy over all pairs hides a model that does its task at some lengths only, or with some
tokens only. `strata_of` divides the pairs of one joint swap by the length of the input and by the
tokens that occur in the pair.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from rasplab.base.text import ranges_text
from rasplab.program.values import Atom
from rasplab.study.heads.domain_accuracy import failing_tokens
from rasplab.study.heads.interchange import (
    FAMILIES,
    Accuracy,
    Estimate,
    InterchangeExperiment,
    SwapCounts,
)

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
    lowest   the accuracy from which a length counts as one where the swaps do what is predicted
    """

    lengths: tuple[tuple[int, Estimate], ...]
    tokens: tuple[Atom, ...]
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
        """Whether there is no length and no token with which the swaps fail."""
        return not (self.failing or self.tokens)

    def __str__(self) -> str:
        text = f"at lengths {ranges_text(self.holding)}" if self.holding else "at no length"
        text += f", not at {ranges_text(self.failing)}" if self.failing else ""
        names = ", ".join(map(repr, self.tokens))
        return text + (f", not with {names}" if self.tokens else "")


def strata_of(
    experiment: InterchangeExperiment,
    counts: SwapCounts,
    accuracy: Accuracy,
    r: int,
    lowest: float,
    suspects: Collection[Atom] = (),
) -> Strata:
    """The strata of a joint swap with these counts and accuracy, on reading r.

    lowest    the accuracy that a length needs
    suspects  tokens with which the model's answers are wrong: swaps are pairs of inputs, fewer than
              the inputs that show this, so that less of a difference between them is enough
    """
    families = [FAMILIES.index(f) for f in FAMILIES if f in accuracy.deciding_families]
    hits, changed = counts.hits[:, r], counts.changed[:, r]
    used = np.isin(experiment.bootstrap.families, families) & (changed > 0)
    lengths = []
    for n in np.unique(experiment.lengths):
        mask = used & (experiment.lengths == n)
        if mask.sum() >= MIN_STRATUM:
            lengths.append((int(n), experiment.bootstrap.estimate(hits, changed, mask)))
    right, present = hits[used] == changed[used], experiment.tokens[used]
    tokens = set(failing_tokens(experiment.semantics.domain.vocab, present, right))
    tokens |= _confirmed(experiment, right, present, suspects)
    ordered = tuple(t for t in experiment.semantics.domain.vocab if t in tokens)
    return Strata(tuple(lengths), ordered, lowest)


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

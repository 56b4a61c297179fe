"""Whether a model needs a head: its answers when the whole output of heads is replaced.

Interchange swaps the patterns of tokens. It has no effect where other heads do the same (voters,
backups), or where the output is read at BOS: such heads are not shown to be idle. From the inputs
of an experiment, `KnockOuts.necessity` says how answers break without a head, alone or beside
others that may do its work, whatever these attend to.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Literal, get_args

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from rasplab.base.stats import wilson
from rasplab.model.interventions import codes_with_results, head_results
from rasplab.program.batch.columns import Column
from rasplab.study.heads.interchange import InterchangeExperiment, agreement
from rasplab.transformer.sites import Site

Replacement = Literal["mean", "other"]
"""What replaces the output of a head at every position, BOS included.

mean   its mean over all inputs and positions
other  its output on another input of the same length
"""

MIN_LOSS = 0.03
"""Share of the answers that must break for a head to count as needed."""

MIN_PART_LOSS = 0.2
"""The same for one length, or for the inputs with one token: the share of these inputs that must
break, at the interval's lower end. A head may carry the answers with a rare token alone."""


@dataclass(frozen=True, slots=True)
class Necessity:
    """How the answers depend on a head; shares of positions right, as the program outputs.

    intact   with nothing replaced
    without  without the head: the lowest over the ways to replace its output
    others   heads that may do the same work, and without which answers break without it
    without_others, without_all  without these, and without the head too; nan where there are none
    needed   whether so many answers break as MIN_LOSS or MIN_PART_LOSS say
    """

    head: Site
    intact: float
    without: float
    others: tuple[Site, ...] = ()
    without_others: float = float("nan")
    without_all: float = float("nan")
    needed: bool = False

    def __str__(self) -> str:
        text = f"{self.intact:.2f} right, without {self.head} {self.without:.2f}"
        if self.others:
            names = " + ".join(map(str, self.others))
            text += f", without {names} {self.without_others:.2f}"
            text += f", without {self.head} too {self.without_all:.2f}"
        return text


class KnockOuts:
    """Runs of one experiment's inputs with the outputs of heads replaced, each run once."""

    def __init__(self, experiment: InterchangeExperiment) -> None:
        self.experiment = experiment
        self._groups = list(_by_length(experiment))
        self._mean = self._mean_results()
        columns = zip(experiment.clean, experiment.answers, strict=True)
        intact, possible = zip(*(agreement(experiment, *pair) for pair in columns), strict=True)
        self._positions = int(np.concatenate(possible).sum())
        nothing: frozenset[Site] = frozenset()
        self._runs = {(nothing, kind): np.concatenate(intact) for kind in get_args(Replacement)}
        self._reserves: dict[Replacement, dict[Site, tuple[Site, ...]]] = {}
        self._necessity: dict[tuple[Site, tuple[Site, ...]], Necessity] = {}

    def _mean_results(self) -> Float[Tensor, "layer head d_head"]:
        parts = [head_results(self.experiment.model, ids) for ids, _, _ in self._groups]
        return torch.cat([part.flatten(1, 2) for part in parts], 1).double().mean(1)

    def right(self, heads: Iterable[Site], replacement: Replacement) -> Int[np.ndarray, " pair"]:
        """Per pair of the experiment: the positions of its input that are right without `heads`."""
        key = frozenset(heads), replacement
        if key not in self._runs:
            self._runs[key] = self._run(sorted(key[0]), replacement)
        return self._runs[key]

    def _run(self, heads: list[Site], replacement: Replacement) -> np.ndarray:
        model, right = self.experiment.model, []
        for ids, donors, expected in self._groups:
            results = self._mean[:, None, None]
            if replacement == "other":
                results = head_results(model, donors)
            answers = codes_with_results(model, ids, heads, results)
            ends = np.cumsum([len(column.codes) for column in expected])[:-1]
            for clean, codes in zip(expected, np.split(answers.codes, ends), strict=True):
                right.append(agreement(self.experiment, clean, Column(codes, answers.values))[0])
        return np.concatenate(right)

    def share(self, heads: Iterable[Site], replacement: Replacement) -> float:
        """The share of positions right without `heads`, of those where the model can be right."""
        return float(self.right(heads, replacement).sum() / self._positions)

    def breaks(
        self, before: Iterable[Site], after: Iterable[Site], replacement: Replacement
    ) -> bool:
        """Whether answers that are right without the heads `before` are wrong without `after`."""
        first, second = self.right(before, replacement), self.right(after, replacement)
        lost = (first - second).sum() >= MIN_LOSS * self._positions
        if lost and self.experiment.bootstrap.surely_more(first, second):
            return True
        broken, lengths = first > second, self.experiment.lengths
        parts = [lengths == n for n in np.unique(lengths)]
        parts += list(self.experiment.tokens(sources=False).T)
        return any(
            wilson(float(broken[part].mean()), int(part.sum()))[0] >= MIN_PART_LOSS
            for part in parts
            if part.any()
        )

    def necessity(self, head: Site, partners: Iterable[Site] = ()) -> Necessity:
        """How the answers depend on a head.

        partners  heads that may do the same work: it is first knocked out beside all of these
        """
        key = head, tuple(sorted(set(partners) - {head}))
        if key not in self._necessity:
            self._necessity[key] = self._measured(*key)
        return self._necessity[key]

    def _measured(self, head: Site, partners: tuple[Site, ...]) -> Necessity:
        kinds: tuple[Replacement, ...] = get_args(Replacement)
        result = Necessity(
            head,
            intact=self.share((), "mean"),
            without=min(self.share([head], kind) for kind in kinds),
            needed=any(self.breaks((), [head], kind) for kind in kinds),
        )
        for kind in kinds:
            if partners and self.breaks(partners, [*partners, head], kind):
                return self._beside(result, partners, kind)
        for kind in kinds:
            if not result.needed and head in (reserves := self.reserves(kind)):
                return self._beside(result, reserves[head], kind)
        return result

    def _beside(self, alone: Necessity, others: tuple[Site, ...], kind: Replacement) -> Necessity:
        shares = self.share(others, kind), self.share([*others, alone.head], kind)
        return Necessity(alone.head, alone.intact, alone.without, others, *shares, needed=True)

    def reserves(self, replacement: Replacement) -> Mapping[Site, tuple[Site, ...]]:
        """The heads that are needed only without others, each with these others."""
        if replacement not in self._reserves:
            self._reserves[replacement] = self._found_reserves(replacement)
        return self._reserves[replacement]

    def _found_reserves(self, replacement: Replacement) -> dict[Site, tuple[Site, ...]]:
        idle = [h for h in self.experiment.heads if not self.breaks((), [h], replacement)]
        # as many idle heads as can be left out together, those that matter least first
        spare: list[Site] = []
        reserves: dict[Site, tuple[Site, ...]] = {}
        for head in sorted(idle, key=lambda h: -self.share([h], replacement)):
            if self.breaks((), [*spare, head], replacement):
                reserves[head] = tuple(spare)
            else:
                spare.append(head)
        # which of two equal heads is spare is arbitrary: one that stands in for the other is needed
        for head in spare:
            for other in tuple(reserves):
                context = tuple(h for h in (*spare, other) if h != head)
                if head not in reserves and self.breaks(context, [*context, head], replacement):
                    reserves[head] = context
        return {h: self._fewest(h, others, replacement) for h, others in reserves.items()}

    def _fewest(
        self, head: Site, others: tuple[Site, ...], replacement: Replacement
    ) -> tuple[Site, ...]:
        """Those of `others` without which `head` is needed: as few as one pass leaves."""
        for other in others:
            rest = tuple(h for h in others if h != other)
            if self.breaks(rest, [*rest, head], replacement):
                others = rest
        return tuple(sorted(others))


def _by_length(
    experiment: InterchangeExperiment,
) -> Iterator[tuple[np.ndarray, np.ndarray, list[Column]]]:
    """For each length: inputs, other inputs, and the program's outputs batch by batch."""
    pairs = zip(experiment.batches, experiment.clean, strict=True)
    for _, group in groupby(pairs, lambda pair: pair[0].ids.shape[1]):
        batches, clean = zip(*group, strict=True)
        # only in the family `input` is the source an input of its own, of the same length
        donors = [b.sources if b.family == "input" else np.roll(b.ids, 1, 0) for b in batches]
        yield np.concatenate([b.ids for b in batches]), np.concatenate(donors), list(clean)

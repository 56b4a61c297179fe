"""Whether a model needs a head: its answers when the whole output of heads is replaced.

Interchange swaps the patterns of tokens. It has no effect where other heads do the same (voters,
backups), or where the output is read at BOS: such heads are not shown to be idle. From the swaps of
an experiment and a head, `reason_needed` says how answers break without the head, alone or together
with the heads that may stand in for it; None where they do not.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, get_args

import numpy as np
import torch
from jaxtyping import Int

from rasplab.model.interventions import codes_with_results, head_results
from rasplab.program.batch.compare import equal_cells
from rasplab.study.heads.interchange import InterchangeExperiment
from rasplab.transformer.sites import Site

Replacement = Literal["mean", "other"]
"""What replaces the output of a head at every position, BOS included.

mean   its mean over all inputs and positions
other  its output on another input of the same length
"""

MIN_LOSS = 0.03
"""Share of the answers that must break for a head to count as needed."""


class KnockOuts:
    """Runs of one experiment's inputs with the outputs of heads replaced, each run once.

    The inputs are those of the family `input`, which are drawn alike with their sources.
    """

    def __init__(self, experiment: InterchangeExperiment) -> None:
        self.experiment = experiment
        self._runs: dict[tuple[frozenset[Site], Replacement], np.ndarray] = {}
        self._batches = [k for k, b in enumerate(experiment.batches) if b.family == "input"]
        results = [self._results(experiment.batches[k].ids) for k in self._batches]
        flat = [r.flatten(1, 2) for r in results]  # [layer, batch * pos, head, d_head]
        self._mean = torch.cat(flat, 1).double().mean(1)  # [layer, head, d_head]

    def _results(self, ids: np.ndarray) -> torch.Tensor:
        return head_results(self.experiment.model, ids)

    def right(self, heads: Iterable[Site], replacement: Replacement) -> Int[np.ndarray, " pair"]:
        """Per pair of the experiment: positions right; 0 for pairs of other families."""
        key = frozenset(heads), replacement
        if key not in self._runs:
            self._runs[key] = self._run(sorted(key[0]), replacement)
        return self._runs[key]

    def _run(self, heads: list[Site], replacement: Replacement) -> np.ndarray:
        right = []
        for k, batch in enumerate(self.experiment.batches):
            if k not in self._batches:
                right.append(np.zeros(len(batch), int))
                continue
            results = (
                self._mean[:, None, None] if replacement == "mean" else self._results(batch.sources)
            )
            answers = codes_with_results(self.experiment.model, batch.ids, heads, results)
            right.append(equal_cells(self.experiment.clean[k], answers).sum(1))
        return np.concatenate(right)

    def needed(self, head: Site, context: Iterable[Site], replacement: Replacement) -> bool:
        """Whether MIN_LOSS of the answers that are right without `context` break without both."""
        context = frozenset(context) - {head}
        before = self.right(context, replacement)
        after = self.right({*context, head}, replacement)
        positions = sum(self.experiment.batches[k].ids.size for k in self._batches)
        lost = (before - after).sum() >= MIN_LOSS * positions
        return bool(lost) and self.experiment.bootstrap.surely_more(before, after)


def reason_needed(knock_outs: KnockOuts, head: Site, partners: Iterable[Site]) -> str | None:
    """How the answers break without `head`, in words; None where they do not.

    partners  heads that may do the same work: the head is also knocked out beside all of them
    """
    others = sorted(set(partners) - {head})
    for replacement in get_args(Replacement):
        if knock_outs.needed(head, (), replacement):
            return "answers break without its output"
    for replacement in get_args(Replacement):
        if others and knock_outs.needed(head, others, replacement):
            names = ", ".join(map(str, others))
            return f"answers that are right without {names} break without it too"
    return None

"""Faithfulness, completeness and minimality of circuits cut from a ranking."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from rasplab.base.errors import RaspValueError
from rasplab.circuit.discovery.discover import METHODS, set_up
from rasplab.circuit.discovery.edge_scores import EdgeScores
from rasplab.circuit.patching.experiment import PatchExperiment
from rasplab.circuit.patching.pairs import Pairs

SIZES = 12
"""How many circuit sizes a curve looks at."""

NEEDED = 0.01
"""A unit is needed where leaving it out costs this share of the damage of patching everything."""


@dataclass(frozen=True, slots=True)
class Curves:
    """What circuits of the strongest units do, by size.

    sizes         how many units are kept
    faithfulness  1 - damage with all others patched / damage with everything patched: 1 where the
                  circuit alone behaves as the model, 0 where it is no better than nothing
    completeness  damage with the circuit itself patched / damage with everything patched: 1 where
                  nothing of the behaviour is left without it
    minimality    share of its units of which each is needed by the others' circuit
    """

    sizes: tuple[int, ...]
    faithfulness: tuple[float, ...]
    completeness: tuple[float, ...]
    minimality: tuple[float, ...]

    @property
    def area(self) -> float:
        """Area under faithfulness over the share of units kept; the faithfulness is cut to
        [0, 1].
        """
        x = np.array(self.sizes) / max(1, self.sizes[-1])
        return float(np.trapezoid(np.clip(self.faithfulness, 0, 1), x))


def curves(
    model: Any,
    scores: EdgeScores,
    pairs: Pairs | None = None,
    metric: str | None = None,
    sizes: tuple[int, ...] | None = None,
) -> Curves:
    """The curves of a ranking, on `pairs` (by default those of its seed), in its own ablation.

    Raises RaspValueError where patching everything does no damage, or the scores are of another
    model.
    """
    metric = metric or ("mse" if scores.metric == "mse" else "kl")
    found = set_up(
        model, METHODS["exact"], pairs, scores.ablation, None if metric == "kl" else metric,
        scores.granularity, scores.seed,
    )  # fmt: skip
    if found.edge_model.digest != scores.model:
        raise RaspValueError("the scores are of another model: their digests differ")
    full = found.full_damage
    if full < 1e-9:
        raise RaspValueError(
            "patching every edge does no damage on these pairs: faithfulness has no scale",
            hint="take another ablation, or other pairs",
        )
    order = np.argsort(-scores.strength, kind="stable")
    n = len(order)
    sizes = sizes or tuple(sorted({round(k) for k in np.linspace(0, n, min(n + 1, SIZES))}))
    kept = torch.zeros(len(sizes), n, dtype=found.values.dtype)
    for row, size in zip(kept, sizes, strict=True):
        row[order[:size]] = 1
    kept = kept.to(found.values.device)
    alone = (found.damage(1 - kept) - found.clean_damage) / full
    without = (found.damage(kept) - found.clean_damage) / full
    return Curves(
        tuple(sizes),
        tuple((1 - alone).tolist()),
        tuple(without.tolist()),
        tuple(_minimality(found, row, full) for row in kept),
    )


def _minimality(found: PatchExperiment, kept: torch.Tensor, full: float) -> float:
    """The share of the units in `kept` [unit] that are needed; 1 for no unit."""
    units = torch.nonzero(kept)[:, 0]
    if not len(units):
        return 1.0
    fewer = (1 - kept).repeat(len(units), 1)
    fewer[torch.arange(len(units)), units] = 1
    worse = found.damage(fewer) - float(found.damage(1 - kept[None]))
    return float((worse > NEEDED * full).double().mean())

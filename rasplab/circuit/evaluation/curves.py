"""Curves: faithfulness, completeness and minimality of circuits of the strongest units.

EdgeScores, model and pairs -> Curves by circuit size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from rasplab.base.errors import RaspValueError
from rasplab.circuit.discovery.discover import METHODS, experiment_for
from rasplab.circuit.discovery.edge_scores import EdgeScores
from rasplab.circuit.patching.experiment import PatchExperiment
from rasplab.circuit.patching.pairs import Pairs

SIZES = 12
"""How many circuit sizes a curve has by default."""

NEEDED = 0.01
"""A unit is needed if its removal costs more than this share of the damage of patching all."""

MIN_FULL_DAMAGE = 1e-9
"""Damages are divided by that of patching everything; below this the shares would be rounding."""


@dataclass(frozen=True, slots=True)
class Curves:
    """What circuits of the strongest units do, by size; D is the damage above the clean run's.

    sizes         numbers of units in the circuit
    faithfulness  1 - D(all others patched) / D(all patched): 1 where the circuit alone behaves as
                  the model, 0 where it is as bad as nothing
    completeness  D(the circuit patched) / D(all patched): 1 where nothing of the behaviour is left
                  without the circuit
    minimality    share of the circuit's units whose removal costs more than NEEDED
    """

    sizes: tuple[int, ...]
    faithfulness: tuple[float, ...]
    completeness: tuple[float, ...]
    minimality: tuple[float, ...]

    @property
    def area(self) -> float:
        """Area under faithfulness, clipped to [0, 1], over the share of units in the circuit."""
        x = np.array(self.sizes) / max(1, self.sizes[-1])
        return float(np.trapezoid(np.clip(self.faithfulness, 0, 1), x))


def curves(
    model: Any,
    scores: EdgeScores,
    pairs: Pairs | None = None,
    metric: str | None = None,
    sizes: tuple[int, ...] | None = None,
) -> Curves:
    """The curves of a ranking, in the ablation of its scores.

    pairs   by default those that the seed of the scores gives
    metric  by default kl, or mse for scores by mse
    sizes   by default about SIZES from 0 to all units

    Raises RaspValueError where patching everything does no damage, or the scores are of another
    model.
    """
    experiment = _experiment(model, scores, pairs, metric)
    full = experiment.full_damage
    if full < MIN_FULL_DAMAGE:
        raise RaspValueError(
            "patching every edge does no damage on these pairs: faithfulness has no scale",
            hint="take another ablation, or other pairs",
        )
    order = np.argsort(-scores.strength, kind="stable")
    n = len(order)
    sizes = sizes or tuple(sorted({round(k) for k in np.linspace(0, n, min(n + 1, SIZES))}))
    circuits = torch.zeros(len(sizes), n)
    for row, size in zip(circuits, sizes, strict=True):
        # 1 for what is in the circuit; as masks, 1 for what is patched
        row[order[:size]] = 1
    circuits = circuits.to(experiment.values)
    alone = (experiment.damage(1 - circuits) - experiment.clean_damage) / full
    without = (experiment.damage(circuits) - experiment.clean_damage) / full
    return Curves(
        tuple(sizes),
        tuple((1 - alone).tolist()),
        tuple(without.tolist()),
        tuple(_minimality(experiment, row, full) for row in circuits),
    )


def _experiment(
    model: Any, scores: EdgeScores, pairs: Pairs | None, metric: str | None
) -> PatchExperiment:
    """Exact patching of the units of `scores`; the arguments are those of `curves`."""
    metric = metric or ("mse" if scores.metric == "mse" else "kl")
    experiment = experiment_for(
        model,
        METHODS["exact"],
        pairs,
        scores.ablation,
        # None lets the method choose: kl, or mse for a single number
        None if metric == "kl" else metric,
        scores.granularity,
        scores.seed,
    )
    if experiment.edge_model.digest != scores.model:
        raise RaspValueError("the scores are of another model: their digests differ")
    return experiment


def _minimality(experiment: PatchExperiment, circuit: torch.Tensor, full: float) -> float:
    """The share of the units in `circuit` [unit], 0 or 1, that are needed; 1 for no unit."""
    units = torch.nonzero(circuit)[:, 0]
    if not len(units):
        return 1.0
    fewer = (1 - circuit).repeat(len(units), 1)
    # row i patches all that the circuit leaves out, and its i-th unit
    fewer[torch.arange(len(units)), units] = 1
    worse = experiment.damage(fewer) - float(experiment.damage(1 - circuit[None]))
    return float((worse > NEEDED * full).double().mean())

"""Gradient methods: EAP, its integrated forms, mask gradients, head importance (HISP).

Each takes a PatchExperiment and gives a score per unit. With D(m) the damage at masks m of the
units, the slope dD/dm_u at the clean run m = 0 is (replacement - clean write) . dD/d(read of the
port), which is the attribution of EAP; the other methods average slopes along a path of masks.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from rasplab.base.errors import RaspValueError
from rasplab.circuit.patching.experiment import PatchExperiment

POINTS = 11
"""Evaluation points of an integral from 0 to 1, both ends included."""


def eap(experiment: PatchExperiment) -> Float[Tensor, " unit"]:
    """Edge attribution patching: (replacement - clean write) . gradient at the reader.

    That is the first-order estimate of the damage of patching the edge alone.

    Source: Syed, Rager & Conmy 2023 (arXiv:2310.10348).
    """
    return experiment.gradient(experiment.none)[0]


def eap_ig(experiment: PatchExperiment, points: int = POINTS) -> Float[Tensor, " unit"]:
    """EAP with gradients averaged along the path of embeddings from clean to replaced.

    points  evaluation points of the average, at least 2

    Source: Hanna, Pezzelle & Belinkov 2024 (arXiv:2403.17806), "EAP-IG inputs".
    """
    # An offset alpha * (replacement - clean write) on all edges from the embeddings is the run of
    # the interpolated input. The gradient by any unit's mask is then (replacement - clean write)
    # . dD/d(read of its port) there: the offsets are those of the clean run at every alpha.
    embedded = _mask(experiment, {"tok_embed", "pos_embed"})
    return _integral(experiment, points, embedded, experiment.delta)


def eap_ig_activations(experiment: PatchExperiment, points: int = POINTS) -> Float[Tensor, " unit"]:
    """EAP with gradients averaged along the path of the source layer's writes, clean to replaced.

    Costs `points` forward and backward passes for each half layer: all heads of a layer, or its
    MLP, move together.

    points  evaluation points of the average, at least 2
    """
    scores = torch.zeros_like(experiment.none[0])
    times = sorted({site.time for site in experiment.units.sources})
    for done, time in enumerate(times, 1):
        # an edge is scored on the path of its own source's
        # time only, hence the product with `group`
        group = _mask(experiment, {str(s) for s in experiment.units.sources if s.time == time})
        scores += group[0] * _integral(experiment, points, group)
        experiment.meter.report(done, len(times))
    return scores


def mask_ig(experiment: PatchExperiment, points: int = POINTS) -> Float[Tensor, " unit"]:
    """Integrated gradients of the masks: slopes averaged while all masks go from 0 to 1 together.

    The scores sum to the damage of patching everything, up to the error of the trapezoid rule.

    points  evaluation points of the average, at least 2
    """
    # along m = alpha (1, ..., 1) the integral of sum_u dD/dm_u over alpha is D(1) - D(0)
    return _integral(experiment, points, experiment.none + 1)


def hisp(experiment: PatchExperiment) -> Float[Tensor, " unit"]:
    """Head importance: mean over inputs of |(replacement - clean write) . gradient at the site|.

    An edge scores the smaller of its two ends.

    Source: Michel, Levy & Neubig 2019 (arXiv:1905.10650), for MLPs and embeddings too, and without
    their normalisation by layer, which would give every head that is alone in its layer one score.
    """
    slopes = experiment.gradient_per_input()
    of_site: dict[str, Tensor] = {}
    for slope, site in zip(slopes.T, experiment.units.sources, strict=True):
        # one mask on all edges of a site has the sum of their slopes,
        # by the chain rule; the absolute value is of each input's sum
        of_site[str(site)] = of_site.get(str(site), torch.zeros_like(slope)) + slope
    score = {site: total.abs().mean() for site, total in of_site.items()}
    return torch.stack([_smaller_end(name, score) for name in experiment.units.names])


def _smaller_end(name: str, score: dict[str, Tensor]) -> Tensor:
    src, _, dst = name.partition("->")
    reader = dst.partition(".")[0]
    return torch.minimum(score[src], score[reader]) if reader in score else score[src]


def _mask(experiment: PatchExperiment, sources: set[str]) -> Tensor:
    """Masks [1, unit] that are 1 where the source is in `sources`."""
    mask = [float(str(site) in sources) for site in experiment.units.sources]
    return torch.tensor([mask]).to(experiment.values)


def _integral(
    experiment: PatchExperiment, points: int, direction: Tensor, offsets: Tensor | None = None
) -> Tensor:
    """The mean gradient [unit] at masks from 0 to `direction` [1, unit], by the trapezoid rule."""
    if points < 2:
        raise RaspValueError(f"points is {points!r}; an integral takes at least 2")
    weights = torch.ones(points).to(experiment.values)
    # trapezoid rule: half weight at both ends, and points - 1 intervals
    weights[0] = weights[-1] = 0.5
    alphas = torch.linspace(0, 1, points).to(experiment.values)
    total = torch.zeros_like(experiment.none[0])
    size = experiment.variants_per_batch
    for alpha, w in zip(alphas.split(size), weights.split(size), strict=True):
        slopes = experiment.gradient(alpha[:, None] * direction, offsets)
        total = total + (w[:, None] * slopes).sum(0)
    return total / (points - 1)

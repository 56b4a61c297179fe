"""Methods that follow gradients: EAP, its integrated forms, mask gradients, HISP."""

from __future__ import annotations

import torch
from torch import Tensor

from rasplab.base.errors import RaspValueError
from rasplab.circuit.patching.experiment import PatchExperiment

POINTS = 11
"""Of an integral from 0 to 1, both ends among them."""


def eap(experiment: PatchExperiment) -> Tensor:
    """Edge attribution patching: the change an edge would carry, times the gradient at its reader.

    That is the slope of the damage in the edge's mask at the clean run.
    Source: Syed, Rager & Conmy 2023 (arXiv:2310.10348).
    """
    return experiment.gradient(experiment.none)[0]


def eap_ig(experiment: PatchExperiment, points: int = POINTS) -> Tensor:
    """EAP with gradients averaged while the embeddings go from clean to replaced.

    Source: Hanna, Pezzelle & Belinkov 2024 (arXiv:2403.17806), "EAP-IG inputs".
    """
    embedded = _mask(experiment, {"tok_embed", "pos_embed"})
    return _integral(experiment, points, embedded, experiment.delta)


def eap_ig_activations(experiment: PatchExperiment, points: int = POINTS) -> Tensor:
    """EAP with gradients averaged while what the edge's own source layer writes goes from clean to
    replaced. Costs `points` passes for each half layer.
    """
    found = torch.zeros_like(experiment.none[0])
    times = sorted({site.time for site in experiment.units.sources})
    for done, time in enumerate(times, 1):
        kinds = {str(s) for s in experiment.units.sources if s.time == time}
        group = _mask(experiment, kinds)
        found += group[0] * _integral(experiment, points, group)
        experiment.meter.report(done, len(times))
    return found


def mask_ig(experiment: PatchExperiment, points: int = POINTS) -> Tensor:
    """The slope in each edge's mask, averaged while all masks go from 0 to 1 together."""
    return _integral(experiment, points, experiment.none + 1)


def hisp(experiment: PatchExperiment) -> Tensor:
    """Head importance: |change of a site's output . gradient|, averaged over inputs; an edge has
    the lesser of its two ends.

    Source: Michel, Levy & Neubig 2019 (arXiv:1905.10650), for MLPs and embeddings too, without
    their normalisation by layer, which would make every lone head equal.
    """
    slopes = experiment.gradient(experiment.none, per_input=True)
    of_site: dict[str, Tensor] = {}
    for slope, site in zip(slopes.T, experiment.units.sources, strict=True):
        of_site[str(site)] = of_site.get(str(site), 0) + slope
    score = {site: total.abs().mean() for site, total in of_site.items()}
    return torch.stack([_lesser_end(name, score) for name in experiment.units.names])


def _lesser_end(name: str, score: dict[str, Tensor]) -> Tensor:
    src, _, dst = name.partition("->")
    reader = dst.partition(".")[0]
    return torch.minimum(score[src], score[reader]) if reader in score else score[src]


def _mask(experiment: PatchExperiment, sources: set[str]) -> Tensor:
    """Masks [1, unit] that are 1 where the source is one of these."""
    chosen = [float(str(site) in sources) for site in experiment.units.sources]
    return torch.tensor([chosen]).to(experiment.values)


def _integral(
    experiment: PatchExperiment, points: int, direction: Tensor, offsets: Tensor | None = None
) -> Tensor:
    """The mean gradient [unit] on the way from 0 to `direction`, by the trapezoid rule."""
    if points < 2:
        raise RaspValueError(f"an integral takes 2 points or more, not {points}")
    weights = torch.ones(points).to(experiment.values)
    weights[0] = weights[-1] = 0.5
    alphas = torch.linspace(0, 1, points).to(experiment.values)
    total = torch.zeros_like(experiment.none[0])
    for some, w in zip(
        alphas.split(experiment.variants_per_batch),
        weights.split(experiment.variants_per_batch),
        strict=True,
    ):
        slopes = experiment.gradient(some[:, None] * direction, offsets)
        total = total + (w[:, None] * slopes).sum(0)
    return total / (points - 1)

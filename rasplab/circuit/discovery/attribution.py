"""Methods that follow gradients: EAP, its integrated forms, mask gradients, HISP."""

from __future__ import annotations

import torch
from torch import Tensor

from rasplab.base.errors import RaspValueError
from rasplab.circuit.patching.experiment import Problem

POINTS = 11
"""Of an integral from 0 to 1, both ends among them."""


def eap(problem: Problem) -> Tensor:
    """Edge attribution patching: the change an edge would carry, times the gradient at its reader.

    That is the slope of the damage in the edge's mask at the clean run.
    Source: Syed, Rager & Conmy 2023 (arXiv:2310.10348).
    """
    return problem.gradient(problem.none)[0]


def eap_ig(problem: Problem, points: int = POINTS) -> Tensor:
    """EAP with gradients averaged while the embeddings go from clean to replaced.

    Source: Hanna, Pezzelle & Belinkov 2024 (arXiv:2403.17806), "EAP-IG inputs".
    """
    embedded = _mask(problem, {"tok_embed", "pos_embed"})
    return _integral(problem, points, embedded, problem.gap)


def eap_ig_activations(problem: Problem, points: int = POINTS) -> Tensor:
    """EAP with gradients averaged while what the edge's own source layer writes goes from clean to
    replaced. Costs `points` passes for each half layer.
    """
    found = torch.zeros_like(problem.none[0])
    times = sorted({site.time for site in problem.units.sources})
    for done, time in enumerate(times, 1):
        kinds = {str(s) for s in problem.units.sources if s.time == time}
        group = _mask(problem, kinds)
        found += group[0] * _integral(problem, points, group)
        problem.meter.report(done, len(times))
    return found


def mask_ig(problem: Problem, points: int = POINTS) -> Tensor:
    """The slope in each edge's mask, averaged while all masks go from 0 to 1 together."""
    return _integral(problem, points, problem.none + 1)


def hisp(problem: Problem) -> Tensor:
    """Head importance: |change of a site's output . gradient|, averaged over inputs; an edge has
    the lesser of its two ends.

    Source: Michel, Levy & Neubig 2019 (arXiv:1905.10650), for MLPs and embeddings too, without
    their normalisation by layer, which would make every lone head equal.
    """
    slopes = problem.gradient(problem.none, per_input=True)
    of_site: dict[str, Tensor] = {}
    for slope, site in zip(slopes.T, problem.units.sources, strict=True):
        of_site[str(site)] = of_site.get(str(site), 0) + slope
    score = {site: total.abs().mean() for site, total in of_site.items()}
    return torch.stack([_lesser_end(name, score) for name in problem.units.names])


def _lesser_end(name: str, score: dict[str, Tensor]) -> Tensor:
    src, _, dst = name.partition("->")
    reader = dst.partition(".")[0]
    return torch.minimum(score[src], score[reader]) if reader in score else score[src]


def _mask(problem: Problem, sources: set[str]) -> Tensor:
    """Masks [1, unit] that are 1 where the source is one of these."""
    chosen = [float(str(site) in sources) for site in problem.units.sources]
    return torch.tensor([chosen]).to(problem.values)


def _integral(
    problem: Problem, points: int, direction: Tensor, offsets: Tensor | None = None
) -> Tensor:
    """The mean gradient [unit] on the way from 0 to `direction`, by the trapezoid rule."""
    if points < 2:
        raise RaspValueError(f"an integral takes 2 points or more, not {points}")
    weights = torch.ones(points).to(problem.values)
    weights[0] = weights[-1] = 0.5
    alphas = torch.linspace(0, 1, points).to(problem.values)
    total = torch.zeros_like(problem.none[0])
    for some, w in zip(alphas.split(problem.at_once), weights.split(problem.at_once), strict=True):
        slopes = problem.gradient(some[:, None] * direction, offsets)
        total = total + (w[:, None] * slopes).sum(0)
    return total / (points - 1)

"""Methods that patch and look: exact, path, ACDC."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from rasplab.base.errors import RaspValueError
from rasplab.circuit.patching.edge_model import Patch
from rasplab.circuit.patching.experiment import Problem
from rasplab.transformer.sites import Site

THRESHOLDS = 15
"""Of an ACDC sweep."""
LEAST = 1e-6
"""The smallest threshold, as a share of the damage of patching everything."""


def exact(problem: Problem) -> Tensor:
    """Each unit patched alone: the change in damage. Costs a forward pass per unit."""
    parts = []
    for masks in problem.each.split(64):
        parts.append(problem.damage(masks) - problem.clean_damage)
        problem.meter.report(sum(map(len, parts)), len(problem.units))
    return torch.cat(parts)


def acdc(problem: Problem, thresholds: int = THRESHOLDS) -> Tensor:
    """The largest threshold at which ACDC keeps a unit; 0 where none does.

    From the output back, a unit is dropped where the damage rises by less than the threshold; what
    was dropped stays dropped. All thresholds, evenly spaced by ratio up to the damage of patching
    everything, go side by side, each with its own circuit.
    Source: Conmy et al. 2023 (arXiv:2304.14997), algorithm 1; one value per unit is our own.
    """
    if thresholds < 1:
        raise RaspValueError(f"acdc takes 1 threshold or more, not {thresholds}")
    scale = max(problem.full_damage, 1e-12)
    taus = torch.tensor(np.geomspace(LEAST, 1, thresholds) * scale).to(problem.values)
    dropped = problem.none.repeat(thresholds, 1)
    damage = torch.full_like(taus, problem.clean_damage)
    n = len(problem.units)
    for done, unit in enumerate(reversed(range(n)), 1):
        trial = dropped.clone()
        trial[:, unit] = 1
        distinct, which = torch.unique(trial, dim=0, return_inverse=True)
        found = problem.damage(distinct)[which]
        drop = found - damage < taus
        dropped[:, unit] = drop.to(dropped)
        damage = torch.where(drop, found, damage)
        problem.meter.report(done, n)
    return ((1 - dropped) * taus[:, None]).amax(0)


@torch.no_grad()
def path(problem: Problem) -> Tensor:
    """Path patching: the source's change reaches the port directly and through MLPs alone.

    Heads between the two hold their clean output; what follows the port is recomputed. For
    neighbours it is exact patching of the edge.
    Source: Wang et al. 2022 (arXiv:2211.00593), section 3.1, with single ports as receivers.
    """
    if problem.units.granularity != "edge":
        raise RaspValueError("path patching scores edges", hint="ask for granularity edge")
    flow, found = problem.flow, torch.zeros(len(problem.units)).to(problem.values)
    places = {name: i for i, name in enumerate(problem.units.names)}
    for done, src in enumerate(flow.writers, 1):
        values = _through_mlps(problem, src)
        edges = [e for e in flow.edges if e.src == src and str(e) in places]
        if edges:
            mask = torch.stack([_arrivals(problem, src, e.dst) for e in edges])
            damage = torch.cat([
                problem.metric(flow.run(problem.pairs.clean, Patch(m, values), problem.base).logits)
                for m in mask.split(problem.at_once)
            ]).mean(1)  # fmt: skip
            problem.meter.forwards += len(edges) + 1
            found[[places[str(e)] for e in edges]] = damage - problem.clean_damage
        problem.meter.report(done, len(flow.writers))
    return found


def _through_mlps(problem: Problem, src: Site) -> Tensor:
    """What each site writes when `src` is replaced, heads hold, and MLPs follow."""
    flow, clean = problem.flow, problem.base.stacked()
    mask = torch.zeros(1, len(flow.edges)).to(clean)
    for edge, i in flow.index.items():
        later_mlp = edge.src.kind == "mlp" and edge.src.time > src.time
        if edge.src == src and edge.dst.site.kind == "mlp":
            mask[0, i] = 1
        elif later_mlp and edge.dst.site.kind == "head":
            mask[0, i] = 1  # and carries its clean write, so that heads hold
    values = clean.clone()
    at = flow.writers.index(src)
    values[at] = problem.values[at]
    followed = flow.run(problem.pairs.clean, Patch(mask, values), problem.base).stacked().clone()
    followed[at] = problem.values[at]
    return followed


def _arrivals(problem: Problem, src: Site, port) -> Tensor:
    """The mask [edge] of `src` and of the MLPs after it, into `port`."""
    flow = problem.flow
    mask = torch.zeros(len(flow.edges)).to(problem.values)
    for edge, i in flow.index.items():
        follows = edge.src.kind == "mlp" and edge.src.time > src.time
        if edge.dst == port and (edge.src == src or follows):
            mask[i] = 1
    return mask

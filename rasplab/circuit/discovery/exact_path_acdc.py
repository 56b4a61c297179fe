"""Methods that patch and look: exact, path, ACDC."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from rasplab.base.errors import RaspValueError
from rasplab.circuit.patching.edge_model import Patch
from rasplab.circuit.patching.experiment import PatchExperiment
from rasplab.transformer.sites import Site

THRESHOLDS = 15
"""Of an ACDC sweep."""
LEAST = 1e-6
"""The smallest threshold, as a share of the damage of patching everything."""


def exact(experiment: PatchExperiment) -> Tensor:
    """Each unit patched alone: the change in damage. Costs a forward pass per unit."""
    parts = []
    for masks in experiment.single_patches.split(64):
        parts.append(experiment.damage(masks) - experiment.clean_damage)
        experiment.meter.report(sum(map(len, parts)), len(experiment.units))
    return torch.cat(parts)


def acdc(experiment: PatchExperiment, thresholds: int = THRESHOLDS) -> Tensor:
    """The largest threshold at which ACDC keeps a unit; 0 where none does.

    From the output back, a unit is dropped where the damage rises by less than the threshold; what
    was dropped stays dropped. All thresholds, evenly spaced by ratio up to the damage of patching
    everything, go side by side, each with its own circuit.
    Source: Conmy et al. 2023 (arXiv:2304.14997), algorithm 1; one value per unit is our own.
    """
    if thresholds < 1:
        raise RaspValueError(f"acdc takes 1 threshold or more, not {thresholds}")
    scale = max(experiment.full_damage, 1e-12)
    taus = torch.tensor(np.geomspace(LEAST, 1, thresholds) * scale).to(experiment.values)
    dropped = experiment.none.repeat(thresholds, 1)
    damage = torch.full_like(taus, experiment.clean_damage)
    n = len(experiment.units)
    for done, unit in enumerate(reversed(range(n)), 1):
        trial = dropped.clone()
        trial[:, unit] = 1
        distinct, which = torch.unique(trial, dim=0, return_inverse=True)
        found = experiment.damage(distinct)[which]
        drop = found - damage < taus
        dropped[:, unit] = drop.to(dropped)
        damage = torch.where(drop, found, damage)
        experiment.meter.report(done, n)
    return ((1 - dropped) * taus[:, None]).amax(0)


@torch.no_grad()
def path(experiment: PatchExperiment) -> Tensor:
    """Path patching: the source's change reaches the port directly and through MLPs alone.

    Heads between the two hold their clean output; what follows the port is recomputed. For
    neighbours it is exact patching of the edge.
    Source: Wang et al. 2022 (arXiv:2211.00593), section 3.1, with single ports as receivers.
    """
    if experiment.units.granularity != "edge":
        raise RaspValueError("path patching scores edges", hint="ask for granularity edge")
    edge_model, found = (
        experiment.edge_model,
        torch.zeros(len(experiment.units)).to(experiment.values),
    )
    places = {name: i for i, name in enumerate(experiment.units.names)}
    for done, src in enumerate(edge_model.writers, 1):
        values = _through_mlps(experiment, src)
        edges = [e for e in edge_model.edges if e.src == src and str(e) in places]
        if edges:
            mask = torch.stack([_arrivals(experiment, src, e.dst) for e in edges])
            damage = torch.cat([
                experiment.metric(edge_model.run(experiment.pairs.clean, Patch(m, values), experiment.base).logits)
                for m in mask.split(experiment.variants_per_batch)
            ]).mean(1)  # fmt: skip
            experiment.meter.forwards += len(edges) + 1
            found[[places[str(e)] for e in edges]] = damage - experiment.clean_damage
        experiment.meter.report(done, len(edge_model.writers))
    return found


def _through_mlps(experiment: PatchExperiment, src: Site) -> Tensor:
    """What each site writes when `src` is replaced, heads hold, and MLPs follow."""
    edge_model, clean = experiment.edge_model, experiment.base.stacked()
    mask = torch.zeros(1, len(edge_model.edges)).to(clean)
    for edge, i in edge_model.index.items():
        later_mlp = edge.src.kind == "mlp" and edge.src.time > src.time
        if edge.src == src and edge.dst.site.kind == "mlp":
            mask[0, i] = 1
        elif later_mlp and edge.dst.site.kind == "head":
            mask[0, i] = 1  # and carries its clean write, so that heads hold
    values = clean.clone()
    at = edge_model.writers.index(src)
    values[at] = experiment.values[at]
    followed = (
        edge_model.run(experiment.pairs.clean, Patch(mask, values), experiment.base)
        .stacked()
        .clone()
    )
    followed[at] = experiment.values[at]
    return followed


def _arrivals(experiment: PatchExperiment, src: Site, port) -> Tensor:
    """The mask [edge] of `src` and of the MLPs after it, into `port`."""
    edge_model = experiment.edge_model
    mask = torch.zeros(len(edge_model.edges)).to(experiment.values)
    for edge, i in edge_model.index.items():
        follows = edge.src.kind == "mlp" and edge.src.time > src.time
        if edge.dst == port and (edge.src == src or follows):
            mask[i] = 1
    return mask

"""Methods that patch exactly: single units, paths, ACDC.

Each takes a PatchExperiment and gives a score per unit, from forward passes alone.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from rasplab.base.errors import RaspValueError
from rasplab.circuit.patching.edge_model import Patch
from rasplab.circuit.patching.experiment import NO_DAMAGE, PatchExperiment
from rasplab.transformer.sites import Edge, Site

THRESHOLDS = 15
"""How many thresholds an ACDC sweep has."""

MIN_THRESHOLD = 1e-6
"""The smallest threshold, as a share of the damage of patching everything."""

REPORT_INTERVAL = 64
"""Units between two reports of the progress of `exact`."""


def exact(experiment: PatchExperiment) -> Float[Tensor, " unit"]:
    """Activation patching: the rise in damage when each unit is patched alone.

    Costs one forward pass per unit.
    """
    parts = []
    for masks in experiment.single_patches.split(REPORT_INTERVAL):
        parts.append(experiment.damage(masks) - experiment.clean_damage)
        experiment.meter.report(sum(map(len, parts)), len(experiment.units))
    return torch.cat(parts)


def acdc(experiment: PatchExperiment, thresholds: int = THRESHOLDS) -> Float[Tensor, " unit"]:
    """The largest threshold at which ACDC keeps a unit; 0 where none does.

    From the output back, a unit is dropped if that raises the damage of the circuit so far by less
    than the threshold tau; dropped units stay dropped. The thresholds are spaced geometrically from
    MIN_THRESHOLD to 1 times the damage of patching everything, and run side by side, each with its
    own circuit.

    thresholds  how many, at least 1

    Source: Conmy et al. 2023 (arXiv:2304.14997), algorithm 1; one value per unit is our own.
    """
    if thresholds < 1:
        raise RaspValueError(f"thresholds is {thresholds!r}; acdc takes at least 1")
    scale = max(experiment.full_damage, NO_DAMAGE)
    taus = torch.tensor(np.geomspace(MIN_THRESHOLD, 1, thresholds) * scale).to(experiment.values)
    dropped = experiment.none.repeat(thresholds, 1)
    damage = torch.full_like(taus, experiment.clean_damage)
    n = len(experiment.units)
    for done, unit in enumerate(reversed(range(n)), 1):
        # units are in forward order of their readers, so this goes from the output
        # back; row i is the circuit of threshold i, with 1 for what it dropped
        trial = dropped.clone()
        trial[:, unit] = 1
        # thresholds that have dropped the same units so far share a forward pass
        distinct, which = torch.unique(trial, dim=0, return_inverse=True)
        trial_damage = experiment.damage(distinct)[which]
        # against the circuit so far, not the clean run: small losses may add up, as in ACDC itself
        drop = trial_damage - damage < taus
        dropped[:, unit] = drop.to(dropped)
        damage = torch.where(drop, trial_damage, damage)
        experiment.meter.report(done, n)
    # a unit that is kept at a high threshold may be dropped at a lower
    # one, as each threshold has a circuit of its own; the highest counts
    return ((1 - dropped) * taus[:, None]).amax(0)


@torch.no_grad()
def path(experiment: PatchExperiment) -> Float[Tensor, " unit"]:
    """Path patching: the source's change reaches the port directly and through MLPs alone.

    Heads between the two keep their clean output; what follows the port is recomputed. Where no MLP
    lies between the two this is exact patching of the edge.

    Source: Wang et al. 2022 (arXiv:2211.00593), section 3.1, with single ports as receivers.
    """
    if experiment.units.granularity != "edge":
        raise RaspValueError("path patching scores edges only", hint="use granularity edge")
    edge_model = experiment.edge_model
    scores = torch.zeros_like(experiment.none[0])
    index = {name: i for i, name in enumerate(experiment.units.names)}
    for done, src in enumerate(edge_model.writers, 1):
        # what `src` and the MLPs after it write does not depend on the receiver: one run per source
        values = _through_mlps(experiment, src)
        edges = [e for e in edge_model.edges if e.src == src and str(e) in index]
        if edges:
            damage = _arriving_damage(experiment, edges, values)
            scores[[index[str(e)] for e in edges]] = damage - experiment.clean_damage
            experiment.meter.forwards += len(edges) + 1
        experiment.meter.report(done, len(edge_model.writers))
    return scores


def _arriving_damage(experiment: PatchExperiment, edges: list[Edge], values: Tensor) -> Tensor:
    """The damage [edge] when the port of each edge alone reads `values`."""
    masks = torch.stack([_arrivals(experiment, edge) for edge in edges])
    damage = []
    for mask in masks.split(experiment.variants_per_batch):
        patch = Patch(mask, values)
        run = experiment.edge_model.run(experiment.pairs.clean, patch, experiment.base)
        damage.append(experiment.metric(run.logits))
    return torch.cat(damage).mean(1)


def _through_mlps(experiment: PatchExperiment, src: Site) -> Tensor:
    """The writes of all sites when `src` is replaced, later MLPs follow and heads stay clean.

    Two kinds of edges are masked: from `src` into MLPs, which then read its replacement; and from
    those MLPs into heads, which then read the MLPs' clean writes and so keep their own.
    """
    edge_model, clean = experiment.edge_model, experiment.base.stacked()
    mask = torch.zeros(1, len(edge_model.edges)).to(clean)
    for edge, i in edge_model.index.items():
        into_mlp = edge.src == src and edge.dst.site.kind == "mlp"
        into_head = _follows(edge.src, src) and edge.dst.site.kind == "head"
        mask[0, i] = float(into_mlp or into_head)
    # only `src` differs from the clean run here, so that
    # the masked edges out of MLPs carry clean writes
    values, at = clean.clone(), edge_model.writers.index(src)
    values[at] = experiment.values[at]
    run = edge_model.run(experiment.pairs.clean, Patch(mask, values), experiment.base)
    writes = run.stacked().clone()
    # the run has the clean write of `src`: its replacement entered at the readers' ports only
    writes[at] = experiment.values[at]
    return writes


def _follows(site: Site, src: Site) -> bool:
    """Whether `site` is an MLP that comes after `src`."""
    return site.kind == "mlp" and site.time > src.time


def _arrivals(experiment: PatchExperiment, target: Edge) -> Tensor:
    """The mask [edge] of the edges from target's source, and from MLPs after it, into its port."""
    mask = torch.zeros(len(experiment.edge_model.edges)).to(experiment.values)
    for edge, i in experiment.edge_model.index.items():
        if edge.dst == target.dst and (edge.src == target.src or _follows(edge.src, target.src)):
            mask[i] = 1
    return mask

"""Effective truth: the units whose single exact patch changes the output of a model."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from rasplab.base.arguments import MODEL, PAIRS, SEED, TEXT, optional, real, takes
from rasplab.base.schema import array, mapping, read_json, record, string
from rasplab.circuit.graph import Circuit
from rasplab.circuit.patching.experiment import ABLATIONS, PatchExperiment, patch_experiment
from rasplab.circuit.patching.from_bridge import check_edge_model, edge_model_of
from rasplab.circuit.patching.pairs import Pairs, draw_pairs
from rasplab.circuit.structural import circuit_of
from rasplab.model.bridge import LensModel

TOLERANCE = 1e-6
"""The smallest effect, as a share of the largest logit.

In float64 rounding moves the logits of compiled models by about 1e-13 of it."""


@takes(model=MODEL, pairs=optional(PAIRS), ablation=TEXT, seed=SEED, tolerance=real(0))
def effective_circuit(
    model: LensModel,
    pairs: Pairs | None = None,
    ablation: str = "resample",
    seed: int = 0,
    tolerance: float = TOLERANCE,
) -> Circuit:
    """The edges whose single exact patch moves a counted logit on some pair.

    Edges that can replace each other (an OR) have no effect one by one, and so are left out.

    pairs      by default about 48 of all lengths, drawn with `seed`
    ablation   one of ABLATIONS
    tolerance  the smallest effect, as a share of the largest logit

    Raises RaspValueError for a model whose edges cannot be patched, or an unknown ablation.
    """
    experiment = _experiment(model, pairs, ablation, "edge", seed)
    names = _moving(experiment, tolerance)
    edges = tuple(e for e in experiment.edge_model.edges if str(e) in names)
    if model.compiled is not None:
        # an edge that moves a logit is read by a form of the layout, so it is structural too
        return circuit_of(model.compiled).kept(edges)
    sites = sorted({e.src for e in edges} | {e.dst.site for e in edges})
    return Circuit(edges, ((),) * len(edges), tuple((s, "") for s in sites))


def effective_units(
    model: LensModel,
    pairs: Pairs | None = None,
    ablation: str = "resample",
    granularity: str = "position",
    seed: int = 0,
    tolerance: float = TOLERANCE,
) -> frozenset[str]:
    """The names of the units of any granularity that `effective_circuit` looks for."""
    return _moving(_experiment(model, pairs, ablation, granularity, seed), tolerance)


def _experiment(
    model: LensModel, pairs: Pairs | None, ablation: str, granularity: str, seed: int
) -> PatchExperiment:
    pairs = pairs or draw_pairs(model.domain, seed=seed, device=model.device)
    edge_model = edge_model_of(model.lens)
    check_edge_model(edge_model, model.lens, pairs.clean, pairs.counted)
    return patch_experiment(edge_model, pairs, ablation, "mse", granularity)


def _moving(experiment: PatchExperiment, tolerance: float) -> frozenset[str]:
    """The names of the units with an effect above `tolerance`."""
    threshold = tolerance * float(experiment.base.logits.abs().max())
    moved = (effects(experiment) > threshold).tolist()
    return frozenset(n for n, m in zip(experiment.units.names, moved, strict=True) if m)


@torch.no_grad()
def effects(experiment: PatchExperiment) -> Float[Tensor, " unit"]:
    """The largest change of a counted logit on any pair, each unit patched alone."""
    changes = []
    for masks in experiment.single_patches.split(experiment.variants_per_batch):
        moved = (experiment.run(masks).logits - experiment.base.logits).abs().amax(-1)
        # one direction of one input is enough: the largest over batch, position and class
        changes.append((moved * experiment.pairs.counted).flatten(1).amax(1))
        experiment.meter.forwards += len(masks)
    return torch.cat(changes)


def effective_json(model: LensModel, seed: int = 0) -> str:
    """The effective edges of a model under every ablation, as JSON text."""
    edges = {a: list(map(str, effective_circuit(model, None, a, seed).edges)) for a in ABLATIONS}
    return json.dumps({"seed": seed, "edges": edges}, indent=1) + "\n"


def stored_effective(path: Path) -> dict[str, frozenset[str]]:
    """By ablation, the names of the effective edges in a file of `effective_json`.

    Raises FileError for any other file.
    """
    schema = record({"edges": mapping(array(string))})
    rows = read_json(path, schema, hint="write it again: make circuits")["edges"]
    return {ablation: frozenset(edges) for ablation, edges in rows.items()}

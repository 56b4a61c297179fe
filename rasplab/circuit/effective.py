"""Effective truth: which edges change the output when they alone are patched, exactly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from rasplab.circuit.graph import Circuit
from rasplab.circuit.patching.experiment import ABLATIONS, PatchExperiment, patch_experiment
from rasplab.circuit.patching.from_bridge import check_edge_model, edge_model_of
from rasplab.circuit.patching.pairs import Pairs, draw_pairs

if TYPE_CHECKING:
    from rasplab.model.bridge import LensModel

TOLERANCE = 1e-6
"""Of the largest logit: in float64, compiled models leave some 1e-13 where nothing should move."""


def effective_circuit(
    model: LensModel,
    pairs: Pairs | None = None,
    ablation: str = "resample",
    seed: int = 0,
    tolerance: float = TOLERANCE,
) -> Circuit:
    """The edges whose single exact patch moves a logit that counts, on some pair.

    pairs  by default some 48 of all lengths, drawn with `seed`
    Edges that stand in for each other (an OR) are each without effect, and so not in it.
    Raises RaspValueError for a model whose edges cannot be patched, or an unknown ablation.
    """
    found = _problem(model, pairs, ablation, "edge", seed)
    moved = effects(found) > tolerance * float(found.base.logits.abs().max())
    return _named(model, found, [n for n, m in zip(found.units.names, moved, strict=True) if m])


def effective_units(
    model: LensModel,
    pairs: Pairs | None = None,
    ablation: str = "resample",
    granularity: str = "position",
    seed: int = 0,
    tolerance: float = TOLERANCE,
) -> frozenset[str]:
    """`effective_circuit` for nodes, components or positions: the names of the units."""
    found = _problem(model, pairs, ablation, granularity, seed)
    moved = effects(found) > tolerance * float(found.base.logits.abs().max())
    return frozenset(n for n, m in zip(found.units.names, moved, strict=True) if m)


def _problem(model, pairs, ablation: str, granularity: str, seed: int) -> PatchExperiment:
    pairs = pairs or draw_pairs(model.domain, seed=seed, device=model.device)
    edge_model = edge_model_of(model.lens)
    check_edge_model(edge_model, model.lens, pairs.clean, pairs.counted)
    return patch_experiment(edge_model, pairs, ablation, "mse", granularity)


@torch.no_grad()
def effects(found: PatchExperiment) -> Tensor:
    """The largest change of a counted logit [unit], each unit patched alone."""
    changes = []
    for masks in torch.eye(len(found.units), device=found.values.device).split(
        found.variants_per_batch
    ):
        moved = (found.run(masks).logits - found.base.logits).abs().amax(-1)
        changes.append((moved * found.pairs.counted).flatten(1).amax(1))
        found.meter.forwards += len(masks)
    return torch.cat(changes)


def _named(model: LensModel, found: PatchExperiment, names: list[str]) -> Circuit:
    """The circuit of these edges, with labels where the model is a compiled one."""
    wanted = set(names)
    edges = tuple(e for e in found.edge_model.edges if str(e) in wanted)
    if model.compiled is None:
        sites = sorted({e.src for e in edges} | {e.dst.site for e in edges})
        return Circuit(edges, ((),) * len(edges), tuple((s, "") for s in sites))
    from rasplab.circuit.structural import circuit_of

    return circuit_of(model.compiled).kept(edges)


def effective_json(model: LensModel, seed: int = 0) -> str:
    """The effective edges under every ablation, as they stand on file."""
    edges = {a: list(map(str, effective_circuit(model, None, a, seed).edges)) for a in ABLATIONS}
    return json.dumps({"seed": seed, "edges": edges}, indent=1) + "\n"


def stored_effective(path: Path) -> dict[str, frozenset[str]]:
    """By ablation: the effective edges that `effective_json` wrote to `path`."""
    rows = json.loads(path.read_text(encoding="utf-8"))["edges"]
    return {ablation: frozenset(edges) for ablation, edges in rows.items()}

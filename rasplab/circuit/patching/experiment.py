"""A model, pairs, an ablation and a metric: damage of any set of patched units."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from rasplab.base.errors import RaspValueError
from rasplab.circuit.patching.edge_model import EdgeModel, EdgeRun, Patch
from rasplab.circuit.patching.metrics import Metric, metric_of
from rasplab.circuit.patching.pairs import Pairs
from rasplab.circuit.patching.units import Units, units_of
from rasplab.model.threads import few_threads

ABLATIONS = ("zero", "mean", "resample", "resample_positions")
"""What an edge carries when it is patched: nothing; the mean over the clean inputs, position by
position; what it carries on the corrupted input; the same with the positions in another order."""

FLOATS = 1 << 19
"""Floats of the widest activation over all variants of one forward pass: what stays in the caches
of a CPU (measured on dyck1: 6 times as quick as eight times as many)."""


class Meter:
    """What a run costs: forward and backward passes over the pairs, seconds; and its progress."""

    def __init__(self, progress: Callable[[int, int], None] | None = None):
        self.forwards, self.backwards, self._start = 0, 0, time.perf_counter()
        self._progress = progress

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.perf_counter() - self._start

    def report(self, done: int, total: int) -> None:
        """Tell who watches."""
        if self._progress:
            self._progress(done, total)


@dataclass(frozen=True, eq=False)
class PatchExperiment:
    """Everything that a method needs.

    values  what patched edges carry [site, 1, batch, pos, d_model]
    base    the clean run
    """

    edge_model: EdgeModel
    pairs: Pairs
    ablation: str
    metric: Metric
    units: Units
    values: Tensor
    base: EdgeRun
    meter: Meter

    @torch.no_grad()
    def damage(self, masks: Tensor, values: Tensor | None = None, per_input: bool = False):
        """Damage [variant] (or [variant, batch]) with the units' masks [variant, unit]."""
        parts = []
        for some in masks.split(self.variants_per_batch):
            parts.append(self.metric(self.run(some, values).logits))
            self.meter.forwards += len(some)
        damage = torch.cat(parts)
        return damage if per_input else damage.mean(1)

    def run(self, masks: Tensor, values: Tensor | None = None) -> EdgeRun:
        """The run of each variant, from the first edge on that differs from the clean run."""
        mask = self.units.spread(masks.to(self.values.dtype))
        patch = Patch(mask, self.values if values is None else values)
        return self.edge_model.run(self.pairs.clean, patch, self.base)

    @property
    def clean_damage(self) -> float:
        """Damage of the clean run."""
        return float(self.metric(self.base.logits).mean())

    @property
    def full_damage(self) -> float:
        """How much worse the run with every unit patched is."""
        return float(self.damage(self.none + 1)) - self.clean_damage

    def gradient(self, masks: Tensor, offsets: Tensor | None = None, per_input: bool = False):
        """How the damage grows with each unit's mask [variant, unit], at `masks`.

        offsets    what masked edges carry in addition, instead of the ablation's values
        per_input  the slope of each input's own damage [batch, unit], for one variant
        """
        masks = masks.to(self.values.dtype).detach().requires_grad_()
        damage = self.differentiable(masks, offsets)
        with few_threads(self.values.shape[-1]):
            if per_input:
                each = torch.eye(len(self.pairs), dtype=damage.dtype, device=damage.device)
                found = torch.autograd.grad(damage[0], masks, each, is_grads_batched=True)
                return found[0][:, 0]
            return torch.autograd.grad(damage.mean(1).sum(), masks)[0]

    def differentiable(self, masks: Tensor, offsets: Tensor | None = None) -> Tensor:
        """Damage [variant, batch] that torch can differentiate with respect to `masks`."""
        patch = Patch(self.units.spread(masks), None if offsets is not None else self.values,
                      offsets)  # fmt: skip
        self.meter.forwards += len(masks)
        self.meter.backwards += len(masks)
        return self.metric(self.edge_model.run(self.pairs.clean, patch).logits)

    @property
    def none(self) -> Tensor:
        """The masks [1, unit] of the clean run."""
        return torch.zeros(1, len(self.units), dtype=self.values.dtype, device=self.values.device)

    @property
    def single_patches(self) -> Tensor:
        """The masks [unit, unit] that patch one unit each."""
        return torch.eye(len(self.units), dtype=self.values.dtype, device=self.values.device)

    @property
    def delta(self) -> Tensor:
        """What changes at each site from the clean run to the replacement."""
        return self.values - self.base.stacked()

    @property
    def variants_per_batch(self) -> int:
        """Variants in one forward pass."""
        n, t = self.pairs.clean.tokens.shape
        d_model, n_heads = self.edge_model.weights.W_E.shape[1], self.edge_model.n_heads
        widest = max(3 * n_heads * d_model, n_heads * t, self.edge_model.weights.W_in.shape[-1])
        return max(1, FLOATS // (n * t * widest))


@torch.no_grad()
def patch_experiment(
    edge_model: EdgeModel,
    pairs: Pairs,
    ablation: str = "resample",
    metric: str = "kl",
    granularity: str = "edge",
    progress: Callable[[int, int], None] | None = None,
) -> PatchExperiment:
    """Set a problem up: the clean run, and what patched edges carry. Raises RaspValueError."""
    base = edge_model.run(pairs.clean)
    values = replacements(edge_model, pairs, ablation, base)
    units = units_of(edge_model, granularity, pairs.clean.tokens.shape[1])
    everything = torch.ones(1, len(edge_model.edges), dtype=values.dtype, device=values.device)
    ablated = edge_model.run(pairs.clean, Patch(everything, values)).logits
    chosen = metric_of(metric, base.logits[0], ablated[0], pairs.counted)
    return PatchExperiment(
        edge_model, pairs, ablation, chosen, units, values, base, Meter(progress)
    )


@torch.no_grad()
def replacements(edge_model: EdgeModel, pairs: Pairs, ablation: str, base: EdgeRun) -> Tensor:
    """What patched edges carry [site, 1, batch, pos, d_model]."""
    writes = base.stacked()
    match ablation:
        case "zero":
            return torch.zeros_like(writes)
        case "mean":
            real = pairs.clean.real[..., None].to(writes.dtype)
            mean = (writes * real).sum(2, keepdim=True) / real.sum(0).clamp(min=1)
            return mean.expand_as(writes)
        case "resample":
            return edge_model.run(pairs.corrupt).stacked()
        case "resample_positions":
            corrupt = type(pairs.corrupt)(pairs.corrupt.tokens, pairs.shuffled, pairs.corrupt.real)
            return edge_model.run(corrupt).stacked()
    raise RaspValueError(f"{ablation!r} is no ablation", hint=f"it can be {', '.join(ABLATIONS)}")

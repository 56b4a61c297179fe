"""PatchExperiment: a model, pairs, an ablation and a metric -> the damage of any patched units.

`patch_experiment` runs the clean inputs and fixes what patched edges carry; every discovery method
then asks for `damage` (exact patching) or `gradient` (attribution) at masks of units.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from rasplab.circuit.graph import unknown
from rasplab.circuit.patching.edge_model import EdgeModel, EdgeRun, Patch
from rasplab.circuit.patching.metrics import Metric, metric_of
from rasplab.circuit.patching.pairs import Pairs
from rasplab.circuit.patching.units import Units, units_of
from rasplab.model.threads import few_threads

ABLATIONS = ("zero", "mean", "resample", "resample_positions")
"""What an edge carries when it is patched: nothing; the mean over the clean inputs, position by
position; what it carries on the corrupted input; the same with the positions in another order."""

FLOATS = 1 << 19
"""Floats of the widest activation over all variants of one forward pass.

So much stays in the caches of a CPU: measured on dyck1, 6 times as fast as 8 times as many."""

NO_DAMAGE = 1e-12
"""Damage of patching everything below this is rounding error of float64.

Prices and thresholds are shares of that damage, and take this where it is smaller."""


class Meter:
    """Counts forward and backward passes over the pairs, measures seconds, reports progress."""

    def __init__(self, progress: Callable[[int, int], None] | None = None):
        self.forwards, self.backwards, self._start = 0, 0, time.perf_counter()
        self._progress = progress

    @property
    def seconds(self) -> float:
        """Seconds since the meter was made."""
        return time.perf_counter() - self._start

    def report(self, done: int, total: int) -> None:
        """Call the progress function, where there is one."""
        if self._progress:
            self._progress(done, total)


@dataclass(frozen=True, eq=False)
class PatchExperiment:
    """Everything that a discovery method needs.

    values  what patched edges carry
    base    the clean run
    """

    edge_model: EdgeModel
    pairs: Pairs
    ablation: str
    metric: Metric
    units: Units
    values: Float[Tensor, "site 1 batch pos d_model"]
    base: EdgeRun
    meter: Meter

    @torch.no_grad()
    def damage(self, masks: Float[Tensor, "variant unit"]) -> Float[Tensor, " variant"]:
        """The damage of each variant, as a mean over inputs."""
        parts = []
        for part in masks.split(self.variants_per_batch):
            parts.append(self.metric(self.run(part).logits).mean(1))
            self.meter.forwards += len(part)
        return torch.cat(parts)

    def run(self, masks: Float[Tensor, "variant unit"]) -> EdgeRun:
        """The run of each variant; what comes before the first patched edge is the clean run's."""
        patch = Patch(self.units.spread(masks.to(self.values.dtype)), self.values)
        return self.edge_model.run(self.pairs.clean, patch, self.base)

    @property
    def clean_damage(self) -> float:
        """Damage of the clean run."""
        return float(self.metric(self.base.logits).mean())

    @property
    def full_damage(self) -> float:
        """How much the damage rises when every unit is patched."""
        return float(self.damage(self.none + 1)) - self.clean_damage

    def gradient(
        self,
        masks: Float[Tensor, "variant unit"],
        offsets: Float[Tensor, "site 1 batch pos d_model"] | None = None,
    ) -> Float[Tensor, "variant unit"]:
        """The derivative of the mean damage with respect to each unit's mask, at `masks`.

        offsets  what masked edges carry in addition, instead of the ablation's values
        """
        # a variant's damage depends on its own masks alone, so the
        # gradient of the sum over variants holds the gradient of each
        masks = masks.to(self.values.dtype).detach().requires_grad_()
        damage = self.differentiable(masks, offsets)
        with few_threads(self.values.shape[-1]):
            return torch.autograd.grad(damage.mean(1).sum(), masks)[0]

    def gradient_per_input(self) -> Float[Tensor, "batch unit"]:
        """The derivative of each input's own damage, at the clean run."""
        masks = self.none.requires_grad_()
        damage = self.differentiable(masks)
        # row i of `one_hot` asks for the gradient of input
        # i's damage; one vectorised pass gives all rows
        one_hot = torch.eye(len(self.pairs), dtype=damage.dtype, device=damage.device)
        with few_threads(self.values.shape[-1]):
            slopes = torch.autograd.grad(damage[0], masks, one_hot, is_grads_batched=True)
        return slopes[0][:, 0]

    def differentiable(
        self,
        masks: Float[Tensor, "variant unit"],
        offsets: Float[Tensor, "site 1 batch pos d_model"] | None = None,
    ) -> Float[Tensor, "variant batch"]:
        """The damage on each input, which torch can differentiate with respect to `masks`."""
        # Without `base`: what comes before the first mask that is not 0 would
        # be copied from it, and the masks there would get no gradient.
        values = self.values if offsets is None else None
        patch = Patch(self.units.spread(masks), values, offsets)
        self.meter.forwards += len(masks)
        self.meter.backwards += len(masks)
        return self.metric(self.edge_model.run(self.pairs.clean, patch).logits)

    @property
    def none(self) -> Float[Tensor, "1 unit"]:
        """The masks of the clean run: all 0."""
        return torch.zeros(1, len(self.units), dtype=self.values.dtype, device=self.values.device)

    @property
    def single_patches(self) -> Float[Tensor, "unit unit"]:
        """The masks that patch one unit each."""
        return torch.eye(len(self.units), dtype=self.values.dtype, device=self.values.device)

    @property
    def delta(self) -> Float[Tensor, "site 1 batch pos d_model"]:
        """Replacement minus clean write, at each site."""
        return self.values - self.base.stacked()

    @property
    def variants_per_batch(self) -> int:
        """How many variants one forward pass takes, by FLOATS."""
        # the widest per position: what the q, k and v ports of all
        # heads read, the rows of the patterns, or the neurons
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
    """Run the clean inputs, and fix what patched edges carry and how damage is measured.

    ablation, metric, granularity  one of ABLATIONS, metrics.METRICS, graph.GRANULARITIES
    progress                       called by `meter.report` with (done, total)

    Raises RaspValueError for an unknown one, or a metric that does not fit the model's output.
    """
    base = edge_model.run(pairs.clean)
    values = replacements(edge_model, pairs, ablation, base)
    units = units_of(edge_model, granularity, pairs.clean.tokens.shape[1])
    all_edges = torch.ones(1, len(edge_model.edges), dtype=values.dtype, device=values.device)
    ablated = edge_model.run(pairs.clean, Patch(all_edges, values)).logits
    damage = metric_of(metric, base.logits[0], ablated[0], pairs.counted)
    meter = Meter(progress)
    return PatchExperiment(edge_model, pairs, ablation, damage, units, values, base, meter)


@torch.no_grad()
def replacements(
    edge_model: EdgeModel, pairs: Pairs, ablation: str, base: EdgeRun
) -> Float[Tensor, "site 1 batch pos d_model"]:
    """What patched edges carry under `ablation`; `base` is the clean run."""
    writes = base.stacked()
    match ablation:
        case "zero":
            return torch.zeros_like(writes)
        case "mean":
            # the mean over the inputs that reach a position; padding does not count
            real = pairs.clean.real[..., None].to(writes.dtype)
            mean = (writes * real).sum(2, keepdim=True) / real.sum(0).clamp(min=1)
            return mean.expand_as(writes)
        case "resample":
            return edge_model.run(pairs.corrupt).stacked()
        case "resample_positions":
            # Clean and corrupted inputs have the same positions, so plain resampling
            # never changes what the position embedding writes; other positions do.
            corrupt = replace(pairs.corrupt, positions=pairs.shuffled)
            return edge_model.run(corrupt).stacked()
    raise unknown("ablation", ablation, ABLATIONS)

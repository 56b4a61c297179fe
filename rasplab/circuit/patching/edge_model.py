"""A transformer as sites that write and ports that read, every edge between them with a switch.

The residual stream is a sum, so what a port reads is the sum of what every earlier site writes.
Each edge e has a mask m in [0, 1]; its reader gets (1 - m) of what the source writes in this run
and m of a replacement. All patching, ablation, attribution and pruning is this one function of the
masks, and torch differentiates it. With LayerNorm it is still exact: each port has its own norm.

Axes: variant (V, masks side by side), batch, pos, head, d_model. Edges are ordered by reader, then
by writer, as `Edge` sorts, so the edges into one port lie together.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import gelu, relu, silu

from rasplab.base.errors import RaspValueError
from rasplab.model.threads import few_threads
from rasplab.transformer.forward import attention, head_outputs, hidden_keys, mlp_output, unembed
from rasplab.transformer.sites import Edge, Port, Site
from rasplab.transformer.weights import Weights

PORTS = ("k", "q", "v")
"""A head's ports, in the order in which edges sort."""

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": relu,
    "gelu": gelu,
    "gelu_new": lambda x: gelu(x, approximate="tanh"),
    "silu": silu,
}
"""TransformerLens' names for what an MLP does to its neurons."""

CLOSE = 1e-3
"""How far logits may lie from TransformerLens' own, relative to their size, in float32."""


def identity(x: Tensor) -> Tensor:
    """No norm."""
    return x


@dataclass(frozen=True, eq=False)
class Inputs:
    """What a run starts from, each [batch, pos] of the model's own ids.

    positions  which position embedding stands where
    real       False after the end of a shorter input: no head sees a key there
    """

    tokens: Tensor
    positions: Tensor
    real: Tensor


@dataclass(frozen=True, eq=False)
class Patch:
    """Masks [variant, edge] or [variant, edge, pos], and what replaces what the sources write.

    values   [site, variant or 1, batch, pos, d_model]: what a masked edge carries instead
    offsets  the same shape: what a masked edge carries in addition; given instead of `values`
    """

    mask: Tensor
    values: Tensor | None = None
    offsets: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Run:
    """What happened in one run; V is 1 where no patch made the variants differ.

    writes    by time: [site, V, batch, pos, d_model] of the embeddings, then of each layer's heads
              and MLP
    streams   by time: the residual stream [V, batch, pos, d_model] that sites of that time read
    patterns  by layer: attention [V, batch, head, query, key]
    logits    [V, batch, pos, d_vocab_out]
    """

    writes: tuple[Tensor, ...]
    streams: tuple[Tensor, ...]
    patterns: tuple[Tensor, ...]
    logits: Tensor

    def stacked(self) -> Tensor:
        """Every site's write [site, V, batch, pos, d_model], in the order of `EdgeModel.writers`."""
        return _stack(self.writes)


@dataclass(frozen=True, eq=False)
class EdgeModel:
    """The weights of a transformer (tensors in `weights`), and runs of it with patched edges.

    scale     scores are q.k / scale
    norms     (before the heads, before the MLP) of each layer; norm_out: before the unembedding
    """

    weights: Weights
    scale: float
    act: Callable[[Tensor], Tensor]
    causal: bool
    norms: tuple[tuple[Callable, Callable], ...]
    norm_out: Callable
    b_U: Tensor | float = 0.0

    @property
    def n_layers(self) -> int:
        """Layers of the transformer."""
        return self.weights.n_layers

    @property
    def n_heads(self) -> int:
        """Heads in each layer."""
        return self.weights.n_heads

    @cached_property
    def writers(self) -> tuple[Site, ...]:
        """Every site that writes, in forward order."""
        sites = [Site("tok_embed"), Site("pos_embed")]
        for layer in range(self.n_layers):
            sites += [Site("head", layer, h) for h in range(self.n_heads)] + [Site("mlp", layer)]
        return tuple(sites)

    @cached_property
    def edges(self) -> tuple[Edge, ...]:
        """Every edge that this architecture has, sorted."""
        return tuple(
            Edge(src, port)
            for time in range(1, 2 * self.n_layers + 2)
            for port in self._ports(time)
            for src in self.writers[: self._n_before(time)]
        )

    @cached_property
    def index(self) -> dict[Edge, int]:
        """The place of each edge in `edges`, and so in masks."""
        return {edge: i for i, edge in enumerate(self.edges)}

    @cached_property
    def dead(self) -> frozenset[Site]:
        """Sites that write nothing on any input: all the weights that they write through are 0."""
        w = self.weights
        silent = {Site("tok_embed"): not w.W_E.any(), Site("pos_embed"): not w.W_pos.any()}
        for layer in range(self.n_layers):
            silent[Site("mlp", layer)] = not (w.W_out[layer].any() or w.b_out[layer].any())
            for h in range(self.n_heads):
                moved = w.W_V[layer, h].any() or w.b_V[layer, h].any()
                silent[Site("head", layer, h)] = not (moved and w.W_O[layer, h].any())
        return frozenset(site for site, dead in silent.items() if dead)

    @cached_property
    def digest(self) -> str:
        """Of all weights: equal for equal models."""
        total = hashlib.sha256()
        for name, tensor in self.weights.arrays().items():
            total.update(name.encode() + tensor.detach().cpu().double().numpy().tobytes())
        return total.hexdigest()[:16]

    def _ports(self, time: int) -> list[Port]:
        layer, odd = divmod(time - 1, 2)
        if time == 2 * self.n_layers + 1:
            return [Port(Site("unembed"), "in")]
        if odd:
            return [Port(Site("mlp", layer), "in")]
        return [Port(Site("head", layer, h), p) for h in range(self.n_heads) for p in PORTS]

    def _n_before(self, time: int) -> int:
        """How many sites write before `time`."""
        layer, odd = divmod(time - 1, 2)
        return 2 + layer * (self.n_heads + 1) + odd * self.n_heads

    @cached_property
    def spans(self) -> tuple[tuple[int, int], ...]:
        """By time: where in `edges` those into the ports of that time lie."""
        spans, start = [(0, 0)], 0
        for time in range(1, 2 * self.n_layers + 2):
            stop = start + len(self._ports(time)) * self._n_before(time)
            spans.append((start, stop))
            start = stop
        return tuple(spans)

    def run(self, inputs: Inputs, patch: Patch | None = None, base: Run | None = None) -> Run:
        """Run with every masked edge patched; `base`, the run without, saves what comes before.

        The replacement enters at the reader's port only: later sites are recomputed from it.
        """
        with few_threads(self.weights.W_E.shape[1]):
            return self._run(inputs, patch, base)

    def _run(self, inputs: Inputs, patch: Patch | None, base: Run | None) -> Run:
        first = self.first_time(patch.mask) if patch is not None and base is not None else 0
        if first == 0:
            w = self.weights
            embedded = torch.stack([w.W_E[inputs.tokens], w.W_pos[inputs.positions]])[:, None]
            writes, streams, patterns = [embedded], [embedded.sum(0)], []
            x, first = embedded.sum(0), 1
        else:
            writes, streams = list(base.writes[:first]), list(base.streams[:first])
            patterns, x = list(base.patterns[: first // 2]), base.streams[first]
        hidden = hidden_keys(inputs.real, self.causal)
        for time in range(first, 2 * self.n_layers + 1):
            layer, odd = divmod(time - 1, 2)
            read = self._read(time, x, writes, patch)
            streams.append(x)
            if odd:
                written = self._mlp(layer, read)
            else:
                written, pattern = self._heads(layer, read, hidden)
                patterns.append(pattern)
                x = x + self.weights.b_O[layer]
            writes.append(written)
            x = x + written.sum(0)
        streams.append(x)
        read = self._read(2 * self.n_layers + 1, x, writes, patch)
        logits = unembed(self.weights, self.norm_out(read[:, 0])) + self.b_U
        return Run(tuple(writes), tuple(streams), tuple(patterns), logits)

    def first_time(self, mask: Tensor) -> int:
        """When the first edge with a mask that is not 0 is read; after the last reader if none."""
        used = mask.detach().flatten(2).any(-1) if mask.dim() > 2 else mask.detach() != 0
        used = used.any(0)
        times = range(1, 2 * self.n_layers + 2)
        return next((t for t in times if used[slice(*self.spans[t])].any()), times[-1])

    def _read(self, time: int, x: Tensor, writes: list[Tensor], patch: Patch | None) -> Tensor:
        """What the ports of `time` read: [V, port or 1, batch, pos, d_model]."""
        if patch is None:
            return x[:, None]
        start, stop = self.spans[time]
        part = patch.mask[:, start:stop]
        if not (part.requires_grad or part.any()):
            return x[:, None]
        n = self._n_before(time)
        shape = (len(part), (stop - start) // n, n, *part.shape[2:])
        gap = patch.values[:n] - _stack(writes) if patch.offsets is None else patch.offsets[:n]
        return x[:, None] + _weighted(part.reshape(shape), gap)

    def _heads(self, layer: int, read: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """What each head writes [head, V, batch, pos, d_model], and its pattern."""
        k, q, v = map(self.norms[layer][0], self._split(read))
        z, pattern = attention(self.weights, layer, q, k, v, hidden, self.scale)
        return head_outputs(self.weights, layer, z).movedim(2, 0), pattern

    def _split(self, read: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What k, q and v read: [V, batch, head or 1, pos, d_model] each."""
        read = read.movedim(1, 2)
        if read.shape[2] == 1:
            return read, read, read
        k, q, v = read.unflatten(2, (self.n_heads, len(PORTS))).unbind(3)
        return k, q, v

    def _mlp(self, layer: int, read: Tensor) -> Tensor:
        """What the MLP writes [1, V, batch, pos, d_model]."""
        x = self.norms[layer][1](read[:, 0])
        return mlp_output(self.weights, layer, x, self.act)[None]


def _stack(writes) -> Tensor:
    """Groups of writes as one tensor; variants are spread where only some groups have them."""
    n = max(w.shape[1] for w in writes)
    return torch.cat([w.expand(-1, n, -1, -1, -1) for w in writes])


def _weighted(mask: Tensor, gap: Tensor) -> Tensor:
    """Sum over sites of mask x gap: [V, port, batch, pos, d_model]."""
    if mask.dim() == 4:
        return torch.einsum("vpst,svbtd->vpbtd", mask, gap.expand(-1, len(mask), -1, -1, -1))
    if gap.shape[1] == 1:
        return torch.einsum("vps,sbtd->vpbtd", mask, gap[:, 0])
    return torch.einsum("vps,svbtd->vpbtd", mask, gap.expand(-1, len(mask), -1, -1, -1))


# From TransformerLens ---------------------------------------------------------------------------


def edge_model_of(lens: Any, dtype: torch.dtype = torch.float64) -> EdgeModel:
    """The flow of a TransformerBridge: compiled, trained or booted.

    Raises RaspValueError, with the reason, for a transformer whose residual stream is no sum of
    what sites write, or whose parts differ from those known here.
    """
    cfg = lens.cfg
    _refuse_unknown(cfg)
    device = next(lens.parameters()).device
    with torch.no_grad():
        arrays = {
            name: getattr(lens, name).detach().to(device, dtype, copy=True)
            for name in Weights.__dataclass_fields__
        }
        b_U = lens.b_U.detach().to(device, dtype, copy=True)
    norms = tuple((_norm(b.ln1, dtype), _norm(b.ln2, dtype)) for b in lens.blocks)
    return EdgeModel(
        Weights(**arrays),
        cfg.attn_scale if cfg.use_attn_scale and cfg.attn_scale > 0 else cfg.d_head**0.5,
        ACTIVATIONS[cfg.act_fn],
        cfg.attention_dir == "causal",
        norms,
        _norm(lens.ln_final, dtype) if hasattr(lens, "ln_final") else identity,
        b_U,
    )


def _refuse_unknown(cfg: Any) -> None:
    """Raise for what `EdgeModel.run` does not compute."""
    position = (getattr(cfg, "positional_embedding_type", None) or "standard").lower()
    reasons = {
        f"its MLP is {cfg.act_fn!r}": cfg.act_fn not in ACTIVATIONS,
        "its MLP is gated": getattr(cfg, "gated_mlp", False),
        "it has no MLP": getattr(cfg, "attn_only", False),
        f"its positions are {position}": position != "standard",
        "heads share keys": getattr(cfg, "n_key_value_heads", None) not in (None, cfg.n_heads),
        "attention and MLP read the same stream": getattr(cfg, "parallel_attn_mlp", False),
        "its scores are capped": (getattr(cfg, "attn_scores_soft_cap", -1) or -1) > 0,
    }
    wrong = [reason for reason, holds in reasons.items() if holds]
    if wrong:
        raise RaspValueError(
            f"edges of this model cannot be patched: {'; '.join(wrong)}",
            hint="take a model with absolute positions, plain heads and a relu, gelu or silu MLP",
        )


def _norm(bridge: Any, dtype: torch.dtype) -> Callable[[Tensor], Tensor]:
    """A norm of its own, without hooks, in `dtype`."""
    module = getattr(bridge, "_original_component", None)
    if module is None or isinstance(module, torch.nn.Identity):
        return identity
    return copy.deepcopy(module).to(dtype).requires_grad_(False)


@torch.no_grad()
def check_edge_model(edge_model: EdgeModel, lens: Any, inputs: Inputs, counted: Tensor) -> None:
    """Hold the flow's logits against the bridge's own forward pass, where `counted` [batch, pos].

    Raises RaspValueError where they differ: then the model does something that is not known here.
    """
    whole = inputs.real.all(-1)
    some = Inputs(*(getattr(inputs, f)[whole][:8] for f in inputs.__dataclass_fields__))
    where = counted[whole][:8]
    if not where.any():
        return
    wanted = lens(some.tokens)[where].to(torch.float64)
    got = edge_model.run(some).logits[0][where].to(torch.float64)
    gap, size = float((wanted - got).abs().max()), float(wanted.abs().max())
    if not gap <= CLOSE * max(1.0, size):
        raise RaspValueError(
            f"the sum over edges gives other logits than the model itself (by {gap:.2g}, "
            f"of {size:.2g})",
            hint="the model has an unknown part: a scaled stream, a norm after a site",
        )

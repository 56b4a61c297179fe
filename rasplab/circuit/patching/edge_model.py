"""EdgeModel: a transformer as sites that write and ports that read, with a mask on every edge.

The residual stream is a sum, so a port reads the sum of what all earlier sites write. Edge e, from
site s into port p, has a mask m_e in [0, 1]:

    port p reads  sum over e into p of  (1 - m_e) * write(s) + m_e * replacement(s)

Patching, ablation, attribution and pruning all evaluate or differentiate this one function of the
masks. LayerNorm does not break it: each port applies the norm of its layer to its own sum.

Axes: variant (rows of masks that run side by side), batch, pos, head, d_model. Edges are ordered by
reader, then by writer, as `Edge` sorts, so the edges into one port are contiguous.

Read `EdgeModel.run` first, then `_read`, which applies the masks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from rasplab.model.threads import few_threads
from rasplab.transformer.forward import attention, head_outputs, hidden_keys, mlp_output, unembed
from rasplab.transformer.sites import Edge, Port, Site
from rasplab.transformer.weights import Weights

PORTS = ("k", "q", "v")
"""A head's ports, in the order in which edges sort."""

TensorFunction = Callable[[Tensor], Tensor]
"""A norm or an activation: any shape to the same shape."""


@dataclass(frozen=True, eq=False)
class Inputs:
    """What a run starts from, in the model's own ids.

    positions  which position embedding each token gets
    real       False after the end of a shorter input: no head attends to a key there
    """

    tokens: Int[Tensor, "batch pos"]
    positions: Int[Tensor, "batch pos"]
    real: Bool[Tensor, "batch pos"]

    def __getitem__(self, rows: slice | Tensor) -> Inputs:
        """The inputs at `rows` of the batch."""
        return Inputs(self.tokens[rows], self.positions[rows], self.real[rows])


@dataclass(frozen=True, eq=False)
class Patch:
    """Masks of all edges, and what replaces the writes of their sources.

    mask     in [0, 1], one for all positions or one for each
    values   what a masked edge carries instead; the axis of variants may be 1
    offsets  what a masked edge carries in addition; given instead of `values`
    """

    mask: Float[Tensor, "variant edge *pos"]
    values: Float[Tensor, "site _variant batch _pos d_model"] | None = None
    offsets: Float[Tensor, "site _variant batch _pos d_model"] | None = None


@dataclass(frozen=True, eq=False)
class EdgeRun:
    """The activations of one run; `variant` is 1 up to the first edge that a patch changes.

    writes    by time: what the embeddings, then each layer's heads and MLP write
    streams   by time: the residual stream that sites of that time read
    patterns  by layer: the attention
    """

    writes: tuple[Float[Tensor, "_site _variant batch pos d_model"], ...]
    streams: tuple[Float[Tensor, "_variant batch pos d_model"], ...]
    patterns: tuple[Float[Tensor, "_variant batch head query key"], ...]
    logits: Float[Tensor, "variant batch pos d_vocab_out"]

    def stacked(self) -> Float[Tensor, "site variant batch pos d_model"]:
        """The writes of every site, in the order of `EdgeModel.writers`."""
        return _stack(self.writes)


@dataclass(frozen=True, eq=False)
class EdgeModel:
    """The weights of a transformer (tensors in `weights`), and runs of it with patched edges.

    scale     attention scores are q.k / scale
    norms     of each layer, before its heads and before its MLP; norm_out: before the unembedding
    b_U       bias of the logits
    """

    weights: Weights
    scale: float
    act: TensorFunction
    causal: bool
    norms: tuple[tuple[TensorFunction, TensorFunction], ...]
    norm_out: TensorFunction
    b_U: Float[Tensor, " d_vocab_out"] | float = 0.0

    @property
    def n_layers(self) -> int:
        """Number of layers."""
        return self.weights.n_layers

    @property
    def n_heads(self) -> int:
        """Heads per layer."""
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
        """The index of each edge in `edges`, and so in masks."""
        return {edge: i for i, edge in enumerate(self.edges)}

    @cached_property
    def dead(self) -> frozenset[Site]:
        """Sites that write 0 on every input, since all the weights they write through are 0."""
        w = self.weights
        silent = {Site("tok_embed"): not w.W_E.any(), Site("pos_embed"): not w.W_pos.any()}
        for layer in range(self.n_layers):
            silent[Site("mlp", layer)] = not (w.W_out[layer].any() or w.b_out[layer].any())
            for h in range(self.n_heads):
                moved = w.W_V[layer, h].any() or w.b_V[layer, h].any()
                silent[Site("head", layer, h)] = not (moved and w.W_O[layer, h].any())
        # asked of the weights, not of activations: a site
        # that happens to write 0 on these inputs is alive
        return frozenset(site for site, dead in silent.items() if dead)

    @cached_property
    def digest(self) -> str:
        """The first 16 hex digits of the SHA-256 of all weights in float64."""
        total = hashlib.sha256()
        for name, tensor in self.weights.arrays().items():
            total.update(name.encode() + tensor.detach().cpu().double().numpy().tobytes())
        return total.hexdigest()[:16]

    def _ports(self, time: int) -> list[Port]:
        # time 0 is the embeddings, 2l + 1 the heads of layer
        # l, 2l + 2 its MLP, 2 n_layers + 1 the unembedding
        layer, odd = divmod(time - 1, 2)
        if time == 2 * self.n_layers + 1:
            return [Port(Site("unembed"), "in")]
        if odd:
            return [Port(Site("mlp", layer), "in")]
        return [Port(Site("head", layer, h), p) for h in range(self.n_heads) for p in PORTS]

    def _n_before(self, time: int) -> int:
        """How many sites write before `time`."""
        layer, odd = divmod(time - 1, 2)
        # two embeddings, then n_heads + 1 sites a layer;
        # an MLP also reads the heads of its own layer
        return 2 + layer * (self.n_heads + 1) + odd * self.n_heads

    @cached_property
    def spans(self) -> tuple[tuple[int, int], ...]:
        """By time: the start and stop in `edges` of those into the ports of that time."""
        # the ports of one time all read the same sites, and edges sort by port: the edges
        # of a time are a rectangle [port, site], row by row, which `_read` relies on
        spans, start = [(0, 0)], 0
        for time in range(1, 2 * self.n_layers + 2):
            stop = start + len(self._ports(time)) * self._n_before(time)
            spans.append((start, stop))
            start = stop
        return tuple(spans)

    def run(
        self, inputs: Inputs, patch: Patch | None = None, base: EdgeRun | None = None
    ) -> EdgeRun:
        """Run with every masked edge patched.

        A replacement enters at the reader's port only; later sites are recomputed from it.

        base  the run of the same inputs without a patch: what comes before the first masked edge is
              copied from it, not computed again
        """
        with few_threads(self.weights.W_E.shape[1]):
            return self._run(inputs, patch, base)

    def _run(self, inputs: Inputs, patch: Patch | None, base: EdgeRun | None) -> EdgeRun:
        first, writes, streams, patterns, x = self._start(inputs, patch, base)
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
                # the heads of a layer share b_O: no edge carries it, and no patch replaces it
                x = x + self.weights.b_O[layer]
            writes.append(written)
            x = x + written.sum(0)
        streams.append(x)
        read = self._read(2 * self.n_layers + 1, x, writes, patch)
        logits = unembed(self.weights, self.norm_out(read[:, 0])) + self.b_U
        return EdgeRun(tuple(writes), tuple(streams), tuple(patterns), logits)

    def _start(
        self, inputs: Inputs, patch: Patch | None, base: EdgeRun | None
    ) -> tuple[int, list[Tensor], list[Tensor], list[Tensor], Tensor]:
        """The first time to compute; writes, streams, patterns before it; the stream it reads."""
        first = self.first_time(patch.mask) if patch is not None and base is not None else 0
        if base is None or first == 0:
            w = self.weights
            embedded = torch.stack([w.W_E[inputs.tokens], w.W_pos[inputs.positions]])[:, None]
            x = embedded.sum(0)
            # streams[t] is what time t reads; at time 0 nothing
            # is read, so that entry only fills a place
            return 1, [embedded], [x], [], x
        # first // 2 of the times before `first` are those of heads, and have a pattern
        before = list(base.writes[:first]), list(base.streams[:first])
        return first, *before, list(base.patterns[: first // 2]), base.streams[first]

    def first_time(self, mask: Float[Tensor, "variant edge *pos"]) -> int:
        """The time of the first reader with a mask that is not 0; of the unembedding if none."""
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
        # masks that are all 0 change nothing, but attribution asks for their gradient
        if not (part.requires_grad or part.any()):
            return x[:, None]
        n = self._n_before(time)
        shape = (len(part), (stop - start) // n, n, *part.shape[2:])
        if patch.offsets is not None:
            delta = patch.offsets[:n]
        else:
            assert patch.values is not None, "a patch has values or offsets"
            delta = patch.values[:n] - _stack(writes)
        # sum of (1 - m) * write + m * replacement  =  stream + sum of m * (replacement - write)
        return x[:, None] + _weighted(part.reshape(shape), delta)

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
        # ports sort by head, and within a head as PORTS
        k, q, v = read.unflatten(2, (self.n_heads, len(PORTS))).unbind(3)
        return k, q, v

    def _mlp(self, layer: int, read: Tensor) -> Tensor:
        """What the MLP writes [1, V, batch, pos, d_model]."""
        x = self.norms[layer][1](read[:, 0])
        return mlp_output(self.weights, layer, x, self.act)[None]


def _stack(writes: Sequence[Tensor]) -> Tensor:
    """Groups of writes as one tensor; variants are spread where only some groups have them."""
    n = max(w.shape[1] for w in writes)
    return torch.cat([w.expand(-1, n, -1, -1, -1) for w in writes])


def _weighted(mask: Tensor, delta: Tensor) -> Tensor:
    """Sum over sites of mask x delta: [variant, port, batch, pos, d_model].

    mask   [variant, port, site(, pos)];  delta  [site, variant or 1, batch, pos, d_model]
    """
    if mask.dim() == 4:
        return torch.einsum("vpst,svbtd->vpbtd", mask, delta.expand(-1, len(mask), -1, -1, -1))
    # one matrix product for all variants, where all are patched with the same values
    if delta.shape[1] == 1:
        return torch.einsum("vps,sbtd->vpbtd", mask, delta[:, 0])
    return torch.einsum("vps,svbtd->vpbtd", mask, delta.expand(-1, len(mask), -1, -1, -1))

"""The forward pass of a transformer, piece by piece: weights and ids -> logits.

Each piece works on arrays of numpy and on tensors of torch, which torch differentiates:
  embed -> attention -> head_outputs or attention_output -> mlp_output -> unembed
`activations` composes them into the plain pass; callers that change what is read or written in
between compose the pieces themselves. Norms and positions other than learned ones are not here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic

import numpy as np
from jaxtyping import Bool, Float, Int

from rasplab.transformer.weights import Array, Weights


@dataclass(frozen=True, slots=True)
class Activations(Generic[Array]):
    """What weights compute on a batch; position 0 is BOS.

    stream    the residual stream before each layer and after the last
    patterns  the attention of each layer
    """

    logits: Float[Array, "batch pos d_vocab_out"]
    stream: tuple[Float[Array, "batch pos d_model"], ...]
    patterns: tuple[Float[Array, "batch head query key"], ...]


def activations(
    weights: Weights[Array],
    ids: Int[Array, "batch pos"],
    causal: bool = False,
    write: Callable[[Array], Array] | None = None,
) -> Activations[Array]:
    """The plain forward pass of relu weights with scale `attn_scale`; BOS is put before every row.

    ids    vocabulary ids from 0, all rows of one length
    write  applied to everything that is added to the residual stream (embeddings, attention output
           with its bias, MLP output)
    """
    tokens = with_bos(ids)
    hidden = hidden_keys(tokens >= 0, causal)
    x = embed(weights, tokens)
    x = write(x) if write else x
    stream, patterns = [x], []
    for layer in range(weights.n_layers):
        z, pattern = self_attention(weights, layer, x, hidden, weights.attn_scale)
        output = attention_output(weights, layer, z)
        x = x + (write(output) if write else output)
        output = mlp_output(weights, layer, x, relu)
        x = x + (write(output) if write else output)
        stream.append(x)
        patterns.append(pattern)
    return Activations(unembed(weights, x), tuple(stream), tuple(patterns))


def with_bos(ids: Int[Array, "batch pos"]) -> Int[Array, "batch 1+pos"]:
    """The model's ids of vocabulary ids from 0: BOS, which is 0, then 1 + id."""
    lib = _library(ids)
    return lib.concatenate([lib.zeros_like(ids[:, :1]), ids + 1], -1)


def hidden_keys(real: Bool[Array, "*batch pos"], causal: bool) -> Bool[Array, "*batch query key"]:
    """Where attention must be 0: keys after the end of an input, and after the query where causal.

    real  False after the end of an input that is shorter than its row
    """
    lib = _library(real)
    # row = query, column = key; the triangle above the diagonal is what comes after the query
    every = lib.ones_like(real[..., None] | real[..., None, :])
    return ~real[..., None, :] | (lib.triu(every, 1) & causal)


def embed(
    w: Weights[Array], tokens: Int[Array, "*batch pos"]
) -> Float[Array, "*batch pos d_model"]:
    """Token plus position embedding of the model's ids, at positions 0, 1, ..."""
    return w.W_E[tokens] + w.W_pos[: tokens.shape[-1]]


def attention(
    w: Weights[Array],
    layer: int,
    q_in: Float[Array, "*batch q_heads pos d_model"],
    k_in: Float[Array, "*batch k_heads pos d_model"],
    v_in: Float[Array, "*batch v_heads pos d_model"],
    hidden: Bool[Array, "*#batch query key"],
    scale: float,
) -> tuple[Float[Array, "*batch head pos d_head"], Float[Array, "*batch head query key"]]:
    """z, the mean of the values each query attends to, and the attention pattern of every head.

    q_in, k_in, v_in  what the heads read for their queries, keys and values; the axis of heads is 1
                      where all of them read the same
    hidden            from `hidden_keys`; broadcast against the batch
    """
    q = _by_head(q_in, w.W_Q[layer]) + w.b_Q[layer][:, None]
    k = _by_head(k_in, w.W_K[layer]) + w.b_K[layer][:, None]
    v = _by_head(v_in, w.W_V[layer]) + w.b_V[layer][:, None]
    # [*batch, head, query, key]; `hidden` is the same for all heads
    pattern = _softmax(q @ k.swapaxes(-1, -2) / scale, hidden[..., None, :, :])
    return pattern @ v, pattern


def self_attention(
    w: Weights[Array],
    layer: int,
    x: Float[Array, "*batch pos d_model"],
    hidden: Bool[Array, "*#batch query key"],
    scale: float,
) -> tuple[Float[Array, "*batch head pos d_head"], Float[Array, "*batch head query key"]]:
    """`attention` of heads that read queries, keys and values from the same stream x."""
    q_in, k_in, v_in = (x[..., None, :, :] for _ in range(3))
    return attention(w, layer, q_in, k_in, v_in, hidden, scale)


def head_outputs(
    w: Weights[Array], layer: int, z: Float[Array, "*batch head pos d_head"]
) -> Float[Array, "*batch head pos d_model"]:
    """What each head writes to the residual stream: z @ W_O, without the bias that heads share."""
    return _by_head(z, w.W_O[layer])


def attention_output(
    w: Weights[Array], layer: int, z: Float[Array, "*batch head pos d_head"]
) -> Float[Array, "*batch pos d_model"]:
    """What all heads of a layer write together, their common bias included."""
    if isinstance(z, np.ndarray):
        return (z @ w.W_O[layer]).sum(-3) + w.b_O[layer]
    return _library(z).einsum("...hte,hed->...td", z, w.W_O[layer]) + w.b_O[layer]


def mlp_output(
    w: Weights[Array],
    layer: int,
    x: Float[Array, "*batch pos d_model"],
    act: Callable[[Array], Array],
) -> Float[Array, "*batch pos d_model"]:
    """What the MLP of a layer writes to the residual stream, its bias included."""
    return act(x @ w.W_in[layer] + w.b_in[layer]) @ w.W_out[layer] + w.b_out[layer]


def unembed(
    w: Weights[Array], x: Float[Array, "*batch pos d_model"]
) -> Float[Array, "*batch pos d_vocab_out"]:
    """The logits at every position, BOS included."""
    return x @ w.W_U


def relu(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """max(x, 0); its gradient at 0 is 0."""
    # torch.maximum would pass half of the gradient on at 0
    lib = _library(x)
    return lib.maximum(x, 0) if lib is np else lib.relu(x)


def _library(array: object) -> Any:
    """numpy or torch, whichever made `array`."""
    if isinstance(array, np.ndarray):
        return np
    import torch

    return torch


def _by_head(x: Any, weight: Any) -> Any:
    """x [*batch, 1 or head, pos, in] times weight [head, in, out]: [*batch, head, pos, out]."""
    if isinstance(x, np.ndarray):
        return x @ weight
    einsum = _library(x).einsum
    if x.shape[-3] == 1:  # `@` would copy x for every head
        return einsum("...ti,hio->...hto", x[..., 0, :, :], weight)
    return einsum("...hti,hio->...hto", x, weight)


def _softmax(scores: Any, hidden: Any) -> Any:
    """Softmax over the last axis, 0 where `hidden`; no row may be hidden as a whole."""
    if not isinstance(scores, np.ndarray):
        return scores.masked_fill(hidden, float("-inf")).softmax(-1)
    # minus the largest score, so that no exponential overflows
    scores = np.where(hidden, -np.inf, scores)
    exp = np.exp(scores - scores.max(-1, keepdims=True))
    return exp / exp.sum(-1, keepdims=True)

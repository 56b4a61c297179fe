"""From a layout to dense weights, and what they compute, in numpy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rasplab.base.errors import CompileError
from rasplab.base.limits import current, way_out
from rasplab.compiler.layout.place import Layout
from rasplab.compiler.lower.residual import LinearForm
from rasplab.program.domain import Domain
from rasplab.transformer.weights import Weights


def assemble(layout: Layout, read_out: list[LinearForm], domain: Domain) -> Weights:
    """Dense float64 weights; their attn_scale is folded into W_Q and b_Q.

    read_out  one form per logit; its constant is read from direction 0, which is 1 at every token
    """
    d, h, m = layout.d_model, layout.d_head, layout.d_mlp
    shape = (layout.n_layers, layout.n_heads)
    _check_memory(layout, domain, len(read_out))
    w = Weights(
        W_E=np.zeros((len(domain.vocab) + 1, d)), W_pos=np.zeros((domain.max_len + 1, d)),
        W_Q=np.zeros((*shape, d, h)), W_K=np.zeros((*shape, d, h)), W_V=np.zeros((*shape, d, h)),
        b_Q=np.zeros((*shape, h)), b_K=np.zeros((*shape, h)), b_V=np.zeros((*shape, h)),
        W_O=np.zeros((*shape, h, d)), b_O=np.zeros((layout.n_layers, d)),
        W_in=np.zeros((layout.n_layers, d, m)), b_in=np.zeros((layout.n_layers, m)),
        W_out=np.zeros((layout.n_layers, m, d)), b_out=np.zeros((layout.n_layers, d)),
        W_U=np.zeros((d, len(read_out))),
    )  # fmt: skip
    for k, direction in enumerate(layout.directions):
        if direction.site == "tok":
            w.W_E[1:, k] = direction.table
        elif direction.site == "pos":
            w.W_pos[1:, k] = direction.table
    for layer, head, spec in layout.heads:
        for k, (q, key) in enumerate(spec.pairs):
            _read(w.W_Q[layer, head], w.b_Q[layer, head], k, q.scaled(w.attn_scale))
            _read(w.W_K[layer, head], w.b_K[layer, head], k, key)
        for k, (value, direction) in enumerate(spec.outs):
            _read(w.W_V[layer, head], w.b_V[layer, head], k, value)
            w.W_O[layer, head, k, direction] = 1.0
    for layer, k, neuron in layout.neurons:
        _read(w.W_in[layer], w.b_in[layer], k, neuron.pre)
        for direction, weight in neuron.outs.items():
            w.W_out[layer, k, direction] = weight
    for k, form in enumerate(read_out):
        for direction, c in (form + LinearForm(((0, form.const),), -form.const)).terms:
            w.W_U[direction, k] = c
    return w


def _check_memory(layout: Layout, domain: Domain, logits: int) -> None:
    """Refuse weights that, with the model made of them, would not fit."""
    d, layers = layout.d_model, layout.n_layers
    heads = 4 * layers * layout.n_heads * d * layout.d_head
    rows = len(domain.vocab) + domain.max_len + 2 + logits
    count = heads + 2 * layers * d * layout.d_mlp + rows * d
    if count * BYTES_A_WEIGHT > current().memory:
        raise CompileError(
            f"the model would have {count:,} weights: {count * BYTES_A_WEIGHT / 2**30:,.1f} GiB",
            hint=f"use a smaller vocabulary or max_len; {way_out('memory')}",
        )


def _read(matrix: np.ndarray, bias: np.ndarray, column: int, form: LinearForm) -> None:
    for direction, c in form.terms:
        matrix[direction, column] = c
    bias[column] = form.const


BYTES_A_WEIGHT = 24
"""A float64 in the arrays, one on its way, one in the model."""


@dataclass(frozen=True)
class Run:
    """What weights compute on a batch; position 0 is BOS.

    logits    [batch, pos, d_vocab_out], at the tokens
    stream    the residual stream before each layer and after the last: [batch, pos, d_model]
    patterns  per layer the attention: [batch, head, query, key]
    """

    logits: np.ndarray
    stream: tuple[np.ndarray, ...]
    patterns: tuple[np.ndarray, ...]


def forward(
    weights: Weights, ids: np.ndarray, causal: bool = False, dtype=np.float64
) -> np.ndarray:
    """Logits [batch, pos, d_vocab_out] at the tokens (BOS dropped), for vocabulary ids [batch,
    pos].
    """
    return run(weights, ids, causal, dtype).logits


def run(weights: Weights, ids: np.ndarray, causal: bool = False, dtype=np.float64) -> Run:
    """Everything that `weights` compute for vocabulary ids [batch, pos], without torch."""
    w = Weights(**{name: a.astype(dtype) for name, a in weights.arrays().items()})
    tokens = np.concatenate([np.zeros((len(ids), 1), int), ids + 1], 1)
    n = tokens.shape[1]
    stream, patterns = [w.W_E[tokens] + w.W_pos[:n]], []
    mask = np.where(np.tri(n, dtype=bool) | (not causal), 0.0, -np.inf).astype(dtype)
    for layer in range(w.W_Q.shape[0]):
        written, pattern = _attend(w, layer, stream[-1], mask)
        x = stream[-1] + written
        hidden = np.maximum(x @ w.W_in[layer] + w.b_in[layer], 0)
        stream.append(x + hidden @ w.W_out[layer] + w.b_out[layer])
        patterns.append(pattern)
    return Run((stream[-1] @ w.W_U)[:, 1:], tuple(stream), tuple(patterns))


def _attend(
    w: Weights, layer: int, x: np.ndarray, mask: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    total, patterns = np.zeros_like(x) + w.b_O[layer], []
    for head in range(w.W_Q.shape[1]):
        q = x @ w.W_Q[layer, head] + w.b_Q[layer, head]
        k = x @ w.W_K[layer, head] + w.b_K[layer, head]
        v = x @ w.W_V[layer, head] + w.b_V[layer, head]
        scores = q @ k.transpose(0, 2, 1) / w.attn_scale + mask
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        patterns.append(weights / weights.sum(-1, keepdims=True))
        total = total + patterns[-1] @ v @ w.W_O[layer, head]
    return total, np.stack(patterns, 1) if patterns else np.zeros((len(x), 0, *mask.shape))

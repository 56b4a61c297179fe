"""The compiler's fourth stage: from a layout to dense weights."""

from __future__ import annotations

import numpy as np

from rasplab.base.errors import CompileError
from rasplab.base.limits import current, way_out
from rasplab.base.text import size_text
from rasplab.compiler.layout.place import Layout
from rasplab.compiler.lower.residual import TOKEN_FLAG, LinearForm
from rasplab.program.domain import Domain
from rasplab.transformer.weights import Weights

BYTES_A_WEIGHT = 24
"""A float64 in the arrays, one on its way, one in the model."""


def assemble(layout: Layout, domain: Domain) -> Weights:
    """Dense float64 weights; their attn_scale is folded into W_Q and b_Q.

    Raises CompileError where they, with the model made of them, would not fit into memory.
    """
    _check_memory(layout, domain)
    weights = _zeros(layout, domain)
    _write_embeddings(weights, layout)
    _write_heads(weights, layout)
    _write_neurons(weights, layout)
    _write_unembedding(weights, layout)
    return weights


def _check_memory(layout: Layout, domain: Domain) -> None:
    d, layers = layout.d_model, layout.n_layers
    # W_Q, W_K, W_V and W_O; then W_in and W_out; then embeddings (BOS in both) and unembedding
    heads = 4 * layers * layout.n_heads * d * layout.d_head
    rows = len(domain.vocab) + domain.max_len + 2 + len(layout.read_out)
    count = heads + 2 * layers * d * layout.d_mlp + rows * d
    if count * BYTES_A_WEIGHT > current().memory:
        raise CompileError(
            f"the model would have {count:,} weights: {size_text(count * BYTES_A_WEIGHT)}",
            hint=f"use a smaller vocabulary or max_len; {way_out('memory')}",
        )


def _zeros(layout: Layout, domain: Domain) -> Weights:
    d, h, m, layers = layout.d_model, layout.d_head, layout.d_mlp, layout.n_layers
    heads = (layers, layout.n_heads)
    return Weights(
        W_E=np.zeros((len(domain.vocab) + 1, d)),
        W_pos=np.zeros((domain.max_len + 1, d)),
        W_Q=np.zeros((*heads, d, h)),
        W_K=np.zeros((*heads, d, h)),
        W_V=np.zeros((*heads, d, h)),
        b_Q=np.zeros((*heads, h)),
        b_K=np.zeros((*heads, h)),
        b_V=np.zeros((*heads, h)),
        W_O=np.zeros((*heads, h, d)),
        b_O=np.zeros((layers, d)),
        W_in=np.zeros((layers, d, m)),
        b_in=np.zeros((layers, m)),
        W_out=np.zeros((layers, m, d)),
        b_out=np.zeros((layers, d)),
        W_U=np.zeros((d, len(layout.read_out))),
    )


def _write_embeddings(w: Weights, layout: Layout) -> None:
    """Columns of W_E and W_pos; row 0, BOS, stays 0, as embedded directions are 0 there."""
    for k, direction in enumerate(layout.directions):
        if direction.site == "tok":
            w.W_E[1:, k] = direction.table
        elif direction.site == "pos":
            w.W_pos[1:, k] = direction.table


def _write_heads(w: Weights, layout: Layout) -> None:
    for layer, head, spec in layout.heads:
        for k, (query, key) in enumerate(spec.pairs):
            # The model divides scores by attn_scale, a power of 2: exact both ways.
            _write_form(w.W_Q[layer, head], w.b_Q[layer, head], k, query.scaled(w.attn_scale))
            _write_form(w.W_K[layer, head], w.b_K[layer, head], k, key)
        for k, (value, direction) in enumerate(spec.outs):
            _write_form(w.W_V[layer, head], w.b_V[layer, head], k, value)
            w.W_O[layer, head, k, direction] = 1.0  # one dimension of the head per direction


def _write_neurons(w: Weights, layout: Layout) -> None:
    for layer, k, neuron in layout.neurons:
        _write_form(w.W_in[layer], w.b_in[layer], k, neuron.pre)
        for direction, weight in neuron.outs.items():
            w.W_out[layer, k, direction] = weight


def _write_unembedding(w: Weights, layout: Layout) -> None:
    """Columns of W_U, which has no bias: constants are read from the token flag, 1 at tokens."""
    for k, form in enumerate(layout.read_out):
        flag = LinearForm(((TOKEN_FLAG, form.const),), -form.const)
        for direction, c in (form + flag).terms:
            w.W_U[direction, k] = c


def _write_form(matrix: np.ndarray, bias: np.ndarray, column: int, form: LinearForm) -> None:
    for direction, c in form.terms:
        matrix[direction, column] = c
    bias[column] = form.const

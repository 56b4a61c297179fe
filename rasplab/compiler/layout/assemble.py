"""From a layout to dense weights, in numpy."""

from __future__ import annotations

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

"""Weights with other heads: heads as arrays of their own, put together into weights again.

`heads_of` takes weights apart, `with_heads` puts any heads in their place, in any number and of any
width; `widened` makes room in the residual stream. `planted` makes its models of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from rasplab.transformer.weights import Weights


@dataclass(frozen=True, eq=False)
class Head:
    """The arrays of one head, as in Weights."""

    W_Q: Float[np.ndarray, "d_model d_head"]
    W_K: Float[np.ndarray, "d_model d_head"]
    W_V: Float[np.ndarray, "d_model d_head"]
    b_Q: Float[np.ndarray, " d_head"]
    b_K: Float[np.ndarray, " d_head"]
    b_V: Float[np.ndarray, " d_head"]
    W_O: Float[np.ndarray, "d_head d_model"]

    def writing(self, factor: float) -> Head:
        """The head with everything that it writes times a factor."""
        return replace(self, W_O=factor * self.W_O)


def heads_of(weights: Weights) -> list[list[Head]]:
    """The heads of every layer."""
    arrays = [getattr(weights, name) for name in Head.__dataclass_fields__]
    return [
        [Head(*(a[layer, head] for a in arrays)) for head in range(weights.n_heads)]
        for layer in range(weights.n_layers)
    ]


def with_heads(weights: Weights, layers: list[list[Head]]) -> Weights:
    """The weights with other heads; further layers have no neurons, and missing heads do nothing.

    Heads may have different widths: scores are scaled for the widest.
    """
    count = max(map(len, layers))
    d_head = max(head.W_Q.shape[1] for heads in layers for head in heads)
    d_model = weights.W_E.shape[1]
    arrays = {
        name: np.zeros((len(layers), count, *shape))
        for names, shape in (
            (("W_Q", "W_K", "W_V"), (d_model, d_head)),
            (("b_Q", "b_K", "b_V"), (d_head,)),
            (("W_O",), (d_head, d_model)),
        )
        for name in names
    }
    for layer, heads in enumerate(layers):
        for i, head in enumerate(heads):
            for name, array in arrays.items():
                part = getattr(head, name)
                array[layer, i][tuple(slice(n) for n in part.shape)] = part
    further = len(layers) - weights.n_layers
    mlps = {
        name: np.pad(a, [(0, further)] + [(0, 0)] * (a.ndim - 1))
        for name in ("b_O", "W_in", "b_in", "W_out", "b_out")
        if (a := getattr(weights, name)) is not None
    }
    grown = replace(weights, **arrays, **mlps)
    ratio = grown.attn_scale / weights.attn_scale
    return replace(grown, W_Q=grown.W_Q * ratio, b_Q=grown.b_Q * ratio)


def widened(weights: Weights, by: int) -> Weights:
    """The weights with `by` further directions of the residual stream, which nothing uses yet."""
    last = {"W_E", "W_pos", "W_O", "b_O", "W_out", "b_out"}
    before_last = {"W_Q", "W_K", "W_V", "W_in", "W_U"}
    arrays = {}
    for name, array in weights.arrays().items():
        pads = [(0, 0)] * array.ndim
        if name in last:
            pads[-1] = (0, by)
        elif name in before_last:
            pads[-2] = (0, by)
        arrays[name] = np.pad(array, pads)
    return replace(weights, **arrays)

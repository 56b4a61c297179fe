"""Weights of a decoder-style transformer as plain arrays: what the compiler makes and models load.

Arrays are of numpy or of torch, all of one kind; nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from math import log2, prod
from typing import Any, Generic, TypeVar

from jaxtyping import Float

Array = TypeVar("Array", bound=Any)
"""np.ndarray or torch.Tensor; not named here, since naming the latter would import torch."""


@dataclass(frozen=True, slots=True)
class Weights(Generic[Array]):
    """All parameters of a transformer without LayerNorm; every layer computes x @ W + b.

    Attention scores are q.k / attn_scale + mask; the MLP is a relu, unless a model says otherwise.
    Row 0 of W_E is BOS and row 1 + t is token t of the vocabulary; row 0 of W_pos is the position
    of BOS and row 1 + i is position i of RASP. The unembedding has no bias.
    """

    W_E: Float[Array, "d_vocab d_model"]
    W_pos: Float[Array, "n_ctx d_model"]
    W_Q: Float[Array, "layer head d_model d_head"]
    W_K: Float[Array, "layer head d_model d_head"]
    W_V: Float[Array, "layer head d_model d_head"]
    b_Q: Float[Array, "layer head d_head"]
    b_K: Float[Array, "layer head d_head"]
    b_V: Float[Array, "layer head d_head"]
    W_O: Float[Array, "layer head d_head d_model"]
    b_O: Float[Array, "layer d_model"]
    W_in: Float[Array, "layer d_model d_mlp"]
    b_in: Float[Array, "layer d_mlp"]
    W_out: Float[Array, "layer d_mlp d_model"]
    b_out: Float[Array, "layer d_model"]
    W_U: Float[Array, "d_model d_vocab_out"]

    def arrays(self) -> dict[str, Float[Array, "*shape"]]:
        """Every array by name, in a fixed order."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    def map(self, function: Callable[[Any], Any]) -> Weights:
        """The weights with `function` applied to each array; shapes may not change."""
        return Weights(**{name: function(a) for name, a in self.arrays().items()})

    @property
    def n_layers(self) -> int:
        """Layers of the transformer."""
        return self.W_Q.shape[0]

    @property
    def n_heads(self) -> int:
        """Heads in each layer."""
        return self.W_Q.shape[1]

    @property
    def attn_scale(self) -> float:
        """The power of 2 nearest to sqrt(d_head), at least 2: scores of whole numbers stay whole.

        TransformerLens refuses a scale of 1 for d_head > 1.
        """
        # log2 of the square root is half of log2; a head of width 0 counts as one of width 1
        return 2.0 ** max(1, round(log2(max(1, self.W_Q.shape[3])) / 2))

    @property
    def n_params(self) -> int:
        """Size of the dense weights."""
        return sum(prod(a.shape) for a in self.arrays().values())

    @property
    def nonzero_params(self) -> int:
        """How many of them are not 0."""
        return sum(int((a != 0).sum()) for a in self.arrays().values())

    def shape(self) -> dict[str, int]:
        """n_layers, n_heads, d_head, d_model, d_mlp, d_vocab, d_vocab_out, n_ctx."""
        n_layers, n_heads, d_model, d_head = self.W_Q.shape
        return {
            "n_layers": n_layers,
            "n_heads": n_heads,
            "d_head": d_head,
            "d_model": d_model,
            "d_mlp": self.W_in.shape[2],
            "d_vocab": self.W_E.shape[0],
            "d_vocab_out": self.W_U.shape[1],
            "n_ctx": self.W_pos.shape[0],
        }

"""Weights of a decoder-style transformer as plain arrays: what the compiler makes and models load."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np


@dataclass(frozen=True, slots=True)
class Weights:
    """All parameters; x @ W + b everywhere. Scores are q.k / attn_scale + mask; the MLP is relu; no
    LayerNorm.

    W_E [d_vocab, d_model]     row 0 is BOS, row 1 + t is token t of the vocabulary
    W_pos [n_ctx, d_model]     row 0 is BOS's position; RASP position i is row i + 1
    W_Q, W_K, W_V [layer, head, d_model, d_head]    b_Q, b_K, b_V [layer, head, d_head]
    W_O [layer, head, d_head, d_model]              b_O [layer, d_model]
    W_in [layer, d_model, d_mlp]  b_in [layer, d_mlp]  W_out [layer, d_mlp, d_model]  b_out [layer,
                                  d_model]
    W_U [d_model, d_vocab_out]    no bias
    """

    W_E: np.ndarray
    W_pos: np.ndarray
    W_Q: np.ndarray
    W_K: np.ndarray
    W_V: np.ndarray
    b_Q: np.ndarray
    b_K: np.ndarray
    b_V: np.ndarray
    W_O: np.ndarray
    b_O: np.ndarray
    W_in: np.ndarray
    b_in: np.ndarray
    W_out: np.ndarray
    b_out: np.ndarray
    W_U: np.ndarray

    def arrays(self) -> dict[str, np.ndarray]:
        """Every array by name, in a fixed order."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    @property
    def attn_scale(self) -> float:
        """The power of 2 nearest to sqrt(d_head), but not 1, which TransformerLens refuses: scores
        of whole numbers stay whole.
        """
        return 2.0 ** max(1, round(np.log2(max(1, self.W_Q.shape[3])) / 2))

    @property
    def n_params(self) -> int:
        """Size of the dense weights."""
        return sum(a.size for a in self.arrays().values())

    @property
    def nonzero_params(self) -> int:
        """How many of them are not 0."""
        return sum(int(np.count_nonzero(a)) for a in self.arrays().values())

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

"""Models that Tracr assembled, as LensModels.

The weights are read with TransformerLens' own utility; neither Tracr nor JAX is needed for that,
only the object that Tracr made, or one with the same attributes. Both compilers put BOS at position
0.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from rasplab.base.arguments import DEVICE, TEXT, TRACR, choice, optional, takes
from rasplab.model.bridge import LensModel
from rasplab.model.native import load_weights
from rasplab.program.domain import make_domain
from rasplab.transformer.readout import Readout
from rasplab.transformer.weights import Weights


@takes(
    assembled=TRACR, output_label=optional(TEXT), device=DEVICE, dtype=choice("float32", "float64")
)
def from_tracr(
    assembled: Any, output_label: str | None = None, device: str = "auto", dtype: str = "float32"
) -> LensModel:
    """The model of a Tracr `AssembledTransformerModel` with a categorical output.

    Check it with `rasplab.verify(model, program=program)`: what Tracr compiled may be wrong.

    output_label  the RASP label of its output, where the residual labels do not determine it

    Raises ValueError or NotImplementedError, as the utility of TransformerLens does, for numerical
    outputs, LayerNorm, or an output that is not determined.
    """
    from transformer_lens.utilities.tracr import (
        make_tracr_transformer_bridge_config,
        make_tracr_transformer_bridge_state_dict,
    )

    config = make_tracr_transformer_bridge_config(assembled)
    stored = make_tracr_transformer_bridge_state_dict(assembled, output_label, dtype=torch.float64)
    encoder = assembled.input_encoder
    special = {encoder.bos_token, encoder.pad_token}
    ids = {token: i for token, i in encoder.encoding_map.items() if token not in special}
    rows = [encoder.encoding_map[encoder.bos_token], *ids.values()]
    domain = make_domain(ids, config.n_ctx - 1, config.attention_dir == "causal")
    values = sorted(assembled.output_encoder.encoding_map.items(), key=lambda item: item[1])
    weights = _weights({k: v.numpy() for k, v in stored.items()}, config, rows)
    return load_weights(weights, domain, Readout(tuple(v for v, _ in values)), device, dtype)


def _weights(stored: dict[str, np.ndarray], config: Any, rows: list[int]) -> Weights:
    """The stored parameters as Weights; `rows` are the ids of BOS and of the domain's tokens."""
    heads, d_head, d_model = config.n_heads, config.d_head, config.d_model

    def layers(name: str) -> np.ndarray:
        return np.stack([stored[f"layers.{i}.{name}"] for i in range(config.n_layers)])

    def split(which: str) -> tuple[np.ndarray, np.ndarray]:
        matrix = layers(f"attn.{which}.weight").reshape(-1, heads, d_head, d_model)
        return matrix.swapaxes(2, 3), layers(f"attn.{which}.bias").reshape(-1, heads, d_head)

    (W_Q, b_Q), (W_K, b_K), (W_V, b_V) = map(split, "qkv")
    W_O = layers("attn.o.weight").swapaxes(1, 2).reshape(-1, heads, d_head, d_model)
    weights = Weights(
        W_E=stored["tok_embed.weight"][rows],
        W_pos=stored["pos.weight"],
        W_Q=W_Q,
        W_K=W_K,
        W_V=W_V,
        b_Q=b_Q,
        b_K=b_K,
        b_V=b_V,
        W_O=W_O,
        b_O=layers("attn.o.bias"),
        W_in=layers("mlp.fc_in.weight").swapaxes(1, 2),
        b_in=layers("mlp.fc_in.bias"),
        W_out=layers("mlp.fc_out.weight").swapaxes(1, 2),
        b_out=layers("mlp.fc_out.bias"),
        W_U=stored["head.weight"].T,
    )
    # scores are divided by attn_scale here, by sqrt(d_head) in Tracr's model
    scale = weights.attn_scale / np.sqrt(d_head)
    return replace(weights, W_Q=W_Q * scale, b_Q=b_Q * scale)

"""Native TransformerBridges: weights or a shape -> LensModel, and a model's parameters by name.

`boot` is the only call that makes one; `load_weights` fills it with given weights, `fresh_model` and
`reinitialised` with random ones. Widths of 0 become 1, since TransformerLens has no empty parts.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from rasplab.base.errors import RaspValueError
from rasplab.compiler.compiled import Compiled
from rasplab.model.bridge import LensModel, resolve_device
from rasplab.program.domain import Domain
from rasplab.transformer.readout import Readout
from rasplab.transformer.weights import Weights


def boot(device: str | torch.device, dtype: torch.dtype, **config: Any) -> Any:
    """A native TransformerBridge; `config` are TransformerBridgeConfig's own names."""
    from transformer_lens.config import TransformerBridgeConfig
    from transformer_lens.model_bridge import TransformerBridge

    cfg = TransformerBridgeConfig(architecture="TransformerLensNative", dtype=dtype, **config)
    return TransformerBridge.boot_native(cfg, device=resolve_device(device), dtype=dtype)


def attention_dir(domain: Domain) -> str:
    """TransformerLens' word for causal or not."""
    return "causal" if domain.causal else "bidirectional"


def to_model(compiled: Compiled, device: str = "auto", dtype: str | None = None) -> LensModel:
    """The weights of a compiled program in a TransformerLens model.

    device  "auto" (cuda where there is one), "cpu" or "cuda"
    dtype   "float32" or "float64"; by default the certificate's
    """
    return load_weights(
        compiled.weights,
        compiled.domain,
        compiled.readout,
        device=device,
        dtype=dtype or compiled.certificate.dtype,
        compiled=compiled,
        further=compiled.further,
    )


def load_weights(
    weights: Weights,
    domain: Domain,
    readout: Readout,
    device: str = "auto",
    dtype: str = "float32",
    compiled: Any = None,
    further: tuple[Readout, ...] = (),
) -> LensModel:
    """The model of these weights, loaded as they are (see Weights for shapes and scale).

    A width of 0 (no head, no neuron) becomes one that is all zero,
    since TransformerLens has no empty ones.
    """
    weights = padded(weights)
    lens = boot(
        device, getattr(torch, dtype), act_fn="relu", normalization_type=None,
        attention_dir=attention_dir(domain), init_weights=False, attn_scale=weights.attn_scale,
        **weights.shape(),
    )  # fmt: skip
    with torch.no_grad():
        for name, array in parameters_of(weights).items():
            _parameter(lens, name).copy_(torch.from_numpy(np.ascontiguousarray(array)))
    lens.eval()
    return LensModel(lens, domain, readout, compiled, further=further)


def padded(weights: Weights) -> Weights:
    """The same weights with every width of heads and MLP at least 1."""
    wanted = {name: max(1, size) for name, size in weights.shape().items() if name != "n_layers"}
    if all(weights.shape()[name] == size for name, size in wanted.items()):
        return weights
    layers, heads, d_head, d_mlp = (
        weights.W_Q.shape[0],
        wanted["n_heads"],
        wanted["d_head"],
        wanted["d_mlp"],
    )
    d_model = wanted["d_model"]
    shapes = {
        **dict.fromkeys(("W_Q", "W_K", "W_V"), (layers, heads, d_model, d_head)),
        **dict.fromkeys(("b_Q", "b_K", "b_V"), (layers, heads, d_head)),
        "W_O": (layers, heads, d_head, d_model),
        "W_in": (layers, d_model, d_mlp), "b_in": (layers, d_mlp),
        "W_out": (layers, d_mlp, d_model),
    }  # fmt: skip
    return replace(
        weights, **{name: _grown(getattr(weights, name), shape) for name, shape in shapes.items()}
    )


def _grown(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    grown = np.zeros(shape, array.dtype)
    grown[tuple(slice(n) for n in array.shape)] = array
    return grown


def parameters_of(weights: Weights) -> dict[str, np.ndarray]:
    """The native module's parameters by name; its Linear layers hold [out, in]."""
    named = {
        "tok_embed.weight": weights.W_E,
        "pos.weight": weights.W_pos,
        "head.weight": weights.W_U.T,
    }
    for layer in range(weights.W_Q.shape[0]):
        at = f"layers.{layer}."
        for letter in "QKV":
            named[f"{at}attn.{letter.lower()}.weight"] = _joined(
                getattr(weights, f"W_{letter}")[layer]
            )
            named[f"{at}attn.{letter.lower()}.bias"] = getattr(weights, f"b_{letter}")[
                layer
            ].reshape(-1)
        named[f"{at}attn.o.weight"] = weights.W_O[layer].reshape(-1, weights.W_O.shape[-1]).T
        named[f"{at}attn.o.bias"] = weights.b_O[layer]
        named[f"{at}mlp.fc_in.weight"] = weights.W_in[layer].T
        named[f"{at}mlp.fc_in.bias"] = weights.b_in[layer]
        named[f"{at}mlp.fc_out.weight"] = weights.W_out[layer].T
        named[f"{at}mlp.fc_out.bias"] = weights.b_out[layer]
    return named


def _joined(per_head: np.ndarray) -> np.ndarray:
    """[head, d_model, d_head] as [head * d_head, d_model]."""
    return per_head.transpose(0, 2, 1).reshape(-1, per_head.shape[1])


def plain_parameters(lens: Any) -> dict[str, torch.Tensor]:
    """The native module's parameters by its own names, without the wrappers of the bridge."""
    return {
        name.replace("_original_component.", ""): p
        for name, p in lens.original_model.named_parameters()
    }


def _parameter(lens: Any, name: str) -> torch.Tensor:
    parameters = plain_parameters(lens)
    assert name in parameters, f"no parameter {name}; there are {sorted(parameters)}"
    return parameters[name]


def fresh_model(
    domain: Domain,
    readout: Readout,
    layers: int,
    heads: int,
    d_model: int,
    d_mlp: int,
    seed: int = 0,
    norm: str | None = "LN",
    act: str = "gelu",
    device: str = "auto",
) -> LensModel:
    """An untrained model for `domain`, its weights drawn with `seed`; d_head is d_model / heads.

    d_mlp 0 is attention only
    norm  a normalization_type of TransformerLens: None, "LN", "LNPre", "RMS", ...
    act   an act_fn of TransformerLens: "relu", "gelu", ...
    """
    if d_model % heads:
        raise ValueError(f"heads must divide d_model, got heads={heads}, d_model={d_model}")
    lens = boot(
        device, torch.float32, n_layers=layers, n_heads=heads, d_model=d_model,
        d_head=d_model // heads, d_mlp=max(1, d_mlp), attn_only=not d_mlp,
        d_vocab=len(domain.vocab) + 1,
        d_vocab_out=1 if readout.number else len(readout.values), n_ctx=domain.max_len + 1,
        act_fn=act, normalization_type=norm, attention_dir=attention_dir(domain), seed=seed,
    )  # fmt: skip
    return LensModel(lens, domain, readout)


def reinitialised(model: LensModel, seed: int = 0) -> LensModel:
    """A model of the same shape, domain and readout with weights drawn anew: a control."""
    cfg = model.lens.cfg
    same = ("n_layers", "n_heads", "d_model", "d_head", "d_mlp", "d_vocab", "d_vocab_out", "n_ctx")
    lens = boot(
        model.device, next(model.lens.parameters()).dtype, act_fn=cfg.act_fn,
        normalization_type=cfg.normalization_type, attention_dir=cfg.attention_dir, seed=seed,
        attn_only=cfg.attn_only,
        **{name: getattr(cfg, name) for name in same},
    )  # fmt: skip
    lens.eval()
    return replace(model, lens=lens, compiled=None, trained=None)


def require_numbers(model: LensModel) -> None:
    """Raises RaspValueError where a weight is nan or infinite: every comparison would be false."""
    for name, parameter in plain_parameters(model.lens).items():
        if not torch.isfinite(parameter).all():
            raise RaspValueError(
                f"the model's weights hold nan or inf, in {name}",
                hint="train it again, with a lower lr",
            )

"""Native TransformerBridges: weights or a shape -> LensModel, and a model's parameters by name.

`boot` makes every one of them; `load_weights` fills it with given weights, `fresh_model` and
`reinitialised` with random ones. Widths of 0 become 1, since TransformerLens has no empty parts.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from rasplab.base.arguments import DEVICE, TEXT, optional, takes
from rasplab.base.errors import RaspValueError
from rasplab.base.limits import current, way_out
from rasplab.base.text import size_text
from rasplab.compiler.compiled import Compiled
from rasplab.model.bridge import LensModel, plain_parameters, require_numbers, resolve_device
from rasplab.model.verify import verify
from rasplab.program.domain import Domain
from rasplab.transformer.readout import Readout
from rasplab.transformer.weights import Weights

DTYPES = ("float64", "float32", "float16")
"""Dtypes of a model's parameters."""

DTYPE_SAMPLE = 300
"""Inputs on which a model in a coarser dtype than its certificate's is measured."""


def boot(device: str | torch.device, dtype: torch.dtype, **config: Any) -> Any:
    """A native TransformerBridge; `config` are arguments of TransformerBridgeConfig."""
    from transformer_lens.config import TransformerBridgeConfig
    from transformer_lens.model_bridge import TransformerBridge

    cfg = TransformerBridgeConfig(architecture="TransformerLensNative", dtype=dtype, **config)
    bridge: Any = TransformerBridge  # boot_native is added to the class at run time
    return bridge.boot_native(cfg, device=resolve_device(device), dtype=dtype)


def attention_dir(domain: Domain) -> str:
    """The `attention_dir` of TransformerLens: "causal" or "bidirectional"."""
    return "causal" if domain.causal else "bidirectional"


@takes(device=DEVICE, dtype=optional(TEXT))
def to_model(compiled: Compiled, device: str = "auto", dtype: str | None = None) -> LensModel:
    """The weights of a compiled program in a TransformerLens model.

    device  "auto" (cuda where there is one), "cpu" or "cuda"
    dtype   one of DTYPES; by default the certificate's

    Warns where the certificate asks for a finer dtype, with the measured share of wrong inputs; so
    does a run of the model once it is cast to one.
    Raises RaspValueError for an unknown dtype, and where a weight is infinite in it.
    """
    certified = compiled.certificate.dtype
    model = _compiled_model(compiled, device, dtype or certified)
    watch = _DtypeWatch(compiled, model.device)
    # shown at the line that called `to_model`
    watch.check(getattr(torch, dtype or certified), stacklevel=3)
    # a module inside: TransformerLens calls the model itself past its own hooks of torch
    model.lens.original_model.tok_embed.register_forward_pre_hook(watch)
    return model


def _compiled_model(compiled: Compiled, device: str | torch.device, dtype: str) -> LensModel:
    return load_weights(
        compiled.weights,
        compiled.domain,
        compiled.readout,
        device=device,
        dtype=dtype,
        compiled=compiled,
        further=compiled.further,
    )


class _DtypeWatch:
    """Warns, once for each dtype, when a compiled model runs in a coarser one than is certified.

    A forward pre-hook of torch: a model may be cast after it is made, by `lens.half()`.
    """

    def __init__(self, compiled: Compiled, device: torch.device) -> None:
        self.compiled, self.device = compiled, device
        self.known = {getattr(torch, compiled.certificate.dtype)}

    def __call__(self, module: Any, _: Any) -> None:
        self.check(next(module.parameters()).dtype, stacklevel=3)

    def check(self, dtype: torch.dtype, stacklevel: int) -> None:
        """Warn if `dtype` is new and coarser, with the measured share of wrong inputs.

        stacklevel  of the line to show, as `warnings.warn` counts it from here
        """
        if dtype in self.known:
            return
        self.known.add(dtype)
        certified = self.compiled.certificate.dtype
        if torch.finfo(dtype).eps <= torch.finfo(getattr(torch, certified)).eps:
            return
        name = str(dtype).removeprefix("torch.")
        start = f"the certificate of this model holds in {certified}, not in {name}: "
        warnings.warn(start + self._measured(dtype, name), stacklevel=stacklevel)

    def _measured(self, dtype: torch.dtype, name: str) -> str:
        # another model of the same weights: hooks may be at work in the one that runs
        model = _compiled_model(self.compiled, self.device, self.compiled.certificate.dtype)
        model.lens.original_model.to(dtype)
        try:
            report = verify(model, max_inputs=DTYPE_SAMPLE, program=self.compiled.program)
        except RaspValueError as error:
            return error.message
        return f"{report.mismatches} of {report.checked} inputs come out wrong in {name}"


def load_weights(
    weights: Weights,
    domain: Domain,
    readout: Readout,
    device: str | torch.device = "auto",
    dtype: str = "float32",
    compiled: Compiled | None = None,
    further: tuple[Readout, ...] = (),
) -> LensModel:
    """The model of these weights.

    A width of 0 (no head, no neuron) becomes a width of 1 with zero weights, since TransformerLens
    has no empty parts.

    device, dtype  as in `to_model`
    compiled       what the weights were compiled from, or None
    further        readouts of the logits after those of `readout`

    Raises RaspValueError for a dtype that is not in DTYPES, and for weights that are nan or
    infinite in it.
    """
    if dtype not in DTYPES:
        raise RaspValueError(f"unknown dtype {dtype!r}; the dtypes are {', '.join(DTYPES)}")
    weights = padded(weights)
    lens = boot(
        device,
        getattr(torch, dtype),
        act_fn="relu",
        normalization_type=None,
        attention_dir=attention_dir(domain),
        init_weights=False,
        attn_scale=weights.attn_scale,
        **weights.shape(),
    )
    parameters = plain_parameters(lens)
    with torch.no_grad():
        for name, array in parameters_of(weights).items():
            parameters[name].copy_(torch.from_numpy(np.ascontiguousarray(array)))
    lens.eval()
    model = LensModel(lens, domain, readout, compiled, further=further)
    require_numbers(model, hint=f"they are not finite, or too large for {dtype}")
    return model


def padded(weights: Weights) -> Weights:
    """The same weights with every width of heads and MLP at least 1."""
    widths = weights.shape()
    if all(widths[name] for name in ("n_heads", "d_head", "d_mlp")):
        return weights
    # a head of zero weights attends evenly and writes 0; so does a neuron: relu(0) = 0
    heads, d_head, d_mlp = (not widths[name] for name in ("n_heads", "d_head", "d_mlp"))
    missing = {
        **dict.fromkeys(("W_Q", "W_K", "W_V"), (0, heads, 0, d_head)),
        **dict.fromkeys(("b_Q", "b_K", "b_V"), (0, heads, d_head)),
        "W_O": (0, heads, d_head, 0),
        "W_in": (0, 0, d_mlp),
        "b_in": (0, d_mlp),
        "W_out": (0, d_mlp, 0),
    }
    arrays = weights.arrays()
    # (0, n) pads n zeros at the end of each axis; True counts as 1
    grown = {name: np.pad(arrays[name], [(0, int(n)) for n in m]) for name, m in missing.items()}
    return replace(weights, **grown)


def parameters_of(weights: Weights) -> dict[str, Float[np.ndarray, "*_"]]:
    """The native module's parameters by name; its Linear layers hold matrices [out, in]."""
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
        # [head, d_head, d_model] -> [d_model, head * d_head]: heads are the slow axis of the input
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
    """An untrained model for `domain`; d_head is d_model / heads.

    d_mlp  neurons per layer; 0 for a model of attention only
    seed   of the weights
    norm   a normalization_type of TransformerLens: None, "LN", "LNPre", "RMS", ...
    act    an act_fn of TransformerLens: "relu", "gelu", ...

    Raises ValueError where `heads` does not divide d_model, RaspValueError for a model of more
    than MAX_LAYERS layers or larger than the limit on memory.
    """
    if d_model % heads:
        raise ValueError(f"heads must divide d_model, got heads={heads}, d_model={d_model}")
    _require_size(domain, readout, layers, heads, d_model, d_mlp)
    lens = boot(
        device,
        torch.float32,
        n_layers=layers,
        n_heads=heads,
        d_model=d_model,
        d_head=d_model // heads,
        # TransformerLens asks for a width of the MLP even where there is none
        d_mlp=max(1, d_mlp),
        attn_only=not d_mlp,
        d_vocab=len(domain.vocab) + 1,
        d_vocab_out=readout.width,
        n_ctx=domain.max_len + 1,
        act_fn=act,
        normalization_type=norm,
        attention_dir=attention_dir(domain),
        seed=seed,
    )
    return LensModel(lens, domain, readout)


MAX_LAYERS = 1000
"""Layers of a trained model; TransformerLens takes some milliseconds to build each."""


def _require_size(
    domain: Domain, readout: Readout, layers: int, heads: int, d_model: int, d_mlp: int
) -> None:
    """Raise RaspValueError for a model that is too large, before anything of it is allocated."""
    if layers > MAX_LAYERS:
        raise RaspValueError(f"a model of {layers:,} layers; it can have {MAX_LAYERS:,}")
    # token and position embeddings, BOS in each, and the unembedding
    rows = len(domain.vocab) + 1 + domain.max_len + 1 + readout.width
    # Q, K, V and O of all heads are d_model x d_model each; then the MLP's
    # two matrices, and the patterns of one input. Floats of 4 bytes.
    per_layer = d_model * (4 * d_model + 2 * d_mlp) + heads * (domain.max_len + 1) ** 2
    size = 4 * (rows * d_model + layers * per_layer)
    if size > current().memory:
        raise RaspValueError(
            f"layers {layers}, heads {heads}, d_model {d_model} and d_mlp {d_mlp} make a model of "
            f"{size_text(size)}; the limit on memory is {size_text(current().memory)}",
            hint=way_out("memory"),
        )


def reinitialised(model: LensModel, seed: int = 0) -> LensModel:
    """A model of the same shape, domain and readout with newly drawn weights, as a control."""
    cfg = model.lens.cfg
    same = ("n_layers", "n_heads", "d_model", "d_head", "d_mlp", "d_vocab", "d_vocab_out", "n_ctx")
    lens = boot(
        model.device,
        next(model.lens.parameters()).dtype,
        act_fn=cfg.act_fn,
        normalization_type=cfg.normalization_type,
        attention_dir=cfg.attention_dir,
        seed=seed,
        attn_only=cfg.attn_only,
        **{name: getattr(cfg, name) for name in same},
    )
    lens.eval()
    return replace(model, lens=lens, compiled=None, trained=None)

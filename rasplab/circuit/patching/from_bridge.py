"""The edge model of a TransformerBridge, and the check that both compute the same logits."""

from __future__ import annotations

import copy
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import gelu, relu, silu

from rasplab.base.errors import RaspValueError
from rasplab.circuit.patching.edge_model import EdgeModel, Inputs, TensorFunction
from rasplab.transformer.weights import Weights

ACTIVATIONS: dict[str, TensorFunction] = {
    "relu": relu,
    "gelu": gelu,
    "gelu_new": lambda x: gelu(x, approximate="tanh"),
    "silu": silu,
}
"""The activation functions of an MLP, by their names in TransformerLens."""

LOGIT_TOLERANCE = 1e-3
"""Largest difference from the logits of TransformerLens, relative to their size, in float32."""

CHECKED_INPUTS = 8
"""How many inputs `check_edge_model` compares."""


def identity(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """The norm of a model without norms."""
    return x


def edge_model_of(lens: Any, dtype: torch.dtype = torch.float64) -> EdgeModel:
    """The edge model of a TransformerBridge: compiled, trained or booted.

    Raises RaspValueError, with the reasons, for a transformer whose residual stream is not the sum
    of what its sites write, or which has parts that `EdgeModel.run` does not compute.
    """
    cfg = lens.cfg
    _refuse_unknown(cfg)
    device = next(lens.parameters()).device
    with torch.no_grad():
        # copies: the edge model stays as it is when the model is trained further
        arrays = {
            name: getattr(lens, name).detach().to(device, dtype, copy=True)
            for name in Weights.__dataclass_fields__
        }
        b_U = lens.b_U.detach().to(device, dtype, copy=True)
    norms = tuple((_norm(b.ln1, dtype), _norm(b.ln2, dtype)) for b in lens.blocks)
    return EdgeModel(
        Weights(**arrays),
        # TransformerLens writes -1 for sqrt(d_head)
        cfg.attn_scale if cfg.use_attn_scale and cfg.attn_scale > 0 else cfg.d_head**0.5,
        ACTIVATIONS[cfg.act_fn],
        cfg.attention_dir == "causal",
        norms,
        _norm(lens.ln_final, dtype) if hasattr(lens, "ln_final") else identity,
        b_U,
    )


def _refuse_unknown(cfg: Any) -> None:
    """Raise RaspValueError for what `EdgeModel.run` does not compute."""
    position = (getattr(cfg, "positional_embedding_type", None) or "standard").lower()
    reasons = {
        f"its MLP is {cfg.act_fn!r}": cfg.act_fn not in ACTIVATIONS,
        "its MLP is gated": getattr(cfg, "gated_mlp", False),
        "it has no MLP": getattr(cfg, "attn_only", False),
        f"its positions are {position}": position != "standard",
        "heads share keys": getattr(cfg, "n_key_value_heads", None) not in (None, cfg.n_heads),
        "attention and MLP read the same stream": getattr(cfg, "parallel_attn_mlp", False),
        "its scores are capped": (getattr(cfg, "attn_scores_soft_cap", -1) or -1) > 0,
    }
    wrong = [reason for reason, holds in reasons.items() if holds]
    if wrong:
        raise RaspValueError(
            f"edges of this model cannot be patched: {'; '.join(wrong)}",
            hint="take a model with absolute positions, plain heads and a relu, gelu or silu MLP",
        )


def _norm(bridge: Any, dtype: torch.dtype) -> TensorFunction:
    """A copy of a norm, without hooks and gradients, in `dtype`."""
    module = getattr(bridge, "_original_component", None)
    if module is None or isinstance(module, torch.nn.Identity):
        return identity
    return copy.deepcopy(module).to(dtype).requires_grad_(False)


@torch.no_grad()
def check_edge_model(
    edge_model: EdgeModel, lens: Any, inputs: Inputs, counted: Bool[Tensor, "batch pos"]
) -> None:
    """Compare the edge model's logits with the bridge's own, on a few of `inputs`.

    counted  where outputs count; inputs that are shorter than their row are left out, since the
             bridge knows no padding

    Raises RaspValueError where they differ: then the model has a part that is not known here.
    """
    rows = torch.nonzero(inputs.real.all(-1))[:CHECKED_INPUTS, 0]
    sample, where = inputs[rows], counted[rows]
    if not where.any():
        return
    expected = lens(sample.tokens)[where].to(torch.float64)
    logits = edge_model.run(sample).logits[0][where].to(torch.float64)
    error, size = float((expected - logits).abs().max()), float(expected.abs().max())
    # `not <=` rather than `>`: a difference of nan is refused too
    if not error <= LOGIT_TOLERANCE * max(1.0, size):
        raise RaspValueError(
            f"the sum over edges gives other logits than the model itself (by {error:.2g}, "
            f"of {size:.2g})",
            hint="the model has an unknown part: a scaled stream, a norm after a site",
        )

"""Runs of a model with one part replaced, through TransformerLens' hooks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Integer, Num
from torch import Tensor

from rasplab.model.bridge import LensModel, pattern_hook, plain_parameters
from rasplab.program.batch.columns import Column
from rasplab.program.values import Atom, Value
from rasplab.transformer.sites import Site


def with_pattern(
    model: LensModel,
    tokens: Sequence[Atom],
    layer: int,
    head: int,
    pattern: Sequence[Sequence[float]] | Num[np.ndarray, "query key"],
) -> list[Value]:
    """The values of `model.run(tokens)` when one head attends by `pattern`.

    pattern  rows of probabilities; row and column 0 are BOS, so each has len(tokens) + 1 entries

    Raises ValueError for a head that is not there, or a pattern of another shape.
    """
    if not (0 <= layer < model.n_layers and 0 <= head < model.n_heads):
        raise ValueError(
            f"no head L{layer}H{head}: there are {model.n_layers} layers of {model.n_heads} heads"
        )
    expected = (len(tokens) + 1,) * 2
    if np.shape(pattern) != expected:
        raise ValueError(
            f"pattern is {np.shape(pattern)}; {len(tokens)} tokens and BOS need {expected}"
        )
    hook = _replacing(head, np.asarray(pattern))
    return model.run_hooked(tokens, [(pattern_hook(layer), hook)])


@torch.no_grad()
def codes_with_patterns(
    model: LensModel,
    ids: Integer[np.ndarray, "batch pos"],
    patterns: Mapping[Site, Num[np.ndarray, "batch pos key"]],
) -> Column:
    """`model.codes(ids)` when each head of `patterns` attends by the pattern given for it.

    ids       vocabulary ids from 0
    patterns  rows of probabilities for each token; key 0 is BOS. The row of BOS is not changed
    """
    hooks = [
        (pattern_hook(head.layer), _replacing(head.head, rows, first=1))
        for head, rows in patterns.items()
    ]
    return model.decoded([model.lens.run_with_hooks(model.lens_ids(ids), fwd_hooks=hooks)[:, 1:]])


@torch.no_grad()
def codes_with_operands(
    model: LensModel,
    ids: Integer[np.ndarray, "batch pos"],
    sources: Integer[np.ndarray, "batch pos"],
    rows: Integer[np.ndarray, "batch pos"],
    heads: Iterable[Site],
    operand: Literal["q", "k"],
) -> Column:
    """`model.codes(ids)` when `heads` take their queries, or their keys, from other inputs.

    ids      vocabulary ids from 0
    sources  the inputs they are taken from
    rows     for each position, the position in the source; BOS is not changed
    operand  "q" or "k": which of the two is taken
    """
    heads_at: dict[str, list[int]] = {}
    for head in heads:
        heads_at.setdefault(f"blocks.{head.layer}.attn.hook_{operand}", []).append(head.head)
    _, cache = model.lens.run_with_cache(
        model.lens_ids(sources), names_filter=lambda name: name in heads_at
    )
    # RASP's position p is the model's p + 1, and BOS keeps place 0; indexing by two
    # arrays [batch, 1] and [batch, pos] gives [batch, pos, head, d_head]
    places = torch.from_numpy(np.pad(rows + 1, ((0, 0), (1, 0)))).to(model.device)
    batch = torch.arange(len(ids), device=model.device)[:, None]
    hooks = [(name, _taking(group, cache[name][batch, places])) for name, group in heads_at.items()]
    return model.decoded([model.lens.run_with_hooks(model.lens_ids(ids), fwd_hooks=hooks)[:, 1:]])


@torch.no_grad()
def head_results(
    model: LensModel, ids: Integer[np.ndarray, "batch pos"]
) -> Float[Tensor, "layer batch pos_bos head d_head"]:
    """What every head reads (z: values weighted by attention, before W_O), with BOS at position 0.

    ids  vocabulary ids from 0
    """
    names = [f"blocks.{layer}.attn.hook_z" for layer in range(model.n_layers)]
    _, cache = model.lens.run_with_cache(
        model.lens_ids(ids), names_filter=lambda name: name in names
    )
    return torch.stack([cache[name] for name in names])


@torch.no_grad()
def codes_with_results(
    model: LensModel,
    ids: Integer[np.ndarray, "batch pos"],
    heads: Iterable[Site],
    results: Float[Tensor, "layer *batch_pos head d_head"],
) -> Column:
    """`model.codes(ids)` when `heads` give these results at every position, BOS included.

    ids  vocabulary ids from 0
    """
    heads_at: dict[int, list[int]] = {}
    for head in heads:
        heads_at.setdefault(head.layer, []).append(head.head)
    hooks = [
        (f"blocks.{layer}.attn.hook_z", _with_results(group, results[layer]))
        for layer, group in heads_at.items()
    ]
    return model.decoded([model.lens.run_with_hooks(model.lens_ids(ids), fwd_hooks=hooks)[:, 1:]])


def _with_results(
    heads: list[int], results: torch.Tensor
) -> Callable[[torch.Tensor, Any], torch.Tensor]:
    def replace(activation: torch.Tensor, hook: Any) -> torch.Tensor:
        """activation is [batch, pos, head, d_head]."""
        edited = activation.clone()
        edited[:, :, heads] = results[:, :, heads].to(edited.dtype)
        return edited

    return replace


def _taking(heads: list[int], taken: torch.Tensor) -> Callable[[torch.Tensor, Any], torch.Tensor]:
    def replace(activation: torch.Tensor, hook: Any) -> torch.Tensor:
        """activation is [batch, pos, head, d_head]; BOS keeps its own."""
        edited = activation.clone()
        edited[:, 1:, heads] = taken[:, 1:, heads]
        return edited

    return replace


@torch.no_grad()
def value_norms(
    model: LensModel, ids: Integer[np.ndarray, "batch pos"]
) -> Float[np.ndarray, "batch layer head key"]:
    """The norm of v W_O at each key: how much a head writes where it attends to that key only.

    ids  vocabulary ids from 0; key 0 of the result is BOS
    """
    weights = plain_parameters(model.lens)
    _, cache = model.lens.run_with_cache(
        model.lens_ids(ids), names_filter=lambda name: name.endswith("attn.hook_v")
    )
    norms = []
    for layer in range(model.n_layers):
        v = cache[f"blocks.{layer}.attn.hook_v"]  # [batch, pos, head, d_head]
        # torch's Linear holds [out, in]: [d_model, head * d_head] -> [head, d_head, d_model]
        w_o = weights[f"layers.{layer}.attn.o.weight"].T.reshape(*v.shape[2:], -1)
        norms.append(torch.einsum("bkhe,hed->bhkd", v, w_o).norm(dim=-1))
    return torch.stack(norms, 1).double().cpu().numpy()


def _replacing(
    head: int, pattern: np.ndarray, first: int = 0
) -> Callable[[torch.Tensor, Any], torch.Tensor]:
    def replace(activation: torch.Tensor, hook: Any) -> torch.Tensor:
        """activation is [batch, head, query, key]; queries from `first` on are replaced."""
        edited = activation.clone()
        edited[:, head, first:] = torch.as_tensor(
            np.asarray(pattern), dtype=edited.dtype, device=edited.device
        )
        return edited

    return replace


def attending(
    selector: Num[np.ndarray, "*batch query key"] | Bool[np.ndarray, "*batch query key"],
    counts: bool = False,
) -> Float[np.ndarray, "*batch 1+query 1+key"]:
    """The pattern of a head that attends evenly to the keys that `selector` selects.

    Row and column 0 of the pattern are BOS.

    counts  BOS is attended like one more selected key, so that the head can compute the width; else
            it is attended only by rows that select nothing, and by BOS
    """
    selector = np.asarray(selector, bool)
    width = selector.sum(-1)
    # With `counts` BOS has weight 1 / (width + 1), which is how compiled models read a width off.
    bos = np.ones(width.shape, bool) if counts else width == 0
    pattern = np.zeros((*selector.shape[:-2], *np.add(selector.shape[-2:], 1)))
    # rows that select nothing divide 0 by 1; all their weight is on BOS
    pattern[..., 1:, 1:] = selector / np.maximum(width + (bos & (width > 0)), 1)[..., None]
    pattern[..., 1:, 0] = bos / np.maximum(width + bos, 1)
    pattern[..., 0, 0] = 1
    return pattern

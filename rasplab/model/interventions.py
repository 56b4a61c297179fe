"""Runs of a model with one part replaced, through TransformerLens' hooks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch

from rasplab.model.bridge import LensModel, pattern_hook
from rasplab.model.native import plain_parameters
from rasplab.program.values import Atom
from rasplab.transformer.decode import CodeTable
from rasplab.transformer.sites import Site


def with_pattern(
    model: LensModel, tokens: Sequence[Atom], layer: int, head: int, pattern: np.ndarray
) -> list:
    """The values of `model.run(tokens)` when one head attends as `pattern` says.

    pattern  [query, key] with BOS as row and column 0; rows of probabilities,
             [len(tokens) + 1] each way
    Raises ValueError for a head that is not there, or a pattern of another shape.
    """
    if not (0 <= layer < model.n_layers and 0 <= head < model.n_heads):
        raise ValueError(
            f"no head L{layer}H{head}: there are {model.n_layers} layers of {model.n_heads} heads"
        )
    wanted = (len(tokens) + 1,) * 2
    if np.shape(pattern) != wanted:
        raise ValueError(
            f"pattern is {np.shape(pattern)}; {len(tokens)} tokens and BOS want {wanted}"
        )
    return model.run_hooked(tokens, [(pattern_hook(layer), _replacing(head, pattern))])


@torch.no_grad()
def codes_with_patterns(
    model: LensModel, ids: np.ndarray, patterns: Mapping[Site, np.ndarray]
) -> CodeTable:
    """`model.codes(ids)` when each head of `patterns` attends as given there.

    ids       vocabulary ids from 0 [batch, pos]
    patterns  by head: rows of probabilities [batch, pos, key], BOS as key 0; BOS's own row is left
              as it is
    """
    hooks = [
        (pattern_hook(head.layer), _replacing(head.head, rows, first=1))
        for head, rows in patterns.items()
    ]
    return model.decoded([model.lens.run_with_hooks(model.lens_ids(ids), fwd_hooks=hooks)[:, 1:]])


@torch.no_grad()
def codes_with_operands(
    model: LensModel,
    ids: np.ndarray,
    sources: np.ndarray,
    rows: np.ndarray,
    heads: Iterable[Site],
    operand: Literal["q", "k"],
) -> CodeTable:
    """`model.codes(ids)` when some heads take their queries, or their keys, from other inputs.

    ids      vocabulary ids from 0 [batch, pos]
    sources  the inputs they are taken from [batch, pos]
    rows     the position in the source for each position [batch, pos]; BOS keeps its own
    operand  which of the two is taken
    """
    taking: dict[str, list[int]] = {}
    for head in heads:
        taking.setdefault(f"blocks.{head.layer}.attn.hook_{operand}", []).append(head.head)
    _, cache = model.lens.run_with_cache(
        model.lens_ids(sources), names_filter=lambda name: name in taking
    )
    places = torch.from_numpy(np.pad(rows + 1, ((0, 0), (1, 0)))).to(model.device)
    each = torch.arange(len(ids), device=model.device)[:, None]
    hooks = [(name, _taking(group, cache[name][each, places])) for name, group in taking.items()]
    return model.decoded([model.lens.run_with_hooks(model.lens_ids(ids), fwd_hooks=hooks)[:, 1:]])


def _taking(heads: list[int], taken: torch.Tensor) -> Callable[[torch.Tensor, Any], torch.Tensor]:
    def replace(activation: torch.Tensor, hook: Any) -> torch.Tensor:
        """activation [batch, pos, head, d_head]; BOS stays"""
        edited = activation.clone()
        edited[:, 1:, heads] = taken[:, 1:, heads]
        return edited

    return replace


@torch.no_grad()
def value_norms(model: LensModel, ids: np.ndarray) -> np.ndarray:
    """How much each key gives where a head attends to it: the norm of v W_O,
    float64 [batch, layer, head, key], BOS as key 0."""
    weights = plain_parameters(model.lens)
    _, cache = model.lens.run_with_cache(
        model.lens_ids(ids), names_filter=lambda name: name.endswith("attn.hook_v")
    )
    norms = []
    for layer in range(model.n_layers):
        v = cache[f"blocks.{layer}.attn.hook_v"]  # [batch, pos, head, d_head]
        w_o = weights[f"layers.{layer}.attn.o.weight"].T.reshape(*v.shape[2:], -1)
        norms.append(torch.einsum("bkhe,hed->bhkd", v, w_o).norm(dim=-1))
    return torch.stack(norms, 1).double().cpu().numpy()


def _replacing(
    head: int, pattern: np.ndarray, first: int = 0
) -> Callable[[torch.Tensor, Any], torch.Tensor]:
    def replace(activation: torch.Tensor, hook: Any) -> torch.Tensor:
        """activation [batch, head, query, key]; its queries from `first` on are replaced"""
        edited = activation.clone()
        edited[:, head, first:] = torch.as_tensor(
            np.asarray(pattern), dtype=edited.dtype, device=edited.device
        )
        return edited

    return replace


def attending(selector: np.ndarray, counts: bool = False) -> np.ndarray:
    """The pattern [..., query, key] with BOS of a head that attends evenly where `selector`
    [..., query, key] selects.

    counts  BOS is attended like one selected key more, so that a head can read the width;
            else only by a row that selects nothing, and by BOS itself
    """
    selector = np.asarray(selector, bool)
    width = selector.sum(-1)
    bos = np.ones(width.shape, bool) if counts else width == 0
    pattern = np.zeros((*selector.shape[:-2], *np.add(selector.shape[-2:], 1)))
    pattern[..., 1:, 1:] = selector / np.maximum(width + (bos & (width > 0)), 1)[..., None]
    pattern[..., 1:, 0] = bos / np.maximum(width + bos, 1)
    pattern[..., 0, 0] = 1
    return pattern

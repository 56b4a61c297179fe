"""Runs of a model with one part replaced, through TransformerLens' hooks (floor 4)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from rasplab.model.lens import LensModel, pattern_hook
from rasplab.program import Atom


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


def _replacing(head: int, pattern: np.ndarray) -> Callable[[torch.Tensor, Any], torch.Tensor]:
    def replace(activation: torch.Tensor, hook: Any) -> torch.Tensor:
        """activation [batch, head, query, key]"""
        edited = activation.clone()
        edited[:, head] = torch.as_tensor(
            np.asarray(pattern), dtype=edited.dtype, device=edited.device
        )
        return edited

    return replace


def attending(selector: np.ndarray) -> np.ndarray:
    """The pattern [query, key] with BOS of a head that attends evenly where `selector` [query,
    key] selects.

    A row that selects nothing, and BOS itself, attend to BOS.
    """
    selector = np.asarray(selector, bool)
    pattern = np.zeros(np.add(selector.shape, 1))
    width = selector.sum(-1)
    pattern[1:, 1:] = selector / np.maximum(width, 1)[:, None]
    pattern[1:, 0] = width == 0
    pattern[0, 0] = 1
    return pattern

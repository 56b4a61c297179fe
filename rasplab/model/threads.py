"""How many threads a small model is worth (floor 4)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

NARROW = 64
"""Up to this d_model a second thread makes a CPU little quicker, and beside other work several
times
slower: its many short operations wait for each other."""


@contextmanager
def few_threads(d_model: int) -> Iterator[None]:
    """One thread of torch for a narrow model, so that a busy machine changes little."""
    before = torch.get_num_threads()
    torch.set_num_threads(1 if d_model <= NARROW else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)

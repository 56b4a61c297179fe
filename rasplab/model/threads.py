"""How many threads a small model is worth."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

Item, Result = TypeVar("Item"), TypeVar("Result")

NARROW = 512
"""Up to this d_model torch's own threads make a CPU little quicker, and beside other work several
times slower: many short operations wait for each other. Whole batches side by side do not."""


@contextmanager
def few_threads(d_model: int) -> Iterator[int]:
    """One thread of torch for a narrow model; gives how many batches are worth running at once."""
    before = torch.get_num_threads()
    narrow = d_model <= NARROW
    torch.set_num_threads(1 if narrow else before)
    try:
        yield min(before, os.cpu_count() or 1) if narrow else 1
    finally:
        torch.set_num_threads(before)


def in_order(
    work: Callable[[Item], Result], items: Iterable[Item], workers: int
) -> Iterator[Result]:
    """work(item) of every item, in their order, `workers` at a time, few taken ahead."""
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque = deque()
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > 2 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()

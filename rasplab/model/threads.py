"""Threads for small models: one of torch each, and whole batches side by side."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")

NARROW = 512
"""One intra-op thread up to this d_model: parallelise over batches.

Many short operations wait for each other: torch's threads gain little on a CPU, and are several
times slower beside other work."""


@contextmanager
def few_threads(d_model: int) -> Iterator[int]:
    """Sets torch to one thread for a narrow model; yields how many batches to run at once."""
    # a setting of the whole process: whoever nests calls gets back what the outer one set
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
    """Yields work(item) for every item, in their order, `workers` at a time.

    At most 2 * `workers` + 1 items are taken ahead.
    """
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

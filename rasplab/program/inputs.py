"""Inputs of a domain in batches of one length: domain -> arrays of ids."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from jaxtyping import Int

from rasplab.program.domain import Domain

BATCH = 1 << 14
"""Inputs in a batch at most; readers cut smaller pieces where memory asks for it."""

FEW = 4
"""Half of the random inputs have at most this many distinct tokens.

So repeats and ties occur at every length.
"""


def all_ids(domain: Domain) -> Iterator[Int[np.ndarray, "batch pos"]]:
    """Every input, shortest first."""
    base = len(domain.vocab)  # the k-th input of length n is k in this base, with n digits
    for n in range(1, domain.max_len + 1):
        places = base ** np.arange(n - 1, -1, -1, dtype=np.int64)
        for start in range(0, base**n, BATCH):
            numbers = np.arange(start, min(start + BATCH, base**n), dtype=np.int64)
            yield numbers[:, None] // places % base


def sampled_ids(domain: Domain, count: int, seed: int) -> Iterator[Int[np.ndarray, "batch pos"]]:
    """`count` random inputs, shortest first, with the distribution of Domain.sample."""
    rng = np.random.default_rng(seed)
    full = rng.random(count) < 0.25
    lengths = np.where(full, domain.max_len, rng.integers(1, domain.max_len + 1, count))
    for n, total in enumerate(np.bincount(lengths).tolist()):
        for start in range(0, total, BATCH):
            yield random_rows(len(domain.vocab), min(BATCH, total - start), n, rng)


Drawing = Callable[[int, int, int, np.random.Generator], Int[np.ndarray, "count pos"]]
"""Draws ids [count, n_pos], given n_vocab, count, n_pos and a generator, as `random_rows` does."""


def random_rows(
    n_vocab: int, count: int, n_pos: int, rng: np.random.Generator
) -> Int[np.ndarray, "count pos"]:
    """Random ids; half of the rows over 1 to FEW distinct tokens, the others over all."""
    few = rng.random(count) < 0.5
    rows = rng.integers(0, n_vocab, (count, n_pos))
    if n_vocab > FEW:
        # a random permutation of the vocabulary for each row, of which the first `pool` are used
        order = rng.random((few.sum(), n_vocab)).argsort(1)
        pool = rng.integers(1, FEW + 1, (few.sum(), 1))
        picks = (rng.random((few.sum(), n_pos)) * pool).astype(np.int64)
        rows[few] = np.take_along_axis(order, picks, axis=1)
    return rows


def even_ids(
    domain: Domain, count: int, rng: np.random.Generator, draw: Drawing = random_rows
) -> list[Int[np.ndarray, "batch pos"]]:
    """`count` random inputs or a few more, equally many of each length: one array per length."""
    share = max(1, -(-count // domain.max_len))
    return [draw(len(domain.vocab), share, n, rng) for n in range(1, domain.max_len + 1)]

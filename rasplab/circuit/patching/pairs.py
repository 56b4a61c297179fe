"""Pairs of inputs for patching: a clean one, and a corrupted one of the same length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from rasplab.base.errors import RaspValueError
from rasplab.base.rng import stream
from rasplab.circuit.patching.edge_model import Inputs
from rasplab.program.domain import Domain
from rasplab.program.inputs import random_rows

FEW_PAIRS = 48
"""How many pairs are drawn by default."""

TRIES = 20
"""How often a corrupted input that equals its clean one is redrawn at most."""

TOLERATED_EQUAL = 0.1
"""Share of corrupted inputs that may equal their clean ones without a warning.

Inputs of one token coincide by chance; each such pair adds a 0 to every mean effect."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """Clean and corrupted inputs side by side; shorter ones are padded with BOS at the end.

    clean, corrupt  what the model reads
    shuffled        positions for the corrupted run under `resample_positions`: those of each input
                    in another order, BOS first
    counted         where outputs count
    notes           warnings about these pairs, as sentences
    """

    clean: Inputs
    corrupt: Inputs
    shuffled: Int[Tensor, "batch pos"]
    counted: Bool[Tensor, "batch pos"]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.clean.tokens)

    def rows(self, start: int, stop: int) -> Pairs:
        """The pairs from `start` to `stop`."""
        part = slice(start, stop)
        clean, corrupt = self.clean[part], self.corrupt[part]
        return Pairs(clean, corrupt, self.shuffled[part], self.counted[part], self.notes)


def draw_pairs(
    domain: Domain,
    n: int = FEW_PAIRS,
    seed: int = 0,
    lengths: Sequence[int] | None = None,
    device: torch.device | str = "cpu",
) -> Pairs:
    """About `n` random pairs over a domain, each length equally often; BOS is put in front.

    lengths  of the inputs in tokens; by default 1 to the domain's longest

    Raises RaspValueError for a vocabulary of one token, or a length outside the domain.
    """
    lengths = sorted(set(lengths or range(1, domain.max_len + 1)))
    if not all(1 <= m <= domain.max_len for m in lengths):
        raise RaspValueError(f"lengths {lengths} are not all from 1 to {domain.max_len}")
    if len(domain.vocab) == 1:
        raise RaspValueError(
            "a vocabulary of one token has no corrupted inputs", hint="compile for two tokens"
        )
    rng, share = np.random.default_rng(seed), -(-n // len(lengths))
    groups = [_differing(len(domain.vocab), share, m, rng) for m in lengths]
    return pairs_of(
        _padded([clean for clean, _ in groups], lengths[-1]),
        _padded([corrupt for _, corrupt in groups], lengths[-1]),
        np.repeat(lengths, share) + 1,  # BOS counts
        seed,
        device=device,
    )


def _differing(
    n_vocab: int, count: int, n_pos: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Two arrays of random inputs [count, n_pos]; equal rows remain only after TRIES redraws."""
    clean = random_rows(n_vocab, count, n_pos, rng)
    corrupt = random_rows(n_vocab, count, n_pos, rng)
    for _ in range(TRIES):
        same = (clean == corrupt).all(-1)
        if not same.any():
            break
        corrupt[same] = random_rows(n_vocab, int(same.sum()), n_pos, rng)
    return clean, corrupt


def draw_longer(domain: Domain, n: int, seed: int = 0, device: torch.device | str = "cpu") -> Pairs:
    """`n` random pairs whose corrupted input is at least as long as the clean one.

    Parts that depend on the length alone then carry something else in the corrupted run.
    """
    rng, longest = stream(seed, "longer pairs"), domain.max_len
    clean_lengths = rng.integers(1, longest + 1, n)
    lengths = rng.integers(clean_lengths, longest + 1)
    ids = [random_rows(len(domain.vocab), n, longest, rng) + 1 for _ in range(2)]
    tokens = [np.pad(rows, ((0, 0), (1, 0))) for rows in ids]
    # copied, as torch warns of arrays that cannot be written to
    places = np.broadcast_to(np.arange(longest + 1), tokens[0].shape).copy()

    def inputs(rows: np.ndarray, ends: np.ndarray) -> Inputs:
        # position 0 is BOS, so an input of n tokens ends at position n
        real = places <= ends[:, None]
        arrays = (np.where(real, rows, 0), places, real)
        return Inputs(*(torch.from_numpy(a).to(device) for a in arrays))

    clean, corrupt = inputs(tokens[0], clean_lengths), inputs(tokens[1], lengths)
    counted = clean.real & (clean.positions > 0)
    return Pairs(clean, corrupt, corrupt.positions, counted)


def _padded(groups: list[np.ndarray], longest: int) -> np.ndarray:
    """The model's ids with BOS in front: [batch, longest + 1], 0 after the end."""
    rows = [np.pad(ids + 1, ((0, 0), (1, longest - ids.shape[1]))) for ids in groups]
    return np.concatenate(rows)


def pairs_of(
    clean: Int[np.ndarray, "batch pos"],
    corrupt: Int[np.ndarray, "batch pos"],
    lengths: Int[np.ndarray, " batch"] | None = None,
    seed: int = 0,
    counted: Bool[np.ndarray, "batch pos"] | None = None,
    device: torch.device | str = "cpu",
) -> Pairs:
    """Pairs of the model's own ids, as a booted model reads them.

    lengths  how many ids of each row are its input (all by default), the first one, BOS, included
    seed     of the shuffled positions
    counted  where outputs count: by default everywhere but at the first position

    Raises RaspValueError where clean and corrupted inputs are all equal, or differ in shape.
    """
    clean, corrupt = np.asarray(clean), np.asarray(corrupt)
    if clean.shape != corrupt.shape or clean.ndim != 2:
        raise RaspValueError(
            f"clean is {clean.shape}, corrupt {corrupt.shape}: both are [batch, pos]"
        )
    n = clean.shape[1]
    lengths = np.full(len(clean), n) if lengths is None else np.asarray(lengths)
    real = np.arange(n) < lengths[:, None]
    counted = real & (np.arange(n) > 0) if counted is None else np.asarray(counted, bool)
    shuffled = _shuffled(lengths, n, stream(seed, "shuffled positions"))
    positions = np.broadcast_to(np.arange(n), clean.shape).copy()

    def inputs(tokens: np.ndarray) -> Inputs:
        return Inputs(*(torch.from_numpy(a).to(device) for a in (tokens, positions, real)))

    notes = _warnings(clean, corrupt, lengths)
    return Pairs(
        inputs(clean.astype(np.int64)),
        inputs(corrupt.astype(np.int64)),
        torch.from_numpy(shuffled).to(device),
        torch.from_numpy(counted).to(device),
        notes,
    )


def _shuffled(lengths: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Positions [batch, n]: those of each input in random order, BOS and padding in place."""
    rows = np.tile(np.arange(n), (len(lengths), 1))
    for row, length in zip(rows, lengths, strict=True):
        row[1:length] = 1 + rng.permutation(length - 1)
    return rows


def _warnings(clean: np.ndarray, corrupt: np.ndarray, lengths: np.ndarray) -> tuple[str, ...]:
    same = float((clean == corrupt).all(-1).mean())
    if same == 1:
        raise RaspValueError(
            "every corrupted input equals its clean one: no patch from them changes anything",
            hint="draw other corrupted inputs, or take zero or mean ablation on other pairs",
        )
    notes = (
        [f"{same:.0%} of the corrupted inputs equal their clean ones"]
        if same > TOLERATED_EQUAL
        else []
    )
    if len(set(lengths.tolist())) == 1 and clean.shape[1] > 2:
        notes.append(
            f"all inputs have one length ({int(lengths[0]) - 1} tokens): what depends on the "
            "length looks constant"
        )
    return tuple(notes)

"""Pairs of inputs for patching: a clean one, and a corrupted one of the same length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from rasplab.base.errors import RaspValueError
from rasplab.base.rng import stream
from rasplab.circuit.patching.edge_model import Inputs
from rasplab.program.domain import Domain
from rasplab.program.inputs import random_rows

FEW_PAIRS = 48
"""Pairs drawn when nothing else is asked."""

TRIES = 20
"""How often a corrupted input that equals its clean one is drawn anew."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """Clean and corrupted inputs side by side; shorter ones are filled up with BOS at the end.

    clean, corrupt  what the model reads, of equal lengths row by row
    shuffled        positions [batch, pos] for the corrupted run under `resample_positions`: each
                    input's own positions in another order, BOS in its place
    counted         bool [batch, pos]: where outputs count
    notes           what is doubtful about them, in words
    """

    clean: Inputs
    corrupt: Inputs
    shuffled: Tensor
    counted: Tensor
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.clean.tokens)

    def rows(self, start: int, stop: int) -> Pairs:
        """The pairs from `start` to `stop`."""
        return Pairs(
            _rows(self.clean, start, stop),
            _rows(self.corrupt, start, stop),
            self.shuffled[start:stop],
            self.counted[start:stop],
            self.notes,
        )


def _rows(inputs: Inputs, start: int, stop: int) -> Inputs:
    return Inputs(*(getattr(inputs, f.name)[start:stop] for f in fields(Inputs)))


def draw_pairs(
    domain: Domain,
    n: int = FEW_PAIRS,
    seed: int = 0,
    lengths: Sequence[int] | None = None,
    device: torch.device | str = "cpu",
) -> Pairs:
    """About `n` random pairs over a domain: BOS in front, each length alike often.

    lengths  by default 1 to the domain's longest
    Raises RaspValueError where no two inputs differ, or a length is not the domain's.
    """
    wanted = sorted(set(lengths or range(1, domain.max_len + 1)))
    if not all(1 <= m <= domain.max_len for m in wanted):
        raise RaspValueError(f"lengths {wanted} are not all from 1 to {domain.max_len}")
    if len(domain.vocab) == 1:
        raise RaspValueError(
            "a vocabulary of one token has no corrupted inputs", hint="compile for two tokens"
        )
    rng, share = np.random.default_rng(seed), -(-n // len(wanted))
    groups = [_differing(len(domain.vocab), share, m, rng) for m in wanted]
    return pairs_of(
        _filled([clean for clean, _ in groups], wanted[-1]),
        _filled([corrupt for _, corrupt in groups], wanted[-1]),
        np.repeat(wanted, share) + 1,
        seed,
        device=device,
    )


def _differing(n_vocab: int, count: int, n_pos: int, rng) -> tuple[np.ndarray, np.ndarray]:
    """Two random inputs [count, n_pos] each, row by row different."""
    clean = random_rows(n_vocab, count, n_pos, rng)
    corrupt = random_rows(n_vocab, count, n_pos, rng)
    for _ in range(TRIES):
        same = (clean == corrupt).all(-1)
        if not same.any():
            break
        corrupt[same] = random_rows(n_vocab, int(same.sum()), n_pos, rng)
    return clean, corrupt


def draw_longer(domain: Domain, n: int, seed: int = 0, device: torch.device | str = "cpu") -> Pairs:
    """About `n` random pairs whose corrupted input may be longer than the clean one, never shorter:
    so parts that depend on the length alone carry something else.
    """
    rng, longest = stream(seed, "longer pairs"), domain.max_len
    clean_lengths = rng.integers(1, longest + 1, n)
    lengths = rng.integers(clean_lengths, longest + 1)
    ids = [random_rows(len(domain.vocab), n, longest, rng) + 1 for _ in range(2)]
    tokens = [np.pad(rows, ((0, 0), (1, 0))) for rows in ids]
    places = np.broadcast_to(np.arange(longest + 1), tokens[0].shape).copy()

    def inputs(rows: np.ndarray, ends: np.ndarray) -> Inputs:
        real = places <= ends[:, None]
        arrays = (np.where(real, rows, 0), places, real)
        return Inputs(*(torch.from_numpy(a).to(device) for a in arrays))

    clean, corrupt = inputs(tokens[0], clean_lengths), inputs(tokens[1], lengths)
    counted = clean.real & (clean.positions > 0)
    return Pairs(clean, corrupt, corrupt.positions, counted)


def _filled(groups: list[np.ndarray], longest: int) -> np.ndarray:
    """The model's ids with BOS in front: [batch, longest + 1], 0 after the end."""
    rows = [np.pad(ids + 1, ((0, 0), (1, longest - ids.shape[1]))) for ids in groups]
    return np.concatenate(rows)


def pairs_of(
    clean: np.ndarray,
    corrupt: np.ndarray,
    lengths: np.ndarray | None = None,
    seed: int = 0,
    counted: np.ndarray | None = None,
    device: torch.device | str = "cpu",
) -> Pairs:
    """Pairs of the model's own ids [batch, pos], as a booted model reads them.

    lengths  how many ids of each row are its input (all by default); the first is BOS or the like
    counted  where outputs count: by default everywhere but at the first
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

    notes = _doubts(clean, corrupt, lengths)
    return Pairs(
        inputs(clean.astype(np.int64)),
        inputs(corrupt.astype(np.int64)),
        torch.from_numpy(shuffled).to(device),
        torch.from_numpy(counted).to(device),
        notes,
    )


def _shuffled(lengths: np.ndarray, n: int, rng) -> np.ndarray:
    rows = np.tile(np.arange(n), (len(lengths), 1))
    for row, length in zip(rows, lengths, strict=True):
        row[1:length] = 1 + rng.permutation(length - 1)
    return rows


def _doubts(clean: np.ndarray, corrupt: np.ndarray, lengths: np.ndarray) -> tuple[str, ...]:
    same = float((clean == corrupt).all(-1).mean())
    if same == 1:
        raise RaspValueError(
            "every corrupted input equals its clean one: no patch from them changes anything",
            hint="draw other corrupted inputs, or take zero or mean ablation on other pairs",
        )
    notes = [f"{same:.0%} of the corrupted inputs equal their clean ones"] if same > 0.1 else []
    if len(set(lengths.tolist())) == 1 and clean.shape[1] > 2:
        notes.append(
            f"all inputs have one length ({int(lengths[0]) - 1} tokens): what depends on the "
            "length looks constant"
        )
    return tuple(notes)

"""Decoding logits to values by the million: codes into a table of distinct values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from torch import Tensor

from rasplab.program.values import Value
from rasplab.transformer.readout import Readout


@dataclass(frozen=True, eq=False)
class CodeTable:
    """Values of many positions: position holds values[code].

    codes  integers [batch, pos]
    """

    codes: np.ndarray
    values: tuple[Value, ...]


def decode_logits(readout: Readout, logits: Iterable[Tensor]) -> CodeTable:
    """The values that logits [batch, pos, d_vocab_out] mean, given in parts along the batch."""
    if not readout.number:
        chosen = [part.argmax(-1).cpu().numpy() for part in logits]
        return CodeTable(np.concatenate(chosen), readout.values)
    numbers = [part[..., 0].double().cpu().numpy() for part in logits]
    return decode(readout, np.concatenate(numbers))


def decode(readout: Readout, numbers: np.ndarray) -> CodeTable:
    """What Readout.decode gives for the single logits `numbers` [batch, pos] of a number readout,
    vectorised."""
    if readout.values is not None:
        return _nearest_listed(readout.values, numbers)
    return _nearest_fraction(readout, numbers)


def _nearest_listed(values: tuple[Value, ...], numbers: np.ndarray) -> CodeTable:
    """The nearest of `values`; a tie goes to the smaller, as in Readout."""
    ordered = tuple(sorted(values, key=float))
    known = np.array([float(v) for v in ordered])
    if len(known) == 1:
        return CodeTable(np.zeros(numbers.shape, np.int64), ordered)
    above = np.clip(np.searchsorted(known, numbers), 1, len(known) - 1)
    nearer_below = numbers - known[above - 1] <= known[above] - numbers
    return CodeTable(np.where(nearer_below, above - 1, above), ordered)


def _nearest_fraction(readout: Readout, numbers: np.ndarray) -> CodeTable:
    """The nearest multiple of unit/k, k <= denominator.

    Small k come first and only a strictly nearer fraction replaces one,
    so each comes in lowest terms.
    """
    scaled = numbers / float(readout.unit)
    top, bottom = np.rint(scaled), np.ones_like(scaled)
    error = np.abs(scaled - top)
    for k in range(2, readout.denominator + 1):
        candidate = np.rint(scaled * k)
        distance = np.abs(scaled - candidate / k)
        # a gain below rounding error is the same fraction seen through another division
        nearer = distance < error * (1 - 1e-12) - 1e-18
        top, bottom = np.where(nearer, candidate, top), np.where(nearer, k, bottom)
        error = np.where(nearer, distance, error)
    pairs, codes = np.unique(np.stack([top.ravel(), bottom.ravel()]), axis=1, return_inverse=True)
    values = tuple(_number(Fraction(int(n), int(k)) * readout.unit) for n, k in pairs.T)
    return CodeTable(codes.reshape(numbers.shape), values)


def _number(value: Fraction) -> int | float:
    return int(value) if value.denominator == 1 else float(value)

"""Numbers to the nearest values that can occur, by the million: arrays -> codes into a table."""

from __future__ import annotations

from fractions import Fraction
from typing import cast

import numpy as np
from jaxtyping import Float

from rasplab.program.batch.columns import Column
from rasplab.program.values import Value

RELATIVE_GAIN, ABSOLUTE_GAIN = 1e-12, 1e-18
"""A fraction with a larger denominator has to be nearer than the one before by more than this.

A smaller gain is rounding error: the same fraction, seen through another division."""


def row_values(table: Column, row: int) -> list[Value]:
    """The values of one input, on which no value is a fault: logits decode to none."""
    return cast("list[Value]", table.row(row))


def nearest_listed(values: tuple[Value, ...], numbers: Float[np.ndarray, "*batch pos"]) -> Column:
    """The nearest of `values`, which are numbers; a tie goes to the smaller."""
    floats = np.array(values, np.float64)
    order = np.argsort(floats, kind="stable")
    ordered, listed = tuple(values[i] for i in order), floats[order]
    if len(ordered) == 1:
        return Column(np.zeros(numbers.shape, np.int64), ordered)
    # the listed value above each number, clipped so that both neighbours exist at the ends
    above = np.clip(np.searchsorted(listed, numbers), 1, len(listed) - 1)
    nearer_below = numbers - listed[above - 1] <= listed[above] - numbers
    return Column(np.where(nearer_below, above - 1, above), ordered)


def nearest_fraction(
    unit: Fraction, denominator: int, numbers: Float[np.ndarray, "*batch pos"]
) -> Column:
    """The nearest multiple of unit/k over all k <= denominator; an int where it is whole.

    What `Fraction.limit_denominator` gives for numbers / unit, vectorised. Small k come first and
    only a strictly nearer fraction replaces one, so each comes in lowest terms.
    """
    scaled = numbers / float(unit)
    top, bottom = np.rint(scaled), np.ones_like(scaled)
    error = np.abs(scaled - top)
    for k in range(2, denominator + 1):
        candidate = np.rint(scaled * k)
        distance = np.abs(scaled - candidate / k)
        nearer = distance < error * (1 - RELATIVE_GAIN) - ABSOLUTE_GAIN
        top, bottom = np.where(nearer, candidate, top), np.where(nearer, k, bottom)
        error = np.where(nearer, distance, error)
    # a column (top, bottom) per number; equal fractions become one value
    pairs, codes = np.unique(np.stack([top.ravel(), bottom.ravel()]), axis=1, return_inverse=True)
    values = tuple(_number(Fraction(int(n), int(k)) * unit) for n, k in pairs.T)
    return Column(codes.reshape(numbers.shape), values)


def _number(value: Fraction) -> int | float:
    return int(value) if value.denominator == 1 else float(value)

"""Columns against each other, cell by cell: which values count as equal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Integer

from rasplab.program.batch.columns import Column
from rasplab.program.values import MIN_SCALE, ROUNDING, as_float, integer_rank, value_key


def equal_cells(expected: Column, given: Column) -> Bool[np.ndarray, ...]:
    """Where two columns hold equal values, as `values.same_value` has it; their codes broadcast.

    Types must agree (True is not 1, but 2 is 2.0); floats may differ by ROUNDING, relative.
    """
    left, right = shared_codes(expected, given)
    low, high = (_per_cell(as_float, column, np.nan) for column in (expected, given))
    ranks = _per_cell(integer_rank, expected, 0) + _per_cell(integer_rank, given, 0)
    # nan on either side makes the comparison False, so only the keys decide there
    close = np.abs(low - high) <= ROUNDING * np.maximum(MIN_SCALE, np.abs(low))
    # more than 2: two integers, of which one is an int
    return (left == right) | (close & (ranks <= 2))


def _per_cell(function: Callable[[Any], Any], column: Column, empty: int | float) -> np.ndarray:
    return np.array([function(v) for v in column.values] or [empty])[column.codes]


def shared_codes(
    left: Column, right: Column
) -> tuple[Integer[np.ndarray, ...], Integer[np.ndarray, ...]]:
    """The codes of two columns renamed so that equal codes mean equal values, without rounding."""
    known: dict[tuple, int] = {}

    def renamed(column: Column) -> np.ndarray:
        keys = [known.setdefault(value_key(v), len(known)) for v in column.values]
        return np.array(keys or [0])[column.codes]

    return renamed(left), renamed(right)


def cells_among(column: Column, values: Sequence[Any]) -> Bool[np.ndarray, "batch pos"]:
    """Where a column holds a value equal to one of `values`."""
    n, m = len(column.values), len(values)
    table = Column(np.arange(n)[:, None], column.values)
    same = equal_cells(table, Column(np.arange(m)[None], tuple(values)))
    return np.any(same, axis=1)[column.codes]

"""Columns against each other, cell by cell: which values count as equal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from jaxtyping import Bool, Integer

from rasplab.program.batch.columns import Column
from rasplab.program.values import MIN_SCALE, ROUNDING, as_float, integer_rank, value_key

MAX_TABLE = 1 << 14
"""Pairs of values up to which equality is kept as a table: columns are compared many times."""


def equal_cells(expected: Column, given: Column) -> Bool[np.ndarray, "*_"]:
    """Where two columns hold equal values, as `values.same_value` has it; their codes broadcast.

    Types must agree (True is not 1, but 2 is 2.0); floats may differ by ROUNDING, relative.
    """
    if len(expected.values) * len(given.values) <= MAX_TABLE:
        table = _equality_table(_Values(expected.values), _Values(given.values))
        # a code of a column without values points nowhere, and no cell has one
        return table[expected.codes, given.codes]
    return _equal(expected, given)


@dataclass(frozen=True, eq=False, slots=True)
class _Values:
    """Values of a column as a key of a cache: the same tuple, as 1, 1.0 and True are equal keys."""

    values: tuple[Any, ...]

    def __hash__(self) -> int:
        return id(self.values)  # the key holds the tuple, so its address is not used again

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Values) and self.values is other.values


@lru_cache(maxsize=2048)
def _equality_table(left: _Values, right: _Values) -> Bool[np.ndarray, "left right"]:
    n, m = len(left.values), len(right.values)
    rows, columns = np.arange(n)[:, None], np.arange(m)[None]
    return _equal(Column(rows, left.values), Column(columns, right.values))


def _equal(expected: Column, given: Column) -> Bool[np.ndarray, "*_"]:
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
) -> tuple[Integer[np.ndarray, "*_"], Integer[np.ndarray, "*_"]]:
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

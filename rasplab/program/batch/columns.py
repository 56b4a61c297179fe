"""Columns of value codes, and functions of them: the batched interpreter's values."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Integer

from rasplab.program.faults import Fault
from rasplab.program.values import Value, typed_key

TABLE_CODES = 1 << 20
"""Up to so many possible codes, a table of all of them is quicker than sorting those that occur."""


MAX_CODES = 1 << 62
"""Codes below this are integers of numpy."""


@dataclass(frozen=True, eq=False)
class Column:
    """An s-op on a batch: at (batch, pos) stands values[codes[batch, pos]].

    codes   [batch, pos], or [1, pos] where every input has the same
    values  distinct under `typed_key`; FAULT where a value could not be computed
    """

    codes: Integer[np.ndarray, "*batch pos"]
    values: tuple[Value | Fault, ...]

    def row(self, i: int) -> list[Value | Fault]:
        """The values of input i."""
        return [self.values[c] for c in self.codes[i if len(self.codes) > 1 else 0]]


def mapped(fn: Callable[..., Any], args: Sequence[Column]) -> Column:
    """`fn` of the columns, called once per distinct tuple of values; it may be given FAULT."""
    digits, inverse = _distinct_tuples(args)
    results = [
        fn(*(column.values[digit] for column, digit in zip(args, row, strict=True)))
        for row in digits.tolist()
    ]
    values, renamed = interned(results)
    return Column(renamed[inverse], values)


def _distinct_tuples(
    args: Sequence[Column],
) -> tuple[Integer[np.ndarray, "distinct arg"], Integer[np.ndarray, "*cells"]]:
    """The distinct tuples of codes that stand in a cell, and for each cell which of them it is.

    A tuple is one integer: its codes are the digits, the number of values of each column the base
    of its digit. Where there are too many for an integer, the rows of codes are sorted as they are.
    """
    size = math.prod(len(c.values) for c in args)
    if size >= MAX_CODES:
        cells = np.stack(np.broadcast_arrays(*(c.codes for c in args)), -1)
        rows, inverse = np.unique(cells.reshape(-1, len(args)), axis=0, return_inverse=True)
        return rows, inverse.reshape(cells.shape[:-1])
    codes = np.asarray(args[0].codes, np.int64)
    for column in args[1:]:
        codes = codes * len(column.values) + column.codes
    distinct, inverse = distinct_codes(codes, size)
    digits: list[np.ndarray] = []
    for column in reversed(args):
        distinct, digit = np.divmod(distinct, len(column.values))
        digits.append(digit)
    return np.stack(digits[::-1], -1), inverse


def distinct_codes(
    codes: Integer[np.ndarray, "*cells"], size: int
) -> tuple[Integer[np.ndarray, " distinct"], Integer[np.ndarray, "*cells"]]:
    """The distinct codes (all below `size`) in order, and for each cell which of them it is."""
    if size > TABLE_CODES:
        assert size < MAX_CODES, f"{size} possible codes do not fit in an integer"
        distinct, inverse = np.unique(codes, return_inverse=True)
        return distinct, inverse.reshape(codes.shape)
    present = np.zeros(size, bool)
    present[codes.ravel()] = True
    # the rank of a code among those present is the count of present codes up to it, less 1
    return np.flatnonzero(present), (np.cumsum(present) - 1)[codes]


def interned(results: Iterable[Any]) -> tuple[tuple[Any, ...], Integer[np.ndarray, " result"]]:
    """The distinct values, and the code of each result."""
    codes: dict[tuple, int] = {}
    values: list[Any] = []
    renamed = []
    for value in results:
        code = codes.setdefault(typed_key(value), len(values))
        if code == len(values):
            values.append(value)
        renamed.append(code)
    return tuple(values), np.array(renamed, np.int64)


def stacked(parts: Sequence[Column]) -> Column:
    """The columns of several chunks as one; what no input influences is the same in each."""
    if len(parts) == 1 or all(len(p.codes) == 1 for p in parts):
        return parts[0]
    values, renamed = interned(v for p in parts for v in p.values)
    start, codes = 0, []
    for p in parts:
        codes.append(renamed[start + p.codes])
        start += len(p.values)
    return Column(np.concatenate(codes), values)

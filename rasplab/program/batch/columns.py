"""Columns of value codes, and functions of them: the batched interpreter's values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Integer

from rasplab.program.faults import Fault
from rasplab.program.values import Value, typed_key

TABLE_CODES = 1 << 20
"""Up to so many possible codes, a table of all of them is quicker than sorting those that occur."""


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
    """`fn` of the columns, called once per distinct tuple of values; it may be given FAULT.

    A tuple of values is one integer: its codes are the digits, the number of values of each column
    the base of its digit.
    """
    codes = np.asarray(args[0].codes, np.int64)
    for column in args[1:]:
        codes = codes * len(column.values) + column.codes
    size = int(np.prod([len(c.values) for c in args], dtype=object))
    distinct, inverse = distinct_codes(codes, size)
    results = []
    for code in distinct.tolist():
        operands = []
        for column in reversed(args):
            code, digit = divmod(code, len(column.values))
            operands.append(column.values[digit])
        results.append(fn(*reversed(operands)))
    values, renamed = interned(results)
    return Column(renamed[inverse], values)


def distinct_codes(
    codes: Integer[np.ndarray, "*cells"], size: int
) -> tuple[Integer[np.ndarray, " distinct"], Integer[np.ndarray, "*cells"]]:
    """The distinct codes (all below `size`) in order, and for each cell which of them it is."""
    if size > TABLE_CODES:
        assert size < 1 << 62, f"{size} possible tuples of values do not fit in an integer"
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

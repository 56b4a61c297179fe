"""Columns of value codes, and functions of them: the batched interpreter's values."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from rasplab.program.values import Value

DIRECT = 1 << 20
"""Up to so many possible tuples of values, a table of all of them is quicker than sorting those
that occur."""


class _Fault:
    """Stands in a table for a value whose computation failed."""

    def __repr__(self) -> str:
        return "FAULT"


FAULT = _Fault()


@dataclass(frozen=True, eq=False)
class Column:
    """An s-op on a batch: at (batch, pos) stands values[codes[batch, pos]].

    codes   integers [batch, pos], or [1, pos] where every input has the same
    values  distinct; 1, 1.0 and True differ
    """

    codes: np.ndarray
    values: tuple[Value, ...]

    def row(self, i: int) -> list[Value]:
        """The values of input i."""
        return [self.values[c] for c in self.codes[i if len(self.codes) > 1 else 0]]


STRING, NUMBER, ILLEGAL = range(3)


def kind_of(value: Any) -> int:
    """Strings and numbers (and bools) do not stand in one s-op;
    FAULT, lists and the rest in none."""
    if isinstance(value, str):
        return STRING
    return NUMBER if type(value) in (int, float, bool) else ILLEGAL


def applied(fn: Callable, args: tuple) -> Any:
    """fn(*args), or FAULT when that raises or an argument is one already."""
    if any(a is FAULT for a in args):
        return FAULT
    try:
        return fn(*args)
    except Exception:  # the functions are Python's own: whatever they raise is the program's fault
        return FAULT


def mapped(fn: Callable, args: list[Column]) -> Column:
    """fn of the columns, called once per distinct tuple of values."""
    codes = np.asarray(args[0].codes, np.int64)
    for column in args[1:]:
        codes = codes * len(column.values) + column.codes
    size = int(np.prod([len(c.values) for c in args], dtype=object))
    distinct, inverse = distinct_codes(codes, size)
    results = []
    for code in distinct.tolist():
        picked = []
        for column in reversed(args):
            code, digit = divmod(code, len(column.values))
            picked.append(column.values[digit])
        results.append(applied(fn, tuple(reversed(picked))))
    values, renamed = interned(results)
    return Column(renamed[inverse], values)


def distinct_codes(codes: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The distinct codes (all below `size`) in order, and for each cell which of them it is."""
    if size > DIRECT:
        assert size < 1 << 62, f"{size} possible tuples of values do not fit in an integer"
        distinct, inverse = np.unique(codes, return_inverse=True)
        return distinct, inverse.reshape(codes.shape)
    present = np.zeros(size, bool)
    present[codes.ravel()] = True
    return np.flatnonzero(present), (np.cumsum(present) - 1)[codes]


def typed(value: Any) -> tuple:
    """A key equal for equal values of equal kinds only."""
    if isinstance(value, tuple):
        return ("tuple", *(typed(v) for v in value))
    return (type(value).__name__, repr(value) if isinstance(value, float) else value)


def interned(results: Iterable[Any]) -> tuple[tuple, np.ndarray]:
    """The distinct values, and the code of each result."""
    codes: dict[tuple, int] = {}
    values: list[Any] = []
    renamed = []
    for value in results:
        code = codes.setdefault(typed(value), len(values))
        if code == len(values):
            values.append(value)
        renamed.append(code)
    return tuple(values), np.array(renamed, np.int64)


def stacked(parts: list[Column]) -> Column:
    """The columns of several chunks as one; what no input influences is the same in each."""
    if len(parts) == 1 or all(len(p.codes) == 1 for p in parts):
        return parts[0]
    values, renamed = interned(v for p in parts for v in p.values)
    start, stacked = 0, []
    for p in parts:
        stacked.append(renamed[start + p.codes])
        start += len(p.values)
    return Column(np.concatenate(stacked), values)

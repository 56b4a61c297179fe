"""Value sets, tables and cells: what the analysis of a program on a domain is made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.ma

from rasplab.base.limits import current
from rasplab.program.values import Value

TOKEN, POSITION = -2, -1
"""The leaves that the embedding gives; other leaves are node ids."""

BYTES_A_CELL = 28
"""What a table [cell, value] takes per entry while it is made and used: some two dozen bytes, 4 of
them in each float32 copy."""


def max_cells() -> int:
    """Entries (cells x values) that one table of the analysis may hold."""
    return current().memory // BYTES_A_CELL


GOLDEN = np.uint64(0x9E3779B97F4A7C15)
"""2^64 / golden ratio: its multiples are spread evenly, which is what a hash needs."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What an elementwise function raised for some values; absorbs whatever reads it."""

    reason: str


def value_key(value: Value | Fault) -> tuple:
    """Equal for values that mean the same: 2 and 2.0 do, True and 1 do not."""
    if isinstance(value, tuple):
        return ("tuple", *(value_key(v) for v in value))
    if isinstance(value, bool | str | Fault):
        return (type(value).__name__, value)
    return ("number", value)


def is_number(value: Value) -> bool:
    """An int or a float, and no bool."""
    return isinstance(value, int | float) and not isinstance(value, bool)


@dataclass(frozen=True)
class ValueSet:
    """The values a node can take.

    values       distinct under value_key
    cells        bool [cell, value]: can it take that value there
    distinct     no two positions of one input hold the same value
    permutation  the values over an input are 0 .. n-1 in some order
    """

    values: tuple[Value, ...]
    cells: np.ndarray
    distinct: bool = False
    permutation: bool = False


@dataclass(frozen=True)
class Column:
    """A node over rows of leaf combinations: values[codes[row]]."""

    values: tuple[Value | Fault, ...]
    codes: np.ndarray


@dataclass(frozen=True)
class Joint:
    """Leaf combinations that can occur: codes [row, leaf], and in which patterns of cells they do.

    rows, patterns [pair]  combination rows[k] occurs in the cells of pattern patterns[k]
    cell_pattern [cell]    the pattern of each cell: cells of one pattern allow the same leaf values
    """

    leaves: tuple[int, ...]
    codes: np.ndarray
    rows: np.ndarray
    patterns: np.ndarray
    cell_pattern: np.ndarray


class Cells:
    """The cells (n, i) of a domain: length n, position i < n; numbered by n, then i."""

    def __init__(self, max_len: int):
        self.max_len = max_len
        self.length = np.repeat(np.arange(1, max_len + 1), np.arange(1, max_len + 1))
        self.position = np.concatenate([np.arange(n) for n in range(1, max_len + 1)])
        self.count = len(self.length)

    def of_length(self, n: int) -> slice:
        """The cells of length n."""
        return slice(n * (n - 1) // 2, n * (n + 1) // 2)


def unique_rows(bits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of a bool [row, column] array: the first row of each kind, and the kind of each row.

    Rows are told apart by a hash, and the outcome is checked.
    """
    packed = np.packbits(bits, axis=1)
    packed = np.pad(packed, ((0, 0), (0, -packed.shape[1] % 8)))
    packed = np.ascontiguousarray(packed).view(np.uint64)
    factors = np.arange(1, packed.shape[1] + 1, dtype=np.uint64) * GOLDEN | np.uint64(1)
    mixed = packed ^ (packed >> np.uint64(29))
    _, first, kind = np.unique((mixed * factors).sum(1), return_index=True, return_inverse=True)
    kind = kind.reshape(-1)
    if not np.array_equal(packed, packed[first[kind]]):
        _, first, kind = np.unique(packed, axis=0, return_index=True, return_inverse=True)
    return first, kind.reshape(-1)


def apply(function, columns: list[Column], rows: int | None) -> Column:
    """`function` over columns, called once per distinct combination; what it raises becomes a
    Fault.
    """
    if not columns:
        return Column(((),), np.zeros(rows or 1, int))
    combined = np.zeros(len(columns[0].codes), int)
    for column in columns:
        combined = combined * len(column.values) + column.codes
    _, first, inverse = np.unique(combined, return_index=True, return_inverse=True)
    values: list[Value | Fault] = []
    ids: dict[tuple, int] = {}
    codes = np.empty(len(first), int)
    for at, row in enumerate(first):
        value = call(function, [c.values[c.codes[row]] for c in columns])
        key = value_key(value)
        if key not in ids:
            ids[key] = len(values)
            values.append(value)
        codes[at] = ids[key]
    return Column(tuple(values), codes[inverse.reshape(-1)])


def call(function, args: list) -> Value | Fault:
    for arg in args:
        if isinstance(arg, Fault):
            return arg
    try:
        value = function(*args)
    except (TypeError, ValueError, ZeroDivisionError, KeyError, OverflowError, IndexError) as error:
        return Fault(f"{type(error).__name__} on {', '.join(map(repr, args))}: {error}")
    if isinstance(value, complex) or (isinstance(value, float) and not np.isfinite(value)):
        return Fault(f"{', '.join(map(repr, args))} gives {value}")
    return value


def component(column: Column, at: int) -> tuple[np.ndarray, list]:
    """Component `at` of a column of tuples: codes per tuple, and its distinct values."""
    ids: dict[tuple, int] = {}
    values, codes = [], []
    for value in column.values:
        part = value if isinstance(value, Fault) else value[at]
        key = value_key(part)
        if key not in ids:
            ids[key] = len(values)
            values.append(part)
        codes.append(ids[key])
    return np.array(codes), values

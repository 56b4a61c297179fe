"""Value sets, columns and cells: the tables that the analysis of a program on a domain is made of.

A *cell* (n, i) is position i of an input of length n. The analysis keeps, for every s-op, a table
[cell, value] of what it can hold where. A *leaf* is what elementwise expressions are built on: the
token, the position, or an s-op that attention computes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from jaxtyping import Bool, Int

from rasplab.base.limits import current
from rasplab.compiler.infer.values import Fault, Result
from rasplab.program.values import Value, typed_key

N = TypeVar("N", int, Int[np.ndarray, "..."])

BYTES_A_CELL = 28
"""Bytes per entry of a table [cell, value] while it is in use; a float32 copy takes 4 of them."""


def max_cells() -> int:
    """Entries (cells x values) that one table of the analysis may hold."""
    return current().memory // BYTES_A_CELL


GOLDEN = np.uint64(0x9E3779B97F4A7C15)
"""2^64 / golden ratio: its multiples are spread evenly, which is what a hash needs."""

MAX_NUMBER = 2**63 - 1
"""The largest number of an int64; numpy goes on from its negative without a word."""


@dataclass(frozen=True)
class ValueSet:
    """The values a node can take.

    values       distinct under typed_key
    allowed      whether the node can take that value in cells of that kind
    kind         the kind of each cell
    distinct     no two positions of one input hold the same value
    permutation  the values over an input are 0 .. n-1 in some order
    """

    values: tuple[Value, ...]
    allowed: Bool[np.ndarray, "kind value"]
    kind: Int[np.ndarray, " cell"]
    distinct: bool = False
    permutation: bool = False

    @classmethod
    def of_cells(cls, values: tuple[Value, ...], cells: Bool[np.ndarray, "cell value"]) -> ValueSet:
        """The set of a table of what each cell allows; cells of equal rows are of one kind."""
        first, kind = unique_rows(cells)
        return cls(values, cells[first], kind)

    @property
    def cells(self) -> Bool[np.ndarray, "cell value"]:
        """Whether the node can take that value in that cell; made anew at every call."""
        return self.allowed[self.kind]


@dataclass(frozen=True)
class Column:
    """A node over rows of leaf combinations: its value in a row is values[codes[row]]."""

    values: tuple[Result, ...]
    codes: Int[np.ndarray, " row"]


@dataclass(frozen=True)
class Joint:
    """The leaf combinations that can occur, and where.

    codes         the value of each leaf, as its position in the leaf's value set
    rows          for each pair (combination, pattern) the combination, a row of `codes`
    patterns      for each such pair the pattern of cells in which the combination occurs
    cell_pattern  the pattern of each cell: cells of one pattern allow the same leaf values
    parents       for each pattern one whose combinations all occur in it too, which are not listed
                  again as pairs, or -1
    order         the patterns, each after its parent
    """

    leaves: tuple[int, ...]
    codes: Int[np.ndarray, "row leaf"]
    rows: Int[np.ndarray, " pair"]
    patterns: Int[np.ndarray, " pair"]
    cell_pattern: Int[np.ndarray, " cell"]
    parents: Int[np.ndarray, " pattern"]
    order: Int[np.ndarray, " pattern"]


def cells_of(column: Column, joint: Joint) -> Bool[np.ndarray, "cell value"]:
    """Which values of a column over the rows of `joint` can occur in which cell."""
    return values_by_pattern(column, joint)[joint.cell_pattern]


def kinds_of(
    column: Column, joint: Joint
) -> tuple[Int[np.ndarray, " cell"], Bool[np.ndarray, "kind value"]]:
    """Cells that allow the same values of a column are of one kind: each cell's, and its values."""
    by_pattern = values_by_pattern(column, joint)
    first, kind = unique_rows(by_pattern)
    return kind[joint.cell_pattern], by_pattern[first]


def values_by_pattern(column: Column, joint: Joint) -> Bool[np.ndarray, "pattern value"]:
    """Which values of a column over the rows of `joint` can occur in cells of which pattern."""
    by_pattern = np.zeros((len(joint.parents), len(column.values)), bool)
    # cells of one pattern allow the same combinations, so values are noted once a pattern
    by_pattern[joint.patterns, column.codes[joint.rows]] = True
    for pattern in joint.order[joint.parents[joint.order] >= 0]:
        by_pattern[pattern] |= by_pattern[joint.parents[pattern]]
    return by_pattern


class Cells:
    """The cells (n, i) of a domain: length n, position i < n; numbered by n, then i.

    length, position  of each cell, int [cell]
    """

    def __init__(self, max_len: int):
        self.max_len = max_len
        self.length = np.repeat(np.arange(1, max_len + 1), np.arange(1, max_len + 1))
        self.position = np.concatenate([np.arange(n) for n in range(1, max_len + 1)])
        self.count = len(self.length)

    @staticmethod
    def first(length: N) -> N:
        """The cell of position 0, of one length or of an array of them."""
        # the cells of shorter inputs come before: 1 + 2 + ... + (length - 1)
        return length * (length - 1) // 2

    def of_length(self, n: int) -> slice:
        """The cells of length n."""
        return slice(self.first(n), self.first(n + 1))


def unique_rows(
    bits: Bool[np.ndarray, "row column"],
) -> tuple[Int[np.ndarray, " kind"], Int[np.ndarray, " row"]]:
    """The first row of each kind of equal rows, and the kind of each row.

    Rows are compared by a 64-bit hash, which sorts faster than rows; if two different rows have the
    same hash, the rows themselves are sorted.
    """
    # The hash of a row: the sum of its 64-bit words, each mixed and times an odd factor of its own.
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


def map_columns(
    function: Callable[[Sequence[Result]], Result], columns: Sequence[Column], row_count: int
) -> Column:
    """The column of `function`, which takes a value of each column and may give a Fault.

    The function is called once per distinct combination of values, not once per row. Without
    columns the result is the empty tuple in each of `row_count` rows.
    """
    if not columns:
        return Column(((),), np.zeros(row_count or 1, int))
    # The codes of a row as the digits of one number: equal numbers are equal combinations. Where
    # the number may outgrow 64 bits, the combinations so far are numbered anew, by row at most.
    combined, bound = np.zeros(len(columns[0].codes), int), 1
    for column in columns:
        if bound * len(column.values) > MAX_NUMBER:
            combined = np.unique(combined, return_inverse=True)[1].reshape(-1)
            bound = len(combined)
        combined = combined * len(column.values) + column.codes
        bound *= len(column.values)
    _, first, inverse = np.unique(combined, return_index=True, return_inverse=True)
    values: list[Result] = []
    ids: dict[tuple, int] = {}
    codes = np.empty(len(first), int)
    for at, row in enumerate(first):
        value = function([c.values[c.codes[row]] for c in columns])
        key = typed_key(value)
        if key not in ids:
            ids[key] = len(values)
            values.append(value)
        codes[at] = ids[key]
    return Column(tuple(values), codes[inverse.reshape(-1)])


def total(column: Column) -> Column:
    """The column with a value of its own, or 0, in the place of Faults."""
    if not any(isinstance(v, Fault) for v in column.values):
        return column
    valid = [code for code, v in enumerate(column.values) if not isinstance(v, Fault)]
    if not valid:
        return Column((0,), np.zeros_like(column.codes))
    new = np.zeros(len(column.values), int)
    new[valid] = np.arange(len(valid))
    return Column(tuple(column.values[code] for code in valid), new[column.codes])


def component(column: Column, at: int) -> tuple[Int[np.ndarray, " tuple"], list[Result]]:
    """Component `at` of a column of tuples: a code per tuple, and the distinct values."""
    ids: dict[tuple, int] = {}
    values: list[Result] = []
    codes: list[int] = []
    for value in column.values:
        if isinstance(value, Fault):
            part: Result = value
        else:
            assert isinstance(value, tuple)
            part = value[at]
        key = typed_key(part)
        if key not in ids:
            ids[key] = len(values)
            values.append(part)
        codes.append(ids[key])
    return np.array(codes), values

"""Selectors as rows of bits: row q is an int whose bit k says whether query q selects key k.

On n positions `and`, `or`, `not`, widths and exact means take n / 64 machine words a row, without
numpy: importing it takes longer than most programs run.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from rasplab.program.faults import FaultyRows

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Bool

Rows = list[int]


def select_rows(
    keys: Sequence[Any], queries: Sequence[Any], predicate: str, test: Callable[[Any, Any], bool]
) -> Rows:
    """The rows of a comparison: bit k of row q is test(keys[k], queries[q]).

    predicate  the name of `test` in PREDICATES
    Raises TypeError where `test` does.
    """
    if any(v != v for v in keys) or any(v != v for v in queries):  # nan
        return _pairwise(keys, queries, test)
    chosen = _equal_to(keys) if predicate in ("==", "!=") else _ordered(keys, predicate)
    memo: dict[Any, int] = {}
    for q in queries:
        if q not in memo:
            memo[q] = chosen(q)
    every = (1 << len(keys)) - 1
    # `!=`, `>` and `>=` are the complements of `==`, `<=` and `<`
    flip = every if predicate in ("!=", ">", ">=") else 0
    return [memo[q] ^ flip for q in queries]


def _pairwise(keys: Sequence, queries: Sequence, test: Callable) -> Rows:
    """Every pair tested: nan is not equal to itself, so sorting and hashing do not apply."""
    return [sum(1 << k for k, key in enumerate(keys) if test(key, q)) for q in queries]


def _positions(keys: Sequence) -> dict[Any, int]:
    """Value -> the bits of its positions."""
    masks: dict[Any, int] = {}
    for k, key in enumerate(keys):
        masks[key] = masks.get(key, 0) | 1 << k
    return masks


def _equal_to(keys: Sequence) -> Callable[[Any], int]:
    masks = _positions(keys)
    return lambda q: masks.get(q, 0)


def _ordered(keys: Sequence, predicate: str) -> Callable[[Any], int]:
    """The keys below the query, for `<` and `>=`; those up to it, for `<=` and `>`."""
    masks = _positions(keys)
    values = sorted(masks)
    prefixes = [0]
    for value in values:
        prefixes.append(prefixes[-1] | masks[value])  # prefixes[i]: keys among the i least values
    cut = bisect_left if predicate in ("<", ">=") else bisect_right
    return lambda q: prefixes[cut(values, q)]


def masked(rows: Rows) -> Rows:
    """The rows without keys after their query."""
    early = [row & ((2 << q) - 1) for q, row in enumerate(rows)]
    if not isinstance(rows, FaultyRows):
        return early
    failed = [bits & ((2 << q) - 1) for q, bits in enumerate(rows.failed)]
    return FaultyRows(early, failed, rows.by_query, rows.by_key)


def combine_rows(fn: str, operands: Sequence[Rows]) -> Rows:
    """`and`, `or` of all operands, or `not` of the one.

    A cell that failed stays failed, unless an operand before it decides.
    """
    first = operands[0]
    if fn == "not":
        every = (1 << len(first)) - 1
        turned = [row ^ every for row in first]
        if isinstance(first, FaultyRows):
            return FaultyRows(turned, first.failed, first.by_query, first.by_key)
        return turned
    for rows in operands[1:]:
        first = _combined(fn, first, rows)
    return list(first) if type(first) is list else first


def _combined(fn: str, left: Rows, right: Rows) -> Rows:
    both = zip(left, right, strict=True)
    rows = [a & b for a, b in both] if fn == "and" else [a | b for a, b in both]
    if not isinstance(left, FaultyRows) and not isinstance(right, FaultyRows):
        return rows
    every = (1 << len(left)) - 1
    failed = []
    for row, before, after in zip(left, failed_bits(left), failed_bits(right), strict=True):
        asked = row if fn == "and" else row ^ every  # the cells that `left` does not decide
        failed.append(before | (after & asked))
    faulty = [rows for rows in (right, left) if isinstance(rows, FaultyRows)]
    by_query = {q: fault for rows in faulty for q, fault in rows.by_query.items()}
    by_key = {k: fault for rows in faulty for k, fault in rows.by_key.items()}
    return FaultyRows(rows, failed, by_query, by_key)


def failed_bits(rows: Rows) -> list[int]:
    """Per query the bits of the keys for which the selector could not be computed."""
    return rows.failed if isinstance(rows, FaultyRows) else [0] * len(rows)


def means(rows: set[int], values: Sequence[Any]) -> dict[int, float]:
    """For each row the mean of the values it selects, at least one, correctly rounded.

    values  int, float, bool
    """
    try:
        ratios = [v.as_integer_ratio() for v in values]
    except (OverflowError, ValueError):  # inf and nan have no ratio
        return {row: sum(_selected(row, values)) / row.bit_count() for row in rows}
    scale = max(d for _, d in ratios)  # powers of two: the largest is a common denominator
    total = _totals([n * (scale // d) for n, d in ratios])
    return {row: total(row) / (scale * row.bit_count()) for row in rows}


def _totals(values: list[int]) -> Callable[[int], int]:
    """The sum of the ints that a row selects, in time of the number of bits of their range.

    Bit plane b has bit k where values[k] - low has bit b, so the sum is that of popcounts times
    2^b. Where there are more planes than values, the values are added one by one.
    """
    low = min(values)
    planes = (max(values) - low).bit_length()
    if planes > len(values):
        return lambda row: sum(_selected(row, values))
    bits = [sum(1 << k for k, v in enumerate(values) if (v - low) >> b & 1) for b in range(planes)]

    def total(row: int) -> int:
        return low * row.bit_count() + sum(
            (row & plane).bit_count() << b for b, plane in enumerate(bits)
        )

    return total


def _selected(row: int, values: Sequence[Any]) -> list[Any]:
    return [v for k, v in enumerate(values) if row >> k & 1]


def matrix(rows: Rows) -> Bool[np.ndarray, "query key"]:
    """The rows as an array."""
    import numpy as np

    n = len(rows)
    # each row in whole bytes, least significant bit first, as np.unpackbits reads them
    packed = b"".join(row.to_bytes((n + 7) // 8, "little") for row in rows)
    bits = np.frombuffer(packed, np.uint8).reshape(n, -1)
    return np.unpackbits(bits, axis=1, bitorder="little")[:, :n].astype(bool)

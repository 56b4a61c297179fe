"""Codes of equalities: numbers for keys and queries that are equal exactly where selected.

Also classes of equal rows of a truth table, over which both codes and tables are made.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int

from rasplab.compiler.infer.columns import Column
from rasplab.compiler.infer.normal_form import Conjunct
from rasplab.program.values import is_number

MAX_CODE = {"float32": 320.0, "float64": 1e6}
"""Largest centred code of a compact equality, by dtype: 2 * gap * MAX_CODE^2 is exact there."""

MAX_BROKEN_CODE = {"float32": 16.0, "float64": 1e5}
"""The same where codes are not halves of whole numbers: products are good to 0.02."""

Codes = tuple[Float[np.ndarray, " key_value"], Float[np.ndarray, " query_value"]]
"""A number per key value and per query value."""


def equality_codes(
    conjunct: Conjunct,
    keys: Column,
    queries: Column,
    small: Bool[np.ndarray, "key_class query_class"],
    key_class: Int[np.ndarray, " key_value"],
    query_class: Int[np.ndarray, " query_value"],
    dtype: str,
) -> list[Codes]:
    """Codes for keys and queries, equal where selected and at least 1 apart elsewhere.

    keys, queries           columns of tuples of values
    small                   the truth table over classes of values with equal rows
    key_class, query_class  the class of each key value and query value
    dtype                   the arithmetic in which scores of the codes have to be exact
    Two codes are the digits of one that would be too large: selected where both are equal. None are
    given where a class is selected by several, or two digits would be too large.
    """
    if small.sum(0).max(initial=0) > 1 or small.sum(1).max(initial=0) > 1:
        return []
    natural = _natural_codes(conjunct, keys, queries, small[np.ix_(key_class, query_class)])
    if natural and not _are_halves(natural):
        if _largest(natural) <= MAX_BROKEN_CODE[dtype]:
            return [natural]
        natural = None
    codes = natural or _rank_codes(small, key_class, query_class)
    if _largest(codes) <= MAX_CODE[dtype]:
        return [codes]
    return [digits for digits in _digits(codes) if _largest(digits) <= MAX_CODE[dtype]][:2]


def _digits(codes: Codes) -> list[Codes]:
    """Two digits of whole steps from the smallest code, each centred."""
    smallest = min(float(codes[0].min()), float(codes[1].min()))
    steps = [np.round(part - smallest) for part in codes]
    base = np.ceil(np.sqrt(max(float(part.max()) for part in steps) + 1))
    middle = (base - 1) / 2
    high, low = ([f(part, base) - middle for part in steps] for f in (np.floor_divide, np.mod))
    return [(high[0], high[1]), (low[0], low[1])]


def _largest(codes: Codes) -> float:
    return max(float(np.abs(part).max()) for part in codes)


def _natural_codes(
    conjunct: Conjunct, keys: Column, queries: Column, table: np.ndarray
) -> Codes | None:
    """The numbers themselves, where the selector compares numbers: linear expressions stay free."""
    if len(conjunct.keys) > 1 or len(conjunct.queries) > 1:
        return None
    values = [v[0] for v in (*keys.values, *queries.values) if isinstance(v, tuple)]
    listed = [float(v) for v in values if is_number(v)]
    if len(listed) < len(keys.values) + len(queries.values):
        return None
    numbers = np.array(listed)
    distinct = np.unique(numbers)
    step = float(np.diff(distinct).min(initial=1.0))
    # Centred, so that squares are small; in units of the smallest distance, so 1 apart at least.
    codes = (numbers - (distinct[0] + distinct[-1]) / 2) / step
    a, b = codes[: len(keys.values)], codes[len(keys.values) :]
    # codes are equal, up to rounding, or at least 1 apart
    equal = np.abs(a[:, None] - b[None]) < 1e-6
    if (equal != table).any():
        return None
    return a, b


def _rank_codes(small: np.ndarray, key_class: np.ndarray, query_class: np.ndarray) -> Codes:
    """Matching classes share a number, the others get numbers of their own."""
    keys, queries = np.full(small.shape[0], -1.0), np.full(small.shape[1], -1.0)
    for code, (k, q) in enumerate(np.argwhere(small)):
        keys[k], queries[q] = code, code
    used = int(small.sum())
    for k in np.nonzero(keys < 0)[0]:
        keys[k] = used
        used += 1
    for q in np.nonzero(queries < 0)[0]:
        queries[q] = used
        used += 1
    # Codes 0 .. used-1, centred: halves of whole numbers.
    middle = (used - 1) / 2
    return (keys - middle)[key_class], (queries - middle)[query_class]


def code_rounding(
    key_codes: Float[np.ndarray, " key_value"],
    query_codes: Float[np.ndarray, " query_value"],
    gap: float,
    ulp: float,
) -> float:
    """Bound on the rounding of scores from codes, for arithmetic of relative rounding `ulp`.

    0 where all products are whole numbers that the dtype holds: codes that are halves give products
    that are quarters, and the gap is a multiple of 4.
    """
    codes = (key_codes, query_codes)
    size = 2 * gap * _largest(codes) ** 2
    if _are_halves(codes) and size * ulp < 1:
        return 0.0
    return 8 * ulp * size


def _are_halves(codes: Codes) -> bool:
    return all(np.array_equal(2 * part, np.round(2 * part)) for part in codes)


def classes_of(table: Bool[np.ndarray, "row column"]) -> Int[np.ndarray, " row"]:
    """A class number per row: equal rows share one; numbered by first appearance."""
    ids: dict[bytes, int] = {}
    return np.array(
        [ids.setdefault(row.tobytes(), len(ids)) for row in np.ascontiguousarray(table)]
    )


def first_of(classes: Int[np.ndarray, " row"]) -> Int[np.ndarray, " class"]:
    """The first member of every class."""
    return np.unique(classes, return_index=True)[1]

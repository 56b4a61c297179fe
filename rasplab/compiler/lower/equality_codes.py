"""Codes of equalities: numbers for keys and queries that are equal exactly where selected.

Also classes of equal rows of a truth table, over which both codes and tables are made.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int

from rasplab.compiler.infer.columns import Column
from rasplab.compiler.infer.normal_form import Conjunct
from rasplab.program.values import is_number

MAX_CODE = 320.0
"""Largest centred code of a compact equality: 2 * gap * MAX_CODE^2 is a whole number in float32."""

MAX_BROKEN_CODE = 16.0
"""The same where codes are not halves of whole numbers: products are good to 0.02 in float32."""

Codes = tuple[Float[np.ndarray, " key_value"], Float[np.ndarray, " query_value"]]
"""A number per key value and per query value."""


def equality_codes(
    conjunct: Conjunct,
    keys: Column,
    queries: Column,
    small: Bool[np.ndarray, "key_class query_class"],
    key_class: Int[np.ndarray, " key_value"],
    query_class: Int[np.ndarray, " query_value"],
) -> Codes | None:
    """Codes for keys and queries, equal where selected and at least 1 apart elsewhere.

    keys, queries           columns of tuples of values
    small                   the truth table over classes of values with equal rows
    key_class, query_class  the class of each key value and query value
    None where a class is selected by several, or codes would be too large for exact scores.
    """
    if small.sum(0).max(initial=0) > 1 or small.sum(1).max(initial=0) > 1:
        return None
    natural = _natural_codes(conjunct, keys, queries, small[np.ix_(key_class, query_class)])
    return natural or _rank_codes(small, key_class, query_class)


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
    limit = MAX_CODE if _are_halves(codes) else MAX_BROKEN_CODE
    if (equal != table).any() or np.abs(codes).max() > limit:
        return None
    return a, b


def _rank_codes(small: np.ndarray, key_class: np.ndarray, query_class: np.ndarray) -> Codes | None:
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
    if middle > MAX_CODE:
        return None
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
    codes = np.concatenate([key_codes, query_codes])
    size = 2 * gap * float(np.abs(codes).max()) ** 2
    if _are_halves(codes) and size * ulp < 1:
        return 0.0
    return 8 * ulp * size


def _are_halves(codes: np.ndarray) -> bool:
    return bool(np.array_equal(2 * codes, np.round(2 * codes)))


def classes_of(table: Bool[np.ndarray, "row column"]) -> Int[np.ndarray, " row"]:
    """A class number per row: equal rows share one; numbered by first appearance."""
    ids: dict[bytes, int] = {}
    return np.array(
        [ids.setdefault(row.tobytes(), len(ids)) for row in np.ascontiguousarray(table)]
    )


def first_of(classes: Int[np.ndarray, " row"]) -> Int[np.ndarray, " class"]:
    """The first member of every class."""
    return np.unique(classes, return_index=True)[1]

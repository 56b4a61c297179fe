"""Selectors' tables: rows alike, and numbers that make an equality of two sides."""

from __future__ import annotations

import numpy as np

from rasplab.compiler.infer.values import is_number

MAX_CODE = 320.0
"""Largest centred code of a compact equality: 2 * gap * MAX_CODE^2 is a whole number in float32."""

MAX_BROKEN_CODE = 16.0
"""The same where codes are no halves of whole numbers: products are good to 0.02 in float32."""


def equality_codes(conjunct, keys, queries, small, key_class, query_class):
    """Numbers for keys and queries, equal exactly where selected, at least 1 apart elsewhere;
    None if none fit.
    """
    if small.sum(0).max(initial=0) > 1 or small.sum(1).max(initial=0) > 1:
        return None
    natural = _natural_codes(conjunct, keys, queries, small, key_class, query_class)
    return natural or _rank_codes(small, key_class, query_class)


def _natural_codes(conjunct, keys, queries, small, key_class, query_class):
    """The numbers themselves, where the selector compares numbers: they keep linear expressions
    free.
    """
    if len(conjunct.keys) > 1 or len(conjunct.queries) > 1:
        return None
    values = [v[0] for v in (*keys.values, *queries.values) if isinstance(v, tuple)]
    if len(values) < len(keys.values) + len(queries.values) or not all(
        is_number(v) for v in values
    ):
        return None
    numbers = np.array([float(v) for v in values])
    distinct = np.unique(numbers)
    gap = float(np.diff(distinct).min(initial=1.0))
    codes = (numbers - (distinct[0] + distinct[-1]) / 2) / gap
    a, b = codes[: len(keys.values)], codes[len(keys.values) :]
    equal = np.abs(a[:, None] - b[None]) < 1e-6
    limit = MAX_CODE if _halves(codes) else MAX_BROKEN_CODE
    if (equal != small[np.ix_(key_class, query_class)]).any() or np.abs(codes).max() > limit:
        return None
    return a, b


def _rank_codes(small, key_class, query_class):
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
    middle = (used - 1) / 2
    if middle > MAX_CODE:
        return None
    return (keys - middle)[key_class], (queries - middle)[query_class]


def code_rounding(key_codes, query_codes, gap: float, ulp: float) -> float:
    """None where all products are whole numbers that the dtype holds."""
    codes = np.concatenate([key_codes, query_codes])
    size = 2 * gap * float(np.abs(codes).max()) ** 2
    if _halves(codes) and size * ulp < 1:
        return 0.0
    return 8 * ulp * size


def _halves(codes: np.ndarray) -> bool:
    """Whether all are multiples of a half."""
    return bool(np.array_equal(2 * codes, np.round(2 * codes)))


def classes_of(table: np.ndarray) -> np.ndarray:
    """A class number per row: equal rows share one; numbered by first appearance."""
    ids: dict[bytes, int] = {}
    return np.array(
        [ids.setdefault(row.tobytes(), len(ids)) for row in np.ascontiguousarray(table)]
    )


def first_of(classes: np.ndarray) -> np.ndarray:
    """The first member of every class."""
    return np.unique(classes, return_index=True)[1]

"""Selectors over columns of value codes: comparing, widths, means."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np

from rasplab.program.batch.cells import FAULT, ILLEGAL, NUMBER, applied, kind_of
from rasplab.program.batch.columns import Column, distinct_codes, interned
from rasplab.program.functions import PREDICATES
from rasplab.program.values import Atom

COMPARE = {
    "==": np.equal,
    "!=": np.not_equal,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
}


def selected(keys: Column, queries: Column, predicate: str) -> tuple[np.ndarray, np.ndarray]:
    """bool [batch, query, key] where `key predicate query`, and bool [batch]: inputs with a pair
    that the predicate does not take.

    Ranks are compared where the values have an order; else every pair of values is looked up in the
    predicate's table.
    """
    ranks = _ranks((*queries.values, *keys.values), predicate)
    if ranks is not None:
        q, k = ranks[queries.codes], ranks[len(queries.values) :][keys.codes]
        return COMPARE[predicate](k[:, None, :], q[:, :, None]), np.False_
    table = _table(keys.values, queries.values, PREDICATES[predicate])
    cells = (queries.codes * len(keys.values))[:, :, None] + keys.codes[:, None, :]
    found = table.ravel()[cells]
    return found == 1, (found == 2).any((1, 2))


def _ranks(values: tuple, predicate: str) -> np.ndarray | None:
    """Small integers that compare as the values do; None where some of them do not compare."""
    kinds = {kind_of(v) for v in values}
    equality = predicate in ("==", "!=")
    if ILLEGAL in kinds or (len(kinds) > 1 and not equality) or any(v != v for v in values):
        return None
    order = set(values) if equality else sorted(set(values))
    rank = {value: i for i, value in enumerate(order)}
    return np.array([rank[v] for v in values], np.min_scalar_type(len(rank)))


def _table(keys: tuple, queries: tuple, predicate: Callable) -> np.ndarray:
    """[query, key] by codes: 1 where the predicate holds, 2 where it fails."""
    table = np.zeros((len(queries), len(keys)), np.int8)
    for q, query in enumerate(queries):
        for k, key in enumerate(keys):
            result = applied(predicate, (key, query))
            table[q, k] = 2 if result is FAULT else bool(result)
    return table


def width_of(selector: np.ndarray) -> np.ndarray:
    """How many keys each row selects [batch, query]; narrow sums are several times faster than
    numpy's default."""
    n_pos = selector.shape[-1]
    narrow = np.uint8 if n_pos < 1 << 8 else np.int16 if n_pos < 1 << 15 else np.int64
    return np.einsum("bqk->bq", selector.view(np.uint8), dtype=narrow).astype(np.int64)


def aggregated(selector: np.ndarray, column: Column, default: Atom) -> Column:
    """Nothing selected gives `default`, one its value, more the mean."""
    width = width_of(selector)
    first = selector.argmax(-1)
    batch, n_pos = max(len(first), len(column.codes)), first.shape[1]
    row = np.arange(len(column.codes))[:, None] if len(column.codes) > 1 else 0
    one = column.codes[
        row, np.broadcast_to(first, (batch, n_pos)) if len(column.codes) > 1 else first
    ]
    values = [*column.values, default]
    codes = np.where(width == 0, len(column.values), one)
    if (width > 1).any():
        codes = _with_means(codes, np.broadcast_to(width, codes.shape), selector, column, values)
    distinct, renamed = interned(values)
    return Column(renamed[codes], distinct)


def _with_means(
    codes: np.ndarray, width: np.ndarray, selector: np.ndarray, column: Column, values: list
) -> np.ndarray:
    """`codes` with those of the mean where width > 1; the means, and FAULT,
    are appended to `values`."""
    batch, query = np.nonzero(width > 1)
    rows = selector[batch if len(selector) > 1 else 0, query]
    keys = column.codes[batch if len(column.codes) > 1 else np.zeros_like(batch)]
    failed = ~np.broadcast_to(_averaged(column), len(codes))[batch]
    if not any(type(v) is float for v in column.values):
        means, which = _int_means(rows, keys, column, width[batch, query])
    else:
        means, which = _exact_means(rows, keys, column)
    codes = codes.copy()
    codes[batch, query] = np.where(failed, len(values) + len(means), len(values) + which)
    values += [*means, FAULT]
    return codes


def _averaged(column: Column) -> np.ndarray:
    """bool [batch]: the inputs whose values have a mean: numbers, not bools alone."""
    numeric = np.array([kind_of(v) == NUMBER for v in column.values])[column.codes]
    plain = np.array([type(v) is not bool for v in column.values])[column.codes]
    return numeric.all(-1) & plain.any(-1)


def _int_means(
    rows: np.ndarray, keys: np.ndarray, column: Column, width: np.ndarray
) -> tuple[list[float], np.ndarray]:
    """Means of ints and bools: exact sums, then one division, which Python rounds correctly.
    [n, key] -> values, codes [n]."""
    numbers = [int(v) if kind_of(v) == NUMBER else 0 for v in column.values]
    n_pos = keys.shape[1]
    if max(map(abs, numbers), default=0) * n_pos * n_pos >= 1 << 52:
        return _exact_means(rows, keys, column)
    total = np.einsum("nk,nk->n", rows, np.array(numbers, np.int64)[keys])
    low = int(total.min())
    shifted = (total - low) * (n_pos + 1) + width
    distinct, which = distinct_codes(shifted, int(shifted.max()) + 1)
    return [(s // (n_pos + 1) + low) / (s % (n_pos + 1)) for s in distinct.tolist()], which


def _exact_means(rows: np.ndarray, keys: np.ndarray, column: Column) -> tuple[list, np.ndarray]:
    """Means of any numbers, once per distinct multiset of selected values.
    [n, key] -> values, codes [n]."""
    bags = np.sort(np.where(rows, keys, -1), axis=1)
    distinct, which = np.unique(bags, axis=0, return_inverse=True)
    means = [
        applied(_mean, tuple(column.values[c] for c in bag if c >= 0)) for bag in distinct.tolist()
    ]
    return means, which.ravel()


def _mean(*numbers: int | float) -> float:
    """The mean, rounded once; inf and nan have none to round."""
    if not all(map(math.isfinite, numbers)):
        return sum(numbers) / len(numbers)
    total = sum(map(Fraction, numbers)) / len(numbers)
    return total.numerator / total.denominator

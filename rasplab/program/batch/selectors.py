"""Selectors over columns of value codes: comparison, widths and aggregation.

`failed` of a selector has the cells that could not be computed; None where there are none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Integer

from rasplab.program.batch.cells import FAILED, FAULT, ILLEGAL, NUMBER, applied, kind_of, mean
from rasplab.program.batch.columns import Column, distinct_codes, interned
from rasplab.program.functions import PREDICATES
from rasplab.program.values import Atom

COMPARE: dict[str, Callable[..., Any]] = {
    "==": np.equal,
    "!=": np.not_equal,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
}


Failed = Bool[np.ndarray, "_ _ _"] | None


def selected(
    keys: Column, queries: Column, predicate: str
) -> tuple[Bool[np.ndarray, "_ query key"], Failed]:
    """Where `key predicate query` holds, and the cells where that cannot be computed.

    The batch is 1 where no input influences the result. Values that have an order are compared by
    their ranks; for others every pair of distinct values is looked up in a table.
    """
    (keys, no_key), (queries, no_query) = _filled(keys), _filled(queries)
    failed = None
    if no_key is not None or no_query is not None:
        none = np.zeros((1, 1), bool)
        bad_key, bad_query = (none if no is None else no for no in (no_key, no_query))
        failed = bad_query[:, :, None] | bad_key[:, None, :]
    ranks = _ranks((*queries.values, *keys.values), predicate)
    if ranks is not None:
        q, k = ranks[queries.codes], ranks[len(queries.values) :][keys.codes]
        return COMPARE[predicate](k[:, None, :], q[:, :, None]), failed
    table = _table(keys.values, queries.values, PREDICATES[predicate])
    # the place of each pair (query, key) in the flattened table
    cells = (queries.codes * len(keys.values))[:, :, None] + keys.codes[:, None, :]
    results = table.ravel()[cells]
    refused = results == 2
    if refused.any():
        failed = refused if failed is None else failed | refused
    return results == 1, failed


def _filled(column: Column) -> tuple[Column, Bool[np.ndarray, "*batch pos"] | None]:
    """The column with a value of its own in the place of FAULT, and where that is so."""
    if not any(v is FAULT for v in column.values):
        return column, None
    filler = next((v for v in column.values if v is not FAULT), 0)
    failed = np.array([v is FAULT for v in column.values])[column.codes]
    return Column(column.codes, tuple(filler if v is FAULT else v for v in column.values)), failed


def combined(
    fn: str, parts: Sequence[tuple[Bool[np.ndarray, "_ _ _"], Failed]]
) -> tuple[Bool[np.ndarray, "_ query key"], Failed]:
    """`and`, `or` of selectors with their failed cells, or `not` of one.

    A cell that failed stays failed, unless an operand before it decides.
    """
    (matrix, failed), *others = parts
    if fn == "not":
        return ~matrix, failed
    for other, also in others:
        if also is not None:
            # failures of `other` count only where what came before has not decided the cell
            asked = also & matrix if fn == "and" else also & ~matrix
            failed = asked if failed is None else failed | asked
        matrix = matrix & other if fn == "and" else matrix | other
    return matrix, failed


def _ranks(values: tuple, predicate: str) -> np.ndarray | None:
    """Small integers that compare as the values do; None where some of them do not compare."""
    kinds = {kind_of(v) for v in values}
    equality = predicate in ("==", "!=")
    # nan (v != v) has no rank; neither have strings beside numbers, unless only equality is asked
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


def width_of(
    selector: Bool[np.ndarray, "batch query key"],
) -> Integer[np.ndarray, "batch query"]:
    """How many keys each row selects."""
    # sums in the narrowest dtype that holds them are several times faster than numpy's default
    n_pos = selector.shape[-1]
    narrow = np.uint8 if n_pos < 1 << 8 else np.int16 if n_pos < 1 << 15 else np.int64
    return np.einsum("bqk->bq", selector.view(np.uint8), dtype=narrow).astype(np.int64)


def without_rows(column: Column, failed: Failed) -> Column:
    """The column with FAULT at the queries that have failed cells."""
    if failed is None or not (rows := failed.any(-1)).any():
        return column
    codes = np.where(rows, len(column.values), column.codes)
    values, renamed = interned((*column.values, FAULT))
    return Column(renamed[codes], values)


def aggregated(
    selector: Bool[np.ndarray, "batch query key"], column: Column, default: Atom
) -> Column:
    """Per row `default` where nothing is selected, the value of one key, the mean of several.

    FAULT where a selected value is FAULT, or several are selected that have no mean.
    """
    width = width_of(selector)
    # the first selected key; 0 where none is, which the default replaces
    first = selector.argmax(-1)
    batch, n_pos = max(len(first), len(column.codes)), first.shape[1]
    if len(column.codes) > 1:
        one = np.take_along_axis(column.codes, np.broadcast_to(first, (batch, n_pos)), 1)
    else:
        one = column.codes[0][first]
    # until the end codes point into `values`, where values may occur twice
    values = [*column.values, default]
    codes = np.where(width == 0, len(column.values), one)
    if (width > 1).any():
        codes = _with_means(codes, np.broadcast_to(width, codes.shape), selector, column, values)
    distinct, renamed = interned(values)
    return Column(renamed[codes], distinct)


def _with_means(
    codes: np.ndarray, width: np.ndarray, selector: np.ndarray, column: Column, values: list
) -> np.ndarray:
    """The codes with those of the mean where width > 1.

    The means, and FAULT for what has none, are appended to `values`.
    """
    batch, query = np.nonzero(width > 1)
    rows = selector[batch if len(selector) > 1 else 0, query]
    keys = column.codes[batch if len(column.codes) > 1 else np.zeros_like(batch)]
    failed = ~np.broadcast_to(_averaged(column), len(codes))[batch]
    if any(v is FAULT for v in column.values):
        failed |= (rows & np.array([v is FAULT for v in column.values])[keys]).any(-1)
    if not any(type(v) is float for v in column.values):
        means, which = _int_means(rows, keys, column, width[batch, query])
    else:
        means, which = _exact_means(rows, keys, column)
    codes = codes.copy()
    # `values` will hold the means after its present end, and FAULT after the means
    codes[batch, query] = np.where(failed, len(values) + len(means), len(values) + which)
    values += [*means, FAULT] if failed.any() else means
    return codes


def _averaged(column: Column) -> np.ndarray:
    """bool [batch]: the inputs whose values have a mean: numbers, not bools alone, beside FAULT."""
    numeric = np.array([kind_of(v) in (NUMBER, FAILED) for v in column.values])[column.codes]
    unlike_bools = np.array([type(v) in (int, float) for v in column.values])[column.codes]
    return np.asarray(numeric.all(-1) & unlike_bools.any(-1))


def _int_means(
    rows: np.ndarray, keys: np.ndarray, column: Column, width: np.ndarray
) -> tuple[list[float], np.ndarray]:
    """Means of ints and bools: exact sums, then one division, which Python rounds correctly.

    rows   the keys that each of n rows selects [n, key]
    keys   the codes of their values [n, key]
    width  how many keys each selects [n]
    Returns the distinct means, and the code of each row into them [n].
    """
    numbers = [int(v) if isinstance(v, (int, float)) else 0 for v in column.values]
    n_pos = keys.shape[1]
    if max(map(abs, numbers), default=0) * n_pos * n_pos >= 1 << 52:  # sums * width fit in int64
        return _exact_means(rows, keys, column)
    total = np.einsum("nk,nk->n", rows, np.array(numbers, np.int64)[keys])
    low = int(total.min())
    shifted = (total - low) * (n_pos + 1) + width  # a pair (total, width) as one integer
    distinct, which = distinct_codes(shifted, int(shifted.max()) + 1)
    return [(s // (n_pos + 1) + low) / (s % (n_pos + 1)) for s in distinct.tolist()], which


def _exact_means(rows: np.ndarray, keys: np.ndarray, column: Column) -> tuple[list, np.ndarray]:
    """Means of any numbers, once per distinct multiset of selected values; as `_int_means`."""
    bags = np.sort(np.where(rows, keys, -1), axis=1)  # sorted, equal multisets are equal rows
    distinct, which = np.unique(bags, axis=0, return_inverse=True)
    means = [
        applied(mean, tuple(column.values[c] for c in bag if c >= 0)) for bag in distinct.tolist()
    ]
    return means, which.ravel()

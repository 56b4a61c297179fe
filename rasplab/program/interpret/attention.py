"""Selectors and aggregates on columns: comparison of keys with queries, means of selected values.

A cell of a selector fails where its key or query is a Fault; a row is read as a whole, so an
aggregate fails where its row has failed cells or selects a Fault.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from rasplab.base.errors import RaspError, RaspTypeError, RaspValueError, Span
from rasplab.program.faults import Fault, Faulty, FaultyRows, first_fault, with_faults
from rasplab.program.functions import PREDICATES
from rasplab.program.interpret.bitrows import Rows, failed_bits, means, select_rows
from rasplab.program.interpret.elementwise import short
from rasplab.program.interpret.transcript_faults import thawed, with_transcript
from rasplab.program.values import NUMBERS, Value, literal


def select_column(keys: list, queries: list, predicate: str, span: Span | None) -> Rows:
    """The rows of select(keys, queries, predicate)."""
    if isinstance(keys, Faulty) or isinstance(queries, Faulty):
        return _select_valid(keys, queries, predicate, span)
    try:
        return select_rows(keys, queries, predicate, PREDICATES[predicate])
    except TypeError:  # kinds are those of whole columns, so no pair can be compared
        fault = Fault(partial(_incomparable, keys[0], queries[0], predicate, span))
        n = len(queries)
        return FaultyRows([0] * n, [(1 << n) - 1] * n, dict.fromkeys(range(n), fault), {})


def _incomparable(key: Value, query: Value, predicate: str, span: Span | None) -> RaspError:
    try:
        PREDICATES[predicate](key, query)
    except TypeError as fault:
        message = f"select cannot test {literal(key)} {predicate} {literal(query)}"
        return with_transcript(RaspTypeError(message, span), str(fault), host=True)
    raise AssertionError(f"{key!r} {predicate} {query!r} can be tested")


def _select_valid(keys: list, queries: list, predicate: str, span: Span | None) -> Rows:
    """The comparison where keys or queries hold Faults: cells of such a key or query fail."""
    by_key = {k: v for k, v in enumerate(keys) if isinstance(v, Fault)}
    by_query = {q: v for q, v in enumerate(queries) if isinstance(v, Fault)}
    n, bad_keys = len(queries), sum(1 << k for k in by_key)
    if len(by_key) == n or len(by_query) == n:
        rows = [0] * n
    else:
        rows = select_column(_filled(keys), _filled(queries), predicate, span)
    every = (1 << n) - 1
    failed = [every if q in by_query else bad_keys for q in range(n)]
    if isinstance(rows, FaultyRows):
        return FaultyRows(rows, rows.failed, rows.by_query | by_query, by_key)
    return FaultyRows(rows, failed, by_query, by_key)


def _filled(values: list) -> list:
    """The values with one of them in the place of Faults."""
    filler = next(v for v in values if not isinstance(v, Fault))
    return [filler if isinstance(v, Fault) else v for v in values]


def aggregate_column(rows: Rows, values: list, default: Value, span: Span | None) -> list[Value]:
    """Per row `default` for no selected key, the value of one, the mean of several."""
    if isinstance(rows, FaultyRows) or isinstance(values, Faulty):
        return _aggregate_valid(rows, values, default, span)
    several = {row for row in rows if row & (row - 1)}  # row & (row - 1) drops the lowest bit
    mean: dict[int, Any] = {}
    if several:
        has_mean = _have_mean(values)
        mean = _means(several, values, span) if has_mean else _no_means(rows, values, span)
    return with_faults([_pick(row, values, default, mean) for row in rows])


def _aggregate_valid(rows: Rows, values: list, default: Value, span: Span | None) -> list[Value]:
    """The aggregate where the selector or the values hold Faults: a row that reads one fails."""
    faulty = sum(1 << k for k, v in enumerate(values) if isinstance(v, Fault))
    safe = [
        # rows that read a Fault are taken as empty here, and get their Fault at the end
        0 if row & faulty or bits else row
        for row, bits in zip(rows, failed_bits(rows), strict=True)
    ]
    valid = [v for v in values if not isinstance(v, Fault)]
    results: list[Any] = [default] * len(rows)
    if valid:
        several = {row for row in safe if row & (row - 1)}
        mean = _means(several, _filled(values), span) if several and _have_mean(valid) else {}
        if several and not _have_mean(valid):
            mean = _no_means(safe, values, span)
        results = [_pick(row, values, default, mean) for row in safe]
    for q, row in enumerate(rows):
        if row & faulty:
            results[q] = first_fault(v for k, v in enumerate(values) if row >> k & 1)
    return without_rows(rows, results)


def without_rows(rows: Rows, results: list[Any]) -> list[Any]:
    """The results, with Faults at the queries whose row has failed cells."""
    if isinstance(rows, FaultyRows):
        results = [rows.fault(q) if rows.failed[q] else v for q, v in enumerate(results)]
    return with_faults(results)


def _means(several: set[int], values: list, span: Span | None) -> dict[int, Any]:
    """The mean of each row; a Fault where it is too large for a float."""
    try:
        return means(several, values)
    except OverflowError as fault:
        # which row's mean overflows is found by trying each alone
        if len(several) == 1:
            return dict.fromkeys(several, Fault(partial(_too_large_mean, str(fault), span)))
    return {row: _means({row}, values, span)[row] for row in several}


def _too_large_mean(reason: str, span: Span | None) -> RaspError:
    error = RaspValueError("the mean is too large for a float", span)
    return with_transcript(error, reason, host=True)


def _pick(row: int, values: list, default: Value, mean: dict[int, Any]) -> Any:
    """The default for no key, the value itself for one, the mean for more."""
    if not row:
        return default
    # a row with one bit: bit_length - 1 is the position of that bit
    return mean[row] if row in mean else values[row.bit_length() - 1]


def _have_mean(values: list) -> bool:
    """Whether an s-op of these values has means: numbers, and not bools alone."""
    kinds = set(map(type, values))
    return kinds <= NUMBERS and kinds != {bool}


def _no_means(rows: Rows, values: list, span: Span | None) -> dict[int, Fault]:
    """A Fault for each row that selects several of strings, or of bools alone."""
    faults: dict[int, Fault] = {}
    for q, row in enumerate(rows):
        if row & (row - 1):
            faults.setdefault(row, Fault(partial(_no_mean, q, row, values, span)))
    return faults


def _no_mean(at: int, row: int, values: list, span: Span | None) -> RaspError:
    kinds = set(map(type, values)) - {Fault}
    kind = "strings" if str in kinds else "bools" if kinds == {bool} else "lists"
    return with_transcript(
        RaspValueError(
            f"aggregate cannot average {kind}: "
            f"the query at position {at} selects {row.bit_count()} of "
            f"{short(repr([thawed(v) for v in values]))}",
            span,
            "select at most one key" + ("; or average indicator(...)" if kind == "bools" else ""),
        ),
        "asked to average multiple values, but they are non-numbers: "
        + repr([thawed(v) for v in values]),
        host=True,
    )


def widths(rows: Rows) -> list[Any]:
    """How many keys each row selects."""
    return without_rows(rows, [row.bit_count() for row in rows])

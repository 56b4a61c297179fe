"""The interpreter for many inputs of one length at once, by value codes (floor 2).

An s-op is a column: small integer codes and the table of the distinct values they stand for.
A function runs once per distinct tuple of values, a predicate once per distinct pair, so that
Python's own arithmetic decides every value and numpy does the counting. What no input influences
(indices, length, constants, selectors over them) has a batch of 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from typing import Any

import numpy as np

from rasplab.functions import CASTS, FUNCTIONS, PREDICATES
from rasplab.program import (
    Aggregate,
    Atom,
    Combine,
    Constant,
    Indices,
    Map,
    Node,
    Program,
    Select,
    SelectorWidth,
    Tokens,
    Value,
)

CHUNK_CELLS = 1 << 22
"""Selector cells (one byte each) worked on at once: 4 MB stays near the caches."""

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


@dataclass(frozen=True, eq=False)
class BatchTrace:
    """What every s-op of a program holds on every input of a batch.

    ids      the inputs [batch, pos], ids into vocab
    columns  by node id, for the s-ops
    faults   bool [batch]: inputs on which the interpreter raises; their values mean nothing
    """

    program: Program
    ids: np.ndarray
    vocab: tuple[Atom, ...]
    causal: bool
    columns: dict[int, Column]
    faults: np.ndarray

    @property
    def output(self) -> Column:
        """The program's output; its codes have the full batch."""
        return self[self.program.output]

    def __getitem__(self, node: int | str) -> Column:
        """The column of an s-op, by id or by name, with the full batch."""
        column = self.columns[self.program.id_of(node) if isinstance(node, str) else node]
        return Column(np.broadcast_to(column.codes, self.ids.shape), column.values)

    def selector(self, node: int | str) -> np.ndarray:
        """bool [batch, query, key] of a selector; a batch of 1 where every input has the same."""
        i = self.program.id_of(node) if isinstance(node, str) else node
        again = _Evaluation(self.program, self.ids, self.vocab, self.causal, self.columns)
        return again.selector(i)

    def raise_first_fault(self) -> None:
        """Raise what the interpreter raises on the first faulty input, if there is one."""
        if not self.faults.any():
            return
        from rasplab.interpret import evaluate

        for row in np.flatnonzero(self.faults)[:1]:
            evaluate(self.program, [self.vocab[t] for t in self.ids[row]], causal=self.causal)


def evaluate_batch(
    program: Program, ids: np.ndarray, vocab: Sequence[Atom], causal: bool = False
) -> BatchTrace:
    """`evaluate` on every row of `ids` [batch, pos] (ids into vocab), in chunks of bounded memory.

    Inputs on which `evaluate` raises are marked in `faults`; nothing is raised for them here.
    """
    n_pos = ids.shape[1]
    # at least two rows, so that a batch of 1 in every chunk can only mean:
    # not influenced by the input
    rows = max(2, CHUNK_CELLS // (n_pos * n_pos))
    parts = []
    for start in range(0, max(1, len(ids)), rows):
        evaluation = _Evaluation(program, ids[start : start + rows], tuple(vocab), causal, {})
        evaluation.run()
        parts.append(evaluation)
    columns = {i: _stacked([p.columns[i] for p in parts]) for i in parts[0].columns}
    faults = np.concatenate([p.faults for p in parts])
    return BatchTrace(program, ids, tuple(vocab), causal, columns, faults)


class _Evaluation:
    """One chunk: columns by node id, selectors on demand."""

    def __init__(
        self, program: Program, ids: np.ndarray, vocab: tuple, causal: bool, columns: dict
    ):
        self.program, self.ids, self.vocab, self.causal = program, ids, vocab, causal
        self.columns: dict[int, Column] = columns
        self.faults = np.zeros(len(ids), bool)
        self._selectors: dict[int, np.ndarray] = {}

    def run(self) -> None:
        """Fill in every column, in order, and check every selector."""
        for i, node in enumerate(self.program.nodes):
            if self.program.is_selector(i):
                self.selector(i)
            else:
                self.columns[i] = self._column(node)

    def _column(self, node: Node) -> Column:
        match node:
            case Tokens(cast):
                return self._marked(_mapped(CASTS[cast], [Column(self.ids, self.vocab)]))
            case Indices():
                n_pos = self.ids.shape[1]
                return Column(np.arange(n_pos)[None], tuple(range(n_pos)))
            case Constant(value):
                return Column(np.zeros((1, self.ids.shape[1]), np.int64), (value,))
            case Map(fn, args):
                return self._marked(_mapped(FUNCTIONS[fn].apply, [self.columns[a] for a in args]))
            case SelectorWidth(selector):
                return Column(_width(self.selector(selector)), tuple(range(self.ids.shape[1] + 1)))
            case Aggregate(selector, values, default):
                return self._marked(
                    _aggregated(self.selector(selector), self.columns[values], default)
                )
        raise AssertionError(node)

    def _marked(self, column: Column) -> Column:
        """`column`, the inputs noted in `faults` where it failed, or mixes strings and numbers."""
        kinds = np.array([_kind(v) for v in column.values])
        if len(kinds) and (kinds != kinds[0]).any() or (kinds == ILLEGAL).any():
            found = kinds[column.codes]
            self.faults |= (found != found[:, :1]).any(-1) | (found == ILLEGAL).any(-1)
        return column

    def selector(self, i: int) -> np.ndarray:
        """bool [batch, query, key]; the causal mask is in it."""
        if i not in self._selectors:
            matrix = self._matrix(self.program.nodes[i])
            if self.causal:
                matrix = matrix & np.tri(self.ids.shape[1], dtype=bool)
            self._selectors[i] = matrix
        return self._selectors[i]

    def _matrix(self, node: Node) -> np.ndarray:
        match node:
            case Select(keys, queries, predicate):
                return self._selected(
                    self.columns[keys], self.columns[queries], PREDICATES[predicate]
                )
            case Combine("not", (selector,)):
                return ~self.selector(selector)
            case Combine(fn, selectors):
                join = np.logical_and if fn == "and" else np.logical_or
                return reduce(join, [self.selector(s) for s in selectors])
        raise AssertionError(node)

    def _selected(self, keys: Column, queries: Column, predicate: Callable) -> np.ndarray:
        """Look every pair up in the predicate's table; a pair it does not take fails its inputs."""
        table = np.zeros((len(queries.values), len(keys.values)), np.int8)
        for q, query in enumerate(queries.values):
            for k, key in enumerate(keys.values):
                result = _applied(predicate, (key, query))
                table[q, k] = 2 if result is FAULT else bool(result)
        cells = (queries.codes * len(keys.values))[:, :, None] + keys.codes[:, None, :]
        found = table.ravel()[cells]
        if (table == 2).any():
            self.faults |= (found == 2).any((1, 2))
        return found == 1


STRING, NUMBER, ILLEGAL = range(3)


def _kind(value: Any) -> int:
    """Strings and numbers (and bools) do not stand in one s-op;
    FAULT, lists and the rest in none."""
    if isinstance(value, str):
        return STRING
    return NUMBER if type(value) in (int, float, bool) else ILLEGAL


def _applied(fn: Callable, args: tuple) -> Any:
    """fn(*args), or FAULT when that raises or an argument is one already."""
    if any(a is FAULT for a in args):
        return FAULT
    try:
        return fn(*args)
    except Exception:  # the functions are Python's own: whatever they raise is the program's fault
        return FAULT


def _mapped(fn: Callable, args: list[Column]) -> Column:
    """fn of the columns, called once per distinct tuple of values."""
    codes = np.asarray(args[0].codes, np.int64)
    for column in args[1:]:
        codes = codes * len(column.values) + column.codes
    size = int(np.prod([len(c.values) for c in args], dtype=object))
    distinct, inverse = _distinct(codes, size)
    results = []
    for code in distinct.tolist():
        picked = []
        for column in reversed(args):
            code, digit = divmod(code, len(column.values))
            picked.append(column.values[digit])
        results.append(_applied(fn, tuple(reversed(picked))))
    values, renamed = _interned(results)
    return Column(renamed[inverse], values)


def _distinct(codes: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
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


def _interned(results: Iterable[Any]) -> tuple[tuple, np.ndarray]:
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


def _width(selector: np.ndarray) -> np.ndarray:
    """How many keys each row selects [batch, query]; narrow sums are several times faster than
    numpy's default."""
    narrow = np.int16 if selector.shape[-1] < 1 << 15 else np.int64
    return selector.sum(-1, dtype=narrow).astype(np.int64)


def _aggregated(selector: np.ndarray, column: Column, default: Atom) -> Column:
    """Nothing selected gives `default`, one its value, more the mean."""
    width = _width(selector)
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
    interned, renamed = _interned(values)
    return Column(renamed[codes], interned)


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
    numeric = np.array([_kind(v) == NUMBER for v in column.values])[column.codes]
    plain = np.array([type(v) is not bool for v in column.values])[column.codes]
    return numeric.all(-1) & plain.any(-1)


def _int_means(
    rows: np.ndarray, keys: np.ndarray, column: Column, width: np.ndarray
) -> tuple[list[float], np.ndarray]:
    """Means of ints and bools: exact sums, then one division, which Python rounds correctly.
    [n, key] -> values, codes [n]."""
    numbers = [int(v) if _kind(v) == NUMBER else 0 for v in column.values]
    n_pos = keys.shape[1]
    if max(map(abs, numbers), default=0) * n_pos * n_pos >= 1 << 52:
        return _exact_means(rows, keys, column)
    total = np.einsum("nk,nk->n", rows, np.array(numbers, np.int64)[keys])
    low = int(total.min())
    shifted = (total - low) * (n_pos + 1) + width
    distinct, which = _distinct(shifted, int(shifted.max()) + 1)
    return [(s // (n_pos + 1) + low) / (s % (n_pos + 1)) for s in distinct.tolist()], which


def _exact_means(rows: np.ndarray, keys: np.ndarray, column: Column) -> tuple[list, np.ndarray]:
    """Means of any numbers, once per distinct multiset of selected values.
    [n, key] -> values, codes [n]."""
    bags = np.sort(np.where(rows, keys, -1), axis=1)
    distinct, which = np.unique(bags, axis=0, return_inverse=True)
    means = [
        _applied(_mean, tuple(column.values[c] for c in bag if c >= 0)) for bag in distinct.tolist()
    ]
    return means, which.ravel()


def _mean(*numbers: int | float) -> float:
    """The mean, rounded once; inf and nan have none to round."""
    if not all(map(math.isfinite, numbers)):
        return sum(numbers) / len(numbers)
    total = sum(map(Fraction, numbers)) / len(numbers)
    return total.numerator / total.denominator


def _stacked(parts: list[Column]) -> Column:
    """The columns of several chunks as one; what no input influences is the same in each."""
    if len(parts) == 1 or all(len(p.codes) == 1 for p in parts):
        return parts[0]
    values, renamed = _interned(v for p in parts for v in p.values)
    start, stacked = 0, []
    for p in parts:
        stacked.append(renamed[start + p.codes])
        start += len(p.values)
    return Column(np.concatenate(stacked), values)

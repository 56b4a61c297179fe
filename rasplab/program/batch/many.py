"""`evaluate_many`: token sequences of any lengths -> outputs, by the batched interpreter."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

import numpy as np
from jaxtyping import Integer

from rasplab.base.arguments import FLAG, INPUTS, PROGRAM, TOKENS, VOCAB, optional, takes
from rasplab.base.errors import RaspError
from rasplab.program.batch.columns import MAX_CODES, Column, distinct_codes
from rasplab.program.batch.evaluate import BatchTrace, evaluate_batch
from rasplab.program.graph import Program
from rasplab.program.interpret.exact import evaluate
from rasplab.program.values import Atom, plain, typed_key

LONG = 1000
"""Longer inputs are run one by one: rows of bits are quicker there than a byte for every cell."""


@takes(program=PROGRAM, batch=INPUTS, vocab=optional(VOCAB), causal=FLAG)
def evaluate_many(
    program: Program,
    batch: Iterable[Any] | Integer[np.ndarray, "batch pos"],
    *,
    vocab: Sequence[Atom] | None = None,
    causal: bool = False,
) -> list[Any]:
    """`evaluate(program, tokens).output` of every input of a batch, in order.

    batch  token sequences, each as `evaluate` takes it, of any lengths; with `vocab`, ids into it:
           an integer array or lists of ids, all of one length
    Returns for each input a list of values, or for a selector a bool matrix [query, key].
    Raises what `evaluate` raises on the first input that fails; ValueError for ids that are not
    integers, not [batch, pos], or outside the vocabulary.
    """
    if vocab is not None:
        atoms = tuple(map(plain, vocab))
        return _evaluated(program, _checked_ids(batch, len(atoms)), atoms, causal)
    rows = batch.tolist() if isinstance(batch, np.ndarray) else list(batch)
    by_length: dict[int, list[int]] = {}
    for i, row in enumerate(rows):
        if type(row) not in (str, list, tuple) and not TOKENS.test(row):
            evaluate(program, row, causal)  # says what an input is
        by_length.setdefault(len(row), []).append(i)
    outputs: list = [None] * len(rows)
    try:
        for n_pos, members in by_length.items():
            of_length = _of_one_length(program, [rows[i] for i in members], n_pos, causal)
            for i, output in zip(members, of_length, strict=True):
                outputs[i] = output
    except RaspError:  # lengths are run apart, so this may not be the first input that fails
        for row in rows:
            evaluate(program, row, causal)
        raise
    return outputs


def _of_one_length(program: Program, rows: list, n_pos: int, causal: bool) -> list:
    coded = _coded(rows) if 0 < n_pos <= LONG else None
    if coded is None:
        return [evaluate(program, row, causal).output for row in rows]
    return _evaluated(program, *coded, causal)


def _evaluated(program: Program, ids: np.ndarray, vocab: tuple, causal: bool) -> list:
    trace = evaluate_batch(program, ids, vocab, causal)
    trace.raise_first_fault()
    return _matrices(trace) if program.is_selector(program.output) else _listed(trace.output)


def _matrices(trace: BatchTrace) -> list[np.ndarray]:
    n_pos = trace.ids.shape[1]
    selector = trace.selector(trace.program.output)
    return list(np.broadcast_to(selector, (len(trace.ids), n_pos, n_pos)))


def _listed(column: Column) -> list[list]:
    """Every row of a column as a list of Python values."""
    values = np.empty(len(column.values), object)
    values[:] = column.values
    return values[column.codes].tolist()


def _checked_ids(batch: Iterable, size: int) -> np.ndarray:
    """The batch as int64 [batch, pos], every id below `size`."""
    ids = np.asarray(batch if isinstance(batch, np.ndarray) else list(batch))
    if ids.ndim != 2 or ids.dtype.kind not in "iu" or not ids.shape[1]:
        raise ValueError(f"ids are integers [batch, pos]; got {ids.dtype} of shape {ids.shape}")
    if ids.size and not (ids.min() >= 0 and ids.max() < size):
        raise ValueError(f"ids go from 0 to {size - 1}; got {ids.min()} to {ids.max()}")
    return ids.astype(np.int64)


def _coded(rows: list) -> tuple[np.ndarray, tuple] | None:
    """Sequences of one length as ids and their vocabulary; None for tokens that are no atoms."""
    tokens = list(chain.from_iterable(rows))
    points = _characters(rows, tokens)
    if points is not None:
        ids, distinct = _ranked(points)
        return ids.reshape(len(rows), -1), tuple(map(chr, distinct))
    kinds = set(map(type, tokens))
    if not kinds <= {str, bool, int, float}:
        return None
    numbers = _integers(tokens) if kinds == {int} else None
    if numbers is not None:
        ids, distinct = _ranked(numbers)
        return ids.reshape(len(rows), -1), tuple(distinct)
    # 1, 1.0 and True are one key of a dict
    keys = tokens if kinds == {str} else [typed_key(plain(token)) for token in tokens]
    codes, distinct = _numbered(tokens, keys)
    return np.fromiter(codes, np.int64, len(tokens)).reshape(len(rows), -1), tuple(distinct)


def _characters(rows: list, tokens: list) -> np.ndarray | None:
    """The code points of the tokens, where every one is a character."""
    try:
        text = "".join(tokens)
    except TypeError:
        return None
    if set(map(type, rows)) != {str}:  # a string has nothing but characters
        distinct = set(tokens)
        if set(map(type, distinct)) != {str} or set(map(len, distinct)) != {1}:
            return None
    # four bytes a character; "surrogatepass" since a str may hold half a surrogate pair
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.int64)


def _integers(tokens: list) -> np.ndarray | None:
    """The ints as an array, where their differences are codes."""
    try:
        numbers = np.fromiter(tokens, np.int64, len(tokens))
    except OverflowError:
        return None
    return numbers if int(numbers.max()) - int(numbers.min()) + 1 < MAX_CODES else None


def _ranked(numbers: np.ndarray) -> tuple[np.ndarray, list[int]]:
    """The rank of each number among the distinct ones, and these."""
    low, high = int(numbers.min()), int(numbers.max())
    distinct, ids = distinct_codes(numbers - low, high - low + 1)
    return ids, (distinct + low).tolist()


def _numbered(tokens: list, keys: list) -> tuple[Iterable[int], Iterable]:
    """A number for each token by its key, and the token that each number stands for."""
    codes = {key: code for code, key in enumerate(dict.fromkeys(keys))}
    # reversed, so that of equal keys the first token is the one that stays
    vocab = dict(zip(reversed(keys), reversed(tokens), strict=True))
    return map(codes.__getitem__, keys), [vocab[key] for key in codes]

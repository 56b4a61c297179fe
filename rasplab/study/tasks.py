"""Tasks: a program's inputs with the interpreter's answers, split into training and held-out
(floor 6)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rasplab.batch import evaluate_batch
from rasplab.domain import Domain
from rasplab.errors import RaspValueError
from rasplab.inputs import even_ids
from rasplab.program import Program, Value

HELD_OUT = 5
"""One input in so many is held out, whatever the seed."""

IGNORED = -100
"""The answer at positions after the end: torch's cross-entropy leaves it out."""


@dataclass(frozen=True, eq=False)
class Examples:
    """Inputs of mixed lengths with their answers.

    ids      vocabulary ids from 0 [batch, pos]; 0 after the end
    lengths  [batch]
    answers  classes [batch, pos]; IGNORED after the end
    """

    ids: np.ndarray
    lengths: np.ndarray
    answers: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: np.ndarray) -> Examples:
        """The examples at `rows`, cut to the longest of them."""
        longest = int(self.lengths[rows].max())
        return Examples(self.ids[rows, :longest], self.lengths[rows], self.answers[rows, :longest])


@dataclass(frozen=True, eq=False)
class Task:
    """A program on a domain, as classification at each position.

    classes  the values seen in `EXPLORED` inputs, sorted by kind and value
    """

    program: Program
    domain: Domain
    classes: tuple[Value, ...]

    def sample(self, n: int, seed: int, held_out: bool = False) -> Examples:
        """`n` random examples of the training inputs or of the held-out ones; the two are disjoint.

        Lengths are uniform; half of the inputs use few distinct tokens,
        so that repeats occur at every length.
        Raises RaspValueError when the interpreter refuses an input,
        or gives a value that is not in `classes`.
        """
        groups = [self._answered(ids) for ids in _split(self.domain, n, seed, held_out)]
        return _padded(groups, self.domain.max_len, seed)

    def _answered(self, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        trace = evaluate_batch(self.program, ids, self.domain.vocab, self.domain.causal)
        trace.raise_first_fault()
        known = {_order(v): c for c, v in enumerate(self.classes)}
        renamed = np.array([known.get(_order(v), IGNORED) for v in trace.output.values])
        answers = renamed[trace.output.codes]
        if (answers == IGNORED).any():
            raise RaspValueError(
                "the program's output takes too many values to train a classifier on"
            )
        return ids, answers


EXPLORED = 50_000
"""Inputs looked at for the classes; a domain with no more is looked at in full."""

MOST_CLASSES = 256
"""More than so many values are numbers to regress on, not classes."""


def task(program: Program, domain: Domain) -> Task:
    """The task of a program. Raises RaspValueError where its output is no small set of values."""
    seen: dict[tuple, Value] = {}
    for ids in even_ids(domain, EXPLORED, np.random.default_rng(0)):
        trace = evaluate_batch(program, ids, domain.vocab, domain.causal)
        trace.raise_first_fault()
        seen |= {
            _order(trace.output.values[c]): trace.output.values[c]
            for c in np.unique(trace.output.codes)
        }
    if len(seen) > MOST_CLASSES:
        raise RaspValueError(
            f"the program's output takes {len(seen)} values or more on this domain; "
            f"a classifier has at most {MOST_CLASSES}",
            hint="train it with a smaller vocabulary or max_len",
        )
    return Task(program, domain, tuple(seen[key] for key in sorted(seen)))


def _order(value: Value) -> tuple:
    """Sorts values of any kinds: by kind, then numbers by size, everything else by text.
    2 and 2.0 are one class."""
    if type(value) in (int, float):
        return ("", float(value), "")
    return (type(value).__name__, 0.0, repr(value))


def is_held_out(ids: np.ndarray) -> np.ndarray:
    """bool [batch] for ids [batch, pos]: a hash of the input alone,
    so every seed and run agrees."""
    mixed = np.full(len(ids), 0x9E3779B97F4A7C15 + ids.shape[1], np.uint64)
    for column in ids.T.astype(np.uint64):
        mixed = (mixed ^ (column + np.uint64(1))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed ^= mixed >> np.uint64(29)
    return mixed % np.uint64(HELD_OUT) == 0


def _split(domain: Domain, n: int, seed: int, held_out: bool) -> list[np.ndarray]:
    """About `n` inputs of one side, one array per length; a length may have none on that side."""
    rng = np.random.default_rng((seed, int(held_out)))
    wanted = n * HELD_OUT * 2 if held_out else n * 2
    share = max(1, -(-n // domain.max_len))
    kept = [ids[is_held_out(ids) == held_out][:share] for ids in even_ids(domain, wanted, rng)]
    if held_out:
        kept = [np.unique(ids, axis=0) for ids in kept]
    return [ids for ids in kept if len(ids)]


def _padded(groups: list[tuple[np.ndarray, np.ndarray]], max_len: int, seed: int) -> Examples:
    """The groups as one, in random order."""
    count = sum(len(ids) for ids, _ in groups)
    ids, answers = np.zeros((count, max_len), np.int64), np.full((count, max_len), IGNORED)
    lengths, start = np.zeros(count, np.int64), 0
    for rows, classes in groups:
        n, length = rows.shape
        ids[start : start + n, :length], answers[start : start + n, :length] = rows, classes
        lengths[start : start + n] = length
        start += n
    order = np.random.default_rng(seed).permutation(count)
    return Examples(ids[order], lengths[order], answers[order])

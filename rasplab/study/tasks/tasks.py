"""Tasks: a program's inputs with the interpreter's answers, split into training and held-out.

Three forms. On a bidirectional domain every position is answered from the whole input; on a causal
one from what came before; and a language model, on sequences that repeat, answers with the next
token.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from rasplab.base.errors import RaspError, RaspValueError
from rasplab.base.rng import stream
from rasplab.model.bridge import LensModel
from rasplab.program.batch.evaluate import evaluate_batch
from rasplab.program.domain import Domain
from rasplab.program.graph import Program
from rasplab.program.inputs import Drawing, all_ids, even_ids, random_rows
from rasplab.program.values import Value

HELD_OUT = 5
"""One input in so many is held out, whatever the seed."""

IGNORED = -100
"""The answer at positions after the end, or that nothing decides: torch's cross-entropy leaves it
out."""

OVERSAMPLED = 6
"""Candidates for each example whose answers are to be rare ones."""


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

    classes  the values that the inputs looked at give, sorted by kind and value; of a language
             model, the vocabulary
    inputs   as in Recipe
    """

    program: Program
    domain: Domain
    classes: tuple[Value, ...]
    inputs: str = "random"

    def sample(
        self, n: int, seed: int, held_out: bool = False, lengths: range | None = None
    ) -> Examples:
        """`n` random examples of the training inputs or of the held-out ones; the two are disjoint.

        lengths  of the inputs, by default every one; each alike often
        Half of the random inputs use few distinct tokens, so that repeats occur at every length;
        half are chosen for rare answers, and inputs where one token abounds are added for answers
        that hardly occur, so that every branch of the program is met.
        Raises RaspValueError when the interpreter refuses an input,
        or gives a value that is not in `classes`.
        """
        lengths = lengths or range(1, self.domain.max_len + 1)
        rng = stream(seed, "held-out examples" if held_out else "training examples")
        share = max(1, -(-n // len(lengths)))
        groups = [self._group(share, length, held_out, rng) for length in lengths]
        return _padded([g for g in groups if len(g[0])], lengths[-1], seed)

    def _group(
        self, count: int, length: int, held_out: bool, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """About `count` inputs of one length with their answers; few where the side has few."""
        wanted = count * OVERSAMPLED * (HELD_OUT if held_out else 1) * 5 // 4
        ids = self._side(DRAWN[self.inputs](len(self.domain.vocab), wanted, length, rng), held_out)
        if self.inputs == "random":
            ids = self._side(np.concatenate([ids, self._rare(ids, length)]), held_out)
        ids = rng.permutation(ids) if held_out else ids  # unique rows come in order
        answers = self.answers(ids) if len(ids) else ids
        chosen = _varied(answers, count, rng) if len(ids) else np.arange(0)
        return ids[chosen], answers[chosen]

    def _side(self, ids: np.ndarray, held_out: bool) -> np.ndarray:
        """Those of the inputs that are held out, each once; or those that are not."""
        ids = ids[is_held_out(ids) == held_out]
        return np.unique(ids, axis=0) if held_out else ids

    def _rare(self, ids: np.ndarray, length: int) -> np.ndarray:
        """Inputs of this length where one token abounds, as far as they give answers that `ids`
        hardly give."""
        rows = abounding_rows(len(self.domain.vocab), length)
        answers = self.answers(ids) if len(ids) else ids
        rare = np.bincount(answers.ravel(), minlength=len(self.classes)) < RARE
        return rows[rare[self.answers(rows)].any(1)]

    def answers(self, ids: np.ndarray) -> np.ndarray:
        """The class at each position [batch, pos]; IGNORED where nothing decides it."""
        if self.inputs == "repeated":
            return next_tokens(ids)
        trace = evaluate_batch(self.program, ids, self.domain.vocab, self.domain.causal)
        trace.raise_first_fault()
        known = {_order(v): c for c, v in enumerate(self.classes)}
        renamed = np.array([known.get(_order(v), IGNORED) for v in trace.output.values])
        answers = renamed[trace.output.codes]
        if (answers == IGNORED).any():
            new = next(v for v in trace.output.values if _order(v) not in known)
            raise RaspValueError(
                f"the program answers {new!r}, a value too rare to be among the model's classes",
                hint="train it with a smaller vocabulary or max_len",
            )
        return answers


EXPLORED = 50_000
"""Inputs looked at for the classes; a domain with no more is looked at in full."""

ABOUNDING = 4_000
"""Inputs of each length looked at where one token abounds."""

RARE = 20
"""An answer at fewer positions of the inputs drawn is looked for among those."""

MOST_CLASSES = 256
"""More than so many values are numbers to regress on, not classes."""


def task(program: Program, domain: Domain, inputs: str = "random") -> Task:
    """The task of a program. Raises RaspValueError where its output is no small set of values, and
    for a language model that is not causal."""
    if inputs == "repeated":
        if not domain.causal:
            raise RaspValueError(
                "a language model that sees the next token has nothing to learn",
                hint="make the domain causal",
            )
        return Task(program, domain, domain.vocab, inputs)
    require_vocab(program, domain)
    seen: dict[tuple, Value] = {}
    for ids in _explored(domain):
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


def require_vocab(program: Program, domain: Domain) -> None:
    """Raises RaspValueError where the program refuses a token of the vocabulary."""
    ids = np.arange(len(domain.vocab))[:, None]
    try:
        evaluate_batch(program, ids, domain.vocab, domain.causal).raise_first_fault()
    except RaspError as error:
        raise RaspValueError(
            f"the program does not take the vocabulary: {error.message}", error.span,
            hint=f"the vocabulary begins with {', '.join(map(repr, domain.vocab[:8]))}; "
            "take one that the program is for",
        ) from None  # fmt: skip


def _explored(domain: Domain) -> Iterator[np.ndarray]:
    """Ids [batch, pos] of every input, or of so many that few values of a program are missed."""
    if domain.size <= EXPLORED:
        yield from all_ids(domain)
        return
    yield from even_ids(domain, EXPLORED, np.random.default_rng(0))
    for length in range(1, domain.max_len + 1):
        yield abounding_rows(len(domain.vocab), length)


def _order(value: Value) -> tuple:
    """Sorts values of any kinds: by kind, then numbers by size, everything else by text.
    2 and 2.0 are one class, and so are numbers that differ by rounding only."""
    if type(value) in (int, float):
        return ("", float(f"{value:.12g}"), "")
    return (type(value).__name__, 0.0, repr(value))


def is_held_out(ids: np.ndarray) -> np.ndarray:
    """bool [batch] for ids [batch, pos]: a hash of the input alone,
    so every seed and run agrees."""
    mixed = np.full(len(ids), 0x9E3779B97F4A7C15 + ids.shape[1], np.uint64)
    for column in ids.T.astype(np.uint64):
        mixed = (mixed ^ (column + np.uint64(1))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed ^= mixed >> np.uint64(29)
    return mixed % np.uint64(HELD_OUT) == 0


def abounding_rows(n_vocab: int, n_pos: int) -> np.ndarray:
    """The same ABOUNDING random ids [row, n_pos] whenever asked: one token at a share of the
    positions that lies anywhere from 0 to 1, so that every count of it occurs."""
    rng = np.random.default_rng((n_vocab, n_pos))
    share, token = rng.random((ABOUNDING, 1)), rng.integers(0, n_vocab, (ABOUNDING, 1))
    chosen = rng.random((ABOUNDING, n_pos)) < share
    return np.where(chosen, token, rng.integers(0, n_vocab, (ABOUNDING, n_pos)))


def repeated_rows(n_vocab: int, count: int, n_pos: int, rng: np.random.Generator) -> np.ndarray:
    """Ids [count, n_pos]: different tokens in a random order; from a random place on other ones,
    over and over, for two rounds or more.

    The period differs from row to row (2 to half the length, where there are so many tokens), so
    that no fixed distance back gives the next token. What stands before a token differs from round
    to round, so that a head which looks back at everything alike is of little use.
    """
    longest = max(1, min(n_vocab, n_pos // 2))
    period = rng.integers(min(2, longest), longest + 1, (count, 1))
    latest = np.maximum(0, np.minimum(n_pos - 2 * period, n_vocab - period))
    start, at = rng.integers(0, latest + 1), np.arange(n_pos)
    order = rng.random((count, n_vocab)).argsort(1)
    places = np.where(at < start, period + at, (at - start) % period)
    return np.take_along_axis(order, places, axis=1)


DRAWN: dict[str, Drawing] = {"random": random_rows, "repeated": repeated_rows}
"""By `inputs` of a recipe: how they are drawn."""


def inputs_of(model: LensModel) -> str:
    """What inputs a model was made for: those of its recipe, or random ones."""
    return model.recipe.inputs if model.recipe is not None else "random"


def second_rounds(wanted: Task, n: int, seed: int = 0) -> Examples:
    """At most `n` held-out inputs of the full length that are one half twice, each half of
    different tokens; answers are next tokens, in the second half alone.

    Raises RaspValueError where there are fewer tokens than half the length.
    """
    n_vocab, half = len(wanted.domain.vocab), wanted.domain.max_len // 2
    if not 1 <= half <= n_vocab:
        raise RaspValueError(f"half the length is {half}; there are {n_vocab} different tokens")
    rng = stream(seed, "second rounds")
    order = rng.random((2 * HELD_OUT * n, n_vocab)).argsort(1)[:, :half]
    ids = np.unique(np.tile(order, 2), axis=0)
    ids = rng.permutation(ids[is_held_out(ids)])[:n]
    return Examples(ids, np.full(len(ids), 2 * half), next_tokens(ids))


def next_tokens(ids: np.ndarray) -> np.ndarray:
    """The token after each position [batch, pos], where an earlier occurrence of the token here
    tells it; IGNORED elsewhere, and at the end."""
    answers = np.full(ids.shape, IGNORED)
    known = (ids[:, :, None] == ids[:, None, :]) & np.tri(ids.shape[1], k=-1, dtype=bool)
    answers[:, :-1] = np.where(known.any(-1)[:, :-1], ids[:, 1:], IGNORED)
    return answers


def _varied(answers: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Rows of `answers` [batch, pos]: the first half of `count` as they come, the others drawn by
    how rare their answers are among those at the same position."""
    plain = np.arange(min(count, len(answers)) // 2)
    rarity = np.zeros(len(answers))
    for column in answers.T:
        _, which, often = np.unique(column, return_inverse=True, return_counts=True)
        rarity += 1 / often[which]
    rarity[plain] = 0
    n = min(count - len(plain), int((rarity > 0).sum()))
    drawn = rng.choice(len(answers), n, replace=False, p=rarity / rarity.sum()) if n else plain[:0]
    return np.concatenate([plain, drawn])


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

"""Tasks: a program's inputs with the interpreter's answers, split into training and held-out.

`task` makes a Task of a program and a domain: classification at each position, from the whole
input on a bidirectional domain, from what came before on a causal one. The task of a language model
is the next token, on sequences that repeat. `Task.sample` draws Examples.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Int

from rasplab.base.errors import RaspError, RaspValueError
from rasplab.base.rng import stream
from rasplab.model.bridge import LensModel
from rasplab.program.domain import Domain
from rasplab.program.faults import Fault
from rasplab.program.graph import Program
from rasplab.program.inputs import Drawing, all_ids, even_ids, random_rows
from rasplab.program.semantics import Semantics
from rasplab.program.values import Value

HELD_OUT_PERIOD = 5
"""One input in this many is held out, whatever the seed."""

IGNORED = -100
"""The answer after the end of an input, or where none is determined; the default `ignore_index` of
torch's cross-entropy."""

OVERSAMPLING = 6
"""Inputs drawn for each example, of which those with rare answers are preferred."""

MAX_EXPLORED = 50_000
"""Inputs evaluated for the classes; a domain with no more is evaluated in full."""

ABOUNDING_ROWS = 4_000
"""Inputs of each length in which one token abounds."""

MIN_OCCURRENCES = 20
"""An answer at fewer positions of the inputs drawn is rare: more inputs are added for it."""

MAX_CLASSES = 256
"""Values of a classification, at most; more are numbers to regress on."""


@dataclass(frozen=True, eq=False)
class Examples:
    """Inputs of mixed lengths with their answers.

    ids      vocabulary ids from 0; 0 after the end
    lengths  of the inputs, at least 1
    answers  classes; IGNORED after the end, and where nothing determines the answer
    """

    ids: Int[np.ndarray, "batch pos"]
    lengths: Int[np.ndarray, " batch"]
    answers: Int[np.ndarray, "batch pos"]

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: Int[np.ndarray, " chosen"]) -> Examples:
        """The examples with these numbers, cut to the longest of them."""
        longest = int(self.lengths[rows].max())
        return Examples(self.ids[rows, :longest], self.lengths[rows], self.answers[rows, :longest])


@dataclass(frozen=True, eq=False)
class Task:
    """A program on a domain, as classification at each position.

    classes  the values that the program outputs, sorted by kind and value; the vocabulary for a
             language model
    inputs   how they are drawn, a key of DRAWINGS: "repeated" for a language model
    """

    program: Program
    domain: Domain
    classes: tuple[Value, ...]
    inputs: str = "random"

    @cached_property
    def semantics(self) -> Semantics:
        """The meaning of the program on the domain."""
        return Semantics(self.program, self.domain)

    def sample(
        self, n: int, seed: int, held_out: bool = False, lengths: range | None = None
    ) -> Examples:
        """About `n` random examples, of the training inputs or of the held-out ones.

        The two sides are disjoint. Half of the random inputs use few distinct tokens, so that
        repeats occur at every length; half are chosen for rare answers; and inputs where one token
        abounds are added for answers that hardly occur, so that every branch of the program is met.

        lengths  of the inputs, equally frequent; by default all
        Raises RaspValueError for a value that is not in `classes`, and what the interpreter raises.
        """
        lengths = lengths or range(1, self.domain.max_len + 1)
        rng = stream(seed, "held-out examples" if held_out else "training examples")
        share = max(1, -(-n // len(lengths)))
        groups = [self._group(share, length, held_out, rng) for length in lengths]
        return _padded([g for g in groups if len(g[0])], lengths[-1], seed)

    def _group(
        self, count: int, length: int, held_out: bool, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """About `count` inputs of one length with their answers; fewer where the side has fewer."""
        # of what is drawn one in HELD_OUT_PERIOD is held out; the other side keeps 4 of 5 inputs
        drawn = count * OVERSAMPLING * (HELD_OUT_PERIOD if held_out else 1) * 5 // 4
        draw = DRAWINGS[self.inputs]
        ids = self._side(draw(len(self.domain.vocab), drawn, length, rng), held_out)
        if self.inputs == "random":
            ids = self._side(np.concatenate([ids, self._rare(ids, length)]), held_out)
        ids = rng.permutation(ids) if held_out else ids  # np.unique sorts the held-out ones
        answers = self.answers(ids) if len(ids) else ids
        chosen = _varied(answers, count, rng) if len(ids) else np.arange(0)
        return ids[chosen], answers[chosen]

    def _side(self, ids: np.ndarray, held_out: bool) -> np.ndarray:
        """Of the inputs, those that are held out, each once; or those that are not."""
        ids = ids[is_held_out(ids) == held_out]
        return np.unique(ids, axis=0) if held_out else ids

    def _rare(self, ids: np.ndarray, length: int) -> np.ndarray:
        """Inputs where one token abounds whose answers are rare among those of `ids`."""
        rows = abounding_rows(len(self.domain.vocab), length)
        answers = self.answers(ids) if len(ids) else ids
        rare = np.bincount(answers.ravel(), minlength=len(self.classes)) < MIN_OCCURRENCES
        return rows[rare[self.answers(rows)].any(1)]

    def answers(self, ids: Int[np.ndarray, "batch pos"]) -> Int[np.ndarray, "batch pos"]:
        """The class at each position; IGNORED where nothing determines it."""
        if self.inputs == "repeated":
            return next_tokens(ids)
        output = self.semantics.checked(ids).output
        known = {_class_key(v): c for c, v in enumerate(self.classes)}
        # the table may hold values that no position takes: these need no class
        class_of = np.array([known.get(_class_key(v), IGNORED) for v in output.values])
        answers = class_of[output.codes]
        if (answers == IGNORED).any():
            unknown = next(v for v in output.values if _class_key(v) not in known)
            raise RaspValueError(
                f"the program outputs {unknown!r}, too rare a value to be a class of the model",
                hint="train it with a smaller vocabulary or max_len",
            )
        return answers


def task(program: Program, domain: Domain, inputs: str = "random") -> Task:
    """The task of a program on a domain.

    inputs  a key of DRAWINGS; "repeated" is the task of a language model
    Raises RaspValueError for an output of more than MAX_CLASSES values, a program that refuses a
    token of the vocabulary, and a language model that is not causal; and what the interpreter
    raises.
    """
    if inputs == "repeated":
        if not domain.causal:
            raise RaspValueError(
                "a language model that sees the next token has nothing to learn",
                hint="make the domain causal",
            )
        return Task(program, domain, domain.vocab, inputs)
    semantics = Semantics(program, domain)
    require_vocab(semantics)
    seen: dict[tuple, Value] = {}
    for ids in _explored(domain):
        output = semantics.checked(ids).output
        values = (output.values[c] for c in np.unique(output.codes))
        seen |= {_class_key(v): v for v in values if not isinstance(v, Fault)}
    if len(seen) > MAX_CLASSES:
        raise RaspValueError(
            f"the program's output takes {len(seen)} values or more on this domain; "
            f"a classifier has at most {MAX_CLASSES}",
            hint="train it with a smaller vocabulary or max_len",
        )
    return Task(program, domain, tuple(seen[key] for key in sorted(seen)))


def require_vocab(semantics: Semantics) -> None:
    """Raise RaspValueError where the program refuses a token of the vocabulary."""
    vocab = semantics.domain.vocab
    try:
        semantics.checked(np.arange(len(vocab))[:, None])
    except RaspError as error:
        raise RaspValueError(
            f"the program does not take the vocabulary: {error.message}",
            error.span,
            hint=f"the vocabulary begins with {', '.join(map(repr, vocab[:8]))}; "
            "take one that the program is for",
        ) from None


def _explored(domain: Domain) -> Iterator[np.ndarray]:
    """Ids [batch, pos] of every input, or of a sample that few values of a program escape."""
    if domain.size <= MAX_EXPLORED:
        yield from all_ids(domain)
        return
    yield from even_ids(domain, MAX_EXPLORED, np.random.default_rng(0))
    for length in range(1, domain.max_len + 1):
        yield abounding_rows(len(domain.vocab), length)


def _class_key(value: Value | Fault) -> tuple:
    """What identifies a class and orders classes: by kind, then by size or by text.

    2 and 2.0 are one class, and so are numbers that differ by rounding only.
    """
    if type(value) in (int, float):
        return ("", float(f"{value:.12g}"), "")
    return (type(value).__name__, 0.0, repr(value))


def is_held_out(ids: Int[np.ndarray, "batch pos"]) -> Bool[np.ndarray, " batch"]:
    """Which inputs are held out: a hash of the input alone, so that all seeds and runs agree."""
    # multiply and xor-shift in the manner of splitmix64; the length is mixed in through the start
    mixed = np.full(len(ids), 0x9E3779B97F4A7C15 + ids.shape[1], np.uint64)
    for column in ids.T.astype(np.uint64):
        mixed = (mixed ^ (column + np.uint64(1))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed ^= mixed >> np.uint64(29)
    return mixed % np.uint64(HELD_OUT_PERIOD) == 0


def abounding_rows(n_vocab: int, n_pos: int) -> Int[np.ndarray, "batch pos"]:
    """ABOUNDING_ROWS inputs of one length in which one token abounds; always the same ones.

    The token stands at a share of the positions drawn evenly from [0, 1], so that every count of it
    occurs.
    """
    rng = np.random.default_rng((n_vocab, n_pos))
    rows = ABOUNDING_ROWS
    share, token = rng.random((rows, 1)), rng.integers(0, n_vocab, (rows, 1))
    chosen = rng.random((rows, n_pos)) < share
    return np.where(chosen, token, rng.integers(0, n_vocab, (rows, n_pos)))


def repeated_rows(
    n_vocab: int, count: int, n_pos: int, rng: np.random.Generator
) -> Int[np.ndarray, "batch pos"]:
    """`count` inputs in which, from a random position on, a stretch of tokens repeats.

    First come different tokens in a random order; then other different tokens, over and over, for
    two rounds or more. The period differs from row to row (2 to half the length, where there are
    enough tokens), so that no fixed distance back gives the next token. What precedes a token
    differs from round to round, so that a head which attends evenly to all that came before is of
    little use.
    """
    # two rounds must fit into n_pos, and the tokens before and in the period must be different
    longest = max(1, min(n_vocab, n_pos // 2))
    period = rng.integers(min(2, longest), longest + 1, (count, 1))
    latest = np.maximum(0, np.minimum(n_pos - 2 * period, n_vocab - period))
    start, at = rng.integers(0, latest + 1), np.arange(n_pos)
    order = rng.random((count, n_vocab)).argsort(1)
    places = np.where(at < start, period + at, (at - start) % period)
    return np.take_along_axis(order, places, axis=1)


DRAWINGS: dict[str, Drawing] = {"random": random_rows, "repeated": repeated_rows}
"""How inputs are drawn, by the `inputs` of a recipe."""


def inputs_of(model: LensModel) -> str:
    """The inputs that a model is for, a key of DRAWINGS: its recipe's, or random ones."""
    return model.recipe.inputs if model.recipe is not None else "random"


def second_rounds(language_task: Task, n: int, seed: int = 0) -> Examples:
    """At most `n` held-out inputs of the full length: different tokens, then the same again.

    Answers are next tokens; only those in the second half are determined.
    Raises RaspValueError where there are fewer tokens than half the length.
    """
    n_vocab, half = len(language_task.domain.vocab), language_task.domain.max_len // 2
    if not 1 <= half <= n_vocab:
        raise RaspValueError(f"half the length is {half}; there are {n_vocab} different tokens")
    rng = stream(seed, "second rounds")
    order = rng.random((2 * HELD_OUT_PERIOD * n, n_vocab)).argsort(1)[:, :half]
    ids = np.unique(np.tile(order, 2), axis=0)
    ids = rng.permutation(ids[is_held_out(ids)])[:n]
    return Examples(ids, np.full(len(ids), 2 * half), next_tokens(ids))


def next_tokens(ids: Int[np.ndarray, "batch pos"]) -> Int[np.ndarray, "batch pos"]:
    """The token after each position where the token here occurred before; IGNORED elsewhere.

    On sequences that repeat, what followed the earlier occurrence follows again. At the end there
    is no next token.
    """
    answers = np.full(ids.shape, IGNORED)
    known = (ids[:, :, None] == ids[:, None, :]) & np.tri(ids.shape[1], k=-1, dtype=bool)
    answers[:, :-1] = np.where(known.any(-1)[:, :-1], ids[:, 1:], IGNORED)
    return answers


def _varied(answers: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """`count` row numbers of `answers` [batch, pos], half of them for rare answers.

    The first half are the first rows. The others are drawn without replacement, with a weight that
    sums over positions 1 / (how often the row's answer occurs at that position).
    """
    plain = np.arange(min(count, len(answers)) // 2)
    rarity = np.zeros(len(answers))
    for column in answers.T:
        _, which, occurrences = np.unique(column, return_inverse=True, return_counts=True)
        rarity += 1 / occurrences[which]
    rarity[plain] = 0
    n = min(count - len(plain), int((rarity > 0).sum()))
    drawn = rng.choice(len(answers), n, replace=False, p=rarity / rarity.sum()) if n else plain[:0]
    return np.concatenate([plain, drawn])


def _padded(groups: list[tuple[np.ndarray, np.ndarray]], max_len: int, seed: int) -> Examples:
    """Groups of ids and answers, each of one length, as one in random order."""
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

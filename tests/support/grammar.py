"""Random programs as text, with what they compute: a weighted grammar over kinds of programs.

Domains are small enough to be run as a whole. `support.grammar_kinds` builds a program around a
kind of part, among the general expressions of `Grammar`. Imports nothing of rasplab.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from support.expressions import (
    BOOL,
    NUMBER,
    SELECTOR,
    TESTS,
    TEXT,
    Expression,
    Input,
    aggregate,
    choice,
    combined,
    connected,
    constant,
    elementwise,
    leaf,
    select,
    source,
    width,
)

MOST_INPUTS = 1500
"""Domains hold at most so many inputs."""

VOCABS: dict[str, tuple[list[Any], ...]] = {
    "letters": (list("ab"), list("abc"), list("ab"), ["b", "", "é"], ["a", "ab", "b", "0"]),
    "small": ([0, 1], [0, 1, 2], [1, 2, 3], [-1, 0, 2], [0, 1, 3, 7], [-2, -1, 0, 1, 5]),
    "digits": (list(range(10)), [0, 1], [0, 1, 2]),
    "large": (
        [10**9, 10**9 + 1, 0],
        [10**12, 10**12 + 1],
        [10**12, 10**12 + 1, 0],
        [2**53, 2**53 + 1, 2**53 + 2],
        [10**20, 10**20 + 1],
        [-(10**15), 0, 10**15],
        [1, 1000, 10**6, 10**9],
    ),
    "far": (
        [0.00001, 0.00003, 30000.0],
        [1e-9, 1.0, 1e9],
        [1000000, 999999, -1000000],
        [0.001, 0.002, 5.0],
        [0.1, 0.2, 0.3],
    ),
    "floats": ([0.5, -1.0, 2.0], [1.0, 2.0, 3.0], [0.25, 0.75], [0.0, 1.0, -2.5]),
    "Booleans": ([True, False], [False, True]),
}
MAX_LENS = {
    2: (1, 2, 3, 4, 5, 6, 7, 8, 9),
    3: (1, 2, 3, 4, 5, 6),
    4: (2, 3, 4, 5),
    5: (2, 3, 4),
    10: (3,),
}


@dataclass(frozen=True)
class Drawn:
    """A program with its domain.

    kind      what it was built around
    text      RASP
    outputs   names of its outputs, the main one first
    meanings  what each output computes
    """

    seed: int
    kind: str
    text: str
    vocab: tuple[Any, ...]
    max_len: int
    causal: bool
    outputs: tuple[str, ...]
    meanings: tuple[Expression, ...] = field(repr=False)

    def inputs(self) -> list[tuple[Any, ...]]:
        """Every input, shortest first."""
        lengths = range(1, self.max_len + 1)
        return [tokens for n in lengths for tokens in product(self.vocab, repeat=n)]

    def expected(self, tokens: tuple[Any, ...]) -> list[list[Any]]:
        """The values of every output on an input; FAIL where there is none."""
        given = Input(tokens, self.causal)
        return [given.column(meaning) for meaning in self.meanings]


class Grammar:
    """Draws expressions of every kind over one vocabulary; statements collect in `lines`."""

    def __init__(self, rng: random.Random, vocab: list[Any], max_len: int):
        self.rng, self.vocab, self.max_len = rng, vocab, max_len
        self.lines: list[str] = []
        self.pool: dict[str, list[Expression]] = {NUMBER: [], TEXT: [], BOOL: [], SELECTOR: []}
        self.indices = leaf("indices", NUMBER, lambda given, i: i)
        self.length = leaf(
            "length", NUMBER, lambda given, i: i + 1 if given.causal else len(given.tokens)
        )
        self.tokens = self._tokens()
        self._names = iter(f"v{n}" for n in range(10_000))

    def _tokens(self) -> Expression:
        first = self.vocab[0]
        if isinstance(first, str):
            return leaf("tokens", TEXT, lambda given, i: given.tokens[i])
        if isinstance(first, bool):
            return leaf("tokens_bool", BOOL, lambda given, i: given.tokens[i])
        whole = all(isinstance(t, int) for t in self.vocab)
        names = ["tokens_int", "tokens_asis"] if whole else ["tokens_asis"]
        return leaf(self.rng.choice(names), NUMBER, lambda given, i: given.tokens[i])

    def pick(self, *options: Any) -> Any:
        """One of the options."""
        return self.rng.choice(options)

    def name(self, value: Expression) -> Expression:
        """A statement that gives the expression a name; the name, for use from now on."""
        name = next(self._names)
        self.lines.append(f"{name} = {value.text};")
        named = value.named(name)
        self.pool[value.kind].append(named)
        return named

    def of(self, kind: str, depth: int) -> Expression:
        """An s-op of that kind."""
        draw = {NUMBER: self.number, BOOL: self.boolean, TEXT: self.word}
        return draw[kind](depth)

    def ordered_kind(self) -> str:
        """A kind whose values have an order: numbers, or text where the tokens are text."""
        return self.pick(NUMBER, TEXT) if self.tokens.kind == TEXT else NUMBER

    # Numbers ------------------------------------------------------------------------------------

    def number(self, depth: int = 2) -> Expression:
        """An s-op of numbers."""
        if depth <= 0 or self.rng.random() < 0.15:
            return self._number_leaf()
        forms = (self.arithmetic, self.divided, self.chosen_number, self.mean, self.counted)
        return self.pick(*forms, self.arithmetic, self.indicated, self.unary)(depth - 1)

    def _number_leaf(self) -> Expression:
        leaves = [self.indices, self.length, constant(self.pick(0, 1, 2, 3, -1, 0.5))]
        if self.tokens.kind == NUMBER:
            leaves += [self.tokens] * 3
        return self.pick(*leaves, *self.pool[NUMBER])

    def arithmetic(self, depth: int) -> Expression:
        """+, - or * of two numbers."""
        a, b = self.number(depth), self.number(depth)
        return self.binary(self.pick("+", "-", "*", "+", "-"), a, b)

    def binary(self, word: str, a: Expression, b: Expression) -> Expression:
        """An operation of two numbers."""
        functions = {
            "+": lambda x, y: x + y,
            "-": lambda x, y: x - y,
            "*": lambda x, y: x * y,
            "/": lambda x, y: x / y,
            "//": lambda x, y: x // y,
            "%": lambda x, y: x % y,
            "^": lambda x, y: x**y,
        }
        return elementwise(f"({{0}} {word} {{1}})", NUMBER, functions[word], a, b)

    def divided(self, depth: int) -> Expression:
        """A number divided by a constant that is not 0."""
        divisor = constant(self.pick(2, 3, 4, 10, -2, 0.5))
        return self.binary(self.pick("/", "//", "%", "%"), self.number(depth), divisor)

    def chosen_number(self, depth: int) -> Expression:
        """A conditional of numbers."""
        return choice(self.boolean(depth), self.number(depth), self.number(depth))

    def mean(self, depth: int) -> Expression:
        """An aggregate of numbers."""
        default = self.pick(None, None, 0, 1, -1, 2)
        return aggregate(self.selector(depth), self.number(depth), default)

    def counted(self, depth: int) -> Expression:
        """How many keys a selector selects."""
        return width(self.selector(depth))

    def indicated(self, depth: int) -> Expression:
        """1 where a Boolean holds, else 0."""
        return elementwise("indicator({0})", NUMBER, int, self.boolean(depth))

    def unary(self, depth: int) -> Expression:
        """A negated or a rounded number."""
        if self.rng.random() < 0.5:
            return elementwise("(-{0})", NUMBER, lambda x: -x, self.number(depth))
        return elementwise("round({0})", NUMBER, round, self.number(depth))

    # Booleans, text and selectors ---------------------------------------------------------------

    def boolean(self, depth: int = 1) -> Expression:
        """An s-op of Booleans."""
        if self.pool[BOOL] and self.rng.random() < 0.2:
            return self.pick(*self.pool[BOOL])
        if self.tokens.kind == BOOL and self.rng.random() < 0.4:
            return self.tokens
        if depth > 0 and self.rng.random() < 0.3:
            a, b = self.boolean(depth - 1), self.boolean(depth - 1)
            return connected(self.pick("and", "or"), a, b)
        if depth > 0 and self.rng.random() < 0.15:
            return elementwise("(not {0})", BOOL, lambda x: not x, self.boolean(depth - 1))
        return self.compared(depth)

    def compared(self, depth: int) -> Expression:
        """A test of numbers, or of text."""
        test, kind = self.pick(*TESTS), self.ordered_kind()
        if kind == TEXT and self.rng.random() < 0.7:
            a, b = self.tokens, constant(self.pick(*self.vocab))
        else:
            a, b = self.of(kind, depth - 1), self.of(kind, 0)
        return elementwise(f"({{0}} {test} {{1}})", BOOL, TESTS[test], a, b)

    def word(self, depth: int = 1) -> Expression:
        """An s-op of text."""
        leaves = [constant(self.pick("a", "b", "x", "")), *self.pool[TEXT]]
        leaves += [self.tokens] * 4 if self.tokens.kind == TEXT else []
        if depth <= 0 or self.rng.random() < 0.4:
            return self.pick(*leaves)
        return self.pick(self._chosen_word, self.moved_word, self.joined)(depth - 1)

    def _chosen_word(self, depth: int) -> Expression:
        return choice(self.boolean(depth), self.word(depth), self.word(depth))

    def joined(self, depth: int) -> Expression:
        """Text joined with text."""
        return elementwise("({0} + {1})", TEXT, lambda a, b: a + b, self.word(depth), self.word(0))

    def moved_word(self, depth: int) -> Expression:
        """Text of another position."""
        return aggregate(self.one_key(), self.word(depth), self.pick("", "x", "a"))

    def one_key(self) -> Expression:
        """A selector of at most one key."""
        offset = constant(self.pick(0, 1, 1, 2, -1))
        positions = (
            self.binary("-", self.indices, offset),
            self.binary("-", self.binary("-", self.length, constant(1)), self.indices),
            constant(self.pick(0, 1, 2)),
            self.binary("+", self.indices, constant(1)),
        )
        return select(self.indices, self.pick(*positions), "==")

    def selector(self, depth: int = 1) -> Expression:
        """A selector."""
        if self.pool[SELECTOR] and self.rng.random() < 0.2:
            return self.pick(*self.pool[SELECTOR])
        if depth > 0 and self.rng.random() < 0.3:
            a, b = self.selector(depth - 1), self.selector(depth - 1)
            return combined(self.pick("and", "or", "and"), a, b)
        if depth > 0 and self.rng.random() < 0.15:
            return combined("not", self.selector(depth - 1))
        return self.simple_selector(depth)

    def simple_selector(self, depth: int) -> Expression:
        """One comparison of keys with queries."""
        if self.rng.random() < 0.35:
            return self.one_key()
        kind = BOOL if self.tokens.kind == BOOL and self.rng.random() < 0.5 else self.ordered_kind()
        if kind == BOOL:
            return select(self.boolean(0), self.boolean(0), self.pick("==", "!="))
        keys = self.tokens if self.tokens.kind == kind and self.rng.random() < 0.6 else None
        keys = keys or self.of(kind, depth - 1)
        return select(keys, self.pick(keys, self.of(kind, 0)), self.pick(*TESTS))

    def listed(self, values: list[Any] | dict, index: Expression) -> Expression:
        """A list or dict at an index."""
        kind = constant(next(iter(values.values() if isinstance(values, dict) else values))).kind

        def at(i: Any) -> Any:
            if isinstance(values, list) and not isinstance(i, int):
                raise TypeError("a list is indexed by whole numbers")
            return values[i]

        return elementwise(
            source(values).replace("{", "{{").replace("}", "}}") + "[{0}]", kind, at, index
        )


def make_drawn(
    seed: int, kind: str, grammar: Grammar, outputs: list[Expression], causal: bool
) -> Drawn:
    """The program of a grammar's statements, with these outputs."""
    names = []
    for expression in outputs:
        names.append(f"out{len(names)}")
        grammar.lines.append(f"{names[-1]} = {expression.text};")
    text = "\n".join(grammar.lines)
    return Drawn(
        seed,
        kind,
        text,
        tuple(grammar.vocab),
        grammar.max_len,
        causal,
        tuple(names),
        tuple(outputs),
    )


def grammar_of(rng: random.Random, vocabs: str) -> Grammar:
    """A grammar over one of the vocabularies of a kind, and lengths that keep the domain small."""
    vocab = rng.choice(VOCABS[vocabs])
    fitting = [
        n
        for n in MAX_LENS[len(vocab)]
        if sum(len(vocab) ** k for k in range(1, n + 1)) <= MOST_INPUTS
    ]
    return Grammar(rng, list(vocab), max(rng.choice(fitting), rng.choice(fitting)))

"""Programs as text: what `unparse` writes parses to the same program."""

from __future__ import annotations

import math
import random
from pathlib import Path

import pytest
from generate import random_program

from rasplab.errors import RaspError
from rasplab.lang import load, parse
from rasplab.program import (
    Aggregate,
    Builder,
    Combine,
    Constant,
    Indices,
    Map,
    Program,
    Select,
    SelectorWidth,
    Tokens,
)

CIRCUITS = sorted((Path(__file__).parents[1] / "circuits").glob("*.rasp"))
ATOMS = (
    0, 1, -1, True, False, 0.0, -0.0, 1.5, 1e-7, 1e300, 5e-324, -2.5e-10, math.inf, -math.inf,
    math.nan, 10**50, -(10**3000), "", "a", '"', 'a"b', "\n", "é", "漢字", "\ud800", "\r\n", "#",
)  # fmt: skip
NAMES = (
    "x1",
    "x2",
    "a",
    "tokens",
    "length",
    "full_s",
    "select",
    "shift",
    "chr",
    "out",
    "if",
    "b c",
)


class Anything:
    """Draws programs over every node type and every kind of constant, meaningful or not."""

    def __init__(self, seed: int):
        self.rng, self.b = random.Random(seed), Builder()
        self.sops, self.selectors = [self.add(Tokens("asis")), self.add(Indices())], []
        self.selectors.append(self.add(Select(0, 1, "==")))

    def add(self, node) -> int:
        """The node's id."""
        return self.b.add(node)

    def sop(self) -> int:
        """One that is there."""
        return self.rng.choice(self.sops)

    def selector(self) -> int:
        """One that is there."""
        return self.rng.choice(self.selectors)

    def value(self, depth: int = 0):
        """An atom, or a list that may hold lists."""
        if depth < 3 and self.rng.random() < 0.3:
            return tuple(self.value(depth + 1) for _ in range(self.rng.randrange(4)))
        return self.rng.choice(ATOMS)

    def lookup(self) -> Map:
        """A list, a string or a dict, looked up."""
        items = {self.rng.choice(ATOMS): self.value() for _ in range(self.rng.randrange(4))}
        fn = self.rng.choice(("index", "lookup", "in"))
        if fn == "in":
            return Map(fn, (self.sop(), self.add(Constant(tuple(items)))))
        container = tuple(items.items()) if fn == "lookup" else self.rng.choice(('a"', (1, (2,))))
        return Map(fn, (self.add(Constant(container)), self.sop()))

    def grow(self) -> None:
        """One node more."""
        rng, sop, selector = self.rng, self.sop, self.selector
        match rng.randrange(9):
            case 0:
                self.sops.append(self.add(Constant(self.value())))
            case 1:
                self.sops.append(self.add(Tokens(rng.choice(("asis", "bool")))))
            case 2:
                self.selectors.append(self.add(Select(sop(), sop(), rng.choice(("==", "!=")))))
            case 3:
                self.selectors.append(self.add(Combine("not", (selector(),))))
            case 4:
                fn = rng.choice(("and", "or"))
                self.selectors.append(self.add(Combine(fn, (selector(), selector()))))
            case 5:
                self.sops.append(self.add(Aggregate(selector(), sop(), self.value())))
            case 6:
                self.sops.append(self.add(SelectorWidth(selector())))
            case 7:
                fn, n = rng.choice((("not", 1), ("if", 3), ("and", 2), ("==", 2), ("indicator", 1)))
                self.sops.append(self.add(Map(fn, tuple(sop() for _ in range(n)))))
            case 8:
                self.sops.append(self.add(self.lookup()))

    def program(self) -> Program:
        """Over one of the last nodes; some have names, legal or not."""
        for _ in range(self.rng.randrange(3, 25)):
            self.grow()
        names = {self.rng.choice(NAMES): self.sop() for _ in range(self.rng.randrange(5))}
        return self.b.program(self.rng.choice([*self.sops[-3:], self.selectors[-1]]), names)


def same_again(program: Program) -> Program:
    """The program of its own text, which is the same one, with the same text."""
    text = program.unparse()
    again = parse(text)
    assert again.digest == program.digest, text
    assert again.unparse() == text
    return again


@pytest.mark.parametrize("path", CIRCUITS, ids=lambda p: p.stem)
def test_the_zoo_round_trips(path):
    """Every program file, with all its names."""
    program = load(path)
    assert dict(program.names).items() <= dict(same_again(program).names).items()


@pytest.mark.parametrize("first", range(0, 800, 200))
def test_random_programs_round_trip(first):
    """The programs of the compiler's contract tests, 5 to 19 nodes grown."""
    for seed in range(first, first + 200):
        same_again(random_program(seed, 5 + seed % 15)[0])


@pytest.mark.parametrize("first", range(0, 2000, 500))
def test_any_constants_and_nests_round_trip(first):
    """Every node type over constants of every kind, any nesting, awkward names."""
    for seed in range(first, first + 500):
        program = Anything(seed).program()
        assert parse(program.unparse()).digest == program.digest, seed


def test_the_text_reads_like_a_persons():
    """Names are kept, short parts stay inside, brackets stand where they help."""
    text = (
        "before = select(indices, indices, <);\n"
        "same = select(tokens, tokens, ==);\n"
        'twice = (indices - 1) * 2 + length if (tokens in ["a", "b"]) else -(indices ^ 2);\n'
        "odd = aggregate(before and not same, twice % 3 == 1, False) and not (1 - indices > 2);\n"
    )
    assert parse(text).unparse() == text


def test_long_programs():
    """A sum of 10,000 terms, as a chain of named parts."""
    same_again(parse(f"x = {' + '.join(['indices'] * 10_000)};"))


def test_graphs_that_no_text_makes():
    """A lookup in what is no constant is refused with a reason."""
    b = Builder()
    index = b.add(Map("index", (b.add(Tokens()), b.add(Indices()))))
    with pytest.raises(RaspError, match="no RASP text makes a `index` over tokens"):
        b.program(index).unparse()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("x = chr(-1) + tokens;", "there is no character -1"),
        ('x = chr("a") + tokens;', "chr takes an int, and this is a str"),
        ("x = constant(full_s);", "a selector cannot be an s-op"),
    ],
)
def test_faults_of_constant_and_chr(text, reason):
    """They take what they say."""
    with pytest.raises(RaspError, match=reason):
        parse(text)

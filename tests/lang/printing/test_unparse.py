"""Programs as text: what `unparse` writes parses to the same program."""

from __future__ import annotations

import random

import pytest
from support.generate import Anything, random_program

from rasplab import dsl
from rasplab.base.errors import RaspError
from rasplab.lang.loading import load, parse
from rasplab.program.graph import Builder, Indices, Map, Program, Tokens
from rasplab.program.zoo import shipped

CIRCUITS = sorted(shipped("circuits").glob("*.rasp"))


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
        ('x = chr("a") + tokens;', "chr takes an int, not a str"),
        ("x = constant(full_s);", "a selector cannot be an s-op"),
    ],
)
def test_faults_of_constant_and_chr(text, reason):
    """They take what they say."""
    with pytest.raises(RaspError, match=reason):
        parse(text)


@pytest.mark.parametrize("seed", range(40))
def test_any_outputs_round_trip(seed):
    """2 to 4 nodes of a random program as outputs, selectors and repeated ones among them."""
    program, rng = random_program(seed)[0], random.Random(seed)
    builder = Builder()
    for node in program.nodes:
        builder.add(node)
    first, *others = rng.choices(range(len(program.nodes)), k=rng.randint(2, 4))
    several = builder.program(first, dict(program.names), tuple(others))
    text = several.unparse()
    names = text.rpartition("# outputs: ")[2].strip().split(", ")
    again = parse(text, output=names)
    assert again.digest == several.digest and {*several.names} <= {*again.names}


def test_named_outputs_keep_their_names():
    """Two names of one node are both written, each where it is an output."""
    total = dsl.indices + 1
    program = dsl.program(first=total, second=total, third=dsl.tokens)
    assert program.unparse().endswith("# outputs: first, second, third\n")

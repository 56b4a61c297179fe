"""Two programs are the same function, or a shortest input tells them apart."""

from __future__ import annotations

import json
import random
from itertools import product

import numpy as np
import pytest
from support.generate import DOMAINS, random_program

import rasplab
from rasplab.apps.cli import parser as cli
from rasplab.base.errors import RaspError
from rasplab.lang.loading import parse
from rasplab.program.analysis.equivalence import equal
from rasplab.program.batch.evaluate import evaluate_batch
from rasplab.program.interpret.exact import evaluate

SORT = "x = sort(tokens, tokens);"
BY_RANK = (
    "rank = selector_width(select(tokens, tokens, <) or "
    "(select(tokens, tokens, ==) and select(indices, indices, <=))) - 1;"
    "x = aggregate(select(rank, indices, ==), tokens);"
)


def test_equal_on_every_input():
    """Two ways to sort are one function; the answer is certain."""
    equality = equal(parse(SORT), parse(BY_RANK), "abc", 6)
    assert equality and equality.exhaustive and not equality.same_graph
    assert (equality.checked, equality.covered) == (3 + 9 + 27 + 81 + 243 + 729, 6)


def test_the_same_graph_needs_no_input():
    """Names and layout do not count."""
    equality = equal(parse(SORT), parse("# sorted\ny  =  sort(tokens, tokens);"), "abc", 50)
    assert equality and equality.exhaustive and (equality.same_graph, equality.checked) == (True, 0)


@pytest.mark.parametrize(
    ("a", "b", "tokens"),
    [
        ("x = tokens;", SORT, ("b", "a")),
        (SORT, "x = tokens if length == 4 else sort(tokens, tokens);", ("a", "a", "b", "a")),
        ("x = indices;", "x = indices * 1.5;", ("a", "a")),
        ("x = indices == 0;", "x = indicator(indices == 0);", ("a",)),
        ("x = indices;", "x = 2 / (2 - indices) - 1 + indices;", ("a", "a")),
        ("x = select(indices, 0, ==);", "x = select(indices, indices, <=);", ("a", "a")),
        ("x = tokens;", 'x = {"a": "a"}[tokens];', ("b",)),
    ],
)
def test_a_shortest_difference(a, b, tokens):
    """The first input, shortest first, on which the outputs differ, a fault being no output."""
    equality = equal(parse(a), parse(b), "ab", 5)
    assert not equality and equality.difference.shortest
    assert equality.difference.input == tokens


def test_what_counts_as_equal():
    """1 and 1.0, and two faults; not True and 1."""
    assert equal(parse("x = indices * 1.0;"), parse("x = indices * 1;"), "ab", 4)
    equality = equal(parse("x = 1 / indices;"), parse("x = 2 / indices;"), "ab", 4)
    assert equality and equality.failing == equality.checked == 30


def test_long_inputs_are_sampled():
    """And the answer says so; what is found there is made short."""
    late = "x = tokens if length > 9 else sort(tokens, tokens);"
    equality = equal(parse(SORT), parse(late), "abc", 20, max_inputs=5000)
    assert not equality and equality.covered == 7 and not equality.difference.shortest
    assert len(equality.difference.input) == 10
    equality = equal(parse(SORT), parse(BY_RANK), "abc", 20, max_inputs=5000)
    assert equality and not equality.exhaustive and equality.checked == 5000
    assert str(equality) == (
        "equal on 5,000 inputs: every input of up to 7 tokens, random ones of 8 to 20 (seed 0)"
    )


@pytest.mark.parametrize("first", range(0, 60, 30))
def test_against_the_definition(first):
    """Random pairs: the answer is that of the interpreter, input by input."""
    rng, told_apart = random.Random(first), 0
    for seed in range(first, first + 30):
        a, domain = random_program(seed, 4)
        b = random_program(seed + len(DOMAINS) * rng.randrange(3), 4)[0]
        equality = equal(a, b, domain.vocab, 3, causal=domain.causal)
        differing = [
            t for t in every_input(domain.vocab) if said(a, t, domain) != said(b, t, domain)
        ]
        if equality:
            assert not differing
        else:
            told_apart += 1
            assert equality.difference.input == differing[0]
    assert 5 < told_apart < 30


def every_input(vocab: tuple) -> list[tuple]:
    """Every input of up to 3 tokens, shortest first."""
    return [t for n in (1, 2, 3) for t in product(vocab, repeat=n)]


def said(program, tokens: tuple, domain) -> object:
    """The output with bools apart from numbers; None where the program fails."""
    try:
        output = evaluate(program, tokens, domain.causal).output
    except RaspError:
        return None
    return [(type(v) is bool, v) for v in output]


def test_inputs_beyond_the_limit():
    """A selector over 100,000 tokens is refused here too, before there is one."""
    with pytest.raises(RaspError, match="the input has 100,000 tokens; at most 10,000"):
        equal(parse("x = length;"), parse("x = length + 0;"), "ab", 100_000)
    with pytest.raises(RaspError, match="the input has 20,000 tokens"):
        evaluate_batch(parse("x = length;"), np.zeros((1, 20_000), int), "a")


def test_an_sop_is_no_selector():
    """They cannot be compared."""
    with pytest.raises(RaspError, match="selector, the other an s-op"):
        equal(parse("x = indices;"), parse("x = full_s;"), "ab", 3)
    with pytest.raises(ValueError, match="max_len"):
        equal(parse("x = indices;"), parse("x = length;"), "ab", 0)


def test_on_the_command_line(capsys, tmp_path):
    """Exit code 0 for equal, 1 for different; a zoo program brings its domain; JSON."""
    mine = tmp_path / "mine.rasp"
    mine.write_text(BY_RANK, encoding="utf-8")
    assert cli.main(["equal", "sort", str(mine)]) == 0
    assert "equal on 87,380 inputs: every input of up to 8 tokens" in capsys.readouterr().out
    assert cli.main(["equal", str(mine), "reverse", "--vocab", "ab", "--max-len", "6"]) == 1
    assert capsys.readouterr().out == (
        "different: ['a', 'b'] tells them apart; no shorter input does\n"
        "  ['a', 'b']\n  ['b', 'a']\n"
    )
    assert cli.main(["equal", "sort", "reverse", "--json"]) == 1
    equality = json.loads(capsys.readouterr().out)
    assert equality["equal"] is False and equality["difference"]["input"] == ["a", "b"]
    assert cli.main(["equal", str(mine), str(mine)]) == 1
    assert "--vocab" in capsys.readouterr().err
    assert rasplab.equal is equal


@pytest.mark.parametrize(
    ("a", "b", "output"),
    [
        ("x = indices; y = tokens;", "x = indices; y = sort(tokens, tokens);", "y"),
        ("x = indices; y = select(1, 1, ==);", "x = indices; y = select(indices, 0, ==);", "y"),
        ("x = indices; y = tokens;", "x = 0; y = tokens;", "x"),
        ("x = indices; y = 1;", "x = indices; y = 1 / (1 - indices);", "x"),
    ],
)
def test_several_outputs_are_all_compared(a, b, output):
    """The counterexample says which output differs; a fault is one of all outputs."""
    equality = equal(*(parse(text, output=["x", "y"]) for text in (a, b)), "ab", 3)
    assert not equality and equality.difference.output == output
    assert f"at the output '{output}'" in str(equality)
    assert equality.to_json()["difference"]["output"] == output
    swapped = [parse(text, output=["y", "x"]) for text in (a, b)]
    assert not equal(*swapped, "ab", 3)
    assert equal(*(parse(a, output=["x", "y"]), parse(a + "z = 1;", output=["x", "y"])), "ab", 3)


def test_different_numbers_of_outputs_are_refused():
    """Programs of one output and of two cannot be compared."""
    with pytest.raises(RaspError, match="one program has 1 outputs, the other 2"):
        equal(parse("x = indices;"), parse("x = indices; y = 1;", output=["x", "y"]), "ab", 2)

"""Programs whose parts read one another in long chains, deeper than Python's own recursion."""

from __future__ import annotations

import pytest

import rasplab
from rasplab import dsl
from rasplab.base.errors import CompileError, RaspValueError
from rasplab.base.limits import MAX_CHAIN, deep_nodes
from rasplab.program.graph import Program

FLIP = dsl.select(dsl.indices, dsl.length - 1 - dsl.indices)


def flips(count: int) -> Program:
    """A chain of aggregates: an even number of reversals gives the input."""
    sop = dsl.tokens
    for _ in range(count):
        sop = dsl.aggregate(FLIP, sop, "")
    return dsl.program(sop, name="x")


def widths(count: int) -> Program:
    """A chain of counts: ranks of ranks, which stay the positions."""
    sop = dsl.indices
    for _ in range(count):
        sop = dsl.selector_width(dsl.select(sop, sop, "<"))
    return dsl.program(sop, name="x")


def selectors(count: int) -> Program:
    """A chain of selectors: `and` with the same test selects the same keys."""
    same = dsl.select(dsl.tokens, dsl.tokens)
    chain = dsl.select(dsl.indices, dsl.indices, "<=")
    for k in range(count):
        chain = chain & same if k % 2 else chain | (chain & same)
    return dsl.program(dsl.selector_width(chain), name="x")


def steps(count: int) -> Program:
    """A chain of elementwise functions: 3 (x + 1) modulo 7, from position to position."""
    sop = dsl.indices
    for _ in range(count):
        sop = (sop + 1) * 3 % 7
    return dsl.program(sop, name="x")


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        (flips(300), ["b", "a", "a"]),
        (widths(300), [0, 1, 2]),
        (selectors(1500), [1, 1, 2]),
        (steps(600), [0, 1, 2]),  # 3 (x + 1) has order 6 modulo 7
    ],
    ids=["aggregates", "widths", "selectors", "functions"],
)
def test_chains_go_through_everything(program, expected):
    """Interpreter, batch, text, analysis, compiler and explanation take a chain of hundreds."""
    assert rasplab.evaluate(program, "baa").output == expected
    assert rasplab.evaluate_many(program, ["baa"]) == [expected]
    assert rasplab.parse(program.unparse()).digest == program.digest
    assert program.explain().depth and str(rasplab.is_raspl(program)).startswith("RASP-L")
    compiled = rasplab.compile(program, "ab", 3)
    for position, value in enumerate(expected):
        headline = compiled.explain("baa", position).splitlines()[0]
        assert headline == f"x at position {position} of 'baa' is {value!r}"


def test_a_chain_of_means_is_refused_in_a_sentence():
    """Means of means lie too close together for any float, which the certificate says."""
    sop = dsl.tokens_int
    for _ in range(300):
        sop = dsl.aggregate(dsl.select(dsl.indices, dsl.indices, "<="), sop)
    with pytest.raises(CompileError, match="values of 'x' lie .* apart; the model is exact to"):
        rasplab.compile(dsl.program(sop, name="x"), [0, 1], 3)


def test_beyond_the_deepest_chain_is_refused_in_a_sentence():
    """Recursion that never ends is an error of the package, with the bound."""

    def forever() -> None:
        forever()

    with (
        pytest.raises(RaspValueError, match=f"more than {MAX_CHAIN:,} s-ops"),
        deep_nodes(10**9),
    ):
        forever()

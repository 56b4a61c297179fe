"""Programs of many rounds: time and size follow the rounds, and the models stay exact."""

from __future__ import annotations

import time

import pytest

import rasplab
from rasplab.compiler.lower.sop_forms import MAX_ONE_HOT
from rasplab.model.verify import verify

SECONDS = 20
"""CPU time that a program may take to compile."""


def compiled_in_time(text: str, vocab, max_len: int, basis: str = "compact"):
    """A program compiled within SECONDS of CPU time."""
    start = time.process_time()
    compiled = rasplab.compile(rasplab.parse(text), vocab, max_len, basis=basis)
    assert time.process_time() - start < SECONDS
    return compiled


def transposition_sort(rounds: int) -> str:
    """Odd-even transposition sort: in each round, pairs of neighbours swap where out of order."""
    lines = ["x0 = tokens_int;"]
    for r in range(rounds):
        lines.append(f"""
            l{r} = aggregate(select(indices, indices - 1, ==), x{r}, 9);
            n{r} = aggregate(select(indices, indices + 1, ==), x{r}, 9);
            low{r} = min(x{r}, n{r}) if indices < length - 1 else x{r};
            high{r} = max(x{r}, l{r}) if indices > 0 else x{r};
            x{r + 1} = low{r} if indices % 2 == {r % 2} else high{r};
        """)
    return "".join(lines) + f"r = x{rounds};"


def chain(rounds: int, step: str) -> str:
    """The s-op x0 = tokens_int, and `rounds` steps, each an expression over x."""
    steps = (f"x{k + 1} = {step.format(x=f'x{k}')};\n" for k in range(rounds))
    return "x0 = tokens_int;\n" + "".join(steps) + f"r = x{rounds};"


@pytest.mark.parametrize("rounds", [2, 6])
def test_rounds_of_a_sort_take_a_layer_each(rounds):
    """What a head reads stands in for its leaves, so a round joins no values of earlier rounds."""
    compiled = compiled_in_time(transposition_sort(rounds), [0, 1, 2], 6)
    assert compiled.weights.n_layers == rounds
    assert compiled.n_params < 2_000 + 600 * rounds**2  # layers times directions
    assert verify(compiled.to_model("cpu")).mismatches == 0


@pytest.mark.parametrize(
    "step",
    [
        "(aggregate(select(indices, indices - 1, ==), {x}, 0) * {x} + 1) % 5",
        "(selector_width(select({x}, {x}, ==)) + {x}) % 3",
        "({x} * 3 + indices) % 5",
    ],
)
def test_long_chains_compile_in_time(step):
    """Chains of attention and of elementwise functions are exact at thirty rounds."""
    compiled = compiled_in_time(chain(30, step), [0, 1, 2], 3)
    assert verify(compiled.to_model("cpu")).mismatches == 0


def test_outputs_of_thousands_of_strings_are_no_directions_of_their_own():
    """In the one-hot basis too, more values than MAX_ONE_HOT are read out by the nearest code."""
    text = """
        across = select(indices, length - 1 - indices, ==);
        r = aggregate(across, tokens * indices, "") + tokens;
    """
    compiled = compiled_in_time(text, "abcdefghijklmnopqrst", 6, "one_hot")
    assert len(compiled.readout.values or ()) > MAX_ONE_HOT
    assert verify(compiled.to_model("cpu"), 200, 0).mismatches == 0

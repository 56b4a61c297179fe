"""Programs on long inputs and large vocabularies are exact, in few parameters and little time."""

from __future__ import annotations

import time

import pytest

import rasplab
from rasplab.compiler.infer.normal_form import normal_and
from rasplab.compiler.infer.value_sets import infer
from rasplab.compiler.pipeline import compile_program
from rasplab.model.verify import verify
from rasplab.program.domain import Domain
from rasplab.program.graph import Aggregate
from rasplab.program.zoo import entry

BRACKETS = ("(", ")", "{", "}")


@pytest.mark.parametrize("name", ["dyck2", "shuffle_dyck2"])
def test_brackets_at_64_positions(name):
    """Exact on a sample, in under 20 seconds of one CPU, with a certificate that holds."""
    start = time.process_time()
    compiled = compile_program(rasplab.load(entry(name).path), Domain(BRACKETS, 64))
    assert time.process_time() - start < 20
    assert compiled.certificate.holds
    assert verify(compiled.to_model("cpu"), 40, 0).mismatches == 0


def test_equality_of_many_values_takes_two_digits():
    """A thousand tokens compare by two digits each: some thousand weights in float32."""
    compiled = compile_program(rasplab.load(entry("hist").path), Domain(tuple(range(1000)), 5))
    assert compiled.certificate.dtype == "float32"
    assert compiled.n_params < 10_000
    assert verify(compiled.to_model("cpu"), 300, 0).mismatches == 0


COUNTED = """
    turn = selector_width({before} and select(tokens, tokens, ==));
    r = aggregate(select(tokens, tokens, ==) and select(turn, {query}, ==), tokens, "-");
"""


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(
    ("before", "single"),
    [
        ("select(indices, indices, <=)", True),
        ("select(indices, indices, <)", True),
        ("select(tokens, tokens, <=)", False),
        ("select(1, 1, ==)", False),
    ],
)
def test_running_counts_tell_equal_values_apart(before, single, causal):
    """A token and its running count select one key; a count without order does not."""
    single = single or (causal and "1, 1" in before)  # then the mask is the order
    program = rasplab.parse(COUNTED.format(before=before, query="turn - 1"))
    value_sets = infer(program, Domain(("a", "b"), 4, causal))
    node = program.nodes[program.output]
    assert isinstance(node, Aggregate)
    high = value_sets.selectors.bounds(normal_and(program, node.selector)).high
    assert (high.max() <= 1) == single

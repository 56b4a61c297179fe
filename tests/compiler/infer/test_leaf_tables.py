"""Tables of leaf values: what does not fit is refused."""

from __future__ import annotations

import pytest
from support.compiled import outputs
from support.graphs import graph, reverse

import rasplab
from rasplab.base.errors import CompileError
from rasplab.compiler.pipeline import compile_program
from rasplab.program.domain import Domain


@pytest.mark.parametrize("domain", [Domain(("a", "b"), 2000), Domain(tuple(range(10**6)), 20)])
def test_domains_too_large_are_refused_at_once(domain):
    """No minutes of work and no gigabytes: a sentence."""
    with pytest.raises(CompileError, match="too large"):
        compile_program(graph(reverse), domain)


def test_a_sum_of_two_leaves_of_512_values_compiles():
    """A domain of 512 positions: `length - 1 - indices` has 131,328 combinations, and is exact."""
    compiled = compile_program(graph(reverse), Domain(("a", "b"), 512))
    ids = [0, 1, 1] * 100
    assert outputs(compiled, ids) == [compiled.domain.vocab[k] for k in reversed(ids)]


def test_too_many_combinations_are_refused_with_their_number():
    """The limit is memory; the message says how many combinations it holds."""
    with (
        rasplab.limit(memory=2_000_000),
        pytest.raises(CompileError, match="too many .* GiB"),
    ):
        compile_program(rasplab.parse("r = length * tokens_int;"), Domain(tuple(range(60)), 20))

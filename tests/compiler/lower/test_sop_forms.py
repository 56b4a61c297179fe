"""Linear forms of s-ops: what no neuron can compute is refused."""

from __future__ import annotations

import pytest
from support.graphs import graph

from rasplab.base.errors import CompileError
from rasplab.compiler.pipeline import compile_program
from rasplab.program.domain import Domain
from rasplab.program.graph import Aggregate, Indices, Select, SelectorWidth, Tokens


@pytest.mark.parametrize("basis", ["compact", "one_hot"])
def test_numbers_that_differ_by_rounding_only_are_not_told_apart(basis):
    """A mean of means may be another's neighbour in the last digit: refused, not wrong."""

    def make(add):
        tokens = add(Tokens("asis"))
        below = add(Select(tokens, tokens, "<="))
        mean = add(Aggregate(below, add(Indices()), 1))
        again = add(Aggregate(below, mean, -2))
        return add(SelectorWidth(add(Select(again, mean, ">="))))

    with pytest.raises(CompileError, match="differ by rounding only"):
        compile_program(graph(make), Domain((True, False), 4), basis)

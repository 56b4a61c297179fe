"""Tables of leaf values: what does not fit is refused."""

from __future__ import annotations

import numpy as np
import pytest
from support.compiled import outputs
from support.graphs import graph, reverse

import rasplab
from rasplab.base.errors import CompileError
from rasplab.compiler.infer.columns import Column, map_columns
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
        pytest.raises(CompileError, match="too many .* 1.9 MiB"),
    ):
        compile_program(rasplab.parse("r = length * tokens_int;"), Domain(tuple(range(60)), 20))


def test_combinations_of_many_columns_stay_apart():
    """Nine columns have 2^65 combinations here: rows that differ in the first one stay apart."""
    first = Column((0, 1), np.array([0, 1, 0]))
    others = [Column(tuple(range(256)), np.array([7, 7, 7]))] * 8
    result = map_columns(tuple, [first, *others], 3)
    assert [result.values[code] for code in result.codes] == [(k, *[7] * 8) for k in (0, 1, 0)]


def test_a_selector_over_many_s_ops_tells_positions_apart():
    """Nine s-ops on the key side, eight of them with 256 values: the key at position 1 is selected.

    By hand: no other test holds, so every position copies token 1, or 7 where there is none.
    """
    tests = " or ".join(f"select(tokens_int * {k}, -1, ==)" for k in range(1, 9))
    text = f"r = aggregate(select(indices, 1, ==) or {tests}, tokens_int, 7);"
    compiled = compile_program(rasplab.parse(text), Domain(tuple(range(256)), 2))
    assert outputs(compiled, [77, 85]) == [85, 85]
    assert outputs(compiled, [77]) == [7]

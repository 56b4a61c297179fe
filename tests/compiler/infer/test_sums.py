"""Sums over selected keys, and means of means: exact, without a list of every mean."""

from __future__ import annotations

import pytest
from support.compiled import every_input, mismatches

import rasplab
from rasplab.compiler.pipeline import compile_program
from rasplab.program.domain import Domain

TEXTS = {
    "mean of means": "b = aggregate(select(indices, indices, <=), tokens_int);"
    "r = aggregate(full_s, b);",
    "mean of means of means": "b = aggregate(select(indices, indices, <=), tokens_int);"
    "c = aggregate(select(indices, indices, >=), b); r = aggregate(full_s, c) - b;",
    "sum": "r = length * aggregate(full_s, tokens_int);",
    "sum of halves": "r = aggregate(full_s, tokens_int * 0.5) * length;",
    "sum with empty rows": "s = select(tokens, tokens, <);"
    "r = selector_width(s) * aggregate(s, tokens_int, 5);",
    "rounded sum": "r = round(length * aggregate(full_s, tokens_int - 1)) + indices;",
    "sum of means": "s = select(indices, indices, <=);"
    "r = length * aggregate(full_s, aggregate(s, tokens_int));",
    "mean of sums": "s = select(indices, indices, <=);"
    "r = aggregate(full_s, selector_width(s) * aggregate(s, tokens_int));",
    "a sum that is compared": "r = 2 < length * aggregate(full_s, tokens_int);",
    "a mean read twice": "m = aggregate(full_s, tokens_int); r = length * m + m;",
    "parity of a sum": "r = round(length * aggregate(full_s, tokens_int)) % 2;",
}


@pytest.mark.parametrize("basis", ["compact", "one_hot"])
@pytest.mark.parametrize("kind", TEXTS)
def test_sums_and_means_of_means_are_exact(kind, basis):
    """Every input, causal and not."""
    for causal in (False, True):
        domain = Domain((0, 1, 2), 4, causal)
        compiled = compile_program(rasplab.parse(TEXTS[kind]), domain, basis)
        assert not mismatches(compiled, every_input(domain))


@pytest.mark.parametrize(("base", "digits"), [(10, 5), (2, 16)])
def test_the_value_of_a_number_is_a_sum(base, digits):
    """A number of many digits: its value is never listed, and exact."""
    value = f"tokens_int * {base}^(length - 1 - indices)"
    program = rasplab.parse(f"r = round(length * aggregate(full_s, {value}));")
    domain = Domain(tuple(range(base)), digits)
    compiled = compile_program(program, domain)
    assert not mismatches(compiled, domain.sample(200, 0))
    assert compiled.n_params < 30_000

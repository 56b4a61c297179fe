"""Comparisons and other steps of means that are too many to list."""

from __future__ import annotations

import pytest
from support.compiled import outputs

import rasplab
from rasplab.base.errors import CompileError
from rasplab.compiler.pipeline import compile_program
from rasplab.model.verify import verify
from rasplab.program.domain import Domain

MEAN = "m = aggregate(select(indices, indices, <=), tokens_int);"
REST = "rest = aggregate(select(indices, indices, >), tokens_int, 1);"

STEPS = {
    "compared with a number": f"{MEAN} r = m < 1 / 3;",
    "rounded": f"{MEAN} r = round(m * 4);",
    "within a distance": f"{MEAN} r = abs(m - 1) < 0.1;",
    "two means": f"{MEAN} {REST} r = m < rest;",
    "the sign of a sum": f'{MEAN} {REST} r = "even" if 0 == m + rest else "odd";',
    "the sign of a difference": f"{MEAN} {REST} r = m - rest > 0;",
    "a mean and listed fractions": f"{MEAN} r = m >= indices / length;",
    "a function that fails where it is not taken": f"{MEAN} r = 1 / m > 3 if m > 0 else False;",
    "beside tokens": f"{MEAN} r = m > 1 if tokens_int > 0 else m < 1;",
    "selected by": f"{MEAN} r = selector_width(select(m > 1, True, ==));",
}


@pytest.mark.parametrize("basis", ["compact", "one_hot"])
@pytest.mark.parametrize("step", STEPS)
def test_steps_of_means_need_no_list(step, basis):
    """At 40 positions there are thousands of means; the compiled step is exact on a sample."""
    compiled = compile_program(rasplab.parse(STEPS[step]), Domain((-1, 0, 1, 2), 40), basis)
    report = verify(compiled.to_model("cpu"), 60, 0)
    assert (report.checked, report.mismatches) == (60, 0)


def test_means_next_to_the_bound_are_told_apart():
    """29/41 < 12/17 < 17/24, neighbours among fractions up to 41: by 1/697 and by 1/408."""
    program = rasplab.parse("r = aggregate(select(indices, indices, <=), tokens_int) <= 12 / 17;")
    compiled = compile_program(program, Domain((0, 1, 2, -1), 41))
    for ones, length, expected in ((29, 41, False), (12, 17, True), (17, 24, False)):
        tokens = [1] * ones + [0] * (length - ones)
        assert outputs(compiled, tokens)[-1] is expected  # the id of 0 is 0, of 1 is 1
        assert rasplab.evaluate(program, tokens).output[-1] is expected


INEXACT = {
    "three means": f"{MEAN} {REST} all = aggregate(full_s, tokens_int); r = m + rest - all == 0;",
    "a multiple": f"{MEAN} {REST} r = 49 * m == rest;",
    "means of decimals": "r = aggregate(select(indices, indices, <=), tokens_float) > 0.3;",
}


@pytest.mark.parametrize("program", INEXACT)
def test_what_floats_may_decide_otherwise_is_refused(program):
    """The interpreter computes in floats, whose rounding such comparisons show."""
    vocab = (0.1, 0.2, 0.3, 0.7, 0.35) if "decimals" in program else (-1, 0, 1, 2)
    with pytest.raises(CompileError, match="needs every single value|joins too many values"):
        compile_program(rasplab.parse(INEXACT[program]), Domain(vocab, 50))

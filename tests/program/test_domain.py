"""Domains: tokens that look equal to Python and are not, and tokens that are refused."""

from __future__ import annotations

import pytest

import rasplab
from rasplab import dsl
from rasplab.base.errors import RaspValueError
from rasplab.program.domain import make_domain

TEXT = 'x = "%s" % tokens_asis;'


def test_zeros_of_both_signs_are_two_tokens():
    """0.0 and -0.0 are equal, and differ as text: each has its own id, and none stands for both."""
    assert make_domain([0.0, -0.0], 2).encode([-0.0, 0.0]) == [1, 0]
    with pytest.raises(RaspValueError, match="-0.0 .position 1. is not in the vocabulary"):
        make_domain([0.0, 1.0], 2).encode([0.0, -0.0])


def test_models_tell_zeros_of_both_signs_apart():
    """The compiled model gives the text of the zero that it was given."""
    model = rasplab.compile(rasplab.parse(TEXT), [0.0, -0.0], 2).to_model()
    assert rasplab.verify(model).mismatches == 0
    assert rasplab.evaluate(rasplab.parse(TEXT), [-0.0, 0.0]).output == ["-0.0", "0.0"]


@pytest.mark.parametrize(
    "use",
    [
        lambda program, huge: rasplab.evaluate(program, [huge]),
        lambda program, huge: rasplab.evaluate_many(program, [[huge]]),
        lambda program, huge: rasplab.compile(program, [huge, 1], 2),
        lambda program, huge: rasplab.compile(program, [1], 2).domain.encode([huge]),
        lambda program, huge: dsl.program(dsl.tokens_int + huge),
        lambda program, huge: dsl.indices.map({huge: 1}),
    ],
    ids=["evaluate", "evaluate_many", "compile", "encode", "operand", "map"],
)
def test_ints_beyond_the_limit_are_refused_at_the_door(use):
    """Python does not print an int of 5,000 digits: the error gives its bits, and the limit."""
    with pytest.raises(RaspValueError, match="an int has 16,610 bits; at most 12,000 are allowed"):
        use(rasplab.parse("x = tokens_int;"), 10**5000)

"""1 and 1.0, 0.0 and -0.0: two values where text or an index sees them, one number elsewhere."""

from __future__ import annotations

import pytest
from support.compiled import mismatches

import rasplab
from rasplab.base.errors import CompileError, RaspError
from rasplab.program.inputs import all_ids

TEXTS = {
    "an int or a float as text": 'r = "%s" % (indices if tokens == "a" else indices * 1.0);',
    "negative zero as text": 'r = "%s" % (0.0 * (indices - 1));',
    "carried by a head": (
        'x = indices if tokens == "a" else indices * 1.0; r = "%s" % shift(x, 1, 0);'
    ),
    "equal to a selector": (
        "x = 1 if indices == 0 else (1.0 if indices == 1 else 2);"
        "r = selector_width(select(x, x, ==));"
    ),
    "the output itself": 'r = indices if tokens == "a" else indices * 1.0;',
}


@pytest.mark.parametrize("basis", ["compact", "one_hot"])
@pytest.mark.parametrize("kind", TEXTS)
def test_kinds_of_numbers_are_those_of_the_interpreter(kind, basis):
    """On every input of the domain."""
    compiled = rasplab.compile(rasplab.parse(TEXTS[kind]), "ab", 3, basis=basis)
    inputs = [ids for batch in all_ids(compiled.domain) for ids in batch]
    assert mismatches(compiled, inputs) == []


def test_an_index_that_is_a_float_is_refused():
    """[5, 6, 7][2.0] fails, and 2 beside it does not hide that."""
    program = rasplab.parse('y = 2 if tokens == "a" else 2.0; r = [5, 6, 7][y];')
    with pytest.raises(RaspError):
        rasplab.compile(program, "ab", 3)


@pytest.mark.parametrize("basis", ["compact", "one_hot"])
def test_the_kind_of_a_mean_as_text_is_refused(basis):
    """A mean is a float and one key's value an int: a head gives the number alone."""
    program = rasplab.parse('r = "%s" % aggregate(full_s, tokens_int);')
    with pytest.raises(RaspError):
        rasplab.compile(program, [0, 1, 2], 3, basis=basis)


LARGE_MEANS = {
    "squared": ("(m * m) % 7", [10**9 + 1, 10**9 + 3], [11, 13]),
    "beside a large number": ("(2^60 + 1) % (m + 1)", [2, 4, 6], None),
    "cancelled": ("m * m - (m * m + 1)", [10**9 + 1, 10**9 + 3], [11, 13]),
    "plus and minus": ("m - (m + tokens_int)", [2**53, 2**53 + 2], [4, 6]),
    "counted together": ("round(length * m) - 2^53", [2**53 - 1, 2**53 - 3], None),
}
"""By kind: a function of a mean m, tokens for which floats round, and some that they hold."""


@pytest.mark.parametrize("basis", ["compact", "one_hot"])
@pytest.mark.parametrize("kind", LARGE_MEANS)
def test_means_that_floats_round_are_no_ints(kind, basis):
    """A mean is a float: beyond 2^53 its arithmetic is not that of the int equal to it."""
    function, large, small = LARGE_MEANS[kind]
    program = rasplab.parse(f"m = aggregate(full_s, tokens_int); r = {function};")
    with pytest.raises(CompileError):
        rasplab.compile(program, large, 3, basis=basis)
    if small:
        compiled = rasplab.compile(program, small, 3, basis=basis)
        inputs = [ids for batch in all_ids(compiled.domain) for ids in batch]
        assert mismatches(compiled, inputs) == []


@pytest.mark.parametrize("basis", ["compact", "one_hot"])
def test_a_small_difference_of_large_numbers_is_refused(basis):
    """The sums differ by less than the interpreter's rounding of them, which no weights have."""
    text = "s = length * aggregate(full_s, tokens_int); r = s - length * aggregate(full_s, {});"
    program = rasplab.parse(text.format("tokens_int + 1"))
    with pytest.raises(CompileError, match=r"rounding may reach 0\.27"):
        rasplab.compile(program, [10**14, 3], 4, basis=basis)
    small = rasplab.compile(program, [10, 3], 4, basis=basis)
    inputs = [ids for batch in all_ids(small.domain) for ids in batch]
    assert mismatches(small, inputs) == []

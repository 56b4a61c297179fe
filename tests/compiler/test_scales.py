"""Large integers and numbers of scales far apart: exact on the whole domain, in both bases."""

from __future__ import annotations

import pytest
from support.compiled import mismatches

import rasplab
from rasplab.base.errors import CompileError
from rasplab.program.inputs import all_ids

BASE_31 = "hash = 0;" + "".join(
    f"hash = hash * 31 + (shift(tokens_int, {k}, 0) + 1 if indices >= {k} else 0);"
    for k in range(8, -1, -1)
)

CASES = {
    "a large constant beside a token": (
        "r = (10^9 + tokens_int) if indices == 1 else 0;",
        [0, 1],
        2,
    ),
    "tokens that agree to twelve digits": ("r = tokens_int;", [10**12, 10**12 + 1], 1),
    "tokens that are one float": ("r = tokens_int;", [10**20, 10**20 + 1], 2),
    "sorted large integers": (
        "r = sort(tokens_int, tokens_int);",
        [10**12, 10**12 + 1, 0],
        3,
    ),
    "large integers compared": (
        "r = selector_width(select(tokens_int, tokens_int, <));",
        [10**17, 10**17 + 1, 10**17 + 2],
        3,
    ),
    "a base-31 hash": (BASE_31, [0, 1], 9),
    "powers of the position": ("r = 7^indices + tokens_int;", [0, 1], 9),
    "a million beside thousandths": (
        'r = 1000000 if tokens == "a" else indices * 0.001;',
        "ab",
        2,
    ),
    "powers of 8 beside positions": ('r = 2^(indices*3) if tokens == "a" else indices;', "ab", 8),
    "tokens of scales far apart": (
        "r = tokens_asis / (indices + 1);",
        [0.00001, 0.00003, 30000.0],
        4,
    ),
    "the cube of a mean of millions": (
        "r = aggregate(select(1, 1, ==), tokens_asis)^3;",
        [1000000, 999999, -1000000],
        2,
    ),
    "squares beyond float32": (
        "m = aggregate(select(tokens_asis, tokens_asis, !=), tokens_asis // 0.5);"
        "r = aggregate(select(indices, indices - 1, ==), m) - m;",
        [10**20, 10**20 + 1],
        4,
    ),
    "numbers beyond float32": (
        "r = 10^40 * tokens_int + 10^39 * indices;",
        [1, 2],
        3,
    ),
    "squares beyond float64": ("r = 10^200 * tokens_int;", [1, 2, 7], 2),
    "one large number": ("r = 10^15 + 0 * tokens_int;", [1, 2], 2),
    "one large number, rounded differently": (
        "r = (10^15 + tokens_int) + (-tokens_int) * 1.0;",
        [0, 10**16],
        2,
    ),
    "tiny numbers": ("r = tokens_asis * 0.000000000001;", [1, 2, 3000], 2),
}


@pytest.mark.parametrize("basis", ["compact", "one_hot"])
@pytest.mark.parametrize("kind", CASES)
def test_numbers_of_any_scale_are_exact(kind, basis):
    """Each kind on its first and last inputs: integers exactly, floats up to rounding."""
    text, vocab, max_len = CASES[kind]
    program = rasplab.parse(text)
    compiled = rasplab.compile(program, vocab, max_len, basis=basis)
    assert compiled.certificate.holds
    domain = compiled.domain
    inputs = [ids for batch in all_ids(domain) for ids in batch]
    assert mismatches(compiled, inputs[:40] + inputs[-40:]) == []


def test_what_float32_merges_is_carried_as_ranks():
    """The sorted millions need no float64: heads move the ranks of the values."""
    compiled = rasplab.compile(
        rasplab.parse("r = sort(tokens_int, tokens_int);"), [10**12, 10**12 + 1, 0], 3
    )
    assert compiled.certificate.dtype == "float32" and compiled.certificate.gap == 1


def test_floats_that_rounding_alone_parts_are_merged_and_counted():
    """0.1 + 0.2 and 0.3 are one number to the read-out, which says so; integers never are."""
    program = rasplab.parse("r = tokens_asis + 0.2 if indices == 0 else 0.3;")
    certificate = rasplab.compile(program, [0.1], 2).certificate
    assert certificate.merged == 1 and "1 equal up to rounding" in str(certificate)
    assert (
        rasplab.compile(
            rasplab.parse("r = tokens_int;"), [10**14, 10**14 + 1], 1
        ).certificate.merged
        == 0
    )


@pytest.mark.parametrize("basis", ["compact", "one_hot"])
def test_a_float_between_two_integers_does_not_merge_them(basis):
    """10^20 and 10^20 + 1 are single keys, and their mean is 1e20: no float tells these apart."""
    program = rasplab.parse("r = aggregate(select(tokens_asis, tokens_asis, ==), 7 + tokens_asis);")
    with pytest.raises(CompileError, match="rounding|apart"):
        rasplab.compile(program, [10**20, 10**20 + 1], 2, basis=basis)

"""Value sets: what has too many values to list, and what it may be used for."""

from __future__ import annotations

import pytest

import rasplab
from rasplab.base.errors import CompileError


def test_unlisted_means_that_are_compared_are_refused():
    """A mean with too many values to list may be an output, but not be compared for equality."""
    mean = "m = aggregate(select(1, 1, ==), tokens_float);"
    vocab = [0.5 * k * k + 0.1 for k in range(24)]
    assert rasplab.compile(rasplab.parse(mean), vocab[:3], 4).n_params > 0
    with pytest.raises(CompileError, match="too many to list"):
        rasplab.compile(rasplab.parse(mean + "o = round(m) == 3;"), vocab, 24)


def test_too_large_a_joint_table_is_refused_with_its_size():
    """The refusal names the values that are joined, and the limit that they exceed."""
    program = rasplab.parse("r = tokens_int * shift(tokens_int, 1, 1) % 7;")
    message = r"joins too many values, 60 x 60: more than 2,500 combinations"
    with rasplab.limit(memory=10**7), pytest.raises(CompileError, match=message):
        rasplab.compile(program, range(60), 4)
    assert rasplab.compile(program, range(60), 4).certificate.dtype == "float32"

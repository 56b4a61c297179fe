"""Inputs as other tools write them: byte order marks, line ends, numpy's scalars."""

from __future__ import annotations

import numpy as np
import pytest

from rasplab.base.errors import RaspError
from rasplab.base.limits import limit
from rasplab.lang.loading import load, parse
from rasplab.program.domain import make_domain
from rasplab.program.interpret.exact import evaluate


def test_texts_of_windows(tmp_path):
    """A byte order mark and line ends of two characters change nothing."""
    text, plain = "x = indices;\r\n# note\r\ny = x + 1;\r\n", parse("x = indices; y = x + 1;")
    assert parse("\ufeff" + text).digest == plain.digest
    path = tmp_path / "a.rasp"
    path.write_bytes(("\ufeff" + text).encode())
    assert load(path).digest == plain.digest


def test_scalars_of_numpy():
    """Tokens, vocabularies and lengths may be numpy's."""
    program = parse("x = tokens_asis * 2;")
    output = evaluate(program, [np.int64(1), np.float64(0.5)]).output
    assert output == [2, 1.0] and [type(v) for v in output] == [int, float]
    domain = make_domain(np.arange(3), np.int64(2))
    assert domain == make_domain([0, 1, 2], 2) and type(domain.vocab[0]) is int


def test_lists_count_in_all():
    """Many long lists exceed the limit on steps, although each is within the limit on length."""
    with limit(steps=1000), pytest.raises(RaspError, match="more than 1,000 steps"):
        parse("d = {i: [i] * 1000 for i in range(100)}; x = indices;")

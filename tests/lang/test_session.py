"""Sessions: results, names, the running example."""

from __future__ import annotations

import pytest

from rasplab.base.errors import RaspError
from rasplab.lang.session import Session
from rasplab.program.interpret.exact import evaluate


def test_session_keeps_names_and_programs():
    """A session's results have names, kinds and programs; a fault changes nothing before it."""
    session = Session("abc")
    results = session.run("a = indices + 1; s = select(a, 2, ==); k = 3; a * 2;")
    assert [(r.name, r.kind) for r in results] == [
        ("a", "s-op"),
        ("s", "selector"),
        ("k", "value"),
        ("out", "s-op"),
    ]
    assert evaluate(session.program("out"), "ab").output == [2, 4]
    with pytest.raises(RaspError):
        session.run("a = 9; b = tokens_int;")
    assert session.run("a;")[0].value == 9


def test_the_check_uses_the_input_at_hand():
    """tokens_int fails on "hello", and may be put to "12" nevertheless."""
    session = Session()
    with pytest.raises(RaspError, match="cannot read the token"):
        session.run("tokens_int;")
    assert session.run('(tokens_int + 1)("12");')[0].value.column == [2, 3]

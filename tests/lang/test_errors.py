"""What faults say: golden texts; and that nothing but RaspError leaves the language."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from support import fuzz

from rasplab.apps.cli import parser as cli
from rasplab.base.errors import RaspError
from rasplab.base.limits import limit
from rasplab.lang.loading import load, parse
from rasplab.lang.session import Session
from rasplab.program.interpret.exact import evaluate

GOLDEN = Path(__file__).parents[1] / "golden" / "faults.txt"
RULE = "=" * 40
ARROW = "-" * 40


def golden() -> list[tuple[str, str]]:
    """(text, what is said of it) pairs."""
    blocks = GOLDEN.read_text(encoding="utf-8").split(f"{RULE}\n")[1:]
    return [tuple(block.rstrip("\n").split(f"\n{ARROW}\n")) for block in blocks]


def message_of(text: str) -> str:
    """The fault of a text that is parsed, then run on "hello"; or "" if there is none."""
    try:
        evaluate(parse(text, name="t.rasp"), "hello")
    except RaspError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(("text", "message"), golden(), ids=lambda s: s.split("\n")[0][:40])
def test_golden(text, message):
    """A fault says where, why and what to do, in these words."""
    assert message_of(text) == message


def test_there_are_enough():
    """At least 120 different faults are held."""
    assert len({message.split("\n")[0] for _, message in golden()}) >= 120


def test_messages_name_no_terminals():
    """The parser's own words stay out of messages."""
    for _, message in golden():
        assert not re.search(r"\b(LPAR|RPAR|LSQB|RBRACE|SEMICOLON|COMMA|NAME|START|END)\b", message)


def test_fault_in_a_loaded_file_points_there(tmp_path):
    """The place is in the file that holds the fault, not in the one that loads it."""
    (tmp_path / "part.rasp").write_text("x = 1;\ny = nosuch;\n", encoding="utf-8")
    (tmp_path / "whole.rasp").write_text('load "part";\nz = indices;\n', encoding="utf-8")
    with pytest.raises(RaspError, match=r"part\.rasp:2:5: nosuch is not defined"):
        load(tmp_path / "whole.rasp")


def test_files_that_load_each_other(tmp_path):
    """A circle of loads is a fault, in a program and in a session."""
    (tmp_path / "a.rasp").write_text('load "a";\n', encoding="utf-8")
    with pytest.raises(RaspError, match="load each other"):
        load(tmp_path / "a.rasp")
    with pytest.raises(RaspError, match="loads itself"):
        Session(folder=tmp_path).run('load "a";')


def test_missing_and_damaged_files(tmp_path):
    """A file that is not there, or not text, is a fault with a way out."""
    (tmp_path / "reverse.rasp").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RaspError, match="did you mean reverse.rasp"):
        load(tmp_path / "revers.rasp")
    with pytest.raises(RaspError, match="not a text file"):
        load(tmp_path / "reverse.rasp")


def test_library_faults_are_placed_at_the_call():
    """What fails inside the library is told at the line that the user wrote."""
    assert message_of("x = shift(tokens, 1, 0);").startswith(
        "t.rasp:1:5: an s-op holds strings or numb"
    )


GREEDY = {
    "for i in range(1000000) { for j in range(1000000) { } }": "takes more than 10,000 steps",
    "l = [0]; for i in range(60) { l = l + l; }": "longer than 10000",
    "l = []; for i in range(900) { l = [l]; }": "nest up to 100 deep",
    "n = 3; for i in range(60) { n = n * n; }": "more than 500 bits",
    "def f(n) { return f(n); } x = f(1);": "calls itself more than 200 deep",
    "x = indices + 10 ^ (10 ^ 8);": "more than 500 bits",
    'x = ("a" * 10000000000) + tokens;': "is longer than 10000",
    "x = tokens * 3000;": "strings are longer than 10,000",
    'x = "%99999999999d" % indices;': "formatted it is longer than 10000",
    "for i in range(100000000) { a = i; }": "more than 1,000 ints",
    "x = indices; for i in range(900) { x = x + i; }": "more than 1,000 s-ops and selectors",
    "x = indices; for i in range(250) { x = x + 1; }": "holds more than 1,000 values",
    "x = indices; for i in range(60) { x = x + x * {1: range(900)}[1][x]; }": "10,000 steps",
    "z = [zip(range(900), range(900)) for i in range(30)];": "takes more than 10,000 steps",
}
"""Texts that would take too much, and why they are refused under the limits of the test."""


@pytest.mark.parametrize("text", GREEDY)
def test_limits(text):
    """Endless loops, growing values and recursions end at limits, which can be raised."""
    with limit(
        steps=10_000, length=10_000, bits=500, calls=200, range=1000, nodes=1000, cells=1000
    ):
        message = message_of(text.replace("1000000", "1000"))
    assert GREEDY[text] in message
    assert "nest" in GREEDY[text] or "rasplab.limit(" in message


def test_limits_can_be_raised():
    """Under `with` until its end; outside for good; a wrong name or bound is a ValueError."""
    text = "x = range(1000001)[3] + indices;"
    with limit(range=2_000_000, steps=10_000_000):
        assert message_of(text) == ""
    assert "more than 1,000,000 ints" in message_of(text)
    with limit(), pytest.raises(RaspError, match="at most 3 are taken"):
        limit(tokens=3)
        evaluate(parse("x = indices;"), "abcd")
    for wrong in ({"walk": 3}, {"steps": 0}, {"steps": 2.5}):
        with pytest.raises(ValueError, match="limit"):
            limit(**wrong)


def test_large_numbers_can_be_written(capsys, tmp_path):
    """With more bits allowed, also those that Python alone would not write."""
    path = tmp_path / "large.rasp"
    path.write_text("x = 10 ^ 5000 + indices;", encoding="utf-8")
    assert cli.main(["run", str(path), "a"]) == 1
    assert "rasplab --limit bits=N" in capsys.readouterr().err
    assert cli.main(["--limit", "bits=20000", "run", str(path), "a"]) == 0
    assert f"[1{'0' * 5000}] (ints)" in capsys.readouterr().out


def test_selectors_over_long_inputs_are_refused():
    """100,000 tokens, in a program, put to an s-op, or as the example of a session."""
    for run in (
        lambda: evaluate(parse("x = selector_width(full_s);"), "a" * 100_000),
        lambda: Session().run('full_s("a" * 100000);'),
        lambda: Session().run('set example "a" * 100000'),
    ):
        with pytest.raises(RaspError, match="the input has 100,000 tokens; at most 10,000"):
            run()


def test_default_limits_end_in_seconds():
    """The slowest kinds of text, under the limits that users have."""
    start = time.process_time()
    assert "steps" in message_of("for i in range(1000000) { for j in range(1000000) { } }")
    assert "steps" in message_of("l = range(1000000); for i in range(1000000) { a = l == l; }")
    assert time.process_time() - start < 30


@pytest.mark.parametrize("seed", range(0, 2000, 500))
def test_nothing_but_rasp_errors(seed):
    """2,000 random programs parse, run and come back as text, or raise RaspError.

    They are drawn, composed and mutated, and run in a file and in the REPL; `make fuzz` tries more.
    """
    outcomes, failures = fuzz.run(range(seed, seed + 500))
    assert not failures
    assert outcomes["ran"] > 40 and len(outcomes) > 5

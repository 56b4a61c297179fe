"""What faults say: golden texts; and that nothing but RaspError leaves the language."""

from __future__ import annotations

import io
import random
import re
from pathlib import Path

import pytest

from rasplab.errors import RaspError
from rasplab.interpret import evaluate
from rasplab.lang import load, parse
from rasplab.lang.session import Session
from rasplab.repl import main

GOLDEN = Path(__file__).parent / "golden" / "faults.txt"
RULE = "=" * 40
ARROW = "-" * 40


def golden() -> list[tuple[str, str]]:
    """(text, what is said of it) pairs."""
    blocks = GOLDEN.read_text(encoding="utf-8").split(f"{RULE}\n")[1:]
    return [tuple(block.rstrip("\n").split(f"\n{ARROW}\n")) for block in blocks]


def said(text: str) -> str:
    """The fault of a text that is parsed, then run on "hello"; or "" if there is none."""
    try:
        evaluate(parse(text, name="t.rasp"), "hello")
    except RaspError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(("text", "message"), golden(), ids=lambda s: s.split("\n")[0][:40])
def test_golden(text, message):
    """A fault says where, why and what to do, in these words."""
    assert said(text) == message


def test_there_are_enough():
    """At least 60 different faults are held."""
    assert len({message.split("\n")[0] for _, message in golden()}) >= 60


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
    assert said("x = shift(tokens, 1, 0);").startswith("t.rasp:1:5: an s-op holds strings or numb")


def test_no_text_hangs():
    """Endless loops, growing lists, numbers and recursions end with a fault."""
    for text in (
        "for i in range(1000000) { for j in range(1000000) { } }",
        "l = [0]; for i in range(60) { l = l + l; }",
        "l = []; for i in range(100000) { l = [l]; }",
        "n = 3; for i in range(60) { n = n * n; }",
        "def f(n) { return f(n); } x = f(1);",
    ):
        assert said(text)


def mutated(rng: random.Random, texts: list[str]) -> str:
    """A text with a few of its words replaced, dropped, or taken from another text."""
    words = re.findall(r'"[^"\n]*"|\w+|\s+|\S', rng.choice(texts))
    for _ in range(rng.randint(1, 4)):
        other = re.findall(r'"[^"\n]*"|\w+|\s+|\S', rng.choice(texts))
        at, start = rng.randrange(len(words) + 1), rng.randrange(len(other))
        words[at : at + rng.randint(0, 2)] = other[start : start + rng.randint(0, 4)]
    return "".join(words)


@pytest.mark.parametrize("seed", range(4))
def test_nothing_but_rasp_errors(seed):
    """Mutated programs parse, run, or fault in our own words, in a file and in the REPL."""
    rng, texts = random.Random(seed), [text for text, _ in golden()]
    texts += [
        p.read_text(encoding="utf-8")
        for p in (Path(__file__).parents[1] / "circuits").glob("*.rasp")
    ]
    for _ in range(500):
        text = mutated(rng, texts)
        if "99999" in text or "100000" in text or "f(n + 1)" in text:
            continue  # bounded, but slow; they have tests of their own
        said(text)
        assert main(io.StringIO(text), io.StringIO()) == 0

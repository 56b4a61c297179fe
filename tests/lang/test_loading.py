"""Programs from texts and files: outputs, names, loads."""

from __future__ import annotations

import subprocess
import sys

import pytest
from support.texts import output_of

from rasplab.base.errors import RaspError, RaspNameError
from rasplab.lang.loading import load, parse
from rasplab.lang.session import Session
from rasplab.program.interpret.exact import evaluate
from rasplab.program.zoo import shipped


def test_output_is_the_last_sop_or_the_named_one():
    """Assigned, or written as a statement of its own; numbers and functions do not count."""
    text = "a = indices; s = select(a, 0, ==); b = a + 1; k = 3; def f(x) { return x; }"
    assert output_of(text, "ab") == [1, 2]
    assert evaluate(parse(text, output="a"), "ab").output == [0, 1]
    assert evaluate(parse(text, output="s"), "ab").output.tolist() == [[True, False]] * 2
    assert evaluate(parse(text, output="k"), "ab").output == [3, 3]
    assert output_of(text + "a;", "ab") == [0, 1]
    with pytest.raises(RaspNameError, match="it has: a, s, b"):
        parse(text, output="nosuch")
    with pytest.raises(RaspError, match="is a function"):
        parse(text, output="f")


def test_names_and_spans_survive():
    """A program knows the text's names, and where each node was made."""
    program = parse("same = select(tokens, tokens, ==);\nhist = selector_width(same);")
    assert dict(program.names).keys() >= {"same", "hist"}
    assert program.labels[program.output] == "hist"
    assert program.span(program.id_of("same")).text == "select(tokens, tokens, ==)"
    assert program.span(program.id_of("hist")).source.line_column(
        program.span(program.output).start
    ) == (2, 8)


def test_load_copies_public_names(tmp_path):
    """From the folder of the loading file; `_names` stay; a loaded file sees only the library."""
    (tmp_path / "part.rasp").write_text("_k = 2; twice = indices * _k;", encoding="utf-8")
    (tmp_path / "whole.rasp").write_text('load "part"; x = twice + 1;', encoding="utf-8")
    program = load(tmp_path / "whole.rasp")
    assert evaluate(program, "ab").output == [1, 3]
    (tmp_path / "other.rasp").write_text('load "part"; x = indices + _k;', encoding="utf-8")
    with pytest.raises(RaspNameError, match="_k"):
        load(tmp_path / "other.rasp")


def test_a_file_may_take_a_name_of_the_library():
    """circuits/sort.rasp calls its output `sort`; in the REPL that is refused."""
    assert output_of("sort = indices + 1; y = sort * 2;", "ab") == [2, 4]
    with pytest.raises(RaspNameError, match="part of the library"):
        Session().run("sort = indices;")


def test_the_language_is_light():
    """Parsing and running a file imports neither torch nor lark nor numpy, and takes a blink."""
    path = str(shipped("circuits") / "sort.rasp")
    code = (
        "import sys; from rasplab.lang.loading import load;"
        "from rasplab.program.interpret.exact import evaluate;"
        f"print(evaluate(load({path!r}), 'cab').output,"
        "[m for m in ('torch', 'lark', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "['a', 'b', 'c'] []\n"

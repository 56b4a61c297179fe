"""The library's words for numbers, whole division, and texts of several outputs."""

from __future__ import annotations

import pytest

from rasplab import dsl
from rasplab.base.errors import RaspValueError
from rasplab.lang.loading import parse
from rasplab.lang.session import Session
from rasplab.program.interpret.exact import evaluate


@pytest.mark.parametrize(
    ("text", "tokens", "values"),
    [
        ("r = 7 // 2 + (indices - 1) // 2;", "abc", [2, 3, 3]),
        ("r = 2.5 // (indices + 1);", "ab", [2.0, 1.0]),
        ("r = floor(tokens_float);", ["-1.5", "2.5", "3"], [-2, 2, 3]),
        ("r = ceil(tokens_float);", ["-1.5", "2.5", "3"], [-1, 3, 3]),
        ("r = abs(indices - 1);", "abc", [1, 0, 1]),
        ("r = sign(indices - 1);", "abc", [-1, 0, 1]),
        ("r = where(indices > 0, 1 / indices, 7);", "abc", [7, 1.0, 0.5]),
        ("r = sum(select(indices, indices, <=), tokens_int);", "123", [1, 3, 6]),
        ("r = sum(select(indices, indices, <), tokens_int);", "123", [0, 1, 3]),
        ("r = largest(select(indices, indices, <=), tokens_int, [3, 1, 2]);", "132", [1, 3, 3]),
        ("r = largest(select(indices, indices, <), -tokens_int, [-1, -2]);", "12", [0, -1]),
        ("r = smallest(select(indices, indices, <), tokens_int, [1, 2, 3]);", "312", [0, 3, 1]),
        ("r = floor(2.5) + ceil(2.5) + abs(-2) + sign(-3) + indices;", "a", [6]),
    ],
)
def test_words_for_numbers(text, tokens, values):
    """Each word on an input; the program's text reads back as the same program."""
    program = parse(text)
    output = evaluate(program, tokens).output
    assert output == values and [type(v) for v in output] == [type(v) for v in values]
    assert parse(program.unparse()).digest == program.digest


@pytest.mark.parametrize("name", ["sum", "abs", "floor", "ceil", "sign", "where", "largest"])
def test_a_program_may_define_a_word_of_the_library(name):
    """Users' own definitions win, in texts and in sessions; the library keeps its own."""
    text = f"{name} = indices + 1; r = {name} + ceil_of(0.5);"
    text = "def ceil_of(a) { return 1; } " + text
    assert evaluate(parse(text), "ab").output == [2, 3]
    assert Session("ab", kinds=True).run(text)[-1].name == "r"


def test_whole_division_by_zero_is_a_fault():
    """A guard protects from it."""
    with pytest.raises(RaspValueError, match="1 // 0 at position 0"):
        evaluate(parse("r = 1 // indices;"), "ab")
    assert evaluate(parse("r = 1 // indices if indices > 0 else 5;"), "ab").output == [5, 1]


def test_programs_of_several_outputs_from_python_and_as_text():
    """Outputs in order, named or not; the text has a name for each, and reads back the same."""
    a, b = dsl.tokens.map({"a": 1, "b": 2}), dsl.indices // 2
    made = dsl.program(a, half=b, name="code")
    text = parse('code = {"a": 1, "b": 2}[tokens]; half = indices // 2;', output=["code", "half"])
    assert made.digest == text.digest and dict(made.names) == dict(text.names)
    assert made.digest == dsl.program(code=a, half=b).digest
    assert dsl.program(a, "code").names[0][0] == "code"
    written = made.unparse()
    assert written.rstrip().endswith("# outputs: code, half")
    assert parse(written, output=["code", "half"]).digest == made.digest
    unnamed = dsl.program(a, b, dsl.length)
    names = unnamed.unparse().rstrip().rpartition("# outputs: ")[2].split(", ")
    assert parse(unnamed.unparse(), output=names).digest == unnamed.digest


def test_map_from_python_takes_tables():
    """A dict by key, a list by position; other things are refused in one sentence."""
    assert dsl.tokens.map({"a": 1, "b": 2})("ab") == [1, 2]
    assert dsl.indices.map([5, 6])("ab") == [5, 6]
    with pytest.raises(TypeError, match="map takes a dict, list or string"):
        dsl.tokens.map(3)

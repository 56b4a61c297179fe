"""Text to syntax: spans, white space, unfinished texts."""

from __future__ import annotations

import pytest
from support.texts import output_of

from rasplab.base.errors import Source
from rasplab.lang.syntax.parser import is_unfinished, parse_module


@pytest.mark.parametrize("space", ["", " ", "\n", " # a comment\n"])
def test_white_space_is_free(space):
    """Also before the bracket of select, but for a comment there."""
    before = "" if "#" in space else space
    text = f"x{space}={space}selector_width{space}({space}select{before}(tokens,{space}tokens,==));"
    assert output_of(text) == [1, 1, 2, 2, 1]


def test_several_statements_on_a_line():
    """A line is no unit."""
    assert output_of("a = 1; b = a + 1; c = indices * b;", "ab") == [0, 2]


def test_spans_cover_their_text():
    """Every node of the syntax knows the text it was read from, brackets included."""
    text = "x = (a + 1) * f(b);"
    (item,) = parse_module(Source("t", text)).items
    product = item.values[0]
    assert (item.span.text, product.span.text) == (text, "(a + 1) * f(b)")
    assert (product.left.span.text, product.right.span.text) == ("(a + 1)", "f(b)")


@pytest.mark.parametrize(
    ("text", "unfinished"),
    [
        ("x = 1", True),
        ("x = f(", True),
        ("def f(x) {\n y = x; # a comment\n", True),
        ("x = 1;", False),
        ("x = );", False),
        ('x = "a', False),
    ],
)
def test_unfinished_texts(text, unfinished):
    """More lines may help a text whose end is early, and no other."""
    assert is_unfinished(text) == unfinished

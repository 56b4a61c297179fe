"""Texts of others in pictures and pages: markup escaped, characters that XML lacks replaced."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from rasplab.apps.show import html
from rasplab.apps.show.svg import picture, text_at
from rasplab.apps.show.sweeps import dots_svg
from rasplab.base.text import escape

TEXTS = ["".join(map(chr, range(32))), "\ud800\udfff", "\ufffe\uffff", "<script>&\"'", "ä😀\x7f"]


@pytest.mark.parametrize("text", TEXTS, ids=ascii)
def test_any_text_makes_a_picture_that_is_xml(text):
    """As a text and as a label; what can be shown is shown as it is."""
    svg = picture(10, 10, [text_at(0, 0, text)], text)
    root = ElementTree.fromstring(svg)
    assert root.find("{http://www.w3.org/2000/svg}text") is not None
    assert "<script>" not in svg and "<script>" not in html.figure(svg, text)
    html.code(text).encode()


def test_control_characters_are_shown_as_their_pictures():
    """NUL and ESC as the signs that Unicode has for them."""
    assert escape("\x00\x1b[0m\t") == "␀␛[0m\t"


def test_names_in_a_picture_of_dots_are_escaped():
    """Names of methods and groups, as texts and in the hover texts."""
    svg = dots_svg(["<i>"], [("<script>&", [(0.5, 0.4, 0.6)])], "<b>")
    ElementTree.fromstring(svg)
    assert "&lt;script&gt;" in svg and "<script>" not in svg

"""Fragments of HTML, and what notebooks show of types."""

import re

import numpy as np

from rasplab.apps.show import displays, html
from rasplab.base.errors import RaspError, Source, Span


def test_an_error_in_html_is_escaped_and_has_its_caret():
    """The fault's place and caret survive, its text cannot be read as HTML."""
    source = Source("<cell>", "x = <b>;")
    shown = html.error_html(RaspError("no <b> here", Span(source, 4, 7)))
    assert "<b>&lt;cell&gt;:1:5</b>: no &lt;b&gt; here" in shown
    assert ">&lt;b&gt;</span>;\n      ^^^</pre>" in shown and shown.count("<b>") == 1


def test_html_needs_no_style_sheet():
    """What an untrusted notebook strips is not needed: styles stand in the elements."""
    shown = html.table(["a", "b"], [["c", "<d>"]], notes=True)
    assert "<style" not in shown and shown.count("style=") == 5 and "&lt;d&gt;" in shown


def test_match_table_in_html_has_chance_beside_every_score():
    """Score and chance stand in the same cell."""

    class Match:
        heads, selectors = ["L0H0"], ["a<b", "c"]
        score, chance = np.array([[0.9, np.nan]]), np.array([[0.1, 0.2]])

    shown = displays.match_html(Match())
    assert "a&lt;b" in shown and re.search(r"0\.90<br><span[^>]*>0\.10", shown)

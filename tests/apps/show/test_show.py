"""Drawings: text tables, SVG pictures, HTML fragments, the report."""

import re
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest

from rasplab.apps.show import circuit as circuits
from rasplab.apps.show import displays, html, patterns, report
from rasplab.apps.show import layered_layout as layered
from rasplab.apps.show.side_by_side import Row, SideBySide
from rasplab.base import text
from rasplab.base.atomic import write_atomic
from rasplab.base.errors import RaspError, Source, Span, caret_lines
from rasplab.circuit.graph import Circuit
from rasplab.program import values
from rasplab.transformer.sites import Edge, Port, Site

SVG = "{http://www.w3.org/2000/svg}"


def circuit(*rows: tuple[str, str, str]) -> Circuit:
    """A circuit from (source, port, what is carried)."""
    found = sorted((Edge(Site.parse(s), Port.parse(d)), (c,)) for s, d, c in rows)
    sites = {e.src for e, _ in found} | {e.dst.site for e, _ in found}
    labels = tuple(sorted((s, f"<{s}> & co") for s in sites))
    places = tuple((s, "sort.rasp:4:1") for s in sorted(sites) if s.kind == "head")
    return Circuit(tuple(e for e, _ in found), tuple(c for _, c in found), labels, places)


SORT = circuit(
    ("tok_embed", "L0H0.q", "tokens"),
    ("tok_embed", "L0H0.k", "tokens"),
    ("L0H0", "L0M.in", "width"),
    ("L0M", "L1H0.k", "num_smaller"),
    ("pos_embed", "L1H0.q", "indices"),
    ("tok_embed", "L1H0.v", "tokens"),
    ("L1H0", "unembed.in", "sort"),
)


def titles(picture: str) -> list[str]:
    """The hover texts of a picture, which must be well-formed XML."""
    return [t.text for t in ElementTree.fromstring(picture).iter(f"{SVG}title")]


def test_table_aligns_wide_and_combining_characters():
    """Columns start at the same terminal column whatever the characters."""
    lines = text.table(["name", "n"], [["日本", "1"], ["e\u0301", "22"]], "<>").splitlines()
    assert lines == ["name   n", "────  ──", "日本   1", "e\u0301     22"]


def test_values_are_shown_as_rasp_shows_them():
    """Booleans are T and F, floats have 3 decimals, strings are bare, and the kind is named."""
    assert values.sop_line("f", "ab", [True, False]) == 'f("ab") = [T, F] (bools)'
    assert values.sop_line("f", [1, 2], [1 / 3, 1]) == "f([1, 2]) = [0.333, 1] (floats)"
    assert values.sop_line("f", ["ab"], ["x"]) == 'f(["ab"]) = [x] (strings)'


def test_clip_keeps_to_its_columns():
    """A clipped text is never wider than asked, wide characters included."""
    assert text.clip("num_smaller", 6) == "num_s…"
    assert text.width(text.clip("日本語テキスト", 6)) <= 6


def test_grid_has_a_row_per_query():
    """A selector's text has the keys on top and one line per query."""
    lines = values.grid(np.array([[1, 0], [0, 1]], bool), ["a", "b"], ["a", "b"]).splitlines()
    assert lines == ["    a b", "a │ ■ ·", "b │ · ■"]


def test_a_failed_write_leaves_the_old_file(tmp_path):
    """write_atomic replaces a file whole, or leaves it and nothing beside it."""
    path = write_atomic(tmp_path / "new" / "a.txt", "one")
    with pytest.raises(UnicodeEncodeError):
        write_atomic(path, "\ud800")
    assert path.read_text() == "one" and list(path.parent.iterdir()) == [path]


def test_circuit_picture_shows_every_site_and_edge_once():
    """Each edge has a hover text: what it carries, where it stands; each site a named box."""
    picture = circuits.circuit_svg(SORT, "sort")
    hovers = titles(picture)
    for edge, carries in zip(SORT.edges, SORT.carries, strict=True):
        assert sum(h.startswith(f"{edge.src} → {edge.dst}: {carries[0]}") for h in hovers) == 1
    assert "L0M → L1H0.k: num_smaller\nsort.rasp:4:1" in hovers
    words = [t.text for t in ElementTree.fromstring(picture).iter(f"{SVG}text")]
    for site in SORT.sites:
        assert words.count(str(site)) == 1


def test_circuit_boxes_do_not_overlap():
    """Boxes of a row stand apart, and those of a later row stand higher."""
    boxes = [
        r
        for r in ElementTree.fromstring(circuits.circuit_svg(wide_circuit())).iter(f"{SVG}rect")
        if r.get("stroke")
    ]
    spans = sorted((float(b.get("y")), float(b.get("x")), float(b.get("width"))) for b in boxes)
    for (y0, x0, w0), (y1, x1, _) in zip(spans, spans[1:], strict=False):
        assert y0 != y1 or x0 + w0 <= x1 + 0.2


def wide_circuit() -> Circuit:
    """Four layers of six heads, read at random."""
    rng = np.random.default_rng(0)
    rows, before = set(), ["tok_embed", "pos_embed"]
    for layer in range(4):
        heads = [f"L{layer}H{h}" for h in range(6)]
        rows |= {(str(rng.choice(before)), f"{h}.{p}", "x") for h in heads for p in "qkv"}
        rows |= {(h, f"L{layer}M.in", "x") for h in heads}
        before += [*heads, f"L{layer}M"]
    return circuit(*rows, ("L3M", "unembed.in", "x"))


def test_sweeps_untangle_a_crossing():
    """Two crossed links are put straight."""
    layers = layered.layers_of({"a": 0, "b": 0, "c": 1, "d": 1}, [("a", "d"), ("b", "c")])
    assert layered.crossings(layers.rows, layers.links) == 1
    better = layered.ordered(layers)
    assert layered.crossings(better.rows, better.links) == 0


def test_edges_that_skip_rows_share_a_lane():
    """A value read three rows up by two readers passes each row between once."""
    layers = layered.layers_of(
        {"a": 0, "b": 1, "c": 2, "d": 3, "e": 3}, [("a", "d"), ("a", "e"), ("b", "c")]
    )
    assert [item for row in layers.rows for item in row if item.lane] == [
        layered.Item("a", 1, True),
        layered.Item("a", 2, True),
    ]


def test_pictures_are_the_same_each_time_and_escaped():
    """Equal circuits give equal bytes; labels cannot break out of the XML."""
    assert circuits.circuit_svg(SORT) == circuits.circuit_svg(replace(SORT))
    assert "<L0H0> & co" not in circuits.circuit_svg(SORT)


def test_pattern_picture_names_every_cell():
    """A cell's hover text has its query, key and value; a zero cell has no heat."""
    picture = patterns.pattern_svg(
        np.array([[1, 0], [0.25, 0.75]]), ["BOS", "<"], ["BOS", "<"], "L0H0"
    )
    assert titles(picture)[2] == "query < → key BOS: 0.25"
    assert picture.count('class="rl-heat"') == 3


def test_pattern_picture_refuses_the_wrong_size():
    """Tokens and matrix must agree."""
    with pytest.raises(ValueError, match=r"matrix \(2, 2\), tokens 3 x 2"):
        patterns.pattern_svg(np.eye(2), ["a", "b", "c"], ["a", "b"])


def test_an_error_in_html_is_escaped_and_has_its_caret():
    """The fault's place and caret survive, its text cannot be read as HTML."""
    source = Source("<cell>", "x = <b>;")
    shown = html.error_html(RaspError("no <b> here", Span(source, 4, 7)))
    assert "<b>&lt;cell&gt;:1:5</b>: no &lt;b&gt; here" in shown
    assert ">&lt;b&gt;</span>;\n      ^^^</pre>" in shown and shown.count("<b>") == 1


def test_carets_stand_under_wide_characters():
    """A caret's column is a terminal's column."""
    source = Source("<cell>", 'x = "日本" + \ty;')
    assert caret_lines(Span(source, 12, 13))[1] == "               \t^"


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


def study(name: str) -> report.Study:
    """A made-up study of one trained model on two inputs."""
    captions = (("selector", "what"), ("compiled L0H0 + L0H1", "counts"), ("trained L1H1", "0.87"))
    eye = np.stack([np.eye(2, 3)] * 3)
    row = Row("flip", captions, "implements", "It does.", "its swaps <agree>", (eye, eye))
    beside = SideBySide((("a", "b"), ("b", "<")), (row,))
    learned = report.Learned(
        "reverse, learned",
        "From examples.",
        "Sizes",
        ("flip",),
        (("L1H1", ((0.87, 0.12),)), ("L0H0", ((0.01, 0.1),))),
        beside,
        "<svg></svg>",
        "<svg></svg>",
    )
    return report.Study(
        name,
        "summary <i>",
        "x = tokens; # <b>",
        ("a",),
        ("b",),
        {"layers": "2"},
        "0 mismatches",
        True,
        SORT,
        (learned,),
    )


def test_the_report_needs_no_network_and_no_script():
    """No address to load from; pictures stand before any script; reading notes stand once."""
    page = report.demo_report([study("sort"), study("reverse")])
    assert not re.search(r"(?:src|href)\s*=|@import|url\(", page)
    body = re.sub(r"<script.*?</script>", "", page)
    assert body.count(">trained L1H1<") == 2 and body.count('aria-label="circuit"') == 2
    assert "<small>chance 0.12</small>" in body and body.count("Move the slider") == 1
    assert "its swaps &lt;agree&gt;" in body and "<agree>" not in page
    assert "prefers-color-scheme: dark" in page and "summary <i>" not in page

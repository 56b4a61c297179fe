"""The pictures of `draw`: every value and every chosen pair of a computation is in them."""

import io
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

import rasplab
from rasplab.apps.repl.loop import main
from rasplab.apps.show.program import MAX_SHOWN, flow_svg
from rasplab.program import zoo
from rasplab.program.graph import Constant
from rasplab.program.values import value_text

SVG = "{http://www.w3.org/2000/svg}"


def drawn(program, tokens):
    """The trace and its picture as XML."""
    trace = rasplab.evaluate(program, tokens)
    return trace, ElementTree.fromstring(flow_svg(trace, "title <&>"))


@pytest.mark.parametrize("name", list(zoo.entries("zoo")))
def test_every_value_and_every_choice_is_drawn(name):
    """A box for each node but constants, a text for each value, heat for each chosen pair."""
    entry = zoo.entry(name)
    program = rasplab.load(entry.path)
    trace, page = drawn(program, entry.sample)
    kept = [i for i, node in enumerate(program.nodes) if not isinstance(node, Constant)]
    boxes = [r for r in page.iter(f"{SVG}rect") if r.get("stroke")]
    assert len(boxes) == len(kept)
    chosen = sum(int(trace.value(i).sum()) for i in kept if program.is_selector(i))
    assert sum(r.get("class") == "rl-heat" for r in page.iter(f"{SVG}rect")) == chosen
    words = [t.text for t in page.iter(f"{SVG}text")]
    for value in trace.output:
        assert value_text(value) in words


def test_boxes_stand_apart_and_above_what_they_read():
    """Boxes of a row do not overlap; a reader stands higher than what it reads."""
    program = rasplab.load(zoo.entry("sort").path)
    _, page = drawn(program, "cabba")
    places = [
        (float(r.get("y")) + float(r.get("height")), float(r.get("x")), float(r.get("width")))
        for r in page.iter(f"{SVG}rect")
        if r.get("stroke")
    ]
    rows = sorted(places)
    for (low, x, w), (next_low, next_x, _) in zip(rows, rows[1:], strict=False):
        assert low != next_low or x + w <= next_x + 0.2
    for edge in page.iter(f"{SVG}path"):
        numbers = [float(n) for n in re.findall(r"[\d.]+", edge.get("d"))]
        assert numbers[1] > numbers[7]


def test_long_inputs_are_drawn_up_to_a_bound():
    """The title says how far."""
    _, page = drawn(rasplab.parse("indices + 1;"), "a" * 100)
    words = [t.text for t in page.iter(f"{SVG}text")]
    assert any(f"the first {MAX_SHOWN} positions" in w for w in words)
    assert str(MAX_SHOWN) in words and str(MAX_SHOWN + 1) not in words


def test_draw_writes_a_picture_beside_the_transcript(tmp_path, monkeypatch, capsys):
    """The REPL prints the value as the reference does; the file's name is told on stderr."""
    monkeypatch.chdir(tmp_path)
    out = io.StringIO()
    text = 'draw(sort(tokens, tokens), "ba");\nfor n in [1, 2] { draw(indices + n, "/a"); }\n'
    assert main(io.StringIO(text), out) == 0
    assert out.getvalue().splitlines()[2] == ">> \t =  [a, b] (strings)"
    names = ["indices-+-1-a.svg", "indices-+-2-a.svg", "sort-tokens-tokens-ba.svg"]
    assert sorted(p.name for p in Path("comp_flows").iterdir()) == names
    assert capsys.readouterr().err.count("drawn: comp_flows") == 3


def test_a_picture_that_cannot_be_written_is_a_fault(tmp_path, monkeypatch):
    """The reason is told, and the REPL goes on."""
    monkeypatch.chdir(tmp_path)
    Path("comp_flows").write_text("in the way")
    out = io.StringIO()
    main(io.StringIO("draw(tokens);\nindices;\n"), out)
    assert "cannot write into comp_flows" in out.getvalue() and "[0, 1, 2, 3, 4]" in out.getvalue()

"""The commands discover and score, and the picture of a found circuit over the true one."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import pytest

import rasplab
from rasplab.apps.cli.parser import main
from rasplab.apps.show.circuit_overlay import FALSE, HIT, MISSED, edge_of, overlay_svg
from rasplab.circuit.graph import Circuit


@pytest.fixture(scope="module")
def scores(tmp_path_factory):
    """The file that `rasplab discover reverse -o` writes."""
    path = tmp_path_factory.mktemp("found") / "scores.json"
    assert (
        main(["discover", "reverse", "--method", "eap_ig", "--pairs", "24", "-o", str(path)]) == 0
    )
    return path


def test_discover_prints_the_strongest_edges(scores, capsys):
    """Text for people, JSON for programs, both of the same run."""
    assert main(["discover", "reverse", "--method", "eap_ig", "--pairs", "24"]) == 0
    text = capsys.readouterr().out
    assert "24 pairs" in text and "L1H0->unembed.in" in text and text.endswith("24 are 0\n")
    assert main(["discover", "reverse", "--method", "eap_ig", "--pairs", "24", "--json"]) == 0
    row = json.loads(capsys.readouterr().out)
    stored = json.loads(scores.read_text(encoding="utf-8"))
    assert row["scores"] == stored["scores"] and row["model"] == stored["model"]


def test_score_says_areas_and_draws(scores, tmp_path, capsys):
    """Areas on stdout; a picture with hits and misses; a page that is whole by itself."""
    svg, page = tmp_path / "found.svg", tmp_path / "found.html"
    command = ["score", str(scores), "reverse", "--svg", str(svg), "--html", str(page), "--curves"]
    assert main(command) == 0
    out = capsys.readouterr().out
    assert out.startswith("eap_ig (resample) against structural truth, 12 of 26 edges")
    assert "ROC AUC" in out and "26 kept: 1.000" in out
    drawn = ET.parse(svg).getroot()
    colours = [p.get("stroke") for p in drawn.iter("{http://www.w3.org/2000/svg}path")]
    assert HIT in colours and MISSED in colours
    text = page.read_text(encoding="utf-8")
    assert 'data-pattern="L1H0"' in text and "http://" not in text.replace("http://www.w3.org", "")


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["score", "SCORES", "sort"], "of another model"),
        (["score", "SCORES", "reverse", "--truth", "zero"], "measure different things"),
        (["score", "nowhere.json", "reverse"], "no scores at nowhere.json"),
        (["score", "README.md", "reverse"], "README.md holds no scores"),
        (["discover", "reverse", "--method", "luck"], "unknown method 'luck'"),
        (["discover", "reverse", "--method", "eap", "--steps", "3"], "no setting steps"),
        (["discover", "reverse", "--ablation", "noise"], "unknown ablation 'noise'"),
        (["discover", "reverse", "--lengths", "99"], "not all from 1 to 8"),
    ],
)
def test_faults_are_messages(scores, command, words, capsys):
    """Whatever is wrong is said on stderr, with exit code 1."""
    assert main([str(scores) if part == "SCORES" else part for part in command]) == 1
    captured = capsys.readouterr()
    assert words in captured.err and not captured.out


def test_circuit_shows_what_matters_under_an_ablation(tmp_path, capsys):
    """`rasplab circuit --ablation`: the effective edges only; GraphML to a file."""
    assert main(["circuit", "reverse", "--ablation", "resample", "--json"]) == 0
    edges = json.loads(capsys.readouterr().out)["edges"]
    assert [e[:2] for e in edges] == [["tok_embed", "L1H0.v"], ["L1H0", "unembed.in"]]
    assert main(["circuit", "reverse", "--graphml", str(tmp_path / "c.graphml")]) == 0
    assert "<graphml" in (tmp_path / "c.graphml").read_text(encoding="utf-8")
    assert main(["circuit", "reverse", "--ablation", "noise"]) == 1
    assert "unknown ablation 'noise'" in capsys.readouterr().err


def test_a_doubt_is_on_stderr(capsys):
    """Nothing of length is seen under resample: a note, not a silent ranking."""
    assert main(["discover", "length", "--method", "exact"]) == 0
    assert "patching every edge changes nothing" in capsys.readouterr().err


def test_the_overlay_tells_hits_misses_and_false_alarms():
    """Three edges by hand: one hit, one missed, one false; nodes have no picture."""
    truth = Circuit.from_json(
        '{"edges": [["tok_embed", "L0H0.v", ["tokens"]], ["L0H0", "unembed.in", ["x"]]],'
        ' "labels": {"L0H0": "x"}, "places": {}}'
    )
    found = rasplab.discover(
        rasplab.compile(
            rasplab.parse("x = aggregate(select(1, 1, ==), indices);"), "ab", 3
        ).to_model(device="cpu"),
        "exact",
        ablation="zero",
    )
    kept = {"tok_embed->L0H0.v": 2.0, "pos_embed->unembed.in": 1.0}
    scores = tuple(kept.get(name, 0.0) for name in found.names)
    made = type(found)(**{f: getattr(found, f) for f in found.__slots__} | {"scores": scores})
    svg = overlay_svg(made, truth)
    for colour, words in ((HIT, "hit 1"), (MISSED, "missed 1"), (FALSE, "false 1")):
        assert words in svg and f'stroke="{colour}"' in svg
    assert edge_of("L0H0->unembed.in") in truth.edges
    nodes = type(found)(**{f: getattr(found, f) for f in found.__slots__} | {"granularity": "node"})
    with pytest.raises(rasplab.RaspError, match="the picture is of edges"):
        overlay_svg(nodes, truth)

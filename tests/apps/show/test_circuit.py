"""Pictures of circuits."""

from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
from support.circuits import SORT, SVG, circuit, titles

from rasplab.apps.show.circuit import circuit_svg
from rasplab.circuit.graph import Circuit


def test_circuit_picture_shows_every_site_and_edge_once():
    """Each edge has a hover text: what it carries, where it stands; each site a named box."""
    picture = circuit_svg(SORT, "sort")
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
        for r in ElementTree.fromstring(circuit_svg(wide_circuit())).iter(f"{SVG}rect")
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


def test_pictures_are_the_same_each_time_and_escaped():
    """Equal circuits give equal bytes; labels cannot break out of the XML."""
    assert circuit_svg(SORT) == circuit_svg(replace(SORT))
    assert "<L0H0> & co" not in circuit_svg(SORT)

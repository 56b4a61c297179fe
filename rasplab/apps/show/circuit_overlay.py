"""A discovered circuit over the true one: a picture, and a page where heads show their patterns.

`overlay_svg(scores, truth)` takes the strongest edges of `EdgeScores` and draws them with the edges
of the true `Circuit`: hit, missed or false. `overlay_page` is the same as an offline page.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files

import numpy as np
from jaxtyping import Float

from rasplab.apps.show.circuit import Stroke, circuit_svg
from rasplab.apps.show.html import figure, wrapped
from rasplab.apps.show.patterns import pattern_svg
from rasplab.base.errors import RaspValueError
from rasplab.base.text import escape
from rasplab.circuit.discovery.edge_scores import EdgeScores
from rasplab.circuit.graph import Circuit
from rasplab.transformer.sites import Edge, Port, Site

HIT, MISSED, FALSE = "#22a06b", "#e08a1e", "#d1434b"
THINNEST, THICKEST = 1.2, 5.0
"""Line widths of the weakest and of the strongest edge."""


def overlay_svg(
    scores: EdgeScores, truth: Circuit | None, keep: int | None = None, title: str = ""
) -> str:
    """The `keep` strongest edges over the true ones: hit, missed (dashed), false (dotted).

    keep  by default as many as the truth has; without a truth, those that are not 0

    Line widths grow with the scores, which hovering shows.

    Raises RaspValueError for scores of another granularity than edges.
    """
    if keep is None and truth is not None:
        keep = len(truth.edges)
    strongest = strongest_edges(scores, keep)
    if truth is None:
        both = _union(strongest, Circuit((), (), ()))
        strokes = {e: Stroke(HIT, w, note=_note(s)) for e, (s, w) in _widths(strongest).items()}
        return circuit_svg(both, title, strokes, ((HIT, f"found {len(strongest)}"),))
    both, widths, true = _union(strongest, truth), _widths(strongest), set(truth.edges)
    strokes = {}
    for edge in both.edges:
        score, line_width = widths.get(edge, (0.0, THINNEST))
        kind = (HIT, "") if edge in true and edge in strongest else (MISSED, "7 5")
        colour, dash = kind if edge in true else (FALSE, "2 4")
        strokes[edge] = Stroke(colour, max(line_width, 1.8), dash, _note(score))
    hits = len(true & set(strongest))
    legend = (
        (HIT, f"hit {hits}"),
        (MISSED, f"missed {len(true) - hits}"),
        (FALSE, f"false {len(strongest) - hits}"),
    )
    return circuit_svg(both, title, strokes, legend)


def strongest_edges(scores: EdgeScores, keep: int | None = None) -> dict[Edge, float]:
    """The `keep` strongest edges with their scores, without those that are 0."""
    if scores.granularity != "edge":
        raise RaspValueError(
            f"the picture is of edges; these scores are of {scores.granularity}s",
            hint="discover with granularity edge",
        )
    ranked = [(name, s) for name, s in scores.ranked()[:keep] if s]
    return {edge_of(name): s for name, s in ranked}


def edge_of(name: str) -> Edge:
    """The edge that is written as `name`, like `L0H1->unembed.in`."""
    src, _, dst = name.partition("->")
    return Edge(Site.parse(src), Port.parse(dst))


def _widths(strongest: dict[Edge, float]) -> dict[Edge, tuple[float, float]]:
    """Score and line width of each edge; the width grows as the root of the score."""
    most = max(map(abs, strongest.values()), default=1.0)
    growth = THICKEST - THINNEST
    return {e: (s, THINNEST + growth * (abs(s) / most) ** 0.5) for e, s in strongest.items()}


def _note(score: float) -> str:
    return f"\nscore {score:.4g}"


def _union(strongest: dict[Edge, float], truth: Circuit) -> Circuit:
    """The true circuit and the false edges, which carry nothing."""
    carried = dict(zip(truth.edges, truth.carries, strict=True))
    edges = tuple(sorted(set(truth.edges) | set(strongest)))
    return Circuit(edges, tuple(carried.get(e, ()) for e in edges), truth.labels, truth.places)


def overlay_page(
    svg: str,
    patterns: Float[np.ndarray, "layer head query key"],
    tokens: Sequence[str],
    title: str,
    notes: Sequence[str] = (),
) -> str:
    """An offline page of the picture: clicking a head shows its pattern, buttons save SVG and PNG.

    patterns  of every head on one input
    tokens    a text per position, BOS first
    notes     lines above the picture
    """
    shown = "".join(
        f'<figure hidden data-pattern="L{layer}H{head}">'
        f"{pattern_svg(patterns[layer, head], tokens, tokens, f'L{layer}H{head}')}</figure>"
        for layer, head in np.ndindex(*patterns.shape[:2])
    )
    script = (files("rasplab.apps.show") / "overlay.js").read_text(encoding="utf-8")
    lines = "".join(f"<p>{escape(note)}</p>" for note in notes)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{PAGE}</style><body><h1>{escape(title)}</h1>{lines}"
        '<p><button data-save="svg">Save SVG</button> <button data-save="png">Save PNG</button> '
        "Hover a line for what it carries; click a head for its pattern.</p>"
        f'<div id="circuit">{svg}</div><div id="patterns">{shown}</div>'
        f"<script>{script}</script></body></html>\n"
    )


PAGE = """
:root{color-scheme:light dark}
body{font:14px/1.5 system-ui,sans-serif;margin:24px;max-width:1400px}
h1{font-size:20px;margin:0 0 8px}
p{margin:4px 0 10px}
#circuit{overflow-x:auto}
#patterns{display:flex;flex-wrap:wrap;gap:12px;margin-top:16px}
figure{margin:0}
g[data-site^=L][data-site*=H]{cursor:pointer}
g[data-site].on rect{stroke-width:3}
"""


def overlay_html(
    scores: EdgeScores, truth: Circuit | None, keep: int | None = None, title: str = ""
) -> str:
    """`overlay_svg` as a notebook's output."""
    picture = figure(overlay_svg(scores, truth, keep, title), f"found circuit {title}".strip())
    return wrapped(picture, scripted=True)

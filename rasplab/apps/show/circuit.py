"""Circuits as SVG text: sites in layers from the embedding up, edges coloured by their port."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from rasplab.apps.show.layered_layout import Item, before, layers_of, ordered, spread
from rasplab.apps.show.svg import (
    BOLD,
    LANE_WIDTH,
    LIGHT,
    MARGIN,
    PORT_COLOURS,
    curve,
    legend_of,
    path_of,
    picture,
    text_at,
)
from rasplab.base.text import clip, escape, width
from rasplab.circuit.graph import Circuit
from rasplab.transformer.sites import Edge, Site

ROW_HEIGHT, BOX_HEIGHT, BOX_GAP = 92, 40, 16
MARGIN_LEFT, TOP, MIN_WIDTH = 104, 46, 520
PORT_SHIFT = {"q": -0.28, "k": 0.0, "v": 0.28, "in": 0.0}
"""Where a port sits along the lower side of its box, as a part of the box's width."""
LABEL_COLUMNS = 40
"""Columns of the label in a box."""

PORT_WORDS = {"q": "query", "k": "key", "v": "value", "in": "MLP or unembedding input"}
PORT_LEGEND = tuple((colour, f"{p} · {PORT_WORDS[p]}") for p, colour in PORT_COLOURS.items())


@dataclass(frozen=True, slots=True)
class Stroke:
    """How an edge is drawn instead of in its port's colour; `note` is added to its hover text."""

    colour: str
    width: float
    dash: str = ""
    note: str = ""


def circuit_svg(
    circuit: Circuit,
    title: str = "",
    strokes: Mapping[Edge, Stroke] | None = None,
    legend: Sequence[tuple[str, str]] | None = None,
) -> str:
    """The circuit in layers, embeddings at the bottom, unembedding at the top.

    strokes  edges that are drawn otherwise than in their port's colour
    legend   (colour, words) of each entry; by default the ports

    Hovering a line shows what it carries and where the reader stands in the source.
    """
    row_of = _rows(circuit.sites)
    edges = [(e.src, e.dst.site) for e in circuit.edges]
    layers = ordered(layers_of(row_of, edges))
    widths = {s: _box_width(s, circuit.label(s)) for s in circuit.sites}
    x = spread(layers, lambda item: LANE_WIDTH if item.lane else widths[item.key], BOX_GAP)
    x = {item: at + MARGIN_LEFT for item, at in x.items()}
    drawing = _Drawing(circuit, row_of, widths, x, strokes or {})
    right = max((at + (0 if i.lane else widths[i.key] / 2) for i, at in x.items()), default=0)
    parts = [
        *_caption(title, legend or PORT_LEGEND),
        *drawing.row_names(),
        *drawing.lanes(),
        *drawing.edges(),
        *drawing.boxes(),
    ]
    height = TOP + ROW_HEIGHT * len(layers.rows)
    return picture(max(right + MARGIN, MIN_WIDTH), height, parts, title or "circuit")


def _rows(sites: Sequence[Site]) -> dict[Site, int]:
    """The row of each site: only times that occur have one."""
    rank = {time: r for r, time in enumerate(sorted({s.time for s in sites}))}
    return {s: rank[s.time] for s in sites}


def _box_width(site: Site, label: str) -> float:
    # estimated widths in pixels: of a character of the name in bold, and of one of the label
    return 18 + max(7.4 * len(str(site)), 6.4 * width(clip(label, LABEL_COLUMNS)), 38)


def _caption(title: str, entries: Sequence[tuple[str, str]]) -> list[str]:
    heading = [text_at(MARGIN, 24, title, size=13, mono=True, extra=BOLD)] if title else []
    dots, _ = legend_of(entries, MARGIN + (7.9 * width(title) + 24 if title else 0), 24)
    return heading + dots


@dataclass(frozen=True)
class _Drawing:
    """A circuit with its places on the page; each method draws one kind of thing.

    row_of  the row of each site, 0 at the bottom
    widths  of the boxes
    x       the centre of every box and lane
    """

    circuit: Circuit
    row_of: dict[Site, int]
    widths: dict[Site, float]
    x: dict[Item[Site], float]
    strokes: Mapping[Edge, Stroke]

    @cached_property
    def places(self) -> dict[Site, str]:
        """Where in the source each site comes from."""
        return dict(self.circuit.places)

    @cached_property
    def last_row(self) -> int:
        """The row at the top."""
        return max(self.row_of.values())

    def y(self, row: int) -> float:
        """The middle of a row."""
        # y grows downwards, and row 0 is at the bottom
        return TOP + ROW_HEIGHT * (self.last_row - row) + ROW_HEIGHT / 2

    def row_names(self) -> list[str]:
        """Names along the left side."""
        names = {row: _row_name(site) for site, row in self.row_of.items()}
        return [text_at(MARGIN, self.y(row) + 4, name, "soft", 11) for row, name in names.items()]

    def top(self, item: Item[Site]) -> tuple[float, float]:
        """Where lines leave an item."""
        return self.x[item], self.y(item.row) - BOX_HEIGHT / 2

    def lanes(self) -> list[str]:
        """The neutral lines of values that pass rows on their way up."""
        parts = []
        for item in (i for i in self.x if i.lane):
            x, low = self.x[item], self.y(item.row) + BOX_HEIGHT / 2
            start = self.top(before(item.key, item.row, self.row_of))
            # a curve up to the row, then straight up through it
            path = curve(start, (x, low)) + f"V{low - BOX_HEIGHT:.1f}"
            parts.append(path_of(path, LIGHT["line"], str(item.key), "rl-line", 2.4))
        return parts

    def edges(self) -> list[str]:
        """The last piece of each edge, into its port."""
        return [
            self._edge(e, c) for e, c in zip(self.circuit.edges, self.circuit.carries, strict=True)
        ]

    def _edge(self, edge: Edge, carries: Sequence[str]) -> str:
        site, port = edge.dst.site, edge.dst.name
        row = self.row_of[site]
        x = self.x[Item(site, row)] + PORT_SHIFT[port] * self.widths[site]
        start = self.top(before(edge.src, row, self.row_of))
        stroke = self.strokes.get(edge, Stroke(PORT_COLOURS[port], 1.8))
        note = f"{edge.src} → {edge.dst}: {', '.join(carries)}{stroke.note}{self._place(site)}"
        path = curve(start, (x, self.y(row) + BOX_HEIGHT / 2))
        return path_of(path, stroke.colour, note, "rl-edge", stroke.width, stroke.dash)

    def _place(self, site: Site) -> str:
        return f"\n{self.places[site]}" if site in self.places else ""

    def boxes(self) -> list[str]:
        """A box per site: its name, and the s-op it computes."""
        return [self._box(site) for site in self.circuit.sites]

    def _box(self, site: Site) -> str:
        row, w = self.row_of[site], self.widths[site]
        x, y, label = self.x[Item(site, row)], self.y(row), self.circuit.label(site)
        hover = (f"{site}: {label}" if label else str(site)) + self._place(site)
        name = text_at(x, y - 3 if label else y + 4, str(site), "ink", 12, "middle", True, BOLD)
        if label:
            name += text_at(x, y + 13, clip(label, LABEL_COLUMNS), "soft", 10.5, "middle", True)
        return (
            f'<g data-site="{site}"><title>{escape(hover)}'
            f'</title><rect class="rl-box rl-line" x="{x - w / 2:.1f}" '
            f'y="{y - BOX_HEIGHT / 2:.1f}" width="{w:.1f}" height="{BOX_HEIGHT}" rx="7" '
            f'fill="{LIGHT["box"]}" stroke="{LIGHT["line"]}" stroke-width="1.2"/>{name}</g>'
        )


def _row_name(site: Site) -> str:
    names = {
        "head": f"layer {site.layer} heads",
        "mlp": f"layer {site.layer} MLP",
        "unembed": "output",
    }
    return names.get(site.kind, "embed")

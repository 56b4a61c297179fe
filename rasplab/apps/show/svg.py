"""Pictures as SVG text: circuits in layers, attention patterns and selectors as grids.

Colours for a light page stand in the elements; a style sheet in each picture changes them for a
dark one. Every picture has its own ground, so that it reads on any page. Hover texts are <title>
elements.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from rasplab.apps.show.layered_layout import Item, before, layers_of, ordered, spread
from rasplab.base.text import clip, width
from rasplab.circuit.graph import Circuit
from rasplab.transformer.sites import Edge, Site

SANS = "system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif"
MONO = "ui-monospace,'SF Mono',Menlo,Consolas,'DejaVu Sans Mono',monospace"
LIGHT = {
    "ground": "#ffffff", "box": "#f5f7fa", "ink": "#1f2430",
    "soft": "#667085", "line": "#c6cdda", "heat": "#2458c5",
}  # fmt: skip
DARK = {
    "ground": "#171a21", "box": "#222733", "ink": "#e8ebf2",
    "soft": "#9aa4b8", "line": "#465066", "heat": "#7db0ff",
}  # fmt: skip
PORT_COLOURS = {"q": "#3b82f6", "k": "#e08a1e", "v": "#22a06b", "in": "#a06cd5"}
"""Middle tones: each has a contrast of 3 or more on both grounds."""
PORT_WORDS = {"q": "query", "k": "key", "v": "value", "in": "MLP or unembedding input"}

ROW_HEIGHT, BOX_HEIGHT, BOX_GAP, LANE_WIDTH = 92, 40, 16, 6
MARGIN_LEFT, MARGIN, TOP = 104, 18, 46
PORT_SHIFT = {"q": -0.28, "k": 0.0, "v": 0.28, "in": 0.0}
"""Where a port sits along the lower side of its box, as a part of the box's width."""
LABEL_COLUMNS = 40


def _style() -> str:
    """Dark colours, for the system's setting and for JupyterLab's own theme switch, which goes
    before it."""
    rules = {
        "ground": "fill", "box": "fill", "ink": "fill", "soft": "fill", "heat": "fill",
        "line": "stroke",
    }  # fmt: skip
    dark = [(name, f"{rules[name]}:{colour}") for name, colour in DARK.items()]
    page = ':root:not(:has([data-jp-theme-light="true"]))'
    media = "".join(f"{page} .rl-{name}{{{rule}}}" for name, rule in dark)
    lab = "".join(f'[data-jp-theme-light="false"] .rl-{name}{{{rule}}}' for name, rule in dark)
    hover = ".rl-edge:hover{stroke-width:4}"
    return f"<style>{hover}@media(prefers-color-scheme:dark){{{media}}}{lab}</style>"


def picture(w: float, h: float, parts: Sequence[str], label: str) -> str:
    """A whole picture on its own ground."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="rl" role="img" '
        f'aria-label="{escape(label)}" '
        f'width="{w:.0f}" height="{h:.0f}" viewBox="0 0 {w:.0f} {h:.0f}" font-family="{SANS}">'
        f'{_style()}<rect class="rl-ground" width="{w:.0f}" height="{h:.0f}" rx="8" '
        f'fill="{LIGHT["ground"]}"/>'
        f"{''.join(parts)}</svg>"
    )


def text_at(
    x: float, y: float, text: str, tone="ink", size=11.0, anchor="start", mono=False, extra=""
) -> str:
    family = f' font-family="{MONO}"' if mono else ""
    return (
        f'<text class="rl-{tone}" x="{x:.1f}" y="{y:.1f}" fill="{LIGHT[tone]}" '
        f'font-size="{size:g}" '
        f'text-anchor="{anchor}"{family}{extra}>{escape(text, quote=False)}</text>'
    )


# Attention patterns and selectors ---------------------------------------------------------------


def pattern_svg(
    matrix: np.ndarray,
    row_tokens: Sequence[str],
    col_tokens: Sequence[str],
    title: str = "",
    subtitle: str = "",
    axes: tuple[str, str] = ("query", "key"),
    widest: int = 1,
) -> str:
    """A [query, key] matrix as a heat grid: attention probabilities or a selector's booleans, in
    [0, 1]; where it is nan there is room, and no cell.

    row_tokens, col_tokens   one text per query and per key (BOS included when the matrix has it)
    axes    what rows and columns are called
    widest  columns of the widest token that there must be room for, of other inputs too
    Raises ValueError if the matrix and the tokens differ in size.
    """
    matrix = np.asarray(matrix, dtype=float)
    if matrix.shape != (len(row_tokens), len(col_tokens)):
        raise ValueError(f"matrix {matrix.shape}, tokens {len(row_tokens)} x {len(col_tokens)}")
    cell = max(7.0, min(24.0, 264 / max(1, *matrix.shape)))
    widest = max([widest, *map(width, row_tokens), *map(width, col_tokens)])
    left = 22 + _longest(widest, cell)
    top = _captions_height(title, subtitle) + 12 + _room_above(widest, cell)
    w = max(left + cell * matrix.shape[1] + 12, 7.2 * width(title) + 20, 5.8 * width(subtitle) + 20)
    parts = _captions(title, subtitle) + _axis_names(
        axes, title, subtitle, left, top, cell, matrix.shape
    )
    parts += _axis_labels(row_tokens, col_tokens, left, top, cell, _upright(widest, cell))
    parts += _cells(matrix, row_tokens, col_tokens, left, top, cell)
    return picture(w, top + cell * matrix.shape[0] + 12, parts, title or "pattern")


def _longest(widest: int, cell: float) -> float:
    """Room for axis labels of so many columns, in pixels."""
    return 10 + _font(cell) * 0.62 * min(8, widest)


def _font(cell: float) -> float:
    return max(6.0, min(12.0, cell * 0.56))


def _room_above(widest: int, cell: float) -> float:
    """Room for the keys' tokens: one line, or their length where they are turned."""
    return _font(cell) + 8 if _upright(widest, cell) else _longest(widest, cell)


def _upright(widest: int, cell: float) -> bool:
    """Whether every token fits over its own column."""
    return widest * _font(cell) * 0.62 <= cell


def _captions_height(title: str, subtitle: str) -> float:
    return (24 if title else 6) + (15 if subtitle else 0)


def _captions(title: str, subtitle: str) -> list[str]:
    parts = (
        [text_at(10, 18, title, size=12, mono=True, extra=' font-weight="600"')] if title else []
    )
    return parts + ([text_at(10, 34 if title else 16, subtitle, "soft", 10.5)] if subtitle else [])


def _axis_names(axes, title, subtitle, left, top, cell, shape) -> list[str]:
    """The rows' name along the left side, the columns' just under the captions."""
    middle = top + cell * shape[0] / 2
    turn = f' transform="rotate(-90 12 {middle:.1f})"'
    over = _captions_height(title, subtitle) + 9
    return [
        text_at(12, middle, axes[0], "soft", 9.5, "middle", extra=turn),
        text_at(left + cell * shape[1] / 2, over, axes[1], "soft", 9.5, "middle"),
    ]


def _axis_labels(row_tokens, col_tokens, left, top, cell, upright: bool) -> list[str]:
    """data-axis marks them for the script that puts other tokens there."""
    size = _font(cell)
    rows = [
        text_at(
            left - 5, top + cell * (i + 0.5) + size * 0.36, clip(t, 8), "ink", size, "end", True,
            ' data-axis="query"',
        )
        for i, t in enumerate(row_tokens)
    ]  # fmt: skip
    return rows + [
        _column_label(left + cell * (j + 0.5), top - 5, t, size, upright)
        for j, t in enumerate(col_tokens)
    ]


def _column_label(x: float, y: float, token: str, size: float, upright: bool) -> str:
    """A key's token above its column, turned where it is wider than the column."""
    axis = ' data-axis="key"'
    if upright:
        return text_at(x, y, token, "ink", size, "middle", True, axis)
    turn = f'{axis} transform="rotate(-90 {x:.1f} {y:.1f})"'
    return text_at(x, y + size * 0.36, clip(token, 8), "ink", size, "start", True, turn)


def _cells(matrix, row_tokens, col_tokens, left, top, cell) -> list[str]:
    named = matrix.size <= 1600  # hover texts on a larger grid would weigh more than the picture
    parts = []
    for i, row in enumerate(matrix):
        for j, value in enumerate(row):
            note = f"query {row_tokens[i]} → key {col_tokens[j]}: {value:.3g}" if named else ""
            parts.append(heat_cell(left + cell * j, top + cell * i, cell, value, note))
    return parts


def heat_cell(x: float, y: float, cell: float, value: float, note: str) -> str:
    """A cell as strong as its value; one of nan is there, and not seen."""
    size = cell - 1.5
    place = f'x="{x:.1f}" y="{y:.1f}" width="{size:.1f}" height="{size:.1f}" rx="2"'
    ground = f'<rect class="rl-box" {place} fill="{LIGHT["box"]}"/>'
    if value >= 0.005:
        strength = f'fill="{LIGHT["heat"]}" fill-opacity="{min(1.0, value):.2f}"'
        ground += f'<rect class="rl-heat" {place} {strength}/>'
    seen = "" if value == value else ' visibility="hidden"'
    return f"<g{seen}>{f'<title>{escape(note)}</title>' if note else ''}{ground}</g>"


# Circuits ---------------------------------------------------------------------------------------


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
    """The circuit in layers: embeddings at the bottom, unembedding at the top, lines coloured by
    the port they enter.

    strokes  edges that are drawn otherwise, and legend: (colour, words) of these
    Hovering a line shows what it carries and where the reader stands in the source.
    """
    row_of = _rows(circuit.sites)
    pairs = [(e.src, e.dst.site) for e in circuit.edges]
    layers = ordered(layers_of(row_of, pairs))
    box = {s: _box_width(s, circuit.label(s)) for s in circuit.sites}
    x = spread(layers, lambda item: LANE_WIDTH if item.lane else box[item.key], BOX_GAP)
    n_rows = len(layers.rows)
    x = {i: v + MARGIN_LEFT for i, v in x.items()}
    drawing = _Drawing(circuit, row_of, box, x, n_rows, strokes or {})
    right = max((v + (0 if i.lane else box[i.key] / 2) for i, v in drawing.x.items()), default=0)
    parts = (
        _legend(title, legend or PORT_LEGEND)
        + drawing.row_names()
        + drawing.lanes()
        + drawing.edges()
        + drawing.boxes()
    )
    return picture(max(right + MARGIN, 520), TOP + ROW_HEIGHT * n_rows, parts, title or "circuit")


def _rows(sites: Sequence[Site]) -> dict[Site, int]:
    """The row of each site: only times that occur have one."""
    rank = {time: r for r, time in enumerate(sorted({s.time for s in sites}))}
    return {s: rank[s.time] for s in sites}


def _box_width(site: Site, label: str) -> float:
    return 18 + max(7.4 * len(str(site)), 6.4 * width(clip(label, LABEL_COLUMNS)), 38)


PORT_LEGEND = tuple((colour, f"{p} · {PORT_WORDS[p]}") for p, colour in PORT_COLOURS.items())


def _legend(title: str, entries: Sequence[tuple[str, str]]) -> list[str]:
    parts = (
        [text_at(MARGIN, 24, title, size=13, mono=True, extra=' font-weight="600"')]
        if title
        else []
    )
    at = MARGIN + (7.9 * width(title) + 24 if title else 0)
    for colour, words in entries:
        parts.append(f'<circle cx="{at:.1f}" cy="20" r="4.5" fill="{colour}"/>')
        parts.append(text_at(at + 9, 24, words, "soft", 11))
        at += 28 + 6.0 * len(words)
    return parts


class _Drawing:
    """A circuit with its places on the page; each method draws one kind of thing."""

    def __init__(
        self, circuit: Circuit, row_of: dict, box: dict, x: dict[Item, float], n_rows: int,
        strokes: Mapping[Edge, Stroke],
    ):  # fmt: skip
        self.circuit, self.row_of, self.box, self.x, self.n_rows = circuit, row_of, box, x, n_rows
        self.strokes = strokes
        self.labels, self.places = dict(circuit.labels), dict(circuit.places)

    def y(self, row: int) -> float:
        """The middle of a row; row 0 is at the bottom."""
        return TOP + ROW_HEIGHT * (self.n_rows - 1 - row) + ROW_HEIGHT / 2

    def row_names(self) -> list[str]:
        """Faint rules and names along the left side."""
        names = {row: _row_name(site) for site, row in self.row_of.items()}
        return [text_at(MARGIN, self.y(row) + 4, name, "soft", 11) for row, name in names.items()]

    def top(self, item: Item) -> tuple[float, float]:
        """Where lines leave an item."""
        return self.x[item], self.y(item.row) - BOX_HEIGHT / 2

    def lanes(self) -> list[str]:
        """The neutral lines of values that pass rows on their way up."""
        parts = []
        for item in (i for i in self.x if i.lane):
            x, low = self.x[item], self.y(item.row) + BOX_HEIGHT / 2
            path = (
                curve(self.top(before(item.key, item.row, self.row_of)), (x, low))
                + f"V{low - BOX_HEIGHT:.1f}"
            )
            parts.append(path_of(path, LIGHT["line"], str(item.key), "rl-line", 2.4))
        return parts

    def edges(self) -> list[str]:
        """The last piece of each edge, into its port."""
        return [
            self._edge(e, c) for e, c in zip(self.circuit.edges, self.circuit.carries, strict=True)
        ]

    def _edge(self, edge: Edge, carries: tuple[str, ...]) -> str:
        site, port = edge.dst.site, edge.dst.name
        row = self.row_of[site]
        x = self.x[Item(site, row)] + PORT_SHIFT[port] * self.box[site]
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
        row, w = self.row_of[site], self.box[site]
        x, y, label = self.x[Item(site, row)], self.y(row), self.labels.get(site, "")
        name_y = y - 3 if label else y + 4
        hover = (f"{site}: {label}" if label else str(site)) + self._place(site)
        return (
            f'<g data-site="{site}"><title>{escape(hover)}'
            f'</title><rect class="rl-box rl-line" x="{x - w / 2:.1f}" '
            f'y="{y - BOX_HEIGHT / 2:.1f}" width="{w:.1f}" height="{BOX_HEIGHT}" rx="7" '
            f'fill="{LIGHT["box"]}" stroke="{LIGHT["line"]}" stroke-width="1.2"/>'
            + text_at(x, name_y, str(site), "ink", 12, "middle", True, ' font-weight="600"')
            + (
                text_at(x, y + 13, clip(label, LABEL_COLUMNS), "soft", 10.5, "middle", True)
                if label
                else ""
            )
            + "</g>"
        )


def _row_name(site: Site) -> str:
    names = {
        "head": f"layer {site.layer} heads",
        "mlp": f"layer {site.layer} MLP",
        "unembed": "output",
    }
    return names.get(site.kind, "embed")


def curve(start: tuple[float, float], end: tuple[float, float]) -> str:
    (x0, y0), (x1, y1) = start, end
    bend = (y0 - y1) * 0.5
    return f"M{x0:.1f} {y0:.1f}C{x0:.1f} {y0 - bend:.1f} {x1:.1f} {y1 + bend:.1f} {x1:.1f} {y1:.1f}"


def path_of(path: str, colour: str, note: str, name: str, stroke: float, dash: str = "") -> str:
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return (
        f'<path class="{name}" d="{path}" fill="none" stroke="{colour}" '
        f'stroke-width="{stroke:.3g}"{dashed} '
        f'stroke-linecap="round"><title>{escape(note)}</title></path>'
    )

"""A computation as a picture: s-ops with their values, selectors as grids, lines between them.

`flow_svg` draws a `Trace`: a program on one input. Rows are depths, tokens and indices at the
bottom, the output at the top; a line leads from each operand to the node that reads it. Constants
are not drawn; they are in the labels of the nodes that read them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import cast

from rasplab.apps.show.layered_layout import Item, before, layers_of, ordered, spread
from rasplab.apps.show.svg import (
    BOLD,
    LANE_WIDTH,
    LIGHT,
    MARGIN,
    PORT_COLOURS,
    curve,
    heat_cell,
    legend_of,
    path_of,
    picture,
    text_at,
)
from rasplab.base.atomic import write_atomic
from rasplab.base.errors import FileError
from rasplab.base.text import clip, escape, width
from rasplab.program.graph import (
    Aggregate,
    Combine,
    Constant,
    Node,
    Select,
    SelectorWidth,
    operands,
)
from rasplab.program.interpret.bitrows import Rows
from rasplab.program.interpret.exact import Trace
from rasplab.program.values import input_text, value_text

MAX_SHOWN = 24
"""Positions that are drawn; of longer inputs the first ones are."""
LABEL, CELL, GRID_CELL, VALUE_COLUMNS, TOKEN_COLUMNS = 44, 18, 11, 6, 4
PAD, LINE, ROW_GAP, BOX_GAP, TOP = 8, 18, 46, 18, 60
FOLDER, MAX_FILE_NAME = "comp_flows", 80
"""Where `draw` writes, below the working directory; characters of a file's name."""
WORDS = {"q": "queries", "k": "keys", "v": "values", "in": "position by position"}
"""What the colours of lines mean, by port."""


@dataclass(frozen=True, slots=True)
class Box:
    """A node on the page: its label, and its cells.

    note   hover text
    texts  an s-op's values, or a selector's tokens
    rows   a selector as [query][key], else ()
    """

    label: str
    note: str
    texts: tuple[str, ...]
    rows: tuple[tuple[bool, ...], ...] = ()

    @property
    def cell(self) -> float:
        """The width of one position."""
        widest = max(map(width, self.texts), default=1)
        return max(GRID_CELL, 5.6 * widest + 4) if self.rows else max(CELL, 6.6 * widest + 8)

    @property
    def margin(self) -> float:
        """Room for the queries' tokens, left of a grid."""
        return 6.2 * max(map(width, self.texts), default=1) + 4 if self.rows else 0

    @property
    def width(self) -> float:
        """The width of the whole box."""
        cells = self.margin + self.cell * len(self.texts)
        return 2 * PAD + max(6.9 * width(clip(self.label, LABEL)), cells)

    @property
    def height(self) -> float:
        """The height of the whole box."""
        below = GRID_CELL * len(self.rows) + 14 if self.rows else CELL
        return 2 * PAD + LINE + below - 4


def write_flow(trace: Trace, name: str) -> Path:
    """Write the picture of `draw` to comp_flows/NAME-INPUT.svg. Raises FileError."""
    title = f"{name}({input_text(trace.tokens)})"
    stem = re.sub(r"[^\w.+]+", "-", f"{name}-{''.join(map(str, trace.tokens))}").strip("-.")
    try:
        return write_atomic(Path(FOLDER) / f"{stem[:MAX_FILE_NAME]}.svg", flow_svg(trace, title))
    except OSError as error:
        raise FileError(
            f"cannot write into {FOLDER}: {error.strerror}",
            hint="start rasplab in a folder that can be written",
        ) from None


def flow_svg(trace: Trace, title: str = "") -> str:
    """The computation of a trace's output, from tokens and indices upward.

    Raises RaspValueError where it is too large to draw.
    """
    nodes = trace.program.nodes
    drawn = [i for i in range(len(nodes)) if not isinstance(nodes[i], Constant)]
    if not drawn:  # the output is a constant
        drawn = [trace.program.output]
    row_of: dict[int, int] = {}
    links: list[tuple[int, int]] = []
    for i in drawn:  # operands come before what reads them
        read = [a for a in dict.fromkeys(operands(nodes[i])) if a in row_of]
        links += [(a, i) for a in read]
        row_of[i] = 1 + max([row_of[a] for a in read], default=-1)
    layers = layers_of(row_of, links)  # refuses what is too large to draw
    layers, boxes = ordered(layers), {i: _box(trace, i) for i in drawn}
    x = spread(layers, lambda item: LANE_WIDTH if item.lane else boxes[item.key].width, BOX_GAP)
    page = _Page(trace, row_of, boxes, {item: at + MARGIN for item, at in x.items()})
    right = max(at + (0 if i.lane else boxes[i.key].width / 2) for i, at in page.x.items())
    caption, end = _caption(trace, title)
    parts = [*caption, *page.lanes(), *page.links(links), *page.boxes_drawn()]
    return picture(max(right + MARGIN, end), page.height + MARGIN, parts, title or "flow")


def _box(trace: Trace, i: int) -> Box:
    program, span = trace.program, trace.program.span(i)
    note = program.labels[i] + (f"\n{span.place}" if span else "")
    if not program.is_selector(i):
        values = trace.columns[i][:MAX_SHOWN]
        texts = tuple(clip(value_text(v), VALUE_COLUMNS) for v in values)
        return Box(program.labels[i], note, texts)
    n = min(MAX_SHOWN, len(trace.tokens))
    bits = cast(Rows, trace.columns[i])  # an int per query, bit k for key k
    # bit k of a query's row is key k
    rows = tuple(tuple(bool(row >> k & 1) for k in range(n)) for row in bits[:n])
    return Box(program.labels[i], note, _tokens(trace, TOKEN_COLUMNS), rows)


def _tokens(trace: Trace, columns: int) -> tuple[str, ...]:
    return tuple(clip(value_text(t), columns) for t in trace.tokens[:MAX_SHOWN])


def _caption(trace: Trace, title: str) -> tuple[list[str], float]:
    """The title, what the colours mean, and where that ends."""
    cut = f" · the first {MAX_SHOWN} positions" if len(trace.tokens) > MAX_SHOWN else ""
    title = clip(title, 2 * LABEL) + cut
    entries = [(PORT_COLOURS[port], word) for port, word in WORDS.items()]
    dots, end = legend_of(entries, MARGIN + 5.0, 44)
    heading = text_at(MARGIN, 24, title, size=13, mono=True, extra=BOLD)
    return [heading, *dots], max(end, MARGIN + 7.9 * width(title)) + MARGIN


class _Page:
    """A computation with its places; each method draws one kind of thing."""

    def __init__(
        self,
        trace: Trace,
        row_of: dict[int, int],
        boxes: dict[int, Box],
        x: dict[Item[int], float],
    ):
        self.trace, self.row_of, self.boxes, self.x = trace, row_of, boxes, x
        n_rows = max(row_of.values()) + 1
        tall = [0.0] * n_rows
        for i, box in boxes.items():
            tall[row_of[i]] = max(tall[row_of[i]], box.height)
        self.height = TOP + sum(tall) + ROW_GAP * (n_rows - 1)
        # the lower edge of each row, from the bottom up; y grows downwards
        below = accumulate(tall[:-1], initial=0)
        self.low = [self.height - under - ROW_GAP * r for r, under in enumerate(below)]
        self.tall = tall

    def top(self, item: Item[int]) -> tuple[float, float]:
        """Where lines leave an item."""
        tall = self.tall[item.row] if item.lane else self.boxes[item.key].height
        return self.x[item], self.low[item.row] - tall

    def lanes(self) -> list[str]:
        """The neutral lines of values that pass rows on their way up."""
        parts = []
        for item in (i for i in self.x if i.lane):
            start = self.top(before(item.key, item.row, self.row_of))
            low = self.low[item.row]
            path = curve(start, (self.x[item], low)) + f"V{low - self.tall[item.row]:.1f}"
            note = self.boxes[item.key].note
            parts.append(path_of(path, LIGHT["line"], note, "rl-line", 2.4))
        return parts

    def links(self, links: Sequence[tuple[int, int]]) -> list[str]:
        """The last piece of each reading, into the lower side of what reads."""
        return [part for src, user in links for part in self._readings(src, user)]

    def _readings(self, src: int, user: int) -> list[str]:
        node, row = self.trace.program.nodes[user], self.row_of[user]
        start = self.top(before(src, row, self.row_of))
        ports = _ports(node)
        read = [k for k, operand in enumerate(operands(node)) if operand == src]
        parts = []
        for k in read:
            # n ports evenly along the lower side, as a share of the width from its middle
            part = (k + 1) / (len(ports) + 1) - 0.5
            end = self.x[Item(user, row)] + part * self.boxes[user].width, self.low[row]
            colour = PORT_COLOURS.get(ports[k], LIGHT["line"])
            name = "rl-edge" if ports[k] else "rl-line"
            note = f"{self.boxes[src].label} → {self.boxes[user].label}"
            parts.append(path_of(curve(start, end), colour, note, name, 1.8))
        return parts

    def boxes_drawn(self) -> list[str]:
        """A box per node, with its values or its grid."""
        return [self._box(i, box) for i, box in self.boxes.items()]

    def _box(self, i: int, box: Box) -> str:
        row = self.row_of[i]
        left, top = self.x[Item(i, row)] - box.width / 2, self.low[row] - box.height
        middle, text = left + box.width / 2, clip(box.label, LABEL)
        label = text_at(middle, top + PAD + 9, text, "ink", 11.5, "middle", True, BOLD)
        inner = left + (box.width - box.margin - box.cell * len(box.texts)) / 2
        cells = self._grid if box.rows else _values
        return (
            f"<g><title>{escape(box.note)}</title>"
            f'<rect class="rl-box rl-line" x="{left:.1f}" y="{top:.1f}" width="{box.width:.1f}" '
            f'height="{box.height:.1f}" rx="7" fill="{LIGHT["box"]}" stroke="{LIGHT["line"]}" '
            f'stroke-width="1.2"/></g>{label}{"".join(cells(box, inner, top + PAD + LINE))}'
        )

    def _grid(self, box: Box, x: float, y: float) -> list[str]:
        """Keys above, queries on the left, a cell for each pair."""
        x = x + box.margin
        n = len(box.texts)
        ground = f'width="{box.cell * n:.1f}" height="{GRID_CELL * n}"'
        parts = [
            f'<rect class="rl-ground" x="{x - 1:.1f}" y="{y + 7:.1f}" {ground} rx="2" '
            f'fill="{LIGHT["ground"]}"/>'
        ]
        for j, key in enumerate(box.texts):
            parts.append(text_at(x + box.cell * (j + 0.5), y + 4, key, "soft", 9, "middle", True))
        for q, query in enumerate(box.texts):
            at = y + 8 + GRID_CELL * q
            parts.append(text_at(x - 4, at + 8, query, "soft", 9, "end", True))
            for k, chosen in enumerate(box.rows[q]):
                note = f"query {query} → key {box.texts[k]}: {'yes' if chosen else 'no'}"
                left = x + box.cell * k + (box.cell - GRID_CELL) / 2
                parts.append(heat_cell(left, at, GRID_CELL, float(chosen), note))
        return parts


def _ports(node: Node) -> tuple[str, ...]:
    """The port of each operand, a key of PORT_COLOURS; "" for selectors, which have none."""
    match node:
        case Select():
            return ("k", "q")
        case Aggregate():
            return ("", "v")
        case Combine() | SelectorWidth():
            return ("",) * len(operands(node))
    return ("in",) * len(operands(node))


def _values(box: Box, x: float, y: float) -> list[str]:
    """One value per position."""
    return [
        text_at(x + box.cell * (i + 0.5), y + 11, text, "ink", 11, "middle", True)
        for i, text in enumerate(box.texts)
    ]

"""Pictures of trained models as SVG text: verdicts, atlases, training curves.

`evidence_svg` draws the verdicts on heads by selectors, `atlas_svg` and `atlas_page` the selector
that each head is most similar to, `curve_svg` how training went. The first two are grids of `Cell`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan
from typing import TYPE_CHECKING

from rasplab.apps.show.html import document, figure, score_table, table, wrapped
from rasplab.apps.show.svg import picture, text_at
from rasplab.base.text import clip, escape, width
from rasplab.transformer.sites import Site

if TYPE_CHECKING:
    from rasplab.study.heads.atlas import Atlas, Entry
    from rasplab.study.heads.evidence import Evidence, Finding

MARKS = {"implements": "#22a06b", "consistent": "#e08a1e", "refuted": "", "undecided": "#98a2b3"}
"""The colour of the bar at the side of a verdict's cell; none where it is refuted."""

CELL_HEIGHT, MOST_COLUMNS = 40, 26
PALE = ' fill-opacity="0.78"'
"""The second line of a cell, legible on every shade."""
CURVE_WIDTH, CURVE_HEIGHT = 420, 190
CURVE_PLOT = 44, 44, CURVE_WIDTH - 60, CURVE_HEIGHT - 76
"""Left, top, width and height of the plot."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a grid: two lines, a shade from 0 to 1, a hover text, and a mark's colour."""

    first: str
    second: str
    shade: float
    note: str
    mark: str = ""


def grid_svg(
    rows: Sequence[str], columns: Sequence[str], cells: Sequence[Sequence[Cell]], title: str
) -> str:
    """Cells with two lines each under column names, row names at the left."""
    named = [clip(c, MOST_COLUMNS) for c in columns]
    lines = [[c.first, c.second] for row in cells for c in row]
    texts = [*named, *(text for pair in lines for text in pair)]
    wide = 26 + 6.6 * max(map(width, texts), default=8)
    left, top = 24 + 7.2 * max(map(width, rows), default=4), 58
    parts = [text_at(14, 24, title, "ink", 14)]
    for j, name in enumerate(named):
        parts.append(text_at(left + wide * j + 8, top - 10, name, "soft", 11))
    for i, (name, row) in enumerate(zip(rows, cells, strict=True)):
        y = top + CELL_HEIGHT * i
        parts.append(text_at(14, y + CELL_HEIGHT / 2 + 4, name, "ink", 12))
        parts += [_cell(left + wide * j, y, wide, c) for j, c in enumerate(row)]
    across = max(left + wide * len(columns), 7.8 * width(title) + 14) + 14
    return picture(across, top + CELL_HEIGHT * len(rows) + 14, parts, title)


def _cell(x: float, y: float, wide: float, cell: Cell) -> str:
    w, h = wide - 3, CELL_HEIGHT - 3
    # half of full strength at most, on which the text is legible
    shade = min(1.0, max(0.0, 0.0 if isnan(cell.shade) else cell.shade)) * 0.5
    mark = f'<rect x="{x:.1f}" y="{y}" width="4" height="{h}" fill="{cell.mark}"/>'
    return (
        f"<g><title>{escape(cell.note)}</title>"
        f'<rect class="rl-box" x="{x:.1f}" y="{y}" width="{w:.1f}" height="{h}" fill="#f5f7fa"/>'
        f'<rect class="rl-heat" x="{x:.1f}" y="{y}" width="{w:.1f}" height="{h}" fill="#2458c5" '
        f'fill-opacity="{shade:.2f}"/>{mark if cell.mark else ""}'
        f"{text_at(x + 10, y + 16, cell.first, 'ink', 12)}"
        f"{text_at(x + 10, y + 30, cell.second, 'ink', 10, extra=PALE)}</g>"
    )


def evidence_svg(evidence: Evidence) -> str:
    """The match table as a heat map: verdicts, shaded by interchange accuracy."""
    heads, selectors = evidence.table.heads, evidence.table.selectors
    cells = [[_verdict(f) for f in row] for row in evidence.findings]
    title = "Which head implements which selector"
    return grid_svg([str(h) for h in heads], [str(s) for s in selectors], cells, title)


def evidence_html(evidence: Evidence) -> str:
    """`evidence_svg` as a notebook's output."""
    return wrapped(figure(evidence_svg(evidence), "verdicts by head and selector"))


def _verdict(finding: Finding) -> Cell:
    """The cell of a finding; * marks a verdict on several heads together."""
    worst = finding.accuracy.worst
    measured = bool(worst.pairs)
    value = f"interchange {worst.value:.2f}" if measured else "nothing measured"
    several = len(finding.heads) > 1
    star = "*" if several and finding.verdict != "refuted" else ""
    return Cell(
        first=f"{finding.verdict}{star}",
        second=f"{value}, looks {finding.score:z.2f}",
        shade=worst.value if measured else 0.0,
        note=_verdict_note(finding),
        mark=MARKS[finding.verdict],
    )


def _verdict_note(f: Finding) -> str:
    """The reason, and how queries and keys do alone where that was measured."""
    others = ", ".join(str(h) for h in f.heads if h != f.head)
    note = f"{f.head}, {f.selector}: {f.verdict}{f' with {others}' if others else ''}; {f.reason}"
    if f.operands:
        sides = (("queries", f.operands.queries), ("keys", f.operands.keys))
        note += "".join(f"; {name} alone {e}" for name, e in sides if e.pairs)
    return note


def atlas_svg(atlas: Atlas) -> str:
    """Layers by heads: the selector that each head is most similar to."""
    n_heads = 1 + max(h.head for h in atlas.heads)
    layers = range(1 + max(h.layer for h in atlas.heads))
    cells = [[_best(atlas, Site("head", n, h)) for h in range(n_heads)] for n in layers]
    title = f"{atlas.model}: what each head looks like, on {atlas.source}"
    return grid_svg([f"L{n}" for n in layers], [f"H{h}" for h in range(n_heads)], cells, title)


def atlas_html(atlas: Atlas) -> str:
    """`atlas_svg` as a notebook's output."""
    return wrapped(figure(atlas_svg(atlas), "what each head looks like"))


def atlas_page(atlas: Atlas) -> str:
    """A page of its own, offline: the map, the best selector of every head, and every score."""
    from rasplab.study.heads.atlas import MIN_NAMED_SCORE

    best = [atlas.best(h) for h in atlas.heads]
    named = {h for s in atlas.selectors for h in atlas.heads_of(s)}
    rows = [
        [str(h), e.selector, *_numbers(e), "yes" if h in named else ""]
        for h, e in zip(atlas.heads, best, strict=True)
    ]
    head = ["head", "looks most like", "score [95% interval]", "similarity", "chance", "named"]
    every = score_table(atlas, lambda i, j: _note(atlas.heads[i], atlas.entry(i, j)))
    return document(
        f"Atlas of {atlas.model}",
        f'<h1>{escape(atlas.model)}</h1><p class="lead">What each of {len(atlas.heads)} heads '
        f"looks like, on {atlas.sequences} sequences of {atlas.length} {escape(atlas.source)}.</p>"
        f'<p class="soft">{ATLAS_NOTE.format(MIN_NAMED_SCORE)}</p>'
        f'<h3>The map</h3><div class="wide">{atlas_svg(atlas)}</div>'
        f'<h3>The best selector of each head</h3><div class="wide">{table(head, rows)}</div>'
        f'<h3>Every head against every selector</h3><div class="wide">{every}</div>',
        "main{max-width:1720px}",
    )


ATLAS_NOTE = (
    "A score is corrected for chance: 0 is what the head scores on wrong selectors of the same "
    "kind, 1 is equality; its interval is over sequences. Similarity is the share of attention "
    "where the selector points, chance what wrong selectors get. A head is named after a selector "
    "where its interval starts at {} or more. It says where a head looks, not what for. "
    "Hovering a cell shows all its numbers."
)


def _best(atlas: Atlas, head: Site) -> Cell:
    e = atlas.best(head)
    return Cell(e.selector, _numbers(e)[0], e.score, _note(head, e))


def _note(head: Site, e: Entry) -> str:
    score, similarity, chance = _numbers(e)
    return f"{head} as {e.selector}: score {score}, similarity {similarity}, chance {chance}"


def _numbers(e: Entry) -> tuple[str, str, str]:
    """Score with its interval, similarity and chance, as text."""
    return f"{e.score:.2f} [{e.low:.2f}, {e.high:.2f}]", f"{e.similarity:.2f}", f"{e.chance:.2f}"


def curve_svg(curve: Sequence[tuple[int, float, float]], title: str = "Training") -> str:
    """Held-out accuracy and training loss, each scaled to its largest, over steps.

    curve  (step, loss, accuracy) of each measurement, as in `Trained.curve`
    """
    if not curve:
        return picture(CURVE_WIDTH, 40, [text_at(14, 24, "no measurements", "soft", 12)], title)
    last, worst = curve[-1][0], max(loss for _, loss, _ in curve) or 1.0
    left, top, w, h = CURVE_PLOT
    parts = [text_at(14, 20, title, "ink", 13)]
    for share in (0.0, 0.5, 1.0):
        y = top + h * (1 - share)
        rule = f'd="M{left} {y:.1f}h{w}" stroke="#c6cdda" fill="none"'
        parts.append(f'<path class="rl-line" {rule}/>')
        parts.append(text_at(10, y + 4, f"{share:.0%}", "soft", 10))
    accuracy = [(step / last, right) for step, _, right in curve]
    loss = [(step / last, value / worst) for step, value, _ in curve]
    name = f"training loss (top {worst:.2f})"
    parts += _line("accuracy on held-out inputs", "#22a06b", accuracy, left)
    parts += _line(name, "#e08a1e", loss, left + 190, ' stroke-dasharray="4 3"')
    parts.append(text_at(left + w, top - 10, f"{last:,} steps", "soft", 10, "end"))
    return picture(CURVE_WIDTH, CURVE_HEIGHT, parts, title)


def _line(
    name: str, colour: str, points: Sequence[tuple[float, float]], at: float, dash: str = ""
) -> list[str]:
    """A line through points in [0, 1] x [0, 1], and its entry in the legend, at x = `at`."""
    left, top, w, h = CURVE_PLOT
    path = " ".join(f"{left + w * x:.1f},{top + h * (1 - y):.1f}" for x, y in points)
    y = CURVE_HEIGHT - 8
    return [
        f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{dash}>'
        f"<title>{escape(name)}</title></polyline>",
        f'<path d="M{at} {y - 3.5}h14" stroke="{colour}" stroke-width="2" fill="none"{dash}/>',
        text_at(at + 19, y, name, "soft", 10),
    ]

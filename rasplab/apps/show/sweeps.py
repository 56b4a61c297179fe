"""Pictures of many runs as SVG text: sweeps of training, benchmarks of discovery, superposition.

Each function takes the rows of one study (`study.bench`) and returns a whole picture:

  sweep_svg          accuracies by setting, a mark for every run
  lengths_svg        accuracies by setting and length of the input
  bench_svg          areas under ROC curves by discovery method
  overlap_svg        what directions of a squeezed model share
  superposition_svg  accuracy of squeezed models against their dimensions
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import nan
from typing import TYPE_CHECKING, Any

import numpy as np

from rasplab.apps.show.heads import Cell, grid_svg
from rasplab.apps.show.html import figure, wrapped
from rasplab.apps.show.patterns import pattern_svg
from rasplab.apps.show.svg import BOLD, LIGHT, picture, text_at
from rasplab.base.text import escape, width

if TYPE_CHECKING:  # a notebook imports this module before it needs torch
    from rasplab.study.bench.superposition import Superposed
    from rasplab.study.bench.sweep_tables import Row

# Sweeps of training -----------------------------------------------------------------------------

WIDE, TOP, STEP, GAP = 320, 54, 24, 10
"""The scale's width, its upper end, and the distance of lines and of tasks, in pixels."""

Scale = Callable[[float], float]
"""A share from 0 to 1 -> its x on the page."""


def sweep_svg(rows: Sequence[Row], title: str = "Accuracy on held-out inputs") -> str:
    """A line for each setting: a dot for each run, a stroke for the mean, a bar for its interval.

    Tasks stand apart. A setting whose runs all failed says so in words.
    """
    names = [row.name for row in rows]
    lowest = min((v for r in rows for v in r.values), default=0.0)
    start = min(0.8, int(lowest * 5) / 5)  # the scale begins at a fifth
    left = 24 + 6.8 * max(map(width, names), default=4)
    ys, y = [], TOP
    for before, row in zip([None, *rows], rows, strict=False):
        y += GAP if before and before.setting["task"] != row.setting["task"] else 0
        ys, y = [*ys, y], y + STEP

    def x(share: float) -> float:
        return left + WIDE * (max(start, share) - start) / (1 - start)

    parts = [text_at(14, 22, title, "ink", 13)]
    for share in (start, (start + 1) / 2, 1.0):
        parts.append(
            f'<path class="rl-line" d="M{x(share):.1f} {TOP - 10}V{y - 8}" '
            f'stroke="#c6cdda" fill="none"/>'
        )
        parts.append(text_at(x(share), TOP - 16, f"{share:.0%}", "soft", 10, "middle"))
    for row, at in zip(rows, ys, strict=True):
        parts.append(text_at(14, at + 8, row.name, "ink", 11))
        parts += _runs(row, at + 4, x)
    legend = "dot: a run; stroke: their mean; bar: its 95% interval"
    parts.append(text_at(left, y + 12, legend, "soft", 10))
    return picture(left + WIDE + 40, y + 24, parts, title)


def _runs(row: Row, y: float, x: Scale) -> list[str]:
    """The marks of one setting."""
    if not row.values:
        return [text_at(x(0.0) + 8, y + 4, f"no accuracy: {len(row.faults)} failed", "soft", 10)]
    bar = (
        f'<path class="rl-soft" d="M{x(row.low):.1f} {y - 1:.1f}H{x(row.high):.1f}v2'
        f'H{x(row.low):.1f}z" fill="#667085"/>'
    )
    dots = [
        f'<circle class="rl-heat" cx="{x(v):.1f}" cy="{y:.1f}" r="4" fill="#2458c5" '
        f'fill-opacity="0.6"><title>{v:.2%}</title></circle>'
        for v in row.values
    ]
    mean = (
        f'<rect class="rl-ink" x="{x(row.mean) - 1:.1f}" y="{y - 7:.1f}" width="2" height="14" '
        f'fill="#1f2430"><title>{escape(row.name)}: {row.mean:.2%} '
        f"[{row.low:.2%}, {row.high:.2%}]</title></rect>"
    )
    return [*([bar] if len(row.values) > 1 else []), *dots, mean]


def lengths_svg(rows: Sequence[Row], title: str = "Accuracy by length of the input") -> str:
    """Settings by lengths: mean accuracies, and which lengths were not trained on."""
    lengths = sorted({n for row in rows for n in row.by_length})
    cells = [[_length(row, n) for n in lengths] for row in rows]
    return grid_svg([row.name for row in rows], list(map(str, lengths)), cells, title)


def _length(row: Row, n: int) -> Cell:
    right = row.by_length.get(n, nan)
    reach = "longer" if n > row.trained_len else ""
    text = f"{right:.0%}" if n in row.by_length else "none"
    return Cell(text, reach, right, f"{row.name}, length {n}: {text}")


# Benchmarks of discovery ------------------------------------------------------------------------

DOTS_LEFT, DOTS_ROW, DOTS_SCALE, DOTS_TOP = 170, 24, 420, 56
"""Room for names, height of a row, width of the scale, and its upper end, in pixels."""
GROUP_STEP = 5.0
"""Distance of the groups' dots within a row."""
TONES = ("#2458c5", "#e08a1e", "#22a06b", "#a06cd5")
"""A colour for each group."""

Interval = tuple[float, float, float]
"""A value and the ends of its interval: (value, low, high)."""


def bench_svg(table: Sequence[Mapping[str, Any]], truth: str) -> str:
    """Mean ROC AUC of each method, a colour for each kind of model and ablation.

    table  rows of `discovery_tables.summary`
    truth  "effective" or "structural": the rows that are drawn
    """
    rows = [row for row in table if row["truth"] == truth]
    groups = list(dict.fromkeys((r["variant"], r["ablation"]) for r in rows))
    intervals = {
        (r["method"], r["variant"], r["ablation"]): (r["auc"], r["low"], r["high"]) for r in rows
    }
    methods = dict.fromkeys(row["method"] for row in rows)
    lines = [(method, [intervals.get((method, *g)) for g in groups]) for method in methods]
    return dots_svg([", ".join(g) for g in groups], lines, f"ROC AUC against {truth} truth")


def dots_svg(
    groups: Sequence[str],
    rows: Sequence[tuple[str, Sequence[Interval | None]]],
    title: str = "",
) -> str:
    """Rows of dots with intervals on a scale from 0 to 1, one dot per group in its colour.

    groups  their names
    rows    (name, one interval per group, or None where there is no value), values in [0, 1]
    """
    height = DOTS_TOP + DOTS_ROW * len(rows) + 34
    parts = [text_at(14, 24, title, size=13, extra=BOLD), *_group_names(groups)]
    for x in (0, 0.25, 0.5, 0.75, 1):
        at = DOTS_LEFT + DOTS_SCALE * x
        parts.append(
            f'<line class="rl-line" x1="{at}" x2="{at}" y1="{DOTS_TOP - 4}" y2="{height - 30}" '
            f'stroke="{LIGHT["line"]}" stroke-width="{1.6 if x == 0.5 else 0.7}"/>'
        )
        parts.append(text_at(at, height - 12, f"{x:g}", "soft", 10.5, "middle"))
    for i, (name, intervals) in enumerate(rows):
        y = DOTS_TOP + DOTS_ROW * i + DOTS_ROW / 2
        parts.append(text_at(DOTS_LEFT - 12, y + 4, name, "ink", 11.5, "end", True))
        first = y - GROUP_STEP * (len(groups) - 1) / 2
        parts += [
            _dot(first + GROUP_STEP * k, interval, TONES[k % len(TONES)], f"{name}, {groups[k]}")
            for k, interval in enumerate(intervals)
            if interval
        ]
    return picture(DOTS_LEFT + DOTS_SCALE + 30, height, parts, title or "dots")


def _group_names(groups: Sequence[str]) -> list[str]:
    parts, at = [], 14.0
    for k, name in enumerate(groups):
        parts.append(f'<circle cx="{at + 4}" cy="42" r="4" fill="{TONES[k % len(TONES)]}"/>')
        parts.append(text_at(at + 13, 46, name, "soft", 11))
        at += 34 + 6.4 * width(name)
    return parts


def _dot(y: float, interval: Interval, colour: str, name: str) -> str:
    value, low, high = (DOTS_LEFT + DOTS_SCALE * v for v in interval)
    note = f"{name}: {interval[0]:.3f} [{interval[1]:.3f}, {interval[2]:.3f}]"
    return (
        f"<g><title>{escape(note)}</title>"
        f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{y:.1f}" y2="{y:.1f}" stroke="{colour}" '
        f'stroke-width="2"/><circle cx="{value:.1f}" cy="{y:.1f}" r="4" fill="{colour}"/></g>'
    )


# Superposition ----------------------------------------------------------------------------------

PLOT_WIDE, PLOT_HIGH, PLOT_LEFT, PLOT_TOP = 360, 200, 52, 34
"""The plot inside its picture, in pixels."""


def overlap_svg(squeezed: Superposed) -> str:
    """|W W^T| as a heat grid: off the diagonal, what two directions share."""
    labels = [f"{k} {label}" for k, label in enumerate(squeezed.labels)]
    title = f"{len(labels)} directions in {squeezed.d_model} dimensions"
    shared = np.minimum(np.abs(squeezed.overlap), 1.0)
    return pattern_svg(shared, labels, labels, title, "overlap |W W'|", axes=("", ""))


def superposed_html(squeezed: Superposed) -> str:
    """What a notebook shows of a squeezed model: its overlaps."""
    return wrapped(figure(overlap_svg(squeezed), str(squeezed)), scripted=True)


def superposition_svg(curve: Sequence[Superposed]) -> str:
    """Accuracy against the number of dimensions, one point a model.

    curve  what `superpose_curve` returns

    Raises ValueError for an empty curve.
    """
    if not curve:
        raise ValueError("the curve has no points; pass what superpose_curve returns")
    sizes = [s.d_model for s in curve]
    low, high = min(sizes), max(max(sizes), min(sizes) + 1)
    points = [
        (
            PLOT_LEFT + PLOT_WIDE * (s.d_model - low) / (high - low),
            PLOT_TOP + PLOT_HIGH * (1 - s.accuracy),
            s,
        )
        for s in sorted(curve, key=lambda s: s.d_model)
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in points)
    parts = [text_at(10, 18, "accuracy against d_model", size=12)]
    for share in (0.0, 0.5, 1.0):
        y = PLOT_TOP + PLOT_HIGH * (1 - share)
        path = f"M {PLOT_LEFT} {y:.1f} h {PLOT_WIDE}"
        parts.append(f'<path class="rl-line" d="{path}" stroke="#8886"/>')
        parts.append(text_at(PLOT_LEFT - 8, y + 4, f"{share:.0%}", "soft", 10.5, "end"))
    parts.append(f'<polyline points="{line}" fill="none" stroke="#3b82c4" stroke-width="2"/>')
    for x, y, s in points:
        place = f'cx="{x:.1f}" cy="{y:.1f}" r="4"'
        parts.append(f'<circle {place} fill="#3b82c4"><title>{escape(str(s))}</title></circle>')
        parts.append(text_at(x, PLOT_TOP + PLOT_HIGH + 16, str(s.d_model), "soft", 10.5, "middle"))
    title = "accuracy against d_model"
    return picture(PLOT_LEFT + PLOT_WIDE + 24, PLOT_TOP + PLOT_HIGH + 28, parts, title)

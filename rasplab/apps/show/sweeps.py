"""Pictures of sweeps as SVG text: accuracies by setting, and by length."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import nan
from typing import TYPE_CHECKING

from rasplab.apps.show.heads import Cell, grid_svg
from rasplab.apps.show.svg import picture, text_at
from rasplab.base.text import width

if TYPE_CHECKING:
    from rasplab.study.bench.sweep_tables import Row

WIDE, TOP, STEP, GAP = 320, 54, 24, 10


def sweep_svg(rows: Sequence[Row], title: str = "Accuracy on held-out inputs") -> str:
    """A line for each setting, tasks apart: a dot for each run, a stroke for the mean, a bar for
    its interval; what failed in words."""
    names = [row.name for row in rows]
    lowest = min((v for r in rows for v in r.values), default=0.0)
    start = min(0.8, int(lowest * 5) / 5)
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


def _runs(row: Row, y: float, x) -> list[str]:
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

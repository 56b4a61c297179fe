"""A dot for each method on a scale from 0 to 1, with its interval."""

from __future__ import annotations

from collections.abc import Sequence

from rasplab.apps.show.svg import LIGHT, picture, text_at
from rasplab.base.text import width

LEFT, ROW, SCALE, TOP = 170, 24, 420, 56
TONES = ("#2458c5", "#e08a1e", "#22a06b", "#a06cd5")


def dots_svg(
    groups: Sequence[str], rows: Sequence[tuple[str, Sequence[tuple[float, float, float] | None]]],
    title: str = "",
) -> str:  # fmt: skip
    """Rows of dots, one per group in its colour.

    groups  their names
    rows    (name, one (value, low, high) per group or None), values in [0, 1]
    """
    height = TOP + ROW * len(rows) + 34
    parts = [text_at(14, 24, title, size=13, extra=' font-weight="600"'), *_legend(groups)]
    for x in (0, 0.25, 0.5, 0.75, 1):
        at = LEFT + SCALE * x
        parts.append(
            f'<line class="rl-line" x1="{at}" x2="{at}" y1="{TOP - 4}" y2="{height - 30}" '
            f'stroke="{LIGHT["line"]}" stroke-width="{1.6 if x == 0.5 else 0.7}"/>'
        )
        parts.append(text_at(at, height - 12, f"{x:g}", "soft", 10.5, "middle"))
    for i, (name, found) in enumerate(rows):
        y = TOP + ROW * i + ROW / 2
        parts.append(text_at(LEFT - 12, y + 4, name, "ink", 11.5, "end", True))
        step = 5.0
        first = y - step * (len(groups) - 1) / 2
        parts += [_dot(first + step * k, f, TONES[k % len(TONES)], f"{name}, {groups[k]}")
                  for k, f in enumerate(found) if f]  # fmt: skip
    return picture(LEFT + SCALE + 30, height, parts, title or "dots")


def _legend(groups: Sequence[str]) -> list[str]:
    parts, at = [], 14.0
    for k, name in enumerate(groups):
        parts.append(f'<circle cx="{at + 4}" cy="42" r="4" fill="{TONES[k % len(TONES)]}"/>')
        parts.append(text_at(at + 13, 46, name, "soft", 11))
        at += 34 + 6.4 * width(name)
    return parts


def _dot(y: float, found: tuple[float, float, float], colour: str, name: str) -> str:
    value, low, high = (LEFT + SCALE * v for v in found)
    note = f"{name}: {found[0]:.3f} [{found[1]:.3f}, {found[2]:.3f}]"
    return (
        f"<g><title>{note}</title>"
        f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{y:.1f}" y2="{y:.1f}" stroke="{colour}" '
        f'stroke-width="2"/><circle cx="{value:.1f}" cy="{y:.1f}" r="4" fill="{colour}"/></g>'
    )

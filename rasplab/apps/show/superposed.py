"""Superposition in pictures: what directions share, and what sharing costs."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from rasplab.apps.show.svg import pattern_svg, picture, text_at
from rasplab.study.bench.superposition import Superposed

WIDE, HIGH, LEFT, TOP = 360, 200, 52, 34
"""The plot of the curve inside its picture, in pixels."""


def overlap_svg(squeezed: Superposed) -> str:
    """|W W^T| as a heat grid: off the diagonal, what two directions share."""
    labels = [f"{k} {label}" for k, label in enumerate(squeezed.labels)]
    title = f"{len(labels)} directions in {squeezed.d_model} dimensions"
    shared = np.minimum(np.abs(squeezed.overlap), 1.0)
    return pattern_svg(shared, labels, labels, title, "overlap |W W'|", axes=("", ""))


def curve_svg(curve: Sequence[Superposed]) -> str:
    """Accuracy against the number of dimensions, one point a model.

    Raises ValueError for an empty curve.
    """
    if not curve:
        raise ValueError("the curve has no points; pass what superpose_curve returns")
    sizes = [s.d_model for s in curve]
    low, high = min(sizes), max(max(sizes), min(sizes) + 1)
    points = [
        (LEFT + WIDE * (s.d_model - low) / (high - low), TOP + HIGH * (1 - s.accuracy), s)
        for s in sorted(curve, key=lambda s: s.d_model)
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in points)
    parts = [text_at(10, 18, "accuracy against d_model", size=12)]
    for share in (0.0, 0.5, 1.0):
        y = TOP + HIGH * (1 - share)
        parts.append(f'<path class="rl-line" d="M {LEFT} {y:.1f} h {WIDE}" stroke="#8886"/>')
        parts.append(text_at(LEFT - 8, y + 4, f"{share:.0%}", "soft", 10.5, "end"))
    parts.append(f'<polyline points="{line}" fill="none" stroke="#3b82c4" stroke-width="2"/>')
    for x, y, s in points:
        place = f'cx="{x:.1f}" cy="{y:.1f}" r="4"'
        parts.append(f'<circle {place} fill="#3b82c4"><title>{escape(str(s))}</title></circle>')
        parts.append(text_at(x, TOP + HIGH + 16, str(s.d_model), "soft", 10.5, "middle"))
    return picture(LEFT + WIDE + 24, TOP + HIGH + 28, parts, "accuracy against d_model")

"""Attention patterns and selectors as heat grids: a matrix and its tokens -> SVG text or HTML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Shaped

from rasplab.apps.show.html import figure
from rasplab.apps.show.svg import BOLD, heat_cell, picture, text_at
from rasplab.base.text import clip, width
from rasplab.program.values import Value, value_text

MAX_NAMED = 1600
"""The most cells that have hover texts; on a larger grid these would outweigh the picture."""
MAX_LABEL = 8
"""Columns of a token's text beside the grid."""


@dataclass(frozen=True, slots=True)
class _Grid:
    """Where a grid stands on the page.

    cell      width and height of a cell
    shape     rows, columns
    widest    columns of the widest token
    captions  height of title and subtitle
    """

    cell: float
    shape: tuple[int, int]
    widest: int
    captions: int

    @property
    def font(self) -> float:
        """The size of the tokens' texts."""
        return max(6.0, min(12.0, self.cell * 0.56))

    @property
    def longest(self) -> float:
        """Room for a token's text."""
        return 10 + self.font * 0.62 * min(MAX_LABEL, self.widest)

    @property
    def upright(self) -> bool:
        """Whether every token fits over its own column."""
        return self.widest * self.font * 0.62 <= self.cell

    @property
    def left(self) -> float:
        """The x of the first column."""
        return 22 + self.longest

    @property
    def top(self) -> float:
        """The y of the first row: above it the keys' tokens, turned where they are too wide."""
        return self.captions + 12 + (self.font + 8 if self.upright else self.longest)


def pattern_svg(
    matrix: Shaped[np.ndarray, "query key"],
    row_tokens: Sequence[str],
    col_tokens: Sequence[str],
    title: str = "",
    subtitle: str = "",
    axes: tuple[str, str] = ("query", "key"),
    widest: int = 1,
) -> str:
    """A matrix as a heat grid: attention probabilities, or the booleans of a selector.

    matrix                  values in [0, 1]; where it is nan there is room, and no cell
    row_tokens, col_tokens  a text per query and per key (BOS included when the matrix has it)
    axes                    what rows and columns are called
    widest                  columns of the widest token to leave room for, of other inputs too

    Raises ValueError if the matrix and the tokens differ in size.
    """
    values = np.asarray(matrix, dtype=float)  # also of booleans
    n_rows, n_columns = shape = len(row_tokens), len(col_tokens)
    if values.shape != shape:
        raise ValueError(f"matrix {values.shape}, tokens {n_rows} x {n_columns}")
    grid = _Grid(
        cell=max(7.0, min(24.0, 264 / max(1, *shape))),
        shape=shape,
        widest=max([widest, *map(width, row_tokens), *map(width, col_tokens)]),
        captions=(24 if title else 6) + (15 if subtitle else 0),
    )
    parts = [
        *_captions(title, subtitle),
        *_axis_names(grid, axes),
        *_axis_labels(grid, row_tokens, col_tokens),
        *_cells(grid, values, row_tokens, col_tokens),
    ]
    right = grid.left + grid.cell * n_columns + 12
    w = max(right, 7.2 * width(title) + 20, 5.8 * width(subtitle) + 20)
    return picture(w, grid.top + grid.cell * n_rows + 12, parts, title or "pattern")


def _captions(title: str, subtitle: str) -> list[str]:
    parts = [text_at(10, 18, title, size=12, mono=True, extra=BOLD)] if title else []
    return parts + ([text_at(10, 34 if title else 16, subtitle, "soft", 10.5)] if subtitle else [])


def _axis_names(grid: _Grid, axes: tuple[str, str]) -> list[str]:
    """The rows' name along the left side, the columns' just under the captions."""
    middle = grid.top + grid.cell * grid.shape[0] / 2
    centre = grid.left + grid.cell * grid.shape[1] / 2
    turn = f' transform="rotate(-90 12 {middle:.1f})"'
    return [
        text_at(12, middle, axes[0], "soft", 9.5, "middle", extra=turn),
        text_at(centre, grid.captions + 9, axes[1], "soft", 9.5, "middle"),
    ]


def _axis_labels(grid: _Grid, row_tokens: Sequence[str], col_tokens: Sequence[str]) -> list[str]:
    """The tokens; data-axis marks them for attention.js, which puts other tokens there."""
    x, size = grid.left - 5, grid.font
    rows = [
        text_at(
            x,
            grid.top + grid.cell * (i + 0.5) + size * 0.36,
            clip(token, MAX_LABEL),
            "ink",
            size,
            "end",
            True,
            ' data-axis="query"',
        )
        for i, token in enumerate(row_tokens)
    ]
    return rows + [_column_label(grid, j, token) for j, token in enumerate(col_tokens)]


def _column_label(grid: _Grid, column: int, token: str) -> str:
    """A key's token above its column, turned where it is wider than the column."""
    x, y, size = grid.left + grid.cell * (column + 0.5), grid.top - 5, grid.font
    axis = ' data-axis="key"'
    if grid.upright:
        return text_at(x, y, token, "ink", size, "middle", True, axis)
    turn = f'{axis} transform="rotate(-90 {x:.1f} {y:.1f})"'
    return text_at(x, y + size * 0.36, clip(token, MAX_LABEL), "ink", size, "start", True, turn)


def _cells(
    grid: _Grid,
    values: Float[np.ndarray, "query key"],
    row_tokens: Sequence[str],
    col_tokens: Sequence[str],
) -> list[str]:
    named = values.size <= MAX_NAMED
    parts = []
    for i, row in enumerate(values):
        for j, value in enumerate(row):
            note = f"query {row_tokens[i]} → key {col_tokens[j]}: {value:.3g}" if named else ""
            x, y = grid.left + grid.cell * j, grid.top + grid.cell * i
            parts.append(heat_cell(x, y, grid.cell, value, note))
    return parts


def selector_figure(
    name: str, matrix: Shaped[np.ndarray, "query key"], tokens: Sequence[Value]
) -> str:
    """A selector as a grid with the tokens on both axes, as an HTML figure."""
    texts = [value_text(t) for t in tokens]
    return figure(pattern_svg(matrix, texts, texts, name), f"selector {name}")

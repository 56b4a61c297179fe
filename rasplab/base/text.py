"""Aligned text for terminals, by display width; and files written whole or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rasplab.base.errors import columns

if TYPE_CHECKING:
    pass


def width(text: str) -> int:
    """Columns that `text` takes in a terminal: wide characters take two, combining marks none."""
    return sum(map(columns, text))


def pad(text: str, to: int, align: str = "<") -> str:
    """`text` filled with spaces to `to` columns; align is "<" or ">"."""
    fill = " " * max(0, to - width(text))
    return fill + text if align == ">" else text + fill


def clip(text: str, most: int) -> str:
    """`text` in at most `most` columns, with an ellipsis where it was cut."""
    if width(text) <= most:
        return text
    kept = ""
    for c in text:
        if width(kept + c) > most - 1:
            break
        kept += c
    return kept + "…"


def table(header: Sequence[str], rows: Iterable[Sequence[str]], align: str = "") -> str:
    """Columns two spaces apart, a rule under the header.

    align   one "<" or ">" per column; columns without one are aligned left
    """
    rows = [list(row) for row in rows]
    widths = [max(width(cell) for cell in column) for column in zip(header, *rows, strict=True)]
    align = align.ljust(len(widths), "<")
    lines = [list(header), ["─" * n for n in widths], *rows]
    return "\n".join(_line(cells, widths, align) for cells in lines)


def _line(cells: Sequence[str], widths: Sequence[int], align: str) -> str:
    padded = (pad(c, n, a) for c, n, a in zip(cells, widths, align, strict=True))
    return "  ".join(padded).rstrip()


def lined_up(rows: list[list[str]]) -> list[str]:
    """Each row as a line, its cells under those of the others, two blanks apart."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows
    ]

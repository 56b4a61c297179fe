"""Tables as text (floor 6)."""

from __future__ import annotations


def lined_up(rows: list[list[str]]) -> list[str]:
    """Each row as a line, its cells under those of the others, two blanks apart."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows
    ]

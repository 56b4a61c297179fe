"""Aligned text for terminals, by display width; and files written whole or not at all (floor 7)."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rasplab.errors import columns
from rasplab.program import Value

if TYPE_CHECKING:
    import numpy as np


MAX_TOKEN = 8
"""Columns of a token beside a grid."""


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


def value_text(value: Value) -> str:
    """A value as a cell shows it: strings bare, booleans T and F, floats to 3 decimals."""
    if isinstance(value, bool):
        return "T" if value else "F"
    if isinstance(value, float):
        return str(round(value, 3))
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(map(value_text, value))}]"
    return str(value)


def kind_text(values: Sequence[Value]) -> str:
    """What a sequence holds: strings, bools, ints, floats or values."""
    kinds = {type(v) for v in values}
    for names, plural in (({str}, "strings"), ({bool}, "bools"), ({int, bool}, "ints")):
        if kinds <= names:
            return plural
    return "floats" if kinds <= {int, bool, float} else "values"


def input_text(tokens: Sequence[Value]) -> str:
    """An input as one writes it: characters in quotes, anything else as a list."""
    if tokens and all(isinstance(t, str) and len(t) == 1 for t in tokens):
        return f'"{"".join(tokens)}"'
    return "[" + ", ".join(f'"{t}"' if isinstance(t, str) else value_text(t) for t in tokens) + "]"


def sop_line(name: str, tokens: Sequence[Value], values: Sequence[Value]) -> str:
    """`reverse("abc") = [c, b, a] (strings)`."""
    shown = ", ".join(map(value_text, values))
    return f"{name}({input_text(tokens)}) = [{shown}] ({kind_text(values)})"


def aligned(rows: Sequence[tuple[str, Sequence[Value]]]) -> str:
    """S-ops under each other, position by position: (name, values) each, the values of equal
    length.
    """
    cells = [[name, *map(value_text, values)] for name, values in rows]
    widths = [max(map(width, column)) for column in zip(*cells, strict=True)]
    return "\n".join(_line(row, widths, "<" + ">" * len(widths[1:])) for row in cells)


def grid(matrix: np.ndarray, row_tokens: Sequence[str], col_tokens: Sequence[str]) -> str:
    """A selector [query, key] as text: keys along the top, one line per query, `■` where it
    selects.
    """
    w = max(map(width, col_tokens), default=1)
    head = max(map(width, row_tokens), default=1)
    top = pad("", head) + "   " + " ".join(pad(t, w, ">") for t in col_tokens)
    lines = [
        pad(t, head) + " │ " + " ".join(pad("■" if cell else "·", w, ">") for cell in row)
        for t, row in zip(row_tokens, matrix, strict=True)
    ]
    return "\n".join([top, *lines])


def selector_grid(matrix: np.ndarray, tokens: Sequence[Value]) -> str:
    """A selector [query, key] as `grid`, under its tokens; long ones are cut."""
    texts = [clip(value_text(t), MAX_TOKEN) for t in tokens]
    return grid(matrix, texts, texts)


def write_whole(path: str | Path, text: str) -> Path:
    """Write `text` under a temporary name, then rename: a reader sees all of it or the old file."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(temporary, 0o644)  # mkstemp makes it private; a report is for anyone to read
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return path

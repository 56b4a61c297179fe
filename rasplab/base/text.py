"""Aligned text for terminals, by display width: wide characters take two columns."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from rasplab.base.errors import columns

_NOT_XML = r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]"


def printable(text: str) -> str:
    """`text` without characters that XML and UTF-8 lack: control characters as their pictures."""
    return re.sub(_NOT_XML, lambda m: chr(0x2400 + ord(m[0])) if m[0] < " " else "\ufffd", text)


def escape(text: str, quote: bool = True) -> str:
    """`text` for HTML and XML: characters of markup escaped, illegal ones replaced.

    quote  escape quotes too, as attributes need
    """
    import html  # a table of 2,000 entities: pages and pictures only

    return html.escape(printable(text), quote)


MAX_SHOWN = 60
"""Characters of a value in a message."""


def clipped(value: object) -> str:
    """A value as it is shown in messages: on one line, of at most MAX_SHOWN characters."""
    text = value if isinstance(value, str) else repr(value)
    text = " ".join(text.encode("ascii", "backslashreplace").decode().split())
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 3] + "..."


def size_text(size: float) -> str:
    """A number of bytes in the unit that suits it: `100 bytes`, `1.5 KiB`, `9.8 GiB`."""
    power = max(0, min(3, (int(size).bit_length() - 1) // 10))
    unit = ("bytes", "KiB", "MiB", "GiB")[power]
    return f"{size / 1024**power:,.{min(power, 1)}f} {unit}"


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
    used = 0
    for i, c in enumerate(text):
        used += columns(c)
        if used > most - 1:
            return text[:i] + "…"
    raise AssertionError("a text wider than `most` is cut before its end")


def table(header: Sequence[str], rows: Iterable[Sequence[str]], align: str = "") -> str:
    """Columns two spaces apart, a rule under the header.

    align   one "<" or ">" per column; columns without one are aligned left
    """
    cells = [list(header), *(list(row) for row in rows)]
    rule = ["─" * max(map(width, column)) for column in zip(*cells, strict=True)]
    return "\n".join(lined_up([cells[0], rule, *cells[1:]], align))


def lined_up(rows: Sequence[Sequence[str]], align: str = "") -> list[str]:
    """Each row as a line, its cells under those of the others, two spaces apart.

    align   one "<" or ">" per column; columns without one are aligned left
    """
    widths = [max(map(width, column)) for column in zip(*rows, strict=True)]
    align = align.ljust(len(widths), "<")
    return [
        "  ".join(pad(c, n, a) for c, n, a in zip(row, widths, align, strict=True)).rstrip()
        for row in rows
    ]


def table_text(text: str) -> str:
    """A text for a cell of a Markdown table: no HTML, no end of the cell or the line in it."""
    entities = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;"}
    return " ".join(text.translate(str.maketrans(entities)).split())


def near_names(name: str, known: Iterable[str]) -> list[str]:
    """Up to three of the `known` names that are spelled like `name`, the nearest first."""
    from difflib import get_close_matches  # costs more than the rest of a start

    return get_close_matches(name, list(known), n=3)


def ranges_text(numbers: Iterable[int]) -> str:
    """Whole numbers in ascending order, runs of three or more as a range: `1, 3 to 6, 8`."""
    runs: list[list[int]] = []
    for n in sorted(numbers):
        if runs and n == runs[-1][-1] + 1:
            runs[-1].append(n)
        else:
            runs.append([n])
    texts = [f"{r[0]} to {r[-1]}" if len(r) > 2 else ", ".join(map(str, r)) for r in runs]
    return ", ".join(texts)

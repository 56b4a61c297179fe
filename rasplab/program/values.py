"""The values of RASP: their types, equality and text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rasplab.base.text import _line, clip, pad, width

if TYPE_CHECKING:
    import numpy as np

Atom = int | float | str | bool
Value = Atom | tuple
"""What an s-op holds at a position; a list is a tuple, a dict a tuple of (key, value) pairs."""

MAX_TOKEN = 8
"""Columns of a token beside a grid."""


ROUNDING = 1e-9
"""Relative difference below which two numbers count as equal.

A model's logits are decoded to the nearest fraction, the interpreter rounds after each operation.
"""

MAX_FLOAT = 1e308
"""Numbers from here on are equal only if their keys are: ints this large have no float."""

MIN_SCALE = 1e-3
"""ROUNDING is relative to the expected number, or to this where that is smaller."""


def typed_key(value: Any) -> tuple:
    """A key equal for the same value of the same type: 1, 1.0 and True differ, as do 0.0 and -0.0.

    Its text is part of program digests, and so of files.
    """
    if isinstance(value, tuple):
        return ("tuple", *(typed_key(v) for v in value))
    return (type(value).__name__, repr(value))


def value_key(value: Any) -> tuple:
    """A key equal for values that count as equal: 1 and 1.0, nan and nan, but not 1 and True."""
    if isinstance(value, tuple):
        return ("tuple", *(value_key(v) for v in value))
    if is_number(value):
        return ("number", value if value == value else "nan")
    return (type(value).__name__, value)


def is_number(value: Any) -> bool:
    """Whether a value is an int or a float; a bool is neither."""
    return type(value) in (int, float)


def same_value(expected: Any, given: Any) -> bool:
    """Whether two values count as equal: their keys, or as numbers up to ROUNDING."""
    a, b = as_float(expected), as_float(given)
    close = abs(a - b) <= ROUNDING * max(MIN_SCALE, abs(a))
    return close or value_key(expected) == value_key(given)


def as_float(value: Any) -> float:
    """A number as a float; nan, which is close to nothing, for what is no number a float holds."""
    return float(value) if is_number(value) and abs(value) < MAX_FLOAT else math.nan


def literal(value: Value) -> str:
    """A value as RASP text."""
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, tuple):
        return f"[{', '.join(literal(v) for v in value)}]"
    return repr(value)


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

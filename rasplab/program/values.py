"""The values of RASP: types, the kinds of equality, and the kinds of text.

Equality: `typed_key` tells 1, 1.0 and True apart, as nodes of a program do; `value_key` merges 1
and 1.0, as comparing results does; `same_value` also allows for the rounding of floats. Text:
`value_text` is for a cell of a table, `literal` for messages and labels, `source_text` for RASP
that reads back as the same value. What the REPL prints follows the reference implementation:
lang/elaborate/values.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeGuard

from rasplab.base.errors import RaspValueError
from rasplab.base.limits import current, way_out
from rasplab.base.text import clip, lined_up, pad, width

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Bool

Atom = int | float | str | bool
Value = Atom | tuple
"""What an s-op holds at a position; a list is a tuple, a dict a tuple of (key, value) pairs."""

NUMBERS = frozenset({bool, int, float})
"""The types of numbers in an s-op of numbers, which may hold bools too."""

# Equality ---------------------------------------------------------------------------------------

ROUNDING = 1e-9
"""Relative difference below which two numbers count as equal, unless they are integers.

A model's logits are decoded to the nearest fraction, the interpreter rounds after each operation.
"""

MIN_SCALE = 1e-3
"""ROUNDING is relative to the expected number, or to this where that is smaller."""

MAX_FLOAT = 1e308
"""Numbers from here on are equal only if their keys are: ints this large have no float."""

MAX_WHOLE = 2**53
"""Below this every integer has a float of its own, so a whole float is that integer."""


def typed_key(value: Any) -> tuple:
    """A key equal for the same value of the same type: 1, 1.0 and True differ, as do 0.0 and -0.0.

    Its text is part of program digests, and so of files.
    """
    if isinstance(value, tuple):
        return ("tuple", *(typed_key(v) for v in value))
    return (type(value).__name__, repr(value))


MAX_SAME_HASH = 1_000
"""Different keys of one hash that a dict or a set may hold."""


def is_crowded(keys: Iterable[Any]) -> bool:
    """Whether more than MAX_SAME_HASH different keys have one hash.

    A dict or set of n such keys compares all pairs. Numbers whose hash is their own are distinct
    by it, and hashes of strings are drawn at each start of Python: so only numbers from 2**61 - 1
    on, and fractions, can be crowded.
    """
    buckets: dict[int, set[Any]] = {}
    for key in keys:
        if isinstance(key, int | float) and (code := hash(key)) != key:
            bucket = buckets.setdefault(code, set())
            bucket.add(key)
            if len(bucket) > MAX_SAME_HASH:
                return True
    return False


def value_key(value: Any) -> tuple:
    """A key equal for values that count as equal: 1 and 1.0, nan and nan, but not 1 and True."""
    if isinstance(value, tuple):
        return ("tuple", *(value_key(v) for v in value))
    if is_number(value):
        # nan is not equal to itself, so a key of its own stands for it
        return ("number", value if value == value else "nan")
    return (type(value).__name__, value)


def is_number(value: Any) -> TypeGuard[int | float]:
    """Whether a value is an int or a float; a bool is neither."""
    return type(value) in (int, float)


def as_float(value: Any) -> float:
    """A number as a float; nan, which is close to nothing, for what is no number a float holds."""
    return float(value) if is_number(value) and abs(value) < MAX_FLOAT else math.nan


def integer_rank(value: Any) -> int:
    """How far a value is an integer: 2 for an int, 1 for a whole float below MAX_WHOLE, else 0."""
    if type(value) is int:
        return 2
    return int(type(value) is float and value.is_integer() and abs(value) < MAX_WHOLE)


def same_value(expected: Any, given: Any) -> bool:
    """Whether two values count as equal: their keys, or as numbers up to ROUNDING.

    Integers are equal only if their keys are: two ints, or an int and a whole float.
    """
    if value_key(expected) == value_key(given):
        return True
    if integer_rank(expected) + integer_rank(given) > 2:
        return False
    a, b = as_float(expected), as_float(given)
    return abs(a - b) <= ROUNDING * max(MIN_SCALE, abs(a))


def plain(value: Any) -> Any:
    """A token as Python's own value: numpy's scalars become ints, floats, bools and strings.

    Raises RaspValueError for an int beyond the limit on bits, which Python does not even print.
    """
    if isinstance(value, str):
        return str(value)
    # numpy's arrays have `item` too, but also a length; they are left for the caller to refuse
    if hasattr(value, "item") and not hasattr(value, "__len__"):
        return value.item()
    if isinstance(value, int) and value.bit_length() > max(64, current().bits):
        message = f"an int has {value.bit_length():,} bits; at most {current().bits:,} are allowed"
        raise RaspValueError(message, hint=way_out("bits"))
    return value


# Text -------------------------------------------------------------------------------------------

MAX_TOKEN = 8
"""Columns of a token beside a grid."""

PRINTABLE = re.compile(r'[^"\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+')
"""Characters that a file may have between double quotes; others are written as chr(n)."""


def value_text(value: Any) -> str:
    """A value as a cell shows it: strings bare, booleans T and F, floats to 3 decimals."""
    if isinstance(value, bool):
        return "T" if value else "F"
    if isinstance(value, float):
        return str(round(value, 3))
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(map(value_text, value))}]"
    return str(value)


def literal(value: Any) -> str:
    """A value inside a message or label: strings in double quotes, floats as Python writes them."""
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, tuple):
        return f"[{', '.join(map(literal, value))}]"
    return repr(value)


def source_text(value: Value) -> str:
    """An atom, list or dict's pairs as a RASP expression of the very same value and type."""
    if isinstance(value, tuple):
        return f"[{', '.join(map(source_text, value))}]"
    if isinstance(value, str):
        return _string_source(value)
    return _float_source(value) if isinstance(value, float) else str(value)


def _float_source(value: float) -> str:
    """Digits, a dot and digits: the language has no exponents, and no names for inf and nan."""
    from decimal import Decimal

    if math.isnan(value):
        infinite = _float_source(math.inf)
        return f"({infinite} - {infinite})"
    sign = "-" if math.copysign(1, value) < 0 else ""
    if math.isinf(value):
        # the text of 1e308 times 10 is inf; inf - inf is nan
        return f"{sign}(1{'0' * 308}.0 * 10)"
    # repr is the shortest text that reads back as the same float; Decimal keeps its digits
    digits = format(abs(Decimal(repr(value))), "f")
    return f"{sign}{digits}" if "." in digits else f"{sign}{digits}.0"


def _string_source(value: str) -> str:
    """A string between double quotes, joined with the characters that cannot stand there."""
    parts, start = [], 0
    for match in PRINTABLE.finditer(value):
        parts += [f"chr({ord(c)})" for c in value[start : match.start()]]
        parts.append(f'"{match.group()}"')
        start = match.end()
    parts += [f"chr({ord(c)})" for c in value[start:]]
    return " + ".join(parts) or '""'


def kind_text(values: Sequence[Value]) -> str:
    """What a sequence holds: strings, bools, ints, floats or values."""
    kinds = {type(v) for v in values}
    for names, plural in (({str}, "strings"), ({bool}, "bools"), ({int, bool}, "ints")):
        if kinds <= names:
            return plural
    return "floats" if kinds <= {int, bool, float} else "values"


def input_text(tokens: Sequence[Value]) -> str:
    """An input as one writes it: characters in quotes, anything else as a list."""
    characters = [t for t in tokens if isinstance(t, str) and len(t) == 1]
    if tokens and len(characters) == len(tokens):
        return f'"{"".join(characters)}"'
    return "[" + ", ".join(f'"{t}"' if isinstance(t, str) else value_text(t) for t in tokens) + "]"


def sop_line(name: str, tokens: Sequence[Value], values: Sequence[Value]) -> str:
    """One s-op on one input: `reverse("abc") = [c, b, a] (strings)`."""
    shown = ", ".join(map(value_text, values))
    return f"{name}({input_text(tokens)}) = [{shown}] ({kind_text(values)})"


def aligned(rows: Sequence[tuple[str, Sequence[Value]]]) -> str:
    """S-ops under each other, position by position.

    rows  (name, values) of each, with equally many values
    """
    cells = [[name, *map(value_text, values)] for name, values in rows]
    return "\n".join(lined_up(cells, "<" + ">" * (len(cells[0]) - 1)))


def grid(
    matrix: Bool[np.ndarray, "query key"], row_tokens: Sequence[str], col_tokens: Sequence[str]
) -> str:
    """A selector as text: keys along the top, one line per query, `■` where it selects."""
    w = max(map(width, col_tokens), default=1)
    head = max(map(width, row_tokens), default=1)
    top = pad("", head) + "   " + " ".join(pad(t, w, ">") for t in col_tokens)
    lines = [
        pad(t, head) + " │ " + " ".join(pad("■" if cell else "·", w, ">") for cell in row)
        for t, row in zip(row_tokens, matrix, strict=True)
    ]
    return "\n".join([top, *lines])


def selector_grid(matrix: Bool[np.ndarray, "query key"], tokens: Sequence[Value]) -> str:
    """A selector as `grid`, under its tokens; long ones are cut."""
    texts = [clip(value_text(t), MAX_TOKEN) for t in tokens]
    return grid(matrix, texts, texts)

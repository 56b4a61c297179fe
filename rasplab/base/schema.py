"""Reading JSON that others may have written: text -> values that a schema has checked.

A schema is a function `(value, where) -> value` that raises `SchemaError` for a value that it does
not describe. `where` is the place inside the document, as in `nodes[3][1]`. Combine the functions
below: `record({"step": integer(0), "curve": array(number())})`.

`read_json` is the one reader of JSON files of the package: whatever is wrong with a file is one
FileError with its path, the place and what is accepted.
"""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

from rasplab.base.errors import FileError
from rasplab.base.limits import current
from rasplab.base.text import clipped

Schema: TypeAlias = Callable[[Any, str], Any]
"""Returns the value, or raises SchemaError."""

MAX_BYTES = 1 << 28
"""The largest file that is read: 256 MiB."""

MAX_DEPTH = 100
"""How deep lists and objects may nest: far below what exhausts the stack of Python's reader."""

MAX_DIGITS = 4000
"""Digits of an integer, where the limit on bits does not allow more."""


class SchemaError(ValueError):
    """A value that is not as its schema says; the message has place, value and what is accepted."""


class NotJsonError(SchemaError):
    """A text that is not JSON at all, perhaps one that was cut short."""


# Reading ----------------------------------------------------------------------------------------


def read_json(path: Path, schema: Schema, *, hint: str, fault: str = "is damaged") -> Any:
    """The document in a file, checked.

    hint   the way out
    fault  what the message says of the file before the reason

    Raises FileError for a file that is missing, cannot be read, is too large, is not JSON, or is
    not as the schema says.
    """
    text = read_text(path, hint=hint, fault=fault)
    return parse_json(text, schema, where=str(path), hint=hint, fault=fault)


def read_text(
    path: Path, *, hint: str, fault: str = "is damaged", max_bytes: int = MAX_BYTES
) -> str:
    """The text of a file of UTF-8. Raises FileError as `read_json` does."""
    try:
        if not path.is_file():
            raise FileError(f"{path} is missing", hint=hint)
        size = path.stat().st_size
        if size > max_bytes:
            raise FileError(
                f"{path} {fault}: it has {size:,} bytes, and may have {max_bytes:,}", hint=hint
            )
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise FileError(f"{path} {fault}: it is not UTF-8 text", hint=hint) from None
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror or error}", hint=hint) from None


def parse_json(
    text: str, schema: Schema, *, where: str, hint: str, fault: str = "is damaged"
) -> Any:
    """The document that `text` writes, checked.

    where  what the text is called in messages, as a path

    Raises FileError for a text that is not JSON, or not as the schema says.
    """
    try:
        return schema(loads(text), "")
    except SchemaError as error:
        raise FileError(f"{where} {fault}: {error}", hint=hint) from None


def read_toml(path: Path, *, hint: str) -> dict[str, Any]:
    """The tables of a TOML file; what they hold is not checked.

    Raises FileError for a file that is missing, cannot be read, is too large, or is not TOML.
    """
    try:
        return tomllib.loads(read_text(path, hint=hint, fault="is not valid TOML"))
    except RecursionError:
        raise FileError(f"{path} is not valid TOML: it nests too deep", hint=hint) from None
    except ValueError as error:
        reason = " ".join(str(error).split())
        raise FileError(f"{path} is not valid TOML: {reason}", hint=hint) from None


def loads(text: str) -> Any:
    """`json.loads` for texts of others.

    Raises SchemaError for what is not JSON, for nan, infinite numbers and numbers beyond a float64,
    for integers of too many digits, for nesting beyond MAX_DEPTH, and for characters
    that UTF-8 does not have.
    """
    if depth(text) > MAX_DEPTH:
        raise SchemaError(f"it nests lists and objects more than {MAX_DEPTH} deep")
    try:
        value = json.loads(text, parse_int=_integer, parse_float=_float, parse_constant=_constant)
    except json.JSONDecodeError as error:
        raise NotJsonError(
            f"it is not JSON ({error.msg}, line {error.lineno}, column {error.colno})"
        ) from error
    if "\\u" in text.lower() or not _encodable(text):
        _require_encodable(value)
    return value


_STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)


def depth(text: str) -> int:
    """How deep lists and objects nest in a JSON text; brackets inside strings do not count."""
    deepest = level = 0
    for match in _STRING_OR_BRACKET.finditer(text):
        match match[0]:
            case "[" | "{":
                level += 1
                deepest = max(deepest, level)
            case "]" | "}":
                level -= 1
    return deepest


def _integer(digits: str) -> int:
    if len(digits) > max(MAX_DIGITS, current().bits * 302 // 1000 + 1):  # log10(2) < 0.302
        raise SchemaError(f"it holds a number of {len(digits):,} digits")
    return int(digits)


def _float(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise SchemaError(f"it holds the number {clipped(digits)}, which no float64 holds")
    return value


def _constant(name: str) -> NoReturn:
    raise SchemaError(f"it holds {name}, which is not a number of JSON")


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _require_encodable(value: Any) -> None:
    """Raise SchemaError where a string in `value` has half of a surrogate pair."""
    for part in _strings(value):
        if not _encodable(part):
            raise SchemaError(f"it holds the text {part!a}, which UTF-8 cannot write")


def _strings(value: Any) -> Sequence[str]:
    match value:
        case str():
            return [value]
        case list():
            return [text for item in value for text in _strings(item)]
        case dict():
            return [text for pair in value.items() for item in pair for text in _strings(item)]
    return []


# Schemas ----------------------------------------------------------------------------------------


def refuse(value: object, where: str, accepted: str) -> NoReturn:
    """Raise the SchemaError of a value that is not what is accepted."""
    raise SchemaError(f"{where or 'it'} is {_shown(value)}; it has to be {accepted}")


def _shown(value: object) -> str:
    try:
        return clipped(json.dumps(value, default=str))
    except (RecursionError, ValueError):  # nested too deep; an int of more digits than it writes
        return f"a value of type {type(value).__name__}"


def integer(least: int | None = None, most: int | None = None) -> Schema:
    """An integer from `least` to `most`; true and false are none."""

    def check(value: Any, where: str) -> int:
        if type(value) is not int or not _in_range(value, least, most):
            refuse(value, where, "an integer" + _range_text(least, most))
        return value

    return check


def number(least: float | None = None, most: float | None = None) -> Schema:
    """A finite number from `least` to `most`, as written: an int stays an int."""

    def check(value: Any, where: str) -> float:
        if type(value) not in (int, float) or not _in_range(value, least, most):
            refuse(value, where, "a number" + _range_text(least, most))
        return value

    return check


def _in_range(value: float, least: float | None, most: float | None) -> bool:
    if isinstance(value, float) and not math.isfinite(value):
        return False
    return (least is None or value >= least) and (most is None or value <= most)


def _range_text(least: float | None, most: float | None) -> str:
    low = "" if least is None else f" of at least {least:,}"
    high = "" if most is None else f" of at most {most:,}"
    return f"{low}{' and' if low and high else ''}{high}"


def string(value: Any, where: str) -> str:
    """A string."""
    if not isinstance(value, str):
        refuse(value, where, "a string")
    return value


def boolean(value: Any, where: str) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        refuse(value, where, "true or false")
    return value


def atom(value: Any, where: str) -> str | int | float | bool:
    """A token or a constant: a string, a finite number, true or false."""
    if not isinstance(value, str | int | float) or (
        isinstance(value, float) and not math.isfinite(value)
    ):
        refuse(value, where, "a string, a number, true or false")
    return value


def plain(value: Any, where: str) -> Any:
    """Any value; what it holds is checked by its user."""
    return value


def one_of(*choices: object) -> Schema:
    """One of the values; 1, 1.0 and true are different."""

    def check(value: Any, where: str) -> Any:
        if not any(type(value) is type(choice) and value == choice for choice in choices):
            names = [json.dumps(choice) for choice in choices]
            refuse(value, where, " or ".join(names))
        return value

    return check


def nullable(schema: Schema) -> Schema:
    """Null, or what `schema` describes."""
    return lambda value, where: None if value is None else schema(value, where)


def array(item: Schema, least: int = 0, most: int | None = None) -> Schema:
    """A list of `least` to `most` items of one kind."""

    def check(value: Any, where: str) -> list:
        if not isinstance(value, list) or not _in_range(len(value), least, most):
            many = f" with a length{_range_text(least, most)}" if least or most is not None else ""
            refuse(value, where, "a list" + many)
        return [item(part, f"{where}[{i}]") for i, part in enumerate(value)]

    return check


def row(*items: Schema) -> Schema:
    """A list with one item of each schema."""

    def check(value: Any, where: str) -> list:
        if not isinstance(value, list) or len(value) != len(items):
            refuse(value, where, f"a list of {len(items)} items")
        return [
            item(part, f"{where}[{i}]")
            for i, (item, part) in enumerate(zip(items, value, strict=True))
        ]

    return check


def mapping(item: Schema) -> Schema:
    """An object with any names, and values of one kind."""

    def check(value: Any, where: str) -> dict:
        if not isinstance(value, dict):
            refuse(value, where, "an object")
        return {name: item(part, _inside(where, name)) for name, part in value.items()}

    return check


def record(
    required: Mapping[str, Schema],
    optional: Mapping[str, Schema] | None = None,
    further: bool = True,
) -> Schema:
    """An object with the required names, and perhaps the optional ones.

    further  whether other names are accepted; they are passed on unchecked
    """
    schemas = {**(optional or {}), **required}

    def check(value: Any, where: str) -> dict:
        if not isinstance(value, dict):
            refuse(value, where, "an object")
        missing = [name for name in required if name not in value]
        if missing:
            raise SchemaError(f"{where or 'it'} lacks {', '.join(missing)}")
        unknown = [] if further else sorted(set(value) - set(schemas))
        if unknown:
            raise SchemaError(f"{where or 'it'} has the unknown entry {clipped(unknown[0])}")
        return {
            name: schemas.get(name, plain)(part, _inside(where, name))
            for name, part in value.items()
        }

    return check


def _inside(where: str, name: str) -> str:
    return f"{where}.{clipped(name)}" if where else clipped(name)

"""What RASP expressions evaluate to while a text is elaborated, and how it is shown.

Atoms are Python's int, float, str, bool; lists and dicts are Python's; the other kinds are here. An
s-op or a selector is a node of the program graph under a name. The language renames: after
`a = indices;` the same s-op is shown as `a` everywhere, so the name of a `NamedNode` can change.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rasplab.lang.elaborate.scope import Scope
from rasplab.lang.syntax.ast import Expr, Statement
from rasplab.program.interpret.exact import Column, checked
from rasplab.program.interpret.transcript_faults import with_article
from rasplab.program.values import kind_text, value_text

MAX_NAME = 30
"""Longer names are shown as the plain name of their kind."""

MAX_LIST_TEXT = 20
"""Longer lists and dicts in the name of a function's result are shown as (list), (dict)."""


class NamedNode:
    """An s-op or a selector: a node id in the builder of its elaborator, and a name.

    plain  the name of one that has no other
    """

    __slots__ = ("id", "name")
    plain: str

    def __init__(self, id: int, name: str | None = None):
        self.id = id
        self.rename(self.plain if name is None else name)

    def rename(self, name: str) -> None:
        """Give it another name, or the plain one where that is too long."""
        self.name = name if len(name) <= MAX_NAME else self.plain


class SOp(NamedNode):
    """A value per position."""

    __slots__ = ()
    plain = "s-op"


class Selector(NamedNode):
    """True or False per query and key."""

    __slots__ = ()
    plain = "plain select"


@dataclass(frozen=True, slots=True, eq=False)
class Function:
    """A function of the text, closed over its scope by reference."""

    name: str
    parameters: tuple[str, ...]
    body: tuple[Statement, ...]
    results: tuple[Expr, ...]
    scope: Scope
    creator: str


@dataclass(frozen=True, slots=True, eq=False)
class Builtin:
    """A function of the library that makes nodes itself: apply(operators, span, arguments)."""

    name: str
    parameters: tuple[str, ...]
    apply: Callable[..., Any]
    creator: str


@dataclass(frozen=True, slots=True, eq=False)
class Applied:
    """The column of an s-op or a selector on an input."""

    column: Column
    is_selector: bool
    tokens: tuple


Value = Any
"""int | float | str | bool | list | dict | SOp | Selector | Function | Builtin | Applied"""


def is_atom(value: Value) -> bool:
    """Whether it is an int, float, str or bool."""
    return isinstance(value, int | float | str)


def is_function(value: Value) -> bool:
    """Whether it can be called with arguments."""
    return isinstance(value, Function | Builtin)


def kind(value: Value) -> str:
    """The word for the kind of a value."""
    if isinstance(value, NamedNode):
        return "selector" if isinstance(value, Selector) else "s-op"
    if is_function(value):
        return "function"
    if isinstance(value, Applied):
        return "value of a selector" if value.is_selector else "value of an s-op"
    return type(value).__name__


def a_kind(value: Value) -> str:
    """The word for the kind of a value, after "a" or "an"."""
    return with_article(kind(value))


def describe(value: Value, most: int | None = None) -> str:
    """A value inside a line of the transcript: strings in quotes, nodes and functions by name.

    most  characters of a list or dict, beyond which it is shown as (list) or (dict)
    """
    if isinstance(value, NamedNode | Function | Builtin):
        return value.name
    if isinstance(value, list):
        return _capped("[" + ", ".join([describe(v) for v in value]) + "]", most, "(list)")
    if isinstance(value, dict):
        items = [f"{describe(k)}: {describe(v)}" for k, v in value.items()]
        return _capped("{" + ", ".join(items) + "}", most, "(dict)")
    return f'"{value}"' if isinstance(value, str) else plain_text(value)


def _capped(text: str, most: int | None, stand_in: str) -> str:
    return stand_in if most is not None and len(text) > most else text


def plain_text(value: Value) -> str:
    """A value as the reference prints it by itself: as Python does, nodes and functions by name."""
    if isinstance(value, NamedNode | Function | Builtin):
        return value.name
    if isinstance(value, Applied):
        return "a selector's matrix" if value.is_selector else sequence_text(value.column)
    if isinstance(value, list):
        return "[" + ", ".join([_inside(v) for v in value]) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join([f"{k!r}: {_inside(v)}" for k, v in value.items()]) + "}"
    return str(value)


def _inside(value: Value) -> str:
    return repr(value) if is_atom(value) else plain_text(value)


def sequence_text(values: list[Any]) -> str:
    """An s-op's values on one line: `[0, 0.5] (floats)`, `[5]*3 (ints)`."""
    kinds = column_kind(values)
    if len(values) > 1 and all(v == values[0] for v in values):
        return f"[{value_text(values[0])}]*{len(values)} ({kinds})"
    return f"[{', '.join(map(value_text, values))}] ({kinds})"


def column_kind(values: list[Any]) -> str:
    """What an s-op holds on an input: "strings", "bools", "ints" or "floats".

    Raises RaspTypeError for a list at every position, which only `constant` makes.
    """
    return kind_text(checked(values, None))

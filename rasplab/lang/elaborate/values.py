"""What RASP expressions evaluate to while a text is elaborated, and how it is shown.

Atoms are Python's int, float, str, bool; lists and dicts are Python's; the other kinds are here. An
s-op or a selector is a node of the program graph under a name. The language renames: after
`a = indices;` the same s-op is shown as `a` everywhere, so the name of a `Node` can change.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rasplab.lang.elaborate.scope import Scope
from rasplab.lang.syntax.ast import Expr, Statement
from rasplab.program.interpret.exact import Column, checked
from rasplab.program.interpret.transcript_faults import with_article

MAX_NAME = 30
"""Longer names are shown as the plain name of their kind."""

MAX_LIST_TEXT = 20
"""Longer lists and dicts in the name of a function's result are shown as (list), (dict)."""


class Node:
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


class SOp(Node):
    """A value per position."""

    __slots__ = ()
    plain = "s-op"


class Selector(Node):
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
    if isinstance(value, Node):
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
    """A value inside a line of text; a list or dict of more than `most` characters as (list) or
    (dict)."""
    if isinstance(value, Node | Function | Builtin):
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
    """A value as Python's str shows it; nodes and functions by name."""
    if isinstance(value, Node | Function | Builtin):
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


def sequence_text(values: list) -> str:
    """An s-op's values on one line: `[0, 0.5] (floats)`, `[5]*3 (ints)`."""
    if len(values) > 1 and all(v == values[0] for v in values):
        return f"[{element_text(values[0])}]*{len(values)} ({type_word(values)}s)"
    return f"[{', '.join([element_text(v) for v in values])}] ({type_word(values)}s)"


def element_text(value: Value) -> str:
    """A value inside a sequence: floats to 3 decimals, bools as T and F, strings bare."""
    if isinstance(value, float):
        return str(round(value, 3))
    if isinstance(value, bool):
        return "T" if value else "F"
    return str(value)


def type_word(values: list) -> str:
    """The type of an s-op on an input: the first that fits all values."""
    for kind_, word in ((str, "string"), (bool, "bool"), (int, "int")):
        if all(isinstance(v, kind_) for v in values):
            return word
    checked(values, None)
    return "float"

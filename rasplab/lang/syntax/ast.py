"""The syntax tree of RASP: expressions, statements and commands as frozen dataclasses.

Each node carries the span of the text it was read from. Nothing is resolved here: a `Name` may turn
out to be an s-op, a selector, a function or a number.
"""

from __future__ import annotations

from dataclasses import dataclass

from rasplab.base.errors import Source, Span
from rasplab.program.values import Atom

# Nodes have no `__eq__` (they are compared by identity) and no slots: making these for all classes
# took a tenth of the time of `rasplab run`.


@dataclass(frozen=True, eq=False)
class Literal:
    """A number or a string."""

    value: Atom
    span: Span


@dataclass(frozen=True, eq=False)
class Name:
    """A variable."""

    id: str
    span: Span


@dataclass(frozen=True, eq=False)
class ListOf:
    """A list: `[a, b]`."""

    items: tuple[Expr, ...]
    span: Span


@dataclass(frozen=True, eq=False)
class DictOf:
    """A dict: `{k: v, ...}`."""

    pairs: tuple[tuple[Expr, Expr], ...]
    span: Span


@dataclass(frozen=True, eq=False)
class ListFor:
    """A list comprehension: `[item for names in iterable]`."""

    item: Expr
    names: tuple[str, ...]
    iterable: Expr
    span: Span


@dataclass(frozen=True, eq=False)
class DictFor:
    """A dict comprehension: `{key: value for names in iterable}`."""

    key: Expr
    value: Expr
    names: tuple[str, ...]
    iterable: Expr
    span: Span


@dataclass(frozen=True, eq=False)
class Unary:
    """An operation on one operand: `not a`, `-a`, `+a`, `round(a)`, `indicator(a)`."""

    op: str
    operand: Expr
    span: Span


@dataclass(frozen=True, eq=False)
class Binary:
    """An operation on two operands: `left op right`, where `in` is one of the ops."""

    op: str
    left: Expr
    right: Expr
    span: Span


@dataclass(frozen=True, eq=False)
class IfElse:
    """A choice: `then if condition else other`."""

    then: Expr
    condition: Expr
    other: Expr
    span: Span


@dataclass(frozen=True, eq=False)
class Index:
    """One item, or the items at an s-op's values: `container[key]`."""

    container: Expr
    key: Expr
    span: Span


@dataclass(frozen=True, eq=False)
class Call:
    """A function's call, or an s-op or selector applied to an input: `function(arguments)`."""

    function: Expr
    arguments: tuple[Expr, ...]
    span: Span


@dataclass(frozen=True, eq=False)
class SelectForm:
    """A selector: `select(keys, queries, predicate)`."""

    keys: Expr
    queries: Expr
    predicate: str
    span: Span


@dataclass(frozen=True, eq=False)
class AggregateForm:
    """An aggregation: `aggregate(selector, values, default)`."""

    selector: Expr
    values: Expr
    default: Expr | None
    span: Span


@dataclass(frozen=True, eq=False)
class Form:
    """The forms on lists: `range(...)`, `zip(...)`, `len(...)`."""

    name: str
    arguments: tuple[Expr, ...]
    span: Span


Expr = (
    Literal
    | Name
    | ListOf
    | DictOf
    | ListFor
    | DictFor
    | Unary
    | Binary
    | IfElse
    | Index
    | Call
    | SelectForm
    | AggregateForm
    | Form
)


@dataclass(frozen=True, eq=False)
class Expression:
    """An expression as a statement: `e;`."""

    expr: Expr
    span: Span


@dataclass(frozen=True, eq=False)
class Assign:
    """An assignment: `a, b = e1, e2;`."""

    names: tuple[str, ...]
    values: tuple[Expr, ...]
    span: Span


@dataclass(frozen=True, eq=False)
class Define:
    """A function: `def name(parameters) { body return results; }`."""

    name: str
    parameters: tuple[str, ...]
    body: tuple[Statement, ...]
    results: tuple[Expr, ...]
    span: Span


@dataclass(frozen=True, eq=False)
class Loop:
    """A loop: `for names in iterable { body }`."""

    names: tuple[str, ...]
    iterable: Expr
    body: tuple[Statement, ...]
    span: Span


@dataclass(frozen=True, eq=False)
class Load:
    """The run of another file: `load "path";`."""

    path: str
    span: Span


@dataclass(frozen=True, eq=False)
class Draw:
    """A picture of an s-op's computation: `draw(sop, tokens);`."""

    sop: Expr
    tokens: Expr | None
    span: Span


@dataclass(frozen=True, eq=False)
class SetExample:
    """A new example: `set [s-op|selector] example e`; `which` is "s-op", "selector" or "both"."""

    which: str
    value: Expr
    span: Span


@dataclass(frozen=True, eq=False)
class ShowExample:
    """The question for the example: `show [s-op|selector] example`."""

    which: str
    span: Span


@dataclass(frozen=True, eq=False)
class SwitchExamples:
    """Whether values are shown on the example: `[s-op|selector] examples on|off`."""

    which: str
    on: bool
    span: Span


@dataclass(frozen=True, eq=False)
class SwitchDisplay:
    """Whether s-ops are shown on two lines: `full seq display on|off`."""

    on: bool
    span: Span


@dataclass(frozen=True, eq=False)
class Leave:
    """The end of a session: `exit`, `quit`."""

    span: Span


Statement = Expression | Assign | Define | Loop | Load | Draw
Command = SetExample | ShowExample | SwitchExamples | SwitchDisplay | Leave
COMMANDS = (SetExample, ShowExample, SwitchExamples, SwitchDisplay, Leave)
"""What controls a REPL or a notebook; a program that is loaded ignores it, except `exit`."""


@dataclass(frozen=True, eq=False)
class Module:
    """A whole text: its statements and commands in order."""

    source: Source
    items: tuple[Statement | Command, ...]

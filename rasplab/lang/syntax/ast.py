"""The syntax tree of RASP: frozen dataclasses, each with the span of the text it was read from."""

from __future__ import annotations

from dataclasses import dataclass

from rasplab.base.errors import Source, Span
from rasplab.program.values import Atom


@dataclass(frozen=True, slots=True)
class Literal:
    """A number or a string."""

    value: Atom
    span: Span


@dataclass(frozen=True, slots=True)
class Name:
    """A variable."""

    id: str
    span: Span


@dataclass(frozen=True, slots=True)
class ListOf:
    """`[a, b]`."""

    items: tuple[Expr, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class DictOf:
    """`{k: v, ...}`."""

    pairs: tuple[tuple[Expr, Expr], ...]
    span: Span


@dataclass(frozen=True, slots=True)
class ListFor:
    """`[item for names in over]`."""

    item: Expr
    names: tuple[str, ...]
    over: Expr
    span: Span


@dataclass(frozen=True, slots=True)
class DictFor:
    """`{key: value for names in over}`."""

    key: Expr
    value: Expr
    names: tuple[str, ...]
    over: Expr
    span: Span


@dataclass(frozen=True, slots=True)
class Unary:
    """`not a`, `-a`, `+a`, `round(a)`, `indicator(a)`."""

    op: str
    operand: Expr
    span: Span


@dataclass(frozen=True, slots=True)
class Binary:
    """`left op right`; `in` is one of the ops."""

    op: str
    left: Expr
    right: Expr
    span: Span


@dataclass(frozen=True, slots=True)
class IfElse:
    """`then if condition else other`."""

    then: Expr
    condition: Expr
    other: Expr
    span: Span


@dataclass(frozen=True, slots=True)
class Index:
    """`of[at]`."""

    of: Expr
    at: Expr
    span: Span


@dataclass(frozen=True, slots=True)
class Call:
    """`function(arguments)`: a function's call, or an s-op or selector put to an input."""

    function: Expr
    arguments: tuple[Expr, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class SelectForm:
    """`select(keys, queries, predicate)`."""

    keys: Expr
    queries: Expr
    predicate: str
    span: Span


@dataclass(frozen=True, slots=True)
class AggregateForm:
    """`aggregate(selector, values, default)`."""

    selector: Expr
    values: Expr
    default: Expr | None
    span: Span


@dataclass(frozen=True, slots=True)
class Form:
    """`range(...)`, `zip(...)`, `len(...)`."""

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


@dataclass(frozen=True, slots=True)
class Expression:
    """`e;`"""

    expr: Expr
    span: Span


@dataclass(frozen=True, slots=True)
class Assign:
    """`a, b = e1, e2;`"""

    names: tuple[str, ...]
    values: tuple[Expr, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Define:
    """`def name(parameters) { body return results; }`"""

    name: str
    parameters: tuple[str, ...]
    body: tuple[Statement, ...]
    results: tuple[Expr, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Loop:
    """`for names in over { body }`"""

    names: tuple[str, ...]
    over: Expr
    body: tuple[Statement, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Load:
    """`load "path";`"""

    path: str
    span: Span


@dataclass(frozen=True, slots=True)
class Draw:
    """`draw(sop, on);`"""

    sop: Expr
    on: Expr | None
    span: Span


@dataclass(frozen=True, slots=True)
class SetExample:
    """`set [s-op|selector] example e`; which is "s-op", "selector" or "both"."""

    which: str
    value: Expr
    span: Span


@dataclass(frozen=True, slots=True)
class ShowExample:
    """`show [s-op|selector] example`"""

    which: str
    span: Span


@dataclass(frozen=True, slots=True)
class SwitchExamples:
    """`[s-op|selector] examples on|off`"""

    which: str
    on: bool
    span: Span


@dataclass(frozen=True, slots=True)
class SwitchDisplay:
    """`full seq display on|off`"""

    on: bool
    span: Span


@dataclass(frozen=True, slots=True)
class Leave:
    """`exit`, `quit`"""

    span: Span


Statement = Expression | Assign | Define | Loop | Load | Draw
Command = SetExample | ShowExample | SwitchExamples | SwitchDisplay | Leave
COMMANDS = (SetExample, ShowExample, SwitchExamples, SwitchDisplay, Leave)


@dataclass(frozen=True, slots=True)
class Module:
    """A whole text: its statements and commands in order."""

    source: Source
    items: tuple[Statement | Command, ...]

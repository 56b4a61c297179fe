"""S-ops and selectors that Python builds, and `program`, which makes a Program of one.

Each object holds the syntax node that a RASP text would have, over its operands. `program` has the
elaborator evaluate them, operands first, so graph, checks and errors are those of the text, placed
at the line of Python that built the object.
"""

from __future__ import annotations

import linecache
import operator
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from types import FrameType
from typing import Any, ClassVar, Self, TypeVar

from rasplab.base.arguments import shown
from rasplab.base.errors import RaspError, Source, Span
from rasplab.lang.elaborate.elaborator import Elaborator
from rasplab.lang.elaborate.library import with_library
from rasplab.lang.elaborate.scope import Scope
from rasplab.lang.elaborate.values import NamedNode
from rasplab.lang.printing.unparse import is_assignable
from rasplab.lang.syntax import ast as s
from rasplab.program.graph import Program
from rasplab.program.interpret.exact import evaluate
from rasplab.program.values import MAX_SAME_HASH, Atom, is_crowded, source_text
from rasplab.program.values import plain as plain_value
from rasplab.program.zoo import PACKAGE

COMPARISONS: dict[Any, str] = {
    operator.eq: "==",
    operator.ne: "!=",
    operator.lt: "<",
    operator.le: "<=",
    operator.gt: ">",
    operator.ge: ">=",
}
"""Python's comparison functions -> how RASP writes them."""

MAX_TEXT = 60
"""Characters of an expression in messages; longer ones are shown as "s-op" or "selector"."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a Python file an object was built: lines from 1, columns in bytes from 0."""

    file: str
    line: int
    end_line: int
    column: int
    end_column: int


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Built:
    """An s-op or selector that Python builds: a syntax node over operands.

    form      makes its syntax node: form(*operands as syntax, span=...)
    operands  s-ops, selectors, atoms, lists, dicts
    text      how RASP writes it
    place     where Python built it, where that is known
    name      the name that its program gives it
    """

    word: ClassVar[str] = "s-op or selector"
    __array_ufunc__: ClassVar[None] = None  # numpy's scalars leave `scalar + s-op` to __radd__

    form: Callable[..., s.Expr]
    operands: tuple[Any, ...]
    text: str
    place: Place | None
    name: str | None = None

    def named(self, name: str) -> Self:
        """The same s-op or selector under a name, which its program then has.

        Raises ValueError for what RASP cannot assign: keywords, `indices`, what is no identifier.
        """
        if not isinstance(name, str) or not is_assignable(name):
            raise ValueError(f"{shown(name)} is not a name that RASP can assign; use another")
        return replace(self, name=name, text=name)

    def __call__(self, tokens: Sequence[Atom]) -> Any:
        """The value on an input: an s-op's list, or a selector's bool matrix [query, key]."""
        return evaluate(program(self), tokens).output

    def __repr__(self) -> str:
        return f"<{self.word}>" if self.text == self.word else f"<{self.word}: {self.text}>"

    def __bool__(self) -> bool:
        raise TypeError(
            f"{self!r} is neither true nor false: it has a value per position; write a & b, a | b, "
            "~a for and, or, not, and where(c, a, b) for a choice"
        )

    def __iter__(self) -> Iterator:
        raise TypeError(f"{self!r} cannot be iterated; call it with an input for its values")


class Selector(Built):
    """True or False for every query and key; selectors combine by `&`, `|` and `~`."""

    __slots__ = ()
    word = "selector"

    def __and__(self, other: Selector) -> Selector:
        return _binary("and", self, other) if isinstance(other, Selector) else NotImplemented

    def __or__(self, other: Selector) -> Selector:
        return _binary("or", self, other) if isinstance(other, Selector) else NotImplemented

    def __invert__(self) -> Selector:
        return _unary("not", self)


Method = Callable[["SOp", Any], "SOp"]


def _forward(op: str) -> Method:
    """A method for `self op other`."""
    return lambda self, other: _binary(op, self, other) if _is_operand(other) else NotImplemented


def _both(op: str) -> tuple[Method, Method]:
    """Methods for `self op other` and `other op self`."""

    def backward(self: SOp, other: Any) -> Any:
        return _binary(op, other, self) if _is_operand(other) else NotImplemented

    return _forward(op), backward


class SOp(Built):
    """A value per position; operators act at each position, and `&`, `|`, `~` mean and, or, not."""

    __slots__ = ()
    word = "s-op"

    __add__, __radd__ = _both("+")
    __sub__, __rsub__ = _both("-")
    __mul__, __rmul__ = _both("*")
    __truediv__, __rtruediv__ = _both("/")
    __floordiv__, __rfloordiv__ = _both("//")
    __mod__, __rmod__ = _both("%")
    __pow__, __rpow__ = _both("^")
    __and__, __rand__ = _both("and")
    __or__, __ror__ = _both("or")
    # Python itself turns `1 < x` into `x > 1`.
    __lt__ = _forward("<")
    __le__ = _forward("<=")
    __gt__ = _forward(">")
    __ge__ = _forward(">=")

    # typeshed's `object` declares that these two return bool.
    def __eq__(self, other: Any) -> SOp:  # pyright: ignore[reportIncompatibleMethodOverride]
        return _forward("==")(self, other)

    def __ne__(self, other: Any) -> SOp:  # pyright: ignore[reportIncompatibleMethodOverride]
        return _forward("!=")(self, other)

    def __hash__(self) -> int:
        return object.__hash__(self)

    def __neg__(self) -> SOp:
        return _unary("-", self)

    def __pos__(self) -> SOp:
        return _unary("+", self)

    def __invert__(self) -> SOp:
        return _unary("not", self)

    def map(self, table: dict[Any, Any] | Sequence[Any]) -> SOp:
        """The value that `table` has for each value: a dict by key, a list or string by position.

        Raises TypeError for a table of another kind.
        """
        if not isinstance(table, dict | list | tuple | str):
            raise TypeError(f"map takes a dict, list or string, not {shown(table)}")
        return make(SOp, s.Index, (table, self), f"{text_of(table)}[{self.text}]")

    def __round__(self, ndigits: None = None) -> SOp:
        return _unary("round", self)

    def __getitem__(self, position: int) -> SOp:
        """The value at one position, everywhere; from the end when negative."""
        if not isinstance(position, int):
            raise TypeError(f"an s-op is indexed by an int, not by {shown(position)}; see lookup")
        return make(SOp, s.Index, (self, position), f"{self.text}[{position}]")

    def __contains__(self, item: Any) -> bool:
        raise TypeError("`in` gives one True or False; write isin(item, s-op)")


def _is_operand(value: Any) -> bool:
    return isinstance(value, SOp | int | float | str | list | tuple) or hasattr(value, "item")


MAX_NESTING = 100
"""How deep the lists and dicts of an operand may nest."""


def _plain(value: Any, depth: int = 0) -> Any:
    """An operand with tuples as lists and numpy's scalars as Python's."""
    if depth > MAX_NESTING:
        raise TypeError(f"an operand nests lists more than {MAX_NESTING} deep")
    if hasattr(value, "item"):
        return value.item()
    if isinstance(value, Built):
        return value
    if isinstance(value, int | float | str):
        return plain_value(value)
    if isinstance(value, list | tuple):
        return [_plain(v, depth + 1) for v in value]
    if isinstance(value, dict):
        if is_crowded(value):
            raise ValueError(f"more than {MAX_SAME_HASH:,} keys of the dict have one hash")
        return {_plain(k): _plain(v, depth + 1) for k, v in value.items()}
    kinds = "an s-op, selector, number, string, bool, list or dict"
    raise TypeError(f"an operand is {kinds}, not {shown(value)}")


Made = TypeVar("Made", bound=Built)


def make(
    cls: type[Made], form: Callable[..., s.Expr], operands: tuple[Any, ...], text: str
) -> Made:
    """An s-op or selector of a form, as `text` if that is short.

    Raises TypeError for an operand that RASP has no kind for.
    """
    operands = tuple(_plain(o) for o in operands)
    return cls(form, operands, text if len(text) <= MAX_TEXT else cls.word, _place())


def text_of(operand: Any) -> str:
    """An operand as RASP text, or its kind where that is long."""
    if isinstance(operand, Built):
        return operand.text
    plain = _plain(operand)
    if isinstance(plain, list):
        return f"[{', '.join(map(text_of, plain))}]"
    if isinstance(plain, dict):
        return f"{{{', '.join(f'{text_of(k)}: {text_of(v)}' for k, v in plain.items())}}}"
    return source_text(plain)


def _unary(op: str, operand: Made) -> Made:
    text = f"round({operand.text})" if op == "round" else f"({op} {operand.text})"
    return make(type(operand), partial(s.Unary, op), (operand,), text)


def _binary(op: str, left: Any, right: Any) -> Any:
    cls: type[Built] = Selector if isinstance(left, Selector) else SOp
    text = f"({text_of(left)} {op} {text_of(right)})"
    return make(cls, partial(s.Binary, op), (left, right), text)


def _place() -> Place | None:
    """The place in Python that is building: the innermost frame outside the package."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(str(PACKAGE)):
        frame = frame.f_back
    if frame is None:
        return None
    # One entry for each instruction of two bytes; entries are None where Python kept no positions.
    instruction = frame.f_lasti // 2
    positions = next(islice(frame.f_code.co_positions(), instruction, None), (None,) * 4)
    line, end_line, column, end_column = positions
    if line is None or end_line is None or column is None or end_column is None:
        return None
    return Place(frame.f_code.co_filename, line, end_line, column, end_column)


def program(*outputs: Built | str, name: str | None = None, **named: Built) -> Program:
    """The program of s-ops or selectors: the same graph as that of their RASP text.

    outputs  the outputs, in order
    name     the name of the first output; other names are those given by `named`
    named    further outputs with their names: program(first=a, second=b)

    Raises RaspError where the text would be refused, placed at the line of Python that built the
    object, and ValueError where two different objects have one name.
    """
    if len(outputs) == 2 and isinstance(outputs[1], str):  # program(sop, "name")
        outputs, name = outputs[:1], outputs[1]
    parts = [_built(output) for output in outputs or ([] if named else [None])]
    if name is not None and parts:
        parts[0] = parts[0].named(name)
    parts += [_built(output).named(given) for given, output in named.items()]
    elaborator = with_library(Elaborator(None, _no_load))
    scope = elaborator.text_scope("<python>")
    values = _elaborated(parts, elaborator, scope)
    ids = {name: value.id for name, value in scope.variables.items()}
    _forget(elaborator.builder.spans)
    ids |= elaborator.library_names(ids)
    first, *others = [values[id(part)].id for part in parts]
    return elaborator.builder.program(first, ids, tuple(others))


def _built(output: Any) -> Built:
    if not isinstance(output, Built):
        hint = "constant(...) makes an s-op of an atom"
        raise TypeError(f"the output is an s-op or selector, not {shown(output)}; {hint}")
    return output


def _elaborated(parts: list[Built], elaborator: Elaborator, scope: Scope) -> dict[int, Any]:
    """The value of everything that `parts` need, by identity: `==` of two s-ops makes an s-op."""
    values: dict[int, Any] = {}
    sources: dict[str, Source] = {}
    for part in _in_order(parts):
        span = _span(part.place, part.text, sources)
        operands = [_operand(o, values) for o in part.operands]
        try:
            value = elaborator.evaluate(part.form(*operands, span=span), scope)
            if not isinstance(value, NamedNode):  # an atom: a library function of numbers alone
                value = elaborator.make.sop(value, span)
        except RaspError as error:
            error.span = span
            raise
        values[id(part)] = value
        if part.name is not None:
            _name(scope, part.name, value)
    return values


def _no_load(*_: Any) -> list[Any]:
    raise AssertionError("no statement here loads a file")


def _name(scope: Scope, name: str, value: Any) -> None:
    if scope.variables.get(name, value).id != value.id:
        raise ValueError(f"two different things are named {name!r}")
    scope.variables[name] = value


def _in_order(outputs: list[Built]) -> list[Built]:
    """Everything that `outputs` need, operands first, each once."""
    order: list[Built] = []
    seen: set[int] = set()
    stack = [
        (output, False) for output in reversed(outputs)
    ]  # Python may have built it in a loop, deeper than its own stack
    while stack:
        part, ready = stack.pop()
        if ready:
            order.append(part)
        elif id(part) not in seen:
            seen.add(id(part))
            stack.append((part, True))
            stack += [(o, False) for o in reversed(part.operands) if isinstance(o, Built)]
    return order


IN_NOTEBOOK = re.compile(r"ipykernel_\d+|^<ipython-input")
"""Names that Python gives the cells of notebooks as files."""

WRITTEN = "<written>"
"""The name of sources that only hold RASP text for messages, and are no file."""


def _operand(operand: Any, values: dict[int, Any]) -> s.Literal:
    """An operand as syntax that evaluates to it."""
    text = text_of(operand)
    span = Span(Source(WRITTEN, text), 0, len(text))
    return s.Literal(values[id(operand)] if isinstance(operand, Built) else operand, span)


def _forget(spans: list[Span | None]) -> None:
    """Drop spans that are not in a file; errors at such nodes are placed at their users."""
    spans[:] = [None if span and span.source.name == WRITTEN else span for span in spans]


def _span(place: Place | None, text: str, sources: dict[str, Source]) -> Span:
    """A place in Python as a span; over the RASP text where the file cannot be read."""
    lines = linecache.getlines(place.file) if place else []
    if not place or place.end_line > len(lines):
        return Span(Source(WRITTEN, text), 0, len(text))
    name = "<cell>" if IN_NOTEBOOK.search(place.file) else place.file
    source = sources.setdefault(place.file, Source(name, "".join(lines)))
    start = _offset(lines, place.line, place.column)
    return Span(source, start, _offset(lines, place.end_line, place.end_column))


def _offset(lines: list[str], line: int, column: int) -> int:
    """The characters before a place in a file, given by line and column in bytes."""
    before = sum(len(text) for text in lines[: line - 1])
    return before + len(lines[line - 1].encode()[:column].decode(errors="ignore"))

"""What Python builds: s-ops and selectors as objects with operators, and the program they make.

Each holds the syntax form that the text would have, over its operands; `program` lets the
elaborator evaluate them in order, so graph, checks and faults are those of the text.
"""

from __future__ import annotations

import linecache
import operator
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Any, Self

from rasplab.base.errors import RaspError, Source, Span
from rasplab.lang.elaborate.elaborator import Elaborator
from rasplab.lang.elaborate.library import with_library
from rasplab.lang.printing.unparse import is_assignable, value_text
from rasplab.lang.syntax import ast as s
from rasplab.lang.syntax.grammar_tables import PACKAGE
from rasplab.program.graph import Program
from rasplab.program.interpret.exact import evaluate
from rasplab.program.values import Atom

PREDICATES = {
    operator.eq: "==", operator.ne: "!=", operator.lt: "<",
    operator.le: "<=", operator.gt: ">", operator.ge: ">=",
}  # fmt: skip

MAX_TEXT = 60
"""Characters of an expression in messages; longer ones are "s-op" or "selector"."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a Python file something was built: lines from 1, columns in bytes from 0."""

    file: str
    line: int
    end_line: int
    column: int
    end_column: int


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Built:
    """An s-op or selector that Python builds: a syntax form over operands.

    form      what makes its syntax: form(*operands as syntax, span=...)
    operands  s-ops, selectors, atoms, lists, dicts
    text      how it is written in RASP
    """

    form: Any
    operands: tuple
    text: str
    place: Place | None
    name: str | None = None

    __array_ufunc__ = None  # so that numpy's scalars leave operators to us

    def named(self, name: str) -> Self:
        """The same under a name, which the program then has. Raises ValueError for no name."""
        if not is_assignable(name):
            raise ValueError(f"{name!r} is not a name that RASP can give")
        return replace(self, name=name, text=name)

    def __call__(self, tokens: Sequence[Atom]) -> Any:
        """The value on an input: a list, or a selector's bool matrix [query, key]."""
        return evaluate(program(self), tokens).output

    def __repr__(self) -> str:
        return f"<{self.word}>" if self.text == self.word else f"<{self.word}: {self.text}>"

    def __bool__(self) -> bool:
        raise TypeError(
            f"{self!r} is neither true nor false: it has a value per position. Write a & b, a | b, "
            "~a for and, or, not, and where(c, a, b) for a choice"
        )

    def __iter__(self) -> Iterator:
        raise TypeError(f"{self!r} has no items before it has an input")


class Selector(Built):
    """True or False for every query and key; combines by `&`, `|`, `~`."""

    __slots__ = ()
    word = "selector"

    def __and__(self, other: Selector) -> Selector:
        return _binary("and", self, other) if isinstance(other, Selector) else NotImplemented

    def __or__(self, other: Selector) -> Selector:
        return _binary("or", self, other) if isinstance(other, Selector) else NotImplemented

    def __invert__(self) -> Selector:
        return _unary("not", self)


def _operators(cls: type) -> type:
    """Give a class the operators of elementwise functions."""

    def two_sided(op: str, forward: str, backward: str | None) -> None:
        def apply(self, other):
            return _binary(op, self, other) if _is_operand(other) else NotImplemented

        def applied(self, other):
            return _binary(op, other, self) if _is_operand(other) else NotImplemented

        setattr(cls, f"__{forward}__", apply)
        if backward:
            setattr(cls, f"__{backward}__", applied)

    for op, name in (("+", "add"), ("-", "sub"), ("*", "mul"), ("/", "truediv"), ("%", "mod"),
                     ("^", "pow"), ("and", "and"), ("or", "or")):  # fmt: skip
        two_sided(op, name, f"r{name}")
    for function, op in PREDICATES.items():  # Python turns `1 < x` into `x > 1` by itself
        two_sided(op, function.__name__, None)
    cls.__hash__ = object.__hash__
    return cls


@_operators
class SOp(Built):
    """A value per position."""

    __slots__ = ()
    word = "s-op"

    def __neg__(self) -> SOp:
        return _unary("-", self)

    def __pos__(self) -> SOp:
        return _unary("+", self)

    def __invert__(self) -> SOp:
        return _unary("not", self)

    def __round__(self, ndigits: None = None) -> SOp:
        return _unary("round", self)

    def __getitem__(self, position: int) -> SOp:
        """The value at one position, everywhere; from the end when negative."""
        if not isinstance(position, int):
            raise TypeError(f"an s-op is indexed by an int, not {position!r}; see lookup")
        return make(SOp, s.Index, (self, position), f"{self.text}[{position}]")

    def __contains__(self, item: Any) -> bool:
        raise TypeError("`in` gives one True or False; write isin(item, s-op)")


def _is_operand(value: Any) -> bool:
    return isinstance(value, SOp | int | float | str | list | tuple) or hasattr(value, "item")


def _plain(value: Any) -> Any:
    """An operand: s-ops and selectors as they are, tuples as lists, numpy's scalars as Python's."""
    if hasattr(value, "item"):
        return value.item()
    if isinstance(value, Built | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, dict):
        return {_plain(k): _plain(v) for k, v in value.items()}
    raise TypeError(f"{value!r} is no s-op, selector, number, string, bool, list or dict")


def make(cls: type, form: Any, operands: tuple, text: str) -> Any:
    """An s-op or selector of a form; `text` is how it is written, if that is short."""
    operands = tuple(_plain(o) for o in operands)
    return cls(form, operands, text if len(text) <= MAX_TEXT else cls.word, _place())


def text_of(operand: Any) -> str:
    """An operand as RASP text."""
    if isinstance(operand, Built):
        return operand.text
    plain = _plain(operand)
    if isinstance(plain, list):
        return f"[{', '.join(map(text_of, plain))}]"
    if isinstance(plain, dict):
        return f"{{{', '.join(f'{text_of(k)}: {text_of(v)}' for k, v in plain.items())}}}"
    return value_text(plain)


def _unary(op: str, operand: Built) -> Any:
    text = f"round({operand.text})" if op == "round" else f"({op} {operand.text})"
    return make(type(operand), partial(s.Unary, op), (operand,), text)


def _binary(op: str, left: Any, right: Any) -> Any:
    cls = Selector if isinstance(left, Selector) else SOp
    text = f"({text_of(left)} {op} {text_of(right)})"
    return make(cls, partial(s.Binary, op), (left, right), text)


def _place() -> Place | None:
    """The place in Python that is building: the nearest frame outside the package."""
    frame = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(str(PACKAGE)):
        frame = frame.f_back
    if frame is None:
        return None
    positions = next(islice(frame.f_code.co_positions(), frame.f_lasti // 2, None), (None,) * 4)
    if None in positions:
        return None
    line, end_line, column, end_column = positions
    return Place(frame.f_code.co_filename, line, end_line, column, end_column)


def program(output: SOp | Selector, name: str | None = None) -> Program:
    """The program of an s-op or selector: the very graph that its text has.

    name    of the output; other names are those given by `named`
    Raises  RaspError where the text would be refused, placed at the line of Python that built it;
            ValueError where two different things have one name
    """
    if not isinstance(output, Built):
        raise TypeError(f"{output!r} is no s-op or selector; a constant is one by constant(...)")
    output = output if name is None else output.named(name)
    elaborator = with_library(Elaborator(None, _no_load))
    scope = elaborator.text_scope("<python>")
    values: dict[int, Any] = {}
    sources: dict[str, Source] = {}
    for part in _in_order(output):
        span = _span(part.place, part.text, sources)
        operands = [_operand(o, values) for o in part.operands]
        try:
            value = elaborator.evaluate(part.form(*operands, span=span), scope)
        except RaspError as error:
            error.span = span
            raise
        values[id(part)] = value
        if part.name is not None:
            _name(scope, part.name, value)
    names = {name: value.id for name, value in scope.variables.items()}
    _forget(elaborator.builder.spans)
    names |= elaborator.library_names(names)
    return elaborator.builder.program(values[id(output)].id, names)


def _no_load(*_: Any) -> list:
    raise AssertionError("no statement here loads a file")


def _name(scope, name: str, value: Any) -> None:
    if scope.variables.get(name, value).id != value.id:
        raise ValueError(f"two different things are named {name!r}")
    scope.variables[name] = value


def _in_order(output: Built) -> list[Built]:
    """Everything that `output` needs, operands first, each once."""
    order, seen, stack = [], set(), [(output, False)]
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
"""In the names of the files that a notebook's cells are to Python."""

WRITTEN = "<written>"
"""The name of sources that hold an operand's RASP text, for messages only."""


def _operand(operand: Any, values: dict[int, Any]) -> s.Literal:
    """An operand as syntax that evaluates to it."""
    text = text_of(operand)
    span = Span(Source(WRITTEN, text), 0, len(text))
    return s.Literal(values[id(operand)] if isinstance(operand, Built) else operand, span)


def _forget(spans: list[Span | None]) -> None:
    """Drop places that are no places in a file: nodes then have their user's."""
    spans[:] = [None if span and span.source.name == WRITTEN else span for span in spans]


def _span(place: Place | None, text: str, sources: dict[str, Source]) -> Span:
    """A place of Python as a span; the RASP text itself where the file cannot be read."""
    lines = linecache.getlines(place.file) if place else []
    if not place or place.end_line > len(lines):
        return Span(Source(WRITTEN, text), 0, len(text))
    name = "<cell>" if IN_NOTEBOOK.search(place.file) else place.file
    source = sources.setdefault(place.file, Source(name, "".join(lines)))
    start = _offset(lines, place.line, place.column)
    return Span(source, start, _offset(lines, place.end_line, place.end_column))


def _offset(lines: list[str], line: int, column: int) -> int:
    """Characters before a column given in bytes."""
    before = sum(len(text) for text in lines[: line - 1])
    return before + len(lines[line - 1].encode()[:column].decode(errors="ignore"))

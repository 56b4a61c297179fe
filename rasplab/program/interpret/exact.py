"""The exact interpreter: `evaluate(program, tokens)` -> Trace, one input at a time.

Values are Python's own ints, floats, strings and bools, and so is their arithmetic; selectors are
rows of bits (interpret/bitrows). A value that cannot be computed is a Fault (program/faults), and
the input is refused where an output holds one. The batched interpreter (batch/evaluate) has to
agree with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from rasplab.base.arguments import FLAG, PROGRAM, TOKENS, takes
from rasplab.base.errors import RaspTypeError, RaspValueError, Span
from rasplab.base.limits import current, way_out
from rasplab.program.faults import Fault, Faulty, check_column
from rasplab.program.graph import (
    Aggregate,
    Combine,
    Constant,
    Indices,
    Map,
    Node,
    Program,
    Select,
    SelectorWidth,
    Tokens,
)
from rasplab.program.interpret.attention import aggregate_column, select_column, widths
from rasplab.program.interpret.bitrows import combine_rows, masked, matrix
from rasplab.program.interpret.elementwise import Raw, cast_tokens, map_columns
from rasplab.program.interpret.transcript_faults import thawed, with_transcript
from rasplab.program.values import NUMBERS, Value, literal, plain

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Bool

ILLEGAL = (
    "attempted to create sequence with illegal val types (vals must be bool, float, int or string)"
)
"""What the transcript prints for an s-op of lists, functions, ..."""

Column = list[Any]
"""A node on an input: the value at each position of an s-op, or the Rows of a selector."""

Columns = Sequence[Column] | Mapping[int, Column]
"""Columns by node id, those of a node's operands at least."""


@dataclass(frozen=True)
class Trace:
    """Every value of a program on one input.

    columns  per node: an s-op's list of values, or a selector's rows of bits; an s-op that is no
             output may hold Faults
    """

    program: Program
    tokens: tuple[Any, ...]
    columns: tuple[Column, ...]

    @cached_property
    def values(self) -> tuple[list[Value] | Bool[np.ndarray, "query key"], ...]:
        """Per node: an s-op's values, or a selector's matrix."""
        return tuple(self.value(i) for i in range(len(self.columns)))

    def value(self, i: int) -> list[Value] | Bool[np.ndarray, "query key"]:
        """Of node i: an s-op's values, or a selector's matrix; by name it is `trace[name]`."""
        return matrix(self.columns[i]) if self.program.is_selector(i) else self.columns[i]

    @property
    def output(self) -> list[Value] | Bool[np.ndarray, "query key"]:
        """Of the program's output: an s-op's values, or a selector's matrix."""
        return self.value(self.program.output)

    def __getitem__(self, name: str) -> list[Value] | Bool[np.ndarray, "query key"]:
        """Of the node that the text calls `name`.

        Raises RaspNameError for any other name; the hint lists the names there are.
        """
        return self.value(self.program.id_of(name))


@takes(program=PROGRAM, tokens=TOKENS, causal=FLAG)
def evaluate(program: Program, tokens: Sequence[Any], causal: bool = False) -> Trace:
    """Run a program on one input.

    tokens  a str, read as its characters, or a sequence of str, int, float, bool; not empty
    causal  every selector selects only keys up to its query
    Raises RaspTypeError or RaspValueError where an output cannot be computed, placed at the s-op
    that fails, with the values and the position; and for an s-op of strings and numbers.
    """
    inputs = read_tokens(tokens)
    columns: list[Column] = []
    room = Room(len(inputs))
    for i, node in enumerate(program.nodes):  # before anything is computed
        room.take(node, program.span(i))
    for i, node in enumerate(program.nodes):
        columns.append(column(node, columns, inputs, causal, program.span(i)))
        room.weigh(columns[i], program.span(i))
    for i in program.outputs:
        check_column(columns[i])
    return Trace(program, inputs, tuple(columns))


def read_tokens(tokens: Sequence[Any]) -> tuple[Any, ...]:
    """The input as a tuple.

    Raises RaspValueError for an empty one, or one of more tokens than the limit.
    """
    inputs = tuple(tokens) if isinstance(tokens, str) else tuple(map(plain, tokens))
    if not inputs:
        raise with_transcript(
            RaspValueError("the input is empty", hint="an input has at least one token"),
            f"RASP sequences/selectors expect non-empty iterables, got: {thawed(tokens)}",
        )
    check_length(inputs)
    return inputs


def check_length(tokens: Sequence[Any], span: Span | None = None) -> None:
    """Check an input against the limit on tokens.

    Raises RaspValueError for a longer one.
    """
    if len(tokens) > current().tokens:
        raise RaspValueError(
            f"the input has {len(tokens):,} tokens; at most {current().tokens:,} are taken",
            span,
            way_out("tokens"),
        )


class Room:
    """Counts the cells that an evaluation on `n` tokens holds, against the limit on cells."""

    def __init__(self, n: int):
        self.n, self.used, self.most = n, 0, current().cells

    def take(self, node: Node, span: Span | None) -> None:
        """Account for a node, before it is computed.

        Raises RaspValueError where the cells exceed the limit.
        """
        # n rows of n bits, 64 to a cell; an aggregate makes means of such rows
        is_wide = isinstance(node, Select | Combine | Aggregate)
        self._add(self.n * self.n // 64 + self.n if is_wide else self.n, span)

    def weigh(self, values: Column, span: Span | None) -> None:
        """Account for strings, after they are made: 8 characters count as one cell."""
        if isinstance(values, Faulty):
            values = [v for v in values if not isinstance(v, Fault)]
        if values and isinstance(values[0], str):
            self._add(sum(map(len, values)) // 8, span)

    def column(
        self, node: Node, columns: Columns, tokens: tuple[Any, ...], span: Span | None
    ) -> Column:
        """One node on an input, within the limit."""
        self.take(node, span)
        values = column(node, columns, tokens, False, span)
        self.weigh(values, span)
        return values

    def _add(self, cells: int, span: Span | None) -> None:
        self.used += cells
        if self.used > self.most:
            message = f"on {self.n:,} tokens this program holds more than {self.most:,} values"
            raise RaspValueError(message, span, way_out("cells"))


def column(
    node: Node, columns: Columns, tokens: tuple[Any, ...], causal: bool, span: Span | None
) -> Column:
    """One node on an input, from the columns of its operands."""
    match node:
        case Tokens(cast):
            return checked(cast_tokens(cast, tokens, span), span)
        case Indices():
            return list(range(len(tokens)))
        case Constant(value):
            return [value] * len(tokens)
        case Map(fn, args):
            return checked(map_columns(fn, [columns[a] for a in args], span), span, node)
        case Select(keys, queries, predicate):
            rows = select_column(columns[keys], columns[queries], predicate, span)
            return masked(rows) if causal else rows
        case Combine(fn, selectors):
            rows = combine_rows(fn, [columns[s] for s in selectors])
            return masked(rows) if causal else rows
        case Aggregate(selector, values, default):
            return checked(
                aggregate_column(columns[selector], columns[values], default, span), span, node
            )
        case SelectorWidth(selector):
            return widths(columns[selector])
    raise AssertionError(node)


def checked(values: list[Value], span: Span | None, node: Node | None = None) -> list[Value]:
    """`values`, if they can be one s-op: all strings, or all numbers and bools, beside Faults.

    node  what makes them, for the hint
    """
    kinds = set(map(type, values)) - {Fault}
    if kinds == {str} or kinds <= NUMBERS:
        return values
    check_column(values)  # the first reason that the s-op cannot be
    if kinds <= NUMBERS | {str}:
        raise _mixed(values, span, node)
    raise _illegal(values, span)


def _mixed(values: list[Value], span: Span | None, node: Node | None) -> RaspTypeError:
    text = _sequence_text(values)
    strings = next(i for i, v in enumerate(values) if isinstance(v, str))
    numbers = next(i for i, v in enumerate(values) if not isinstance(v, str | Fault))
    return with_transcript(
        RaspTypeError(
            f"{_mixing(node)}: {literal(values[strings])} at position {strings}, "
            f"{literal(values[numbers])} at position {numbers}",
            span,
            _mixed_hint(node),
        ),
        f"attempted to create sequence with vals of different types:\n\t\t {text}",
    )


def _mixing(node: Node | None) -> str:
    if isinstance(node, Map) and node.fn == "if":
        return "the branches of a choice mix strings and numbers"
    return "an s-op holds strings or numbers, not both"


def _mixed_hint(node: Node | None) -> str | None:
    match node:
        case Aggregate():
            return "aggregate gives 0 where nothing is selected, unless it has another default"
        case Map("if"):
            return "give both branches one kind: strings alone, or numbers and bools"
    return None


def _illegal(values: list[Value], span: Span | None) -> RaspTypeError:
    legal = NUMBERS | {str, Fault}
    at = next(i for i, v in enumerate(values) if type(v) not in legal)
    return with_transcript(
        RaspTypeError(
            "an s-op holds numbers, strings or bools; "
            f"at position {at} it has {literal(values[at])}",
            span,
        ),
        f"{ILLEGAL}:\n\t\t {_sequence_text(values)}",
    )


def _sequence_text(values: list[Value]) -> str:
    plain = [thawed(v) for v in values]
    return repr(plain) if isinstance(values, Raw) else repr(tuple(plain))

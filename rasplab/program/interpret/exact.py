"""The exact interpreter: `evaluate(program, tokens)` -> Trace, one input at a time.

Values are Python's own ints, floats, strings and bools, and so is their arithmetic; selectors are
rows of bits (interpret/bitrows). The batched interpreter (batch/evaluate) has to agree with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from rasplab.base.errors import RaspNameError, RaspTypeError, RaspValueError, Span
from rasplab.base.limits import current, way_out
from rasplab.base.text import near_names
from rasplab.program.functions import CASTS, FUNCTIONS, PREDICATES, TooLarge
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
from rasplab.program.interpret.bitrows import Rows, combine_rows, masked, matrix, means, select_rows
from rasplab.program.interpret.transcript_faults import thawed, with_transcript
from rasplab.program.values import Value, literal

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Bool

NUMBERS = frozenset({bool, int, float})

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

    columns  per node: an s-op's list of values, or a selector's rows of bits
    """

    program: Program
    tokens: tuple[Any, ...]
    columns: tuple[Column, ...]

    @cached_property
    def values(self) -> tuple[list[Value] | Bool[np.ndarray, "query key"], ...]:
        """Per node: an s-op's values, or a selector's matrix."""
        return tuple(self.value(i) for i in range(len(self.columns)))

    def value(self, i: int) -> list[Value] | Bool[np.ndarray, "query key"]:
        """Of node i: an s-op's values, or a selector's matrix."""
        return matrix(self.columns[i]) if self.program.is_selector(i) else self.columns[i]

    @property
    def output(self) -> list[Value] | Bool[np.ndarray, "query key"]:
        """Of the program's output: an s-op's values, or a selector's matrix."""
        return self.value(self.program.output)

    def __getitem__(self, name: str) -> list[Value] | Bool[np.ndarray, "query key"]:
        """Of the node that the text calls `name`.

        Raises RaspNameError for any other name; the hint lists the names there are.
        """
        ids = dict(self.program.names)
        if name not in ids:
            near = near_names(name, ids) or list(ids)
            raise RaspNameError(
                f"no {name!r} in this program", hint=f"it has: {', '.join(near) or 'no names'}"
            )
        return self.value(ids[name])


def evaluate(program: Program, tokens: Sequence[Any], causal: bool = False) -> Trace:
    """Run a program on one input.

    tokens  a str, read as its characters, or a sequence of str, int, float, bool; not empty
    causal  every selector selects only keys up to its query
    Raises RaspTypeError or RaspValueError, placed at the s-op that fails, with the values and the
    position.
    """
    inputs = read_tokens(tokens)
    columns: list[Column] = []
    room = Room(len(inputs))
    for i, node in enumerate(program.nodes):  # before anything is computed
        room.take(node, program.span(i))
    for i, node in enumerate(program.nodes):
        columns.append(column(node, columns, inputs, causal, program.span(i)))
        room.weigh(columns[i], program.span(i))
    return Trace(program, inputs, tuple(columns))


def read_tokens(tokens: Sequence[Any]) -> tuple[Any, ...]:
    """The input as a tuple.

    Raises RaspValueError for an empty one, or one of more tokens than the limit.
    """
    inputs = tuple(tokens)
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
        is_wide = isinstance(node, Select | Combine | Aggregate)
        self._add(self.n * self.n // 64 + self.n if is_wide else self.n, span)

    def weigh(self, values: Column, span: Span | None) -> None:
        """Account for strings, after they are made: 8 characters count as one cell."""
        if isinstance(values[0], str):
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
            return checked(_cast(cast, tokens, span), span)
        case Indices():
            return list(range(len(tokens)))
        case Constant(value):
            return [value] * len(tokens)
        case Map(fn, args):
            return checked(_map(fn, [columns[a] for a in args], span), span)
        case Select(keys, queries, predicate):
            rows = _select(columns[keys], columns[queries], predicate, span)
            return masked(rows) if causal else rows
        case Combine(fn, selectors):
            rows = combine_rows(fn, [columns[s] for s in selectors])
            return masked(rows) if causal else rows
        case Aggregate(selector, values, default):
            return checked(_aggregate(columns[selector], columns[values], default, span), span)
        case SelectorWidth(selector):
            return [row.bit_count() for row in columns[selector]]
    raise AssertionError(node)


def checked(values: list[Value], span: Span | None) -> list[Value]:
    """`values`, if they can be one s-op: all strings, or all numbers and bools."""
    kinds = set(map(type, values))
    if kinds == {str} or kinds <= NUMBERS:
        return values
    if kinds <= NUMBERS | {str}:
        raise _mixed(values, span)
    raise _illegal(values, span)


def _mixed(values: list[Value], span: Span | None) -> RaspTypeError:
    text = _sequence_text(values)
    strings = next(i for i, v in enumerate(values) if isinstance(v, str))
    numbers = next(i for i, v in enumerate(values) if not isinstance(v, str))
    return with_transcript(
        RaspTypeError(
            "an s-op holds strings or numbers, not both: "
            f"{literal(values[strings])} at position {strings}, "
            f"{literal(values[numbers])} at position {numbers}",
            span,
            "aggregate gives 0 where nothing is selected, unless it has another default",
        ),
        f"attempted to create sequence with vals of different types:\n\t\t {text}",
    )


def _illegal(values: list[Value], span: Span | None) -> RaspTypeError:
    at = next(i for i, v in enumerate(values) if type(v) not in NUMBERS and not isinstance(v, str))
    return with_transcript(
        RaspTypeError(
            "an s-op holds numbers, strings or bools; "
            f"at position {at} it has {literal(values[at])}",
            span,
        ),
        f"{ILLEGAL}:\n\t\t {_sequence_text(values)}",
    )


class Raw(list):
    """Values as the input has them: the transcript prints these with square brackets."""


def _sequence_text(values: list[Value]) -> str:
    plain = [thawed(v) for v in values]
    return repr(plain) if isinstance(values, Raw) else repr(tuple(plain))


def _cast(cast: str, tokens: tuple[Any, ...], span: Span | None) -> list[Value]:
    read, values = CASTS[cast], Raw()
    for i, token in enumerate(tokens):
        try:
            values.append(read(token))
        except (ValueError, TypeError, OverflowError) as fault:
            raise with_transcript(
                RaspValueError(
                    f"tokens_{cast} cannot read the token {literal(token)} "
                    f"at position {i} as {cast}",
                    span,
                    "use tokens for strings, or another input",
                ),
                str(fault),
                host=True,
            ) from None
    return values


def _map(fn: str, args: list[list], span: Span | None) -> list[Value]:
    try:
        return list(map(_quick(fn, args), *args))
    except Exception as whole:  # find the values and the position that failed
        for i, operands in enumerate(zip(*args, strict=True)):
            try:
                FUNCTIONS[fn].apply(*operands)
            except Exception as fault:
                raise elementwise_fault(fn, operands, fault, f" at position {i}", span) from None
        # no single position fails: the strings of all positions together exceed the limit
        raise elementwise_fault(fn, [a[0] for a in args], whole, " and on", span) from None


def _quick(fn: str, args: list[list]) -> Callable:
    """FUNCTIONS[fn] for these columns, bounded in length where it makes text.

    A container that is the same at every position is turned into a set or dict once.
    """
    apply = FUNCTIONS[fn].apply
    if fn in ("+", "*", "%") and any(isinstance(a[0], str | tuple) for a in args):
        return _bounded_text(apply)
    if fn == "in" and _is_constant(args[1]):
        members = frozenset(args[1][0])
        return lambda item, _: item in members
    if fn == "lookup" and _is_constant(args[0]):
        table = dict(args[0][0])
        return lambda _, key: table[key]
    return apply


def _is_constant(containers: list) -> bool:
    return isinstance(containers[0], tuple) and all(c is containers[0] for c in containers)


def _bounded_text(apply: Callable) -> Callable:
    """The same function, until its results are longer than the limit together."""
    left = current().length  # shared by all positions of the column

    def bounded(*operands: Value) -> Value:
        nonlocal left
        value = apply(*operands)
        left -= len(value) if isinstance(value, str | tuple) else 0
        if left < 0:
            raise TooLarge("length", f"this s-op's strings are longer than {current().length:,}")
        return value

    return bounded


def elementwise_fault(
    fn: str, operands: Sequence[Any], fault: Exception, where: str, span: Span | None
) -> RaspTypeError | RaspValueError:
    """An exception that Python raised in FUNCTIONS[fn], as an error of RASP."""
    texts = [literal(v) for v in operands]
    if fn == "lookup":
        message = f"the dict has no key {texts[1]}{where}"
        return with_transcript(
            RaspValueError(message, span, "add the key"), f"index [ {texts[1]} ] not in dict."
        )
    message = f"{FUNCTIONS[fn].form.format(*map(_short, texts))}{where}: {fault}"
    kind = RaspTypeError if isinstance(fault, TypeError) else RaspValueError
    hint = way_out(fault.args[0]) if isinstance(fault, TooLarge) else None
    return with_transcript(kind(message, span, hint), str(fault), host=True)


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "..."


def _select(keys: list, queries: list, predicate: str, span: Span | None) -> Rows:
    try:
        return select_rows(keys, queries, predicate, PREDICATES[predicate])
    except TypeError:  # rows are made of whole columns: find the first pair that fails
        for key in keys:
            for query in queries:
                try:
                    PREDICATES[predicate](key, query)
                except TypeError as fault:
                    message = f"select cannot test {literal(key)} {predicate} {literal(query)}"
                    raise with_transcript(
                        RaspTypeError(message, span), str(fault), host=True
                    ) from None
        raise


def _aggregate(rows: Rows, values: list, default: Value, span: Span | None) -> list[Value]:
    several = {row for row in rows if row & (row - 1)}  # row & (row - 1) drops the lowest bit
    if several:
        _check_numbers(rows, values, span)
    try:
        mean = means(several, values) if several else {}
    except OverflowError as fault:
        raise with_transcript(
            RaspValueError("the mean is too large for a float", span), str(fault), host=True
        ) from None
    return [_pick(row, values, default, mean) for row in rows]


def _pick(row: int, values: list, default: Value, mean: dict[int, float]) -> Value:
    """The default for no key, the value itself for one, the mean for more."""
    if not row:
        return default
    # a row with one bit: bit_length - 1 is the position of that bit
    return mean[row] if row in mean else values[row.bit_length() - 1]


def _check_numbers(rows: Rows, values: list, span: Span | None) -> None:
    """Refuse the mean of strings, or of bools alone: only an s-op of numbers has one."""
    kinds = set(map(type, values))
    if kinds <= NUMBERS and kinds != {bool}:
        return
    at = next(q for q, row in enumerate(rows) if row & (row - 1))
    kind = "strings" if str in kinds else "bools" if kinds == {bool} else "lists"
    raise with_transcript(
        RaspValueError(
            f"aggregate cannot average {kind}: "
            f"the query at position {at} selects {rows[at].bit_count()} of "
            f"{_short(repr([thawed(v) for v in values]))}",
            span,
            "select at most one key" + ("; or average indicator(...)" if kind == "bools" else ""),
        ),
        "asked to average multiple values, but they are non-numbers: "
        + repr([thawed(v) for v in values]),
        host=True,
    )

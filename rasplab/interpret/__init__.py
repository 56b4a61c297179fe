"""The meaning of RASP: `evaluate(program, tokens)`, exact, on Python's own ints, floats, strings
and bools (floor 2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from rasplab.errors import RaspNameError, RaspTypeError, RaspValueError, Span
from rasplab.functions import CASTS, FUNCTIONS, PREDICATES
from rasplab.interpret.faults import shown, thawed, told
from rasplab.interpret.rows import Rows, combine_rows, masked, matrix, means, select_rows
from rasplab.program import (
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
    Value,
)

if TYPE_CHECKING:
    import numpy as np

MAX_TOKENS = 10_000
"""The longest input: a selector over it takes 12 MB."""

NUMBERS = frozenset({bool, int, float})

ILLEGAL = (
    "attempted to create sequence with illegal val types (vals must be bool, float, int or string)"
)
"""The transcript's words for an s-op of lists, functions, ..."""

Column = list[Value] | Rows
"""What a node is on an input: a value per position, or a selector's rows."""


@dataclass(frozen=True)
class Trace:
    """Every value of a program on one input.

    columns  per node: an s-op's list of values, or a selector's rows of bits
    """

    program: Program
    tokens: tuple
    columns: tuple[Column, ...]

    @cached_property
    def values(self) -> tuple[list | np.ndarray, ...]:
        """Per node: an s-op's list, or a selector's bool matrix [query, key]."""
        return tuple(self.value(i) for i in range(len(self.columns)))

    def value(self, i: int) -> list | np.ndarray:
        """Of node i: an s-op's list, or a selector's bool matrix [query, key]."""
        return matrix(self.columns[i]) if self.program.is_selector(i) else self.columns[i]

    @property
    def output(self) -> list | np.ndarray:
        """Of the program's output."""
        return self.value(self.program.output)

    def __getitem__(self, name: str) -> list | np.ndarray:
        """Of the node that the text calls `name`. Raises RaspNameError with the names there are."""
        ids = dict(self.program.names)
        if name not in ids:
            from difflib import get_close_matches

            near = get_close_matches(name, ids, n=3) or list(ids)
            raise RaspNameError(
                f"no {name!r} in this program", hint=f"it has: {', '.join(near) or 'no names'}"
            )
        return self.value(ids[name])


def evaluate(program: Program, tokens: Sequence, causal: bool = False) -> Trace:
    """Run a program on one input.

    tokens   a str, read as its characters, or a sequence of str, int, float, bool; at least one
             token
    causal   every selector selects only keys up to its query
    Raises   RaspTypeError or RaspValueError, placed at the s-op that fails, saying values and
             position
    """
    inputs = read_tokens(tokens)
    columns: list[Column] = []
    for i, node in enumerate(program.nodes):
        columns.append(column(node, columns, inputs, causal, program.span(i)))
    return Trace(program, inputs, tuple(columns))


def read_tokens(tokens: Sequence) -> tuple:
    """The input as a tuple. Raises RaspValueError for an empty one, or one beyond MAX_TOKENS."""
    inputs = tuple(tokens)
    if not inputs:
        raise told(
            RaspValueError("the input is empty", hint="an input has at least one token"),
            f"RASP sequences/selectors expect non-empty iterables, got: {thawed(tokens)}",
        )
    if len(inputs) > MAX_TOKENS:
        raise RaspValueError(
            f"the input has {len(inputs)} tokens; the interpreter takes up to {MAX_TOKENS}"
        )
    return inputs


def column(
    node: Node, columns: Sequence[Column], tokens: tuple, causal: bool, span: Span | None
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
    return told(
        RaspTypeError(
            "an s-op holds strings or numbers, not both: "
            f"{shown(values[strings])} at position {strings}, "
            f"{shown(values[numbers])} at position {numbers}",
            span,
            "aggregate gives 0 where nothing is selected, unless it has another default",
        ),
        f"attempted to create sequence with vals of different types:\n\t\t {text}",
    )


def _illegal(values: list[Value], span: Span | None) -> RaspTypeError:
    at = next(i for i, v in enumerate(values) if type(v) not in NUMBERS and not isinstance(v, str))
    return told(
        RaspTypeError(
            f"an s-op holds numbers, strings or bools; at position {at} it has {shown(values[at])}",
            span,
        ),
        f"{ILLEGAL}:\n\t\t {_sequence_text(values)}",
    )


class Raw(list):
    """Values as the input has them: told with square brackets."""


def _sequence_text(values: list[Value]) -> str:
    plain = [thawed(v) for v in values]
    return repr(plain) if isinstance(values, Raw) else repr(tuple(plain))


def _cast(cast: str, tokens: tuple, span: Span | None) -> list[Value]:
    read, values = CASTS[cast], Raw()
    for i, token in enumerate(tokens):
        try:
            values.append(read(token))
        except (ValueError, TypeError, OverflowError) as fault:
            raise told(
                RaspValueError(
                    f"tokens_{cast} cannot read the token {shown(token)} at position {i} as {cast}",
                    span,
                    "use tokens for strings, or another input",
                ),
                str(fault),
                host=True,
            ) from None
    return values


def _map(fn: str, args: list[list], span: Span | None) -> list[Value]:
    apply = FUNCTIONS[fn].apply
    try:
        return [apply(*operands) for operands in zip(*args, strict=True)]
    except Exception:  # told again below, with values and position
        for i, operands in enumerate(zip(*args, strict=True)):
            try:
                apply(*operands)
            except Exception as fault:
                raise elementwise_fault(fn, operands, fault, f" at position {i}", span) from None
        raise


def elementwise_fault(
    fn: str, operands: Sequence, fault: Exception, where: str, span: Span | None
) -> RaspTypeError | RaspValueError:
    """A fault of Python's in FUNCTIONS[fn], as RASP's."""
    texts = [shown(v) for v in operands]
    if fn == "lookup":
        message = f"the dict has no key {texts[1]}{where}"
        return told(
            RaspValueError(message, span, "add the key"), f"index [ {texts[1]} ] not in dict."
        )
    message = f"{FUNCTIONS[fn].form.format(*map(_short, texts))}{where}: {fault}"
    kind = RaspTypeError if isinstance(fault, TypeError) else RaspValueError
    return told(kind(message, span), str(fault), host=True)


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "..."


def _select(keys: list, queries: list, predicate: str, span: Span | None) -> Rows:
    try:
        return select_rows(keys, queries, predicate, PREDICATES[predicate])
    except TypeError:
        for key in keys:
            for query in queries:
                try:
                    PREDICATES[predicate](key, query)
                except TypeError as fault:
                    message = f"select cannot test {shown(key)} {predicate} {shown(query)}"
                    raise told(RaspTypeError(message, span), str(fault), host=True) from None
        raise


def _aggregate(rows: Rows, values: list, default: Value, span: Span | None) -> list[Value]:
    several = {row for row in rows if row & (row - 1)}
    if several:
        _check_numbers(rows, values, span)
    try:
        mean = means(several, values) if several else {}
    except OverflowError as fault:
        raise told(
            RaspValueError("the mean is too large for a float", span), str(fault), host=True
        ) from None
    return [_pick(row, values, default, mean) for row in rows]


def _pick(row: int, values: list, default: Value, mean: dict[int, float]) -> Value:
    """The default for no key, the value itself for one, the mean for more."""
    if not row:
        return default
    return mean[row] if row in mean else values[row.bit_length() - 1]


def _check_numbers(rows: Rows, values: list, span: Span | None) -> None:
    """Only an s-op of numbers has a mean: strings have none, and neither has an s-op of bools
    alone."""
    kinds = set(map(type, values))
    if kinds <= NUMBERS and kinds != {bool}:
        return
    at = next(q for q, row in enumerate(rows) if row & (row - 1))
    kind = "strings" if str in kinds else "bools" if kinds == {bool} else "lists"
    raise told(
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

"""Elementwise functions on columns: tokens read as a kind, functions position by position.

Where a position fails its value is a Fault, which makes the error only when it is raised.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from rasplab.base.arguments import shown
from rasplab.base.errors import RaspError, RaspTypeError, RaspValueError, Span
from rasplab.base.limits import current, way_out
from rasplab.program.faults import Fault, Faulty, first_fault, read_operands, with_faults
from rasplab.program.functions import CASTS, FUNCTIONS, TooLarge
from rasplab.program.interpret.transcript_faults import with_transcript
from rasplab.program.values import Value, literal

TEXT_FNS = frozenset({"+", "*", "%"})
"""The functions that make longer strings of strings."""


class Raw(list):
    """Values as the input has them: the transcript prints these with square brackets."""


def cast_tokens(cast: str, tokens: tuple[Any, ...], span: Span | None) -> list[Value]:
    """The tokens read as `cast`; a Fault for one that cannot be."""
    read, values = CASTS[cast], Raw()
    for i, token in enumerate(tokens):
        try:
            values.append(read(token))
        except (ValueError, TypeError, OverflowError, RecursionError) as fault:
            values.append(Fault(partial(_unread, cast, token, i, str(fault), span)))
    return with_faults(values)


def _unread(cast: str, token: Any, i: int, reason: str, span: Span | None) -> RaspError:
    # only strings, numbers and bools are sure to have a short text
    text = literal(token) if isinstance(token, str | int | float) else shown(token)
    return with_transcript(
        RaspValueError(
            f"tokens_{cast} cannot read the token {text} at position {i} as {cast}",
            span,
            "use tokens for strings, or another input",
        ),
        reason,
        host=True,
    )


def map_columns(fn: str, args: list[list], span: Span | None) -> list[Value]:
    """FUNCTIONS[fn] at every position; a Fault where it fails, or reads one.

    Raises RaspValueError where the strings of all positions together exceed the limit.
    """
    if any(isinstance(a, Faulty) for a in args):
        return _map_each(fn, args, span)
    try:
        return list(map(_quick(fn, args), *args))
    except Exception as whole:  # find the values and the positions that failed
        values = _map_each(fn, args, span)
        if not isinstance(values, Faulty):
            # the strings of all positions together exceed the limit
            raise elementwise_fault(fn, [a[0] for a in args], whole, " and on", span) from None
        return values


def _map_each(fn: str, args: list[list], span: Span | None) -> list[Value]:
    """The function position by position: a Fault where it fails, or reads one."""
    apply, values, length = _lookup_of(fn, args), [], 0
    for i, operands in enumerate(zip(*args, strict=True)):
        value = first_fault(read_operands(fn, operands))
        if value is None:
            try:
                value = apply(*operands)
            except Exception as fault:
                where = f" at position {i}"
                value = Fault(partial(elementwise_fault, fn, operands, fault, where, span))
        length += len(value) if isinstance(value, str) and fn in TEXT_FNS else 0
        if length > current().length:
            whole = TooLarge("length", f"this s-op's strings are longer than {current().length:,}")
            raise elementwise_fault(fn, operands, whole, " and before", span)
        values.append(value)
    return with_faults(values)


def _quick(fn: str, args: list[list]) -> Callable:
    """FUNCTIONS[fn] for these columns, bounded in length where it makes text."""
    if fn in TEXT_FNS and any(isinstance(a[0], str | tuple) for a in args):
        return _bounded_text(FUNCTIONS[fn].apply)
    return _lookup_of(fn, args)


def _lookup_of(fn: str, args: list[list]) -> Callable:
    """FUNCTIONS[fn]; a container that is the same everywhere is made a set or dict only once."""
    if fn == "in" and _is_constant(args[1]):
        members = frozenset(args[1][0])
        return lambda item, _: item in members
    if fn == "lookup" and _is_constant(args[0]):
        table = dict(args[0][0])
        return lambda _, key: table[key]
    return FUNCTIONS[fn].apply


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
    too_large = isinstance(fault, OverflowError) and not isinstance(fault, TooLarge)
    reason = "the result is too large for a float" if too_large else str(fault)
    message = f"{FUNCTIONS[fn].form.format(*map(short, texts))}{where}: {reason}"
    kind = RaspTypeError if isinstance(fault, TypeError) else RaspValueError
    hint = way_out(fault.args[0]) if isinstance(fault, TooLarge) else None
    return with_transcript(kind(message, span, hint), str(fault), host=True)


def short(text: str) -> str:
    """The text, cut to 40 characters."""
    return text if len(text) <= 40 else text[:37] + "..."

"""Single values as the analysis sees them: leaves, faults, and how functions are called on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite

from rasplab.program.faults import read_operands
from rasplab.program.functions import FUNCTIONS
from rasplab.program.values import Value, typed_key, value_key

MAX_BITS = 1024
"""Ints of fewer bits have a float."""

TOKEN, POSITION = -2, -1
"""The leaves that the embedding gives; other leaves are node ids."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What an elementwise function raised for some values; absorbs whatever reads it.

    infinite  whether the function gave a number that is not finite, which no model can hold
    """

    reason: str
    infinite: bool = False


Result = Value | Fault
"""What an elementwise function gives for one combination of values."""


def as_number(value: Result) -> float:
    """The float of an int, float or bool: 1.0 for True."""
    assert isinstance(value, int | float), f"{value!r} is not a number"
    return float(value)


def code_of_key(values: Sequence[Result]) -> dict[tuple, int]:
    """The position of each value in `values`, by `typed_key`."""
    return {typed_key(v): code for code, v in enumerate(values)}


def code_of_equal(values: Sequence[Result]) -> list[int]:
    """A code per value, equal for values that compare equal: 1 and 1.0 share one."""
    codes: dict[tuple, int] = {}
    return [codes.setdefault(value_key(v), len(codes)) for v in values]


def call_or_fault(function: Callable[..., Value], args: Sequence[Result]) -> Result:
    """`function` of `args`: a Fault where it raises, is not finite, or an argument is a Fault."""
    fault = next((arg for arg in args if isinstance(arg, Fault)), None)
    return _called(function, args) if fault is None else fault


def elementwise_or_fault(name: str, args: Sequence[Result]) -> Result:
    """FUNCTIONS[name] of `args`: a Fault where it raises, is not finite, or reads a Fault."""
    read = read_operands(name, args)
    fault = next((arg for arg in read if isinstance(arg, Fault)), None)
    return _called(FUNCTIONS[name].apply, args) if fault is None else fault


def _called(function: Callable[..., Value], args: Sequence[Result]) -> Result:
    try:
        value = function(*args)
    except (TypeError, ValueError, ZeroDivisionError, KeyError, OverflowError, IndexError) as error:
        return Fault(f"{type(error).__name__} on {', '.join(map(repr, args))}: {error}")
    if not is_finite(value):
        return Fault(f"{', '.join(map(repr, args))} gives {value}", infinite=True)
    return value


def is_finite(value: Value) -> bool:
    """Whether a float holds the value, if it is a number."""
    if isinstance(value, int):
        return value.bit_length() < MAX_BITS
    # in Python a root of a negative number is complex
    return not isinstance(value, complex) and (not isinstance(value, float) or isfinite(value))

"""Single values in the batched interpreter: their kinds, and the one that stands for a fault."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final


class Fault:
    """Stands in a table for a value whose computation failed."""

    def __repr__(self) -> str:
        return "FAULT"


FAULT: Final = Fault()

STRING, NUMBER, ILLEGAL = range(3)
"""Kinds of values: an s-op holds strings alone, or numbers and bools alone, and nothing else."""


def kind_of(value: Any) -> int:
    """STRING, NUMBER (bools too), or ILLEGAL for FAULT, lists and everything else."""
    if isinstance(value, str):
        return STRING
    return NUMBER if type(value) in (int, float, bool) else ILLEGAL


def applied(fn: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    """fn(*args), or FAULT where that raises or an argument is FAULT."""
    if any(a is FAULT for a in args):
        return FAULT
    try:
        return fn(*args)
    except Exception:  # Python's own functions on a program's values: any fault is the program's
        return FAULT

"""Single values in the batched interpreter: kinds, means, and the value that marks a fault.

These functions run once per distinct value, millions of times in all: they stand apart from the
modules whose annotations the tests check at run time.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
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


def mean(*numbers: int | float) -> float:
    """The mean, rounded once; inf and nan follow float arithmetic."""
    if not all(map(math.isfinite, numbers)):
        return sum(numbers) / len(numbers)
    total = sum(map(Fraction, numbers), Fraction(0))
    return total.numerator / (total.denominator * len(numbers))

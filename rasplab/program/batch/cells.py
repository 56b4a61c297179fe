"""Single values in the batched interpreter: kinds, means, and the value that marks a fault.

These functions run once per distinct value, millions of times in all: they stand apart from the
modules whose annotations the tests check at run time.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any, Final

from rasplab.program.faults import Fault, read_operands
from rasplab.program.functions import FUNCTIONS

FAULT: Final = Fault()
"""Stands in a table for every value whose computation failed; the exact interpreter says why."""

STRING, NUMBER, ILLEGAL, FAILED = range(4)
"""Kinds of values: an s-op holds strings alone, or numbers and bools alone, beside FAULT."""


def kind_of(value: Any) -> int:
    """STRING, NUMBER (bools too), FAILED for FAULT, or ILLEGAL for lists and everything else."""
    if isinstance(value, str):
        return STRING
    if value is FAULT:
        return FAILED
    return NUMBER if type(value) in (int, float, bool) else ILLEGAL


def applied(fn: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    """fn(*args), or FAULT where that raises or an argument is FAULT."""
    if any(a is FAULT for a in args):
        return FAULT
    try:
        return fn(*args)
    except Exception:  # Python's own functions on a program's values: any fault is the program's
        return FAULT


def elementwise(name: str) -> Callable[..., Any]:
    """FUNCTIONS[name] of single values: FAULT where it raises, or reads one."""
    fn = FUNCTIONS[name].apply

    def value(*args: Any) -> Any:
        if any(a is FAULT for a in read_operands(name, args)):
            return FAULT
        try:
            return fn(*args)
        except Exception:  # as in `applied`
            return FAULT

    return value


def mean(*numbers: int | float) -> float:
    """The mean, rounded once; inf and nan follow float arithmetic."""
    if not all(map(math.isfinite, numbers)):
        return sum(numbers) / len(numbers)
    total = sum(map(Fraction, numbers), Fraction(0))
    return total.numerator / (total.denominator * len(numbers))

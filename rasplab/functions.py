"""The elementwise functions and predicates of RASP: name, arity, and what each computes (floor 1).

Values are Python's int, float, str, bool; a list is a tuple, a dict a tuple of pairs. Arithmetic is
Python's, as in the reference implementation of RASP: true division, `%` with the divisor's sign,
half-even `round`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Function:
    """One elementwise function.

    form   how it is written, with {0}, {1}, ... for the operands
    """

    name: str
    arity: int
    apply: Callable[..., Any]
    form: str


MAX_BITS = 12_000
"""Of an int: some 3,600 digits; Python writes none of more than 4,300."""

MAX_LENGTH = 10_000_000
"""Of a string or list that `*` repeats or `+` joins."""


SEQUENCES = (str, tuple, list)


def _truth(a: Any) -> bool:
    return bool(a)


def _plus(a: Any, b: Any) -> Any:
    """a + b; refuses to join strings or lists beyond MAX_LENGTH."""
    if isinstance(a, SEQUENCES) and isinstance(b, SEQUENCES) and len(a) + len(b) > MAX_LENGTH:
        raise OverflowError(f"joined they are longer than {MAX_LENGTH}")
    return _bounded(a + b)


def _minus(a: Any, b: Any) -> Any:
    return _bounded(a - b)


def _bounded(result: Any) -> Any:
    """`result`, unless it is an int beyond MAX_BITS."""
    if isinstance(result, int) and result.bit_length() > MAX_BITS:
        raise OverflowError(f"the result has more than {MAX_BITS} bits")
    return result


def _times(a: Any, b: Any) -> Any:
    """a * b; refuses to repeat a string or list beyond MAX_LENGTH, and an int beyond MAX_BITS."""
    for repeated, count in ((a, b), (b, a)):
        sized = isinstance(repeated, SEQUENCES) and isinstance(count, int)
        if sized and len(repeated) * count > MAX_LENGTH:
            raise OverflowError(f"repeating it {count} times is longer than {MAX_LENGTH}")
    if isinstance(a, int) and isinstance(b, int) and a.bit_length() + b.bit_length() > MAX_BITS:
        raise OverflowError(f"the product has more than {MAX_BITS} bits")
    return a * b


def _power(a: Any, b: Any) -> Any:
    """a ^ b; refuses an int beyond MAX_BITS."""
    ints = isinstance(a, int) and isinstance(b, int)
    if ints and b > 0 and abs(a) > 1 and a.bit_length() * b > MAX_BITS:
        raise OverflowError(f"the power has more than {MAX_BITS} bits")
    return a**b


def _index(values: tuple, i: Any) -> Any:
    """values[i] with Python's negative indices; 0 where i is out of range (the reference's
    rule)."""
    return values[i] if -len(values) <= i < len(values) else 0


def _lookup(pairs: tuple, key: Any) -> Any:
    return dict(pairs)[key]


def _contains(x: Any, values: tuple) -> bool:
    return x in values


def _table() -> dict[str, Function]:
    binary = {
        "+": _plus, "-": _minus, "*": _times, "/": operator.truediv, "%": operator.mod,
        "^": _power, "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le,
        ">": operator.gt, ">=": operator.ge,
        "and": lambda a, b: _truth(a) and _truth(b), "or": lambda a, b: _truth(a) or _truth(b),
    }  # fmt: skip
    functions = [Function(name, 2, apply, "{0} " + name + " {1}") for name, apply in binary.items()]
    functions += [
        Function("not", 1, operator.not_, "not {0}"),
        Function("neg", 1, operator.neg, "-{0}"),
        Function("pos", 1, operator.pos, "+{0}"),
        Function("round", 1, round, "round({0})"),
        Function("indicator", 1, lambda a: 1 if a else 0, "indicator({0})"),
        Function("if", 3, lambda c, a, b: a if c else b, "{1} if {0} else {2}"),
        Function("index", 2, _index, "{0}[{1}]"),
        Function("lookup", 2, _lookup, "{0}[{1}]"),
        Function("in", 2, _contains, "{0} in {1}"),
    ]
    return {f.name: f for f in functions}


FUNCTIONS: dict[str, Function] = _table()

PREDICATES: dict[str, Callable[[Any, Any], bool]] = {
    name: FUNCTIONS[name].apply for name in ("==", "!=", "<", "<=", ">", ">=")
}
"""What `select(keys, queries, OP)` may test, as test(key, query)."""

CASTS: dict[str, Callable[[Any], Any]] = {
    "asis": lambda t: t, "str": str, "int": int, "float": float, "bool": bool,
}  # fmt: skip
"""How each of tokens_asis, tokens_str (also `tokens`), tokens_int, ... reads a token."""

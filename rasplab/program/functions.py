"""The elementwise functions and predicates of RASP: name, arity, and what each computes.

Values are Python's int, float, str, bool; a list is a tuple, a dict a tuple of pairs. Arithmetic is
Python's, as in the reference implementation of RASP: true division, `%` with the divisor's sign,
half-even `round`.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rasplab.base.limits import current


@dataclass(frozen=True, slots=True)
class Function:
    """One elementwise function.

    form   how it is written, with {0}, {1}, ... for the operands
    """

    name: str
    arity: int
    apply: Callable[..., Any]
    form: str


class TooLarge(OverflowError):
    """A result beyond a limit.

    args  the name of the limit, and the reason
    """

    def __str__(self) -> str:
        return self.args[1]


SMALL = 1 << 64
"""Ints up to this size are within any limit: no need to count their bits."""

SEQUENCES = (str, tuple, list)
"""What `+` joins and `*` repeats."""


def _plus(a: Any, b: Any) -> Any:
    """a + b; refuses to join strings or lists beyond the limit."""
    _check_joined(a, b)
    return _bounded(a + b)


def _check_joined(a: Any, b: Any) -> None:
    both = isinstance(a, SEQUENCES) and isinstance(b, SEQUENCES)
    if both and len(a) + len(b) > current().length:
        raise TooLarge("length", f"joined they are longer than {current().length}")


def _minus(a: Any, b: Any) -> Any:
    return _bounded(a - b)


def _bounded(result: Any) -> Any:
    """The result; refuses an int beyond the limit."""
    if isinstance(result, int) and not -SMALL <= result <= SMALL:
        _check_bits(result.bit_length())
    return result


def _check_bits(bits: int) -> None:
    if bits > max(64, current().bits):  # ints of a machine word are always allowed
        raise TooLarge("bits", f"the result has more than {current().bits} bits")


def _times(a: Any, b: Any) -> Any:
    """a * b; refuses to repeat a string or list, or to make an int, beyond the limit."""
    if isinstance(a, int) and isinstance(b, int):
        # a product has at most the bits of both factors, so it is refused before it is computed
        _check_bits(a.bit_length() + b.bit_length())
        return a * b
    for repeated, count in ((a, b), (b, a)):
        if not isinstance(repeated, SEQUENCES) or not isinstance(count, int):
            continue
        if len(repeated) * count > current().length:
            times = count if abs(count) < SMALL else "so many"
            reason = f"repeating it {times} times is longer than {current().length}"
            raise TooLarge("length", reason)
    return a * b


def _modulo(a: Any, b: Any) -> Any:
    """a % b; where a is a string, Python's formatting, refused for widths beyond the limit."""
    if isinstance(a, str):
        # 20 digits exceed every limit, and reading longer ones takes quadratic time; `*` takes the
        # width from the operand
        widths = [int(digits[:20]) for digits in re.findall("[0-9]+", a)]
        if sum(widths) > current().length or "*" in a:
            raise TooLarge("length", f"formatted it is longer than {current().length}")
    return a % b


def _power(a: Any, b: Any) -> Any:
    """a ^ b; refuses an int beyond the limit, and a root that is no real number."""
    if isinstance(a, int) and isinstance(b, int) and b > 0 and abs(a) > 1:
        # likewise a power, at most b times the bits of a
        _check_bits(a.bit_length() * b)
    result = a**b
    if isinstance(result, complex):
        raise ValueError("a negative number has no such power")
    return result


def _index(values: tuple[Any, ...], i: Any) -> Any:
    """values[i], negative i from the end; refuses what is no position of the list or string."""
    word, n = "string" if isinstance(values, str) else "list", len(values)
    if not isinstance(i, int):
        raise TypeError(f"a {word} is indexed by whole numbers, not by {i!r}")
    if not -n <= i < n:
        valid = (
            f"valid indices are 0 to {n - 1}, and -{n} to -1 from the end" if n else "it is empty"
        )
        raise IndexError(f"index {i} is outside a {word} of length {n}; {valid}")
    return values[i]


def _lookup(pairs: tuple[Any, ...], key: Any) -> Any:
    return dict(pairs)[key]


def _contains(x: Any, values: tuple[Any, ...]) -> bool:
    return x in values


def _table() -> dict[str, Function]:
    binary: dict[str, Callable[[Any, Any], Any]] = {
        "+": _plus,
        "-": _minus,
        "*": _times,
        "/": operator.truediv,
        "//": operator.floordiv,
        "%": _modulo,
        "^": _power,
        "==": operator.eq,
        "!=": operator.ne,
        "<": operator.lt,
        "<=": operator.le,
        ">": operator.gt,
        ">=": operator.ge,
        "and": lambda a, b: bool(a) and bool(b),
        "or": lambda a, b: bool(a) or bool(b),
    }
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
    "asis": lambda token: token,
    "str": str,
    "int": int,
    "float": float,
    "bool": bool,
}
"""How each of tokens_asis, tokens_str (also `tokens`), tokens_int, ... reads a token."""

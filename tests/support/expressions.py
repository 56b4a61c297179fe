"""Expressions as RASP text beside a Python function: an evaluator that shares no code with rasplab.

An `Expression` is built by the functions below from its parts. Its text goes into a program; its
values on an input come from Python's own arithmetic, by the rules of docs/language: position by
position, FAIL where a value cannot be computed. A program refuses an input where an output holds
FAIL. Nothing here imports rasplab: other versions of it can be held against the same values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

NUMBER, TEXT, BOOL, SELECTOR = "number", "text", "bool", "selector"

TESTS: dict[str, Callable[[Any, Any], bool]] = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


class _Fail:
    """Stands for a value that cannot be computed."""

    def __repr__(self) -> str:
        return "FAIL"


FAIL = _Fail()


class Input:
    """One input: what expressions have on it, each computed once."""

    def __init__(self, tokens: Sequence[Any], causal: bool = False):
        self.tokens, self.causal, self._columns = tuple(tokens), causal, {}

    def column(self, expression: Expression) -> list[Any]:
        """The values of an s-op by position, or the rows of a selector by query."""
        key = id(expression)
        if key not in self._columns:
            self._columns[key] = (expression, expression.compute(self))
        return self._columns[key][1]


@dataclass(frozen=True, eq=False)
class Expression:
    """A part of a program.

    kind     NUMBER, TEXT, BOOL or SELECTOR
    compute  its values on an input: per position, or per query a row of keys
    """

    text: str
    kind: str
    compute: Callable[[Input], list[Any]]

    def named(self, name: str) -> Expression:
        """The same values under a name that a statement gave them."""
        return Expression(name, self.kind, lambda given: given.column(self))


def leaf(text: str, kind: str, value: Callable[[Input, int], Any]) -> Expression:
    """An s-op given by a function of input and position."""
    return Expression(
        text, kind, lambda given: [_called(value, (given, i)) for i in range(len(given.tokens))]
    )


def constant(value: Any) -> Expression:
    """An atom, at every position."""
    kind = BOOL if isinstance(value, bool) else TEXT if isinstance(value, str) else NUMBER
    return leaf(source(value), kind, lambda given, i: value)


def source(value: Any) -> str:
    """An atom, list or dict as RASP; floats without exponents."""
    if isinstance(value, list):
        return f"[{', '.join(map(source, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{source(k)}: {source(v)}" for k, v in value.items()) + "}"
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, bool) or (isinstance(value, int) and value >= 0):
        return str(value)
    if isinstance(value, int):
        return f"(-{-value})"
    digits = format(abs(Decimal(repr(value))), "f")
    digits += "" if "." in digits else ".0"
    return digits if value >= 0 else f"(-{digits})"


def elementwise(form: str, kind: str, fn: Callable[..., Any], *parts: Expression) -> Expression:
    """A function position by position; `form` has {0}, {1}, ... for the parts."""

    def compute(given: Input) -> list[Any]:
        columns = [given.column(p) for p in parts]
        return [_called(fn, values) for values in zip(*columns, strict=True)]

    return Expression(form.format(*(p.text for p in parts)), kind, compute)


def _called(fn: Callable[..., Any], values: tuple) -> Any:
    if any(v is FAIL for v in values):
        return FAIL
    try:
        result = fn(*values)
    except (ArithmeticError, ValueError, TypeError, LookupError):
        return FAIL
    return FAIL if isinstance(result, complex) else result


def choice(condition: Expression, a: Expression, b: Expression) -> Expression:
    """`a if condition else b`: reads the branch that it takes, and no other."""

    def compute(given: Input) -> list[Any]:
        columns = (given.column(p) for p in (condition, a, b))
        rows = zip(*columns, strict=True)
        return [FAIL if c is FAIL else (x if c else y) for c, x, y in rows]

    return Expression(f"({a.text} if {condition.text} else {b.text})", a.kind, compute)


def connected(word: str, a: Expression, b: Expression) -> Expression:
    """`and` and `or` of Booleans: nothing is read after the operand that decides."""

    def one(x: Any, y: Any) -> Any:
        if x is FAIL or bool(x) == (word == "or"):
            return x
        return y if y is FAIL else bool(y)

    def compute(given: Input) -> list[Any]:
        return [one(*row) for row in zip(given.column(a), given.column(b), strict=True)]

    return Expression(f"({a.text} {word} {b.text})", BOOL, compute)


def select(keys: Expression, queries: Expression, test: str) -> Expression:
    """`select(keys, queries, test)`: a cell fails where its key or its query does."""

    def compute(given: Input) -> list[Any]:
        columns = given.column(keys), given.column(queries)
        return [
            [
                _seen(given, q, k, _called(TESTS[test], (key, query)))
                for k, key in enumerate(columns[0])
            ]
            for q, query in enumerate(columns[1])
        ]

    return Expression(f"select({keys.text}, {queries.text}, {test})", SELECTOR, compute)


def _seen(given: Input, query: int, key: int, cell: Any) -> Any:
    return False if given.causal and key > query else cell


def combined(word: str, *parts: Expression) -> Expression:
    """`not`, `and` or `or` of selectors; a cell fails where one of its parts does."""
    joins = {"not": lambda a: not a, "and": lambda a, b: a and b, "or": lambda a, b: a or b}

    def compute(given: Input) -> list[Any]:
        rows = zip(*(given.column(p) for p in parts), strict=True)
        return [
            [
                _seen(given, q, k, _called(joins[word], cells))
                for k, cells in enumerate(zip(*row, strict=True))
            ]
            for q, row in enumerate(rows)
        ]

    texts = [p.text for p in parts]
    text = f"(not {texts[0]})" if word == "not" else f"({texts[0]} {word} {texts[1]})"
    return Expression(text, SELECTOR, compute)


def aggregate(selector: Expression, values: Expression, default: Any = None) -> Expression:
    """The default for no key, the value of one, the mean of several, rounded once to a float.

    default  None is left out of the text; it is 0 then
    """

    def compute(given: Input) -> list[Any]:
        column = given.column(values)
        fallback = 0 if default is None else default
        return [_aggregated(row, column, fallback) for row in given.column(selector)]

    end = "" if default is None else f", {source(default)}"
    return Expression(f"aggregate({selector.text}, {values.text}{end})", values.kind, compute)


def _aggregated(row: list[Any], column: list[Any], default: Any) -> Any:
    if any(cell is FAIL for cell in row):
        return FAIL
    chosen = [v for v, cell in zip(column, row, strict=True) if cell]
    if any(v is FAIL for v in chosen):
        return FAIL
    if len(chosen) < 2:
        return chosen[0] if chosen else default
    if not all(type(v) in (int, float) for v in chosen):
        return FAIL  # a mean of strings or Booleans
    total = sum(map(Fraction, chosen), Fraction(0))
    return _called(lambda: total.numerator / (total.denominator * len(chosen)), ())


def width(selector: Expression) -> Expression:
    """`selector_width(selector)`."""

    def compute(given: Input) -> list[Any]:
        rows = given.column(selector)
        return [FAIL if any(c is FAIL for c in row) else sum(map(bool, row)) for row in rows]

    return Expression(f"selector_width({selector.text})", NUMBER, compute)


def called(text: str, meaning: Expression) -> Expression:
    """Another way to write an expression, such as the call of a function of the library."""
    return Expression(text, meaning.kind, meaning.compute)

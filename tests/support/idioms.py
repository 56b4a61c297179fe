"""Idioms of RASP as expressions: functions of the library by their calls, and what users write out.

Each is what `support.grammar_kinds` builds programs around; its meaning is spelled out in
`support.expressions`, not taken from the library.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from support.expressions import (
    BOOL,
    NUMBER,
    TEXT,
    Expression,
    aggregate,
    called,
    choice,
    combined,
    constant,
    elementwise,
    select,
    source,
    width,
)
from support.grammar import Grammar


def power(g: Grammar, base: int) -> Expression:
    """A power of the position, times or plus a small number."""
    few = g.binary("%", g.number(1), constant(8))
    raised = g.binary("^", constant(base), g.pick(g.indices, few))
    return g.binary(g.pick("+", "*"), raised, g.number(0))


def hashed(g: Grammar, base: int) -> Expression:
    """hash = hash * base + the next number, over the last positions."""
    number = g.tokens if g.tokens.kind == NUMBER else g.number(1)
    result: Expression = constant(0)
    for k in range(g.pick(2, 3, 4), -1, -1):
        moved = shifted(g, number, k, 0)
        result = g.name(g.binary("+", g.binary("*", result, constant(base)), moved))
    return result


def shifted(g: Grammar, values: Expression, n: int, default: Any) -> Expression:
    """`shift(values, n, default)` of the library."""
    moved = select(g.indices, g.binary("-", g.indices, constant(n)), "==")
    meaning = aggregate(moved, values, default)
    return called(f"shift({values.text}, {source(n)}, {source(default)})", meaning)


def sorted_by(g: Grammar, values: Expression, key: Expression) -> Expression:
    """`sort(values, key)` of the library."""
    before = combined("and", select(key, key, "=="), select(g.indices, g.indices, "<"))
    rank = width(combined("or", select(key, key, "<"), before))
    meaning = aggregate(select(rank, g.indices, "=="), values)
    return called(f"sort({values.text}, {key.text})", meaning)


def texted(value: Expression) -> Expression:
    """A value as text."""
    return elementwise('("%s" % {0})', TEXT, lambda x: f"{x}", value)


def rotated(g: Grammar, values: Expression, n: int, default: Any) -> Expression:
    """Each value n positions to the right, the last ones first."""
    here = aggregate(
        select(g.indices, g.binary("-", g.indices, constant(n)), "=="), values, default
    )
    end = g.binary("-", g.binary("+", g.indices, g.length), constant(n))
    wrap = aggregate(select(g.indices, end, "=="), values, default)
    return choice(elementwise(f"({n} <= indices)", BOOL, lambda i: n <= i, g.indices), here, wrap)


def neighbours(g: Grammar, values: Expression, default: Any) -> Expression:
    """Positions 0 and 1, 2 and 3, ... exchanged; the last stays where it has no partner."""
    even = elementwise("(indices % 2 == 0)", BOOL, lambda i: i % 2 == 0, g.indices)
    alone = elementwise(
        "(indices + 1 == length)", BOOL, lambda i, n: i + 1 == n, g.indices, g.length
    )
    right = aggregate(
        select(g.indices, g.binary("+", g.indices, constant(1)), "=="), values, default
    )
    left = aggregate(
        select(g.indices, g.binary("-", g.indices, constant(1)), "=="), values, default
    )
    return choice(even, choice(alone, values, right), left)


def smaller(g: Grammar, a: Expression, b: Expression) -> Expression:
    """`min(a, b)` of the library."""
    meaning = elementwise("", NUMBER, lambda x, y: y if x > y else x, a, b)
    return called(f"min({a.text}, {b.text})", meaning)


def extreme(g: Grammar, word: str, sel: Expression) -> Expression:
    """`largest` or `smallest` over a selector, of numbers among a list."""
    modulus = g.pick(2, 3, 4)
    values = g.binary("%", g.pick(g.indices, g.number(0)), constant(modulus))
    listed = list(range(modulus))
    pick: Callable[..., Any] = max if word == "largest" else min

    def compute(given: Any) -> list[Any]:
        results = []
        for row, column in ((row, given.column(values)) for row in given.column(sel)):
            among = [v for v, cell in zip(column, row, strict=True) if cell is True and v in listed]
            results.append(pick(among) if among else 0)
        return results

    meaning = Expression("", NUMBER, compute)
    return called(f"{word}({sel.text}, {values.text}, {source(listed)})", meaning)


def indexed(values: list[Any]) -> Callable[[Any], Any]:
    def at(i: Any) -> Any:
        if not isinstance(i, int):
            raise TypeError("a list is indexed by whole numbers")
        return values[i]

    return at

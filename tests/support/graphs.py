"""Small programs as graphs, without text."""

from __future__ import annotations

from collections.abc import Callable

from rasplab.program.graph import (
    Aggregate,
    Builder,
    Combine,
    Constant,
    Indices,
    Map,
    Node,
    Program,
    Select,
    SelectorWidth,
    Tokens,
)

LETTERS = tuple("abcdefghijklmnopqrstuvwxyzABCDEF")

Add = Callable[[Node], int]


def graph(make: Callable[[Add], int]) -> Program:
    """The program that `make(add)` returns the output of."""
    builder = Builder()
    return builder.program(make(lambda node: builder.add(node)))


def hist(add: Add) -> int:
    """How often the token at each position occurs."""
    t = add(Tokens())
    return add(SelectorWidth(add(Select(t, t, "=="))))


def reverse(add: Add) -> int:
    """The input backwards."""
    one, i = add(Constant(1)), add(Indices())
    length = add(SelectorWidth(add(Select(one, one, "=="))))
    opposite = add(Map("-", (add(Map("-", (length, one))), i)))
    return add(Aggregate(add(Select(i, opposite, "==")), add(Tokens()), 0))


def sort(add: Add) -> int:
    """The tokens in ascending order."""
    t, i = add(Tokens()), add(Indices())
    tie = add(Combine("and", (add(Select(t, t, "==")), add(Select(i, i, "<")))))
    rank = add(SelectorWidth(add(Combine("or", (add(Select(t, t, "<")), tie)))))
    return add(Aggregate(add(Select(rank, i, "==")), t, 0))

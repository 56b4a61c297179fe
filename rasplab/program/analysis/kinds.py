"""Kinds of s-ops known before any input: program -> kinds, to refuse what fails on every input."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

from rasplab.base.errors import RaspTypeError, Span
from rasplab.program.graph import Aggregate, Constant, Map, Node, Tokens
from rasplab.program.interpret.transcript_faults import with_article

ORDERED = ("<", "<=", ">", ">=")
NUMBERS = frozenset({"bool", "int", "float", "number"})
BOOL_FNS = frozenset({"==", "!=", *ORDERED, "and", "or", "not", "in"})
NUMBER_FNS = frozenset({"-", "/", "//", "^", "neg", "pos"})


class Kinds:
    """The kinds of nodes: "str", "bool", "int", "float", "number", or None where it is not known.

    nodes  a list that may grow while a text is elaborated
    """

    def __init__(self, nodes: Sequence[Node]):
        self.nodes = nodes
        self.known: list[str | None] = []

    def of(self, node: int) -> str | None:
        """The kind of a node."""
        while len(self.known) <= node:  # operands come first, so each needs only those before it
            self.known.append(self._infer(self.nodes[len(self.known)]))
        return self.known[node]

    def _infer(self, node: Node) -> str | None:
        match node:
            case Tokens(cast):
                return None if cast == "asis" else cast
            case Constant(value):
                return kind_of_value(value)
            case Map(fn, args):
                return self._lookup(args[0]) if fn == "lookup" else self._map(fn, args)
            case Aggregate(_, values, default):
                return merged(self.known[values], kind_of_value(default))
        return "int"  # indices and widths; a selector is never asked for

    def _lookup(self, table: int) -> str | None:
        match self.nodes[table]:
            case Constant(tuple(pairs)) if pairs:
                return reduce(merged, [kind_of_value(v) for _, v in pairs])
        return None

    def _map(self, fn: str, args: tuple[int, ...]) -> str | None:
        kinds = [self.known[a] for a in args]
        if fn in BOOL_FNS:
            return "bool"
        if fn in NUMBER_FNS:
            return "number"
        if fn in ("round", "indicator"):
            return "int"
        if fn == "if":
            return merged(*kinds[1:])
        if fn in ("+", "*", "%"):
            if all(k in NUMBERS for k in kinds):
                return "number"
            # + joins strings, * repeats one, and % formats
            # one: a string among the operands gives a string
            return "str" if "str" in kinds else None
        return None

    def check_select(
        self, keys: int, queries: int, predicate: str, span: Span, texts: tuple[str, str]
    ) -> None:
        """Check a comparison of keys with queries.

        texts  what the keys and the queries are called in the text
        Raises RaspTypeError where an ordering would meet a string and a number.
        """
        clash = _clash(self.of(keys), self.of(queries))
        if predicate in ORDERED and clash:
            like = f"select({texts[0]}, {texts[0]}, {predicate})"
            message = f"select compares {clash[0]} key with {clash[1]} query"
            raise RaspTypeError(message, span, f"compare like kinds: {like}")

    def check_map(self, fn: str, args: tuple[int, ...], spans: tuple[Span, ...]) -> None:
        """Check the operands of a function.

        spans  where each operand stands in the text
        Raises RaspTypeError, at an operand, for arithmetic or order that fails on every input.
        """
        kinds = [self.of(a) for a in args]
        if (fn in ORDERED or fn == "+") and (clash := _clash(*kinds)):
            left, right = clash
            if fn == "+":
                hint = "add two numbers, or join two strings"
                raise RaspTypeError(f"`+` adds {left} and {right}", spans[1], hint)
            raise RaspTypeError(
                f"`{fn}` compares {left} with {right}", spans[1], "compare like kinds"
            )
        if fn in NUMBER_FNS or fn == "round":
            for kind, span in zip(kinds, spans, strict=True):
                if kind == "str":
                    sign = {"neg": "-", "pos": "+"}.get(fn, fn)
                    raise RaspTypeError(
                        f"`{sign}` takes numbers, and this is a str", span, _number_hint(span)
                    )


def _number_hint(span: Span) -> str:
    reads_tokens = span.text == "tokens"
    return "tokens_int reads the tokens as ints" if reads_tokens else "only + and * work on strings"


def _clash(a: str | None, b: str | None) -> tuple[str, str] | None:
    """The two kinds with their articles, where one is a string and the other a number."""
    if (
        a is None
        or b is None
        or not ((a == "str" and b in NUMBERS) or (b == "str" and a in NUMBERS))
    ):
        return None
    return with_article(a), with_article(b)


def kind_of_value(value: Any) -> str | None:
    """The kind of a constant; None for a list or dict."""
    return type(value).__name__ if type(value) in (str, bool, int, float) else None


def merged(a: str | None, b: str | None) -> str | None:
    """The kind of an s-op that holds values of both kinds."""
    if a == b:
        return a
    return "number" if a in NUMBERS and b in NUMBERS else None

"""What is known of an s-op's kind before any input: enough to refuse what would fail on every
input."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from rasplab.base.errors import RaspTypeError, Span
from rasplab.program.graph import Aggregate, Constant, Map, Node, Tokens
from rasplab.program.interpret.transcript_faults import with_article

ORDERED = ("<", "<=", ">", ">=")
NUMBERS = frozenset({"bool", "int", "float", "number"})
BOOL_FNS = frozenset({"==", "!=", *ORDERED, "and", "or", "not", "in"})
NUMBER_FNS = frozenset({"-", "/", "^", "neg", "pos"})


class Kinds:
    """The kinds of nodes, whose list may grow: "str", "bool", "int", "float", "number" or None
    (not known)."""

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
            case Map("lookup", (table, _)) if isinstance(self.nodes[table], Constant):
                kinds = [kind_of_value(v) for _, v in self.nodes[table].value]
                return reduce(merged, kinds) if kinds else None
            case Map(fn, args):
                return self._map(fn, args)
            case Aggregate(_, values, default):
                return merged(self.known[values], kind_of_value(default))
        return "int"  # indices and widths; a selector is never asked for

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
            return (
                "number" if all(k in NUMBERS for k in kinds) else "str" if "str" in kinds else None
            )
        return None

    def check_select(
        self, keys: int, queries: int, predicate: str, span: Span, texts: tuple[str, str]
    ) -> None:
        """Raises RaspTypeError where an ordering would meet a string and a number."""
        key, query = self.of(keys), self.of(queries)
        if predicate not in ORDERED or not _clash(key, query):
            return
        like = f"select({texts[0]}, {texts[0]}, {predicate})"
        raise RaspTypeError(
            f"select compares {with_article(key)} key with {with_article(query)} query",
            span,
            f"compare like kinds: {like}",
        )

    def check_map(self, fn: str, args: tuple[int, ...], spans: tuple[Span, ...]) -> None:
        """Raises RaspTypeError, at the operand in the way, for arithmetic or order that fails on
        every input."""
        kinds = [self.of(a) for a in args]
        if fn in ORDERED and _clash(*kinds):
            raise RaspTypeError(
                f"`{fn}` compares {with_article(kinds[0])} with {with_article(kinds[1])}",
                spans[1],
                "compare like kinds",
            )
        if fn == "+" and _clash(*kinds):
            raise RaspTypeError(
                f"`+` adds {with_article(kinds[0])} and {with_article(kinds[1])}",
                spans[1],
                "add two numbers, or join two strings",
            )
        if fn in NUMBER_FNS or fn == "round":
            for kind, span in zip(kinds, spans, strict=True):
                if kind == "str":
                    sign = {"neg": "-", "pos": "+"}.get(fn, fn)
                    raise RaspTypeError(
                        f"`{sign}` takes numbers, and this is a str", span, _number_hint(span)
                    )


def _number_hint(span: Span) -> str:
    return (
        "tokens_int reads the tokens as ints"
        if span.text == "tokens"
        else "only + and * work on strings"
    )


def _clash(a: str | None, b: str | None) -> bool:
    return (a == "str" and b in NUMBERS) or (b == "str" and a in NUMBERS)


def kind_of_value(value) -> str | None:
    """The kind of a constant."""
    return type(value).__name__ if type(value) in (str, bool, int, float) else None


def merged(a: str | None, b: str | None) -> str | None:
    """The kind of what is one or the other."""
    if a == b:
        return a
    return "number" if a in NUMBERS and b in NUMBERS else None

"""What each rule of the grammar builds, by the name after `->` in rasp.lark.

`build(action, children, source)` -> a syntax node, or a list of nodes that a rule further out
takes. The parser calls it once per use of a rule, bottom up, so nothing here recurses. Children
are tokens and what inner rules built, numbered as in the rule: in `"for" names "in" expr "{" body
"}"`, c[1] is the names and c[5] the body.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

from rasplab.base.errors import Source, Span
from rasplab.lang.syntax import ast as s


class Token(NamedTuple):
    """A word of the text: its terminal, its characters, and their offsets [start, stop)."""

    type: str
    text: str
    start: int
    stop: int


def build(action: str, children: list[Any], source: Source) -> Any:
    """What the rule with this action makes of its children."""
    if action in LISTS:
        return LISTS[action](children)
    span = Span(source, _start(children[0]), _stop(children[-1]))
    return NODES[action](children, span)


def _start(child: Any) -> int:
    first = child[0] if isinstance(child, list) else child  # a list of names begins a statement
    return first.start if isinstance(first, Token) else first.span.start


def _stop(child: Any) -> int:
    return child.stop if isinstance(child, Token) else child.span.stop


def _appended(items: list[Any], item: Any) -> list[Any]:
    items.append(item)  # in place: a copy at every item would be quadratic in the text
    return items


def _texts(tokens: list[Token]) -> tuple[str, ...]:
    return tuple(token.text for token in tokens)


LISTS: dict[str, Callable[[list[Any]], list[Any]]] = {
    "nothing": lambda c: [],
    "append": lambda c: _appended(c[0], c[1]),
    "same": lambda c: c[0],
    "one": lambda c: [c[0]],
    "more": lambda c: _appended(c[0], c[2]),
    "one_pair": lambda c: [(c[0], c[2])],
    "more_pairs": lambda c: _appended(c[0], (c[2], c[4])),
}
"""Rules whose value is a list and has no place of its own."""

COMMANDS: dict[str, Callable[[list[Any], Span], s.Command]] = {
    "set_both": lambda c, span: s.SetExample("both", c[2], span),
    "set_one": lambda c, span: s.SetExample(c[1].text, c[3], span),
    "show_both": lambda c, span: s.ShowExample("both", span),
    "show_one": lambda c, span: s.ShowExample(c[1].text, span),
    "examples_both": lambda c, span: s.SwitchExamples("both", c[1].text == "on", span),
    "examples_one": lambda c, span: s.SwitchExamples(c[0].text, c[2].text == "on", span),
    "full_display": lambda c, span: s.SwitchDisplay(c[1].text == "on", span),
    "leave": lambda c, span: s.Leave(span),
}

STATEMENTS: dict[str, Callable[[list[Any], Span], s.Statement]] = {
    "expression": lambda c, span: s.Expression(c[0], span),
    "assign": lambda c, span: s.Assign(_texts(c[0]), tuple(c[2]), span),
    "function": lambda c, span: s.Define(
        c[1].text, parameters=_texts(c[3]), body=tuple(c[6]), results=tuple(c[8]), span=span
    ),
    "loop": lambda c, span: s.Loop(_texts(c[1]), c[3], tuple(c[5]), span),
    "load": lambda c, span: s.Load(c[1].text[1:-1], span),
    "draw": lambda c, span: s.Draw(c[2], None, span),
    "draw_on": lambda c, span: s.Draw(c[2], c[4], span),
}

EXPRESSIONS: dict[str, Callable[[list[Any], Span], s.Expr]] = {
    "binary": lambda c, span: s.Binary(c[1].text, c[0], c[2], span),
    "if_else": lambda c, span: s.IfElse(c[0], c[2], c[4], span),
    "unary": lambda c, span: s.Unary(c[0].text, c[1], span),
    "form_unary": lambda c, span: s.Unary(c[0].text, c[2], span),
    "index": lambda c, span: s.Index(c[0], c[2], span),
    "call_empty": lambda c, span: s.Call(c[0], (), span),
    "call": lambda c, span: s.Call(c[0], tuple(c[2]), span),
    "group": lambda c, span: replace(c[1], span=span),
    "name": lambda c, span: s.Name(c[0].text, span),
    "integer": lambda c, span: s.Literal(int(c[0].text), span),
    "real": lambda c, span: s.Literal(float(c[0].text), span),
    "string": lambda c, span: s.Literal(c[0].text[1:-1], span),
    "list_empty": lambda c, span: s.ListOf((), span),
    "list_of": lambda c, span: s.ListOf(tuple(c[1]), span),
    "list_for": lambda c, span: s.ListFor(c[1], _texts(c[3]), c[5], span),
    "dict_empty": lambda c, span: s.DictOf((), span),
    "dict_of": lambda c, span: s.DictOf(tuple(c[1]), span),
    "dict_for": lambda c, span: s.DictFor(c[1], c[3], _texts(c[5]), c[7], span),
    "select": lambda c, span: s.SelectForm(c[2], c[4], c[6].text, span),
    "aggregate": lambda c, span: s.AggregateForm(c[2], c[4], None, span),
    "aggregate_default": lambda c, span: s.AggregateForm(c[2], c[4], c[6], span),
    "form": lambda c, span: s.Form(c[0].text, tuple(c[2]), span),
    "form_one": lambda c, span: s.Form(c[0].text, (c[2],), span),
}

NODES: dict[str, Callable[[list[Any], Span], Any]] = COMMANDS | STATEMENTS | EXPRESSIONS

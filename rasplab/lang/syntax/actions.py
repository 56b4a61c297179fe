"""What each rule of the grammar builds: `Actions`, one method per name after `->` in rasp.lark.

A method takes the children of its rule, tokens included, and returns a syntax node, a tuple or a
child. Every method runs once per use of its rule, bottom up, so that nothing here or in the parser
recurses.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from rasplab.base.errors import Source, Span
from rasplab.lang.syntax import ast as s


class Token(NamedTuple):
    """A word of the text: its terminal, its characters, and where they are."""

    type: str
    text: str
    start: int
    stop: int


def _start(child) -> int:
    return child.start if isinstance(child, Token) else child.span.start


def _stop(child) -> int:
    return child.stop if isinstance(child, Token) else child.span.stop


class Actions:
    """The builders, for one source."""

    def __init__(self, source: Source):
        self.source = source

    def _span(self, children) -> Span:
        return Span(self.source, _start(children[0]), _stop(children[-1]))

    # lists

    def nothing(self, c):
        return []

    def append(self, c):
        c[0].append(c[1])
        return c[0]

    def same(self, c):
        return c[0]

    def one(self, c):
        return [c[0]]

    def more(self, c):
        c[0].append(c[2])
        return c[0]

    def one_pair(self, c):
        return [(c[0], c[2])]

    def more_pairs(self, c):
        c[0].append((c[2], c[4]))
        return c[0]

    # commands

    def set_both(self, c):
        return s.SetExample("both", c[2], self._span(c))

    def set_one(self, c):
        return s.SetExample(c[1].text, c[3], self._span(c))

    def show_both(self, c):
        return s.ShowExample("both", self._span(c))

    def show_one(self, c):
        return s.ShowExample(c[1].text, self._span(c))

    def examples_both(self, c):
        return s.SwitchExamples("both", c[1].text == "on", self._span(c))

    def examples_one(self, c):
        return s.SwitchExamples(c[0].text, c[2].text == "on", self._span(c))

    def full_display(self, c):
        return s.SwitchDisplay(c[1].text == "on", self._span(c))

    def leave(self, c):
        return s.Leave(self._span(c))

    # statements

    def expression(self, c):
        return s.Expression(c[0], self._span(c))

    def assign(self, c):
        span = Span(self.source, c[0][0].start, c[3].stop)
        return s.Assign(_texts(c[0]), tuple(c[2]), span)

    def function(self, c):
        _, name, _, parameters, _, _, body, _, results, _, _ = c
        span = self._span(c)
        return s.Define(name.text, _texts(parameters), tuple(body), tuple(results), span)

    def loop(self, c):
        return s.Loop(_texts(c[1]), c[3], tuple(c[5]), self._span(c))

    def load(self, c):
        return s.Load(c[1].text[1:-1], self._span(c))

    def draw(self, c):
        return s.Draw(c[2], None, self._span(c))

    def draw_on(self, c):
        return s.Draw(c[2], c[4], self._span(c))

    # expressions

    def binary(self, c):
        return s.Binary(c[1].text, c[0], c[2], self._span(c))

    def if_else(self, c):
        return s.IfElse(c[0], c[2], c[4], self._span(c))

    def unary(self, c):
        return s.Unary(c[0].text, c[1], self._span(c))

    def form_unary(self, c):
        return s.Unary(c[0].text, c[2], self._span(c))

    def index(self, c):
        return s.Index(c[0], c[2], self._span(c))

    def call_empty(self, c):
        return s.Call(c[0], (), self._span(c))

    def call(self, c):
        return s.Call(c[0], tuple(c[2]), self._span(c))

    def group(self, c):
        return replace(c[1], span=self._span(c))

    def name(self, c):
        return s.Name(c[0].text, self._span(c))

    def integer(self, c):
        return s.Literal(int(c[0].text), self._span(c))

    def real(self, c):
        return s.Literal(float(c[0].text), self._span(c))

    def string(self, c):
        return s.Literal(c[0].text[1:-1], self._span(c))

    def list_empty(self, c):
        return s.ListOf((), self._span(c))

    def list_of(self, c):
        return s.ListOf(tuple(c[1]), self._span(c))

    def list_for(self, c):
        return s.ListFor(c[1], _texts(c[3]), c[5], self._span(c))

    def dict_empty(self, c):
        return s.DictOf((), self._span(c))

    def dict_of(self, c):
        return s.DictOf(tuple(c[1]), self._span(c))

    def dict_for(self, c):
        return s.DictFor(c[1], c[3], _texts(c[5]), c[7], self._span(c))

    def select(self, c):
        return s.SelectForm(c[2], c[4], c[6].text, self._span(c))

    def aggregate(self, c):
        return s.AggregateForm(c[2], c[4], None, self._span(c))

    def aggregate_default(self, c):
        return s.AggregateForm(c[2], c[4], c[6], self._span(c))

    def form(self, c):
        return s.Form(c[0].text, tuple(c[2]), self._span(c))

    def form_one(self, c):
        return s.Form(c[0].text, (c[2],), self._span(c))


def _texts(tokens) -> tuple[str, ...]:
    return tuple(token.text for token in tokens)

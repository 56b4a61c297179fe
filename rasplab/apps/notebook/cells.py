"""The session that the cells of a notebook share, and what a cell shows.

`Cells.run(text)` executes a cell and returns its views: s-ops and selectors on the running example
(`Shown`), pictures of `draw` (`Picture`), and lines. `page(views)` makes HTML of them. What a cell
assigns is in `Cells.names` then, as Python variables (`Named`, numbers, strings).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from jaxtyping import Bool

from rasplab.apps.repl.completion import value_line
from rasplab.apps.show import html
from rasplab.apps.show.patterns import selector_figure
from rasplab.apps.show.program import flow_svg
from rasplab.base.errors import Source, Span
from rasplab.lang.elaborate import values as lang
from rasplab.lang.elaborate.elaborator import Result
from rasplab.lang.elaborate.values import Applied, NamedNode, Selector, is_atom, kind
from rasplab.lang.session import Brief, Examples, Failed, Outcome, Session
from rasplab.lang.syntax.ast import Call, Command, Draw, Expression, Name, Statement
from rasplab.lang.syntax.parser import parse_module
from rasplab.program.graph import Program
from rasplab.program.interpret.bitrows import Rows, matrix
from rasplab.program.interpret.exact import Column, evaluate
from rasplab.program.values import Value, input_text, selector_grid, sop_line

SelectorMatrix = Bool[np.ndarray, "query key"]


@dataclass(frozen=True)
class Shown:
    """An s-op or selector on an input, to look at: a list of values, or a matrix."""

    name: str
    example: tuple[Value, ...]
    value: list[Value] | SelectorMatrix

    def __str__(self) -> str:
        if isinstance(self.value, list):
            return sop_line(self.name, self.example, self.value)
        return f"{self.name}({input_text(self.example)})\n{selector_grid(self.value, self.example)}"


@dataclass(frozen=True)
class Picture:
    """What `draw` drew."""

    name: str
    svg: str

    def __str__(self) -> str:
        return f"{self.name}: a picture, where HTML is shown"


@dataclass(frozen=True)
class Named:
    """An s-op or selector of a notebook: call it on an input, or look at its `program`.

    example  the input that it shows itself on
    """

    name: str
    program: Program
    example: tuple[Value, ...]

    def __call__(self, tokens: Sequence[Value]) -> list[Value] | SelectorMatrix:
        """Its value on `tokens`: a list for an s-op, a matrix for a selector."""
        return evaluate(self.program, tokens).output

    def __repr__(self) -> str:
        return str(Shown(self.name, self.example, self(self.example)))

    def _repr_html_(self) -> str:
        return page([Shown(self.name, self.example, self(self.example))])


View = Shown | Picture | str
"""What a cell shows; a str is a line."""


def _matrix(column: Column) -> SelectorMatrix:
    """The matrix of a selector's column, which holds one int of bits per query."""
    return matrix(cast(Rows, column))


def page(views: Sequence[View]) -> str:
    """HTML of views: a table of s-ops for each input, then lines, then selectors and pictures."""
    sops: dict[tuple, list[tuple[str, list[Value]]]] = {}
    examples: dict[tuple, tuple[Value, ...]] = {}
    figures = []
    for view in views:
        if isinstance(view, Picture):
            figures.append(html.figure(view.svg, f"the computation of {view.name}"))
        elif isinstance(view, Shown) and isinstance(value := view.value, list):
            key = tuple((type(t), t) for t in view.example)  # 1 and True are different tokens
            examples[key] = view.example
            sops.setdefault(key, []).append((view.name, value))
        elif isinstance(view, Shown):
            figures.append(selector_figure(view.name, np.asarray(view.value), view.example))
    tables = [html.sops_table(examples[key], rows) for key, rows in sops.items()]
    lines = [view for view in views if isinstance(view, str)]
    text = [html.code("\n".join(lines))] if lines else []
    return html.wrapped(*tables, *text, *figures, scripted=bool(figures))


class Cells:
    """The session that the cells of a notebook share; a cell with a fault changes nothing.

    names   what the last cell assigned or loaded: Python variables for the notebook
    pushed  what the notebook has of them as Python variables
    """

    def __init__(self) -> None:
        self.session = Session(draw=self._draw, kinds=True)
        self.names: dict[str, object] = {}
        self.pushed: dict[str, object] = {}
        self._pictures: list[Picture] = []

    def run(
        self, cell: str, example: Sequence[Value] | None = None, name: str = "<cell>"
    ) -> list[View]:
        """Run a cell, on another running example if one is given: what it shows.

        name  what to call the cell in messages

        Raises RaspError, placed in the cell, for one that does not parse or fails on the example;
        then nothing has changed.
        """
        session, self._pictures = self.session, []
        # copies: a statement changes these in place
        before, places = dict(session.scope.variables), dict(session.places)
        with session.all_or_nothing():
            if example is not None:
                self._set_example(example)
            views = self._views(parse_module(Source(name, cell)).items)
        self.names = dict(self._python_names(before, places))
        return [*views, *self._pictures]

    def _set_example(self, example: Sequence[Value]) -> None:
        characters = [t for t in example if isinstance(t, str) and len(t) == 1]
        tokens = "".join(characters) if len(characters) == len(example) else list(example)
        session = self.session
        session.sop_example = session.selector_example = session.check.tokens = tokens

    def _views(self, items: Sequence[Statement | Command]) -> list[View]:
        """What the statements show: a name that is assigned twice shows itself once, at the end."""
        views: dict[object, View | None] = {}
        for item in items:
            for outcome in self.session.step(item):
                if isinstance(outcome, Failed):
                    raise outcome.error
                key, view = self._view(item, outcome)
                views[key] = view
        return [view for view in views.values() if view is not None]

    def _view(self, item: Statement | Command, outcome: Outcome) -> tuple[object, View | None]:
        """A key that is equal for what replaces it, and the view."""
        match outcome:
            case Examples(pairs):
                return item, "\n".join(f"{which} example: {e!r}" for which, e in pairs)
            case Brief(result):
                return result.name, f"{kind(result.value)} {result.name}"
            case Result(name, Applied() as applied):
                return item, self._applied(item, name, applied)
            case Result(name, value):
                return self._result(item, name or "", value)
        return item, None  # `exit`: a notebook has nothing to leave

    def _applied(self, item: Statement | Command, name: str | None, value: Applied) -> Shown:
        """The value of `sop(input)` or `draw(sop, input)`, under the name of the s-op."""
        match item:
            case Expression(expr=Call(function=function)):
                name = function.span.text
            case Draw(sop=sop):
                name = sop.span.text
        column = value.column
        shown = _matrix(column) if value.is_selector else list(column)
        return Shown(name or "", tuple(value.tokens), shown)

    def _result(
        self, item: Statement | Command, name: str, value: lang.Value
    ) -> tuple[object, View | None]:
        """The view of an assigned or expressed value; an expression goes by its text."""
        expressed = isinstance(item, Expression)
        if isinstance(item, Expression) and not isinstance(item.expr, Name):
            name = item.expr.span.text
        if isinstance(value, NamedNode):
            return name, self._node(name, value)
        return name, value_line(name, value) if expressed else None

    def _node(self, name: str, node: NamedNode) -> View:
        """An s-op or selector on the running example; its kind where examples are switched off."""
        view, selector = self.session.view(), isinstance(node, Selector)
        example = view.selector_example if selector else view.sop_example
        if example is None:
            return f"{kind(node)} {name}"
        column = view.column(node, example)
        return Shown(name, tuple(example), _matrix(column) if selector else list(column))

    def _draw(self, name: str, program: Program, tokens: tuple) -> None:
        trace = evaluate(program, tokens)
        self._pictures.append(Picture(name, flow_svg(trace, f"{name}({input_text(tokens)})")))

    def _python_names(
        self, before: Mapping[str, lang.Value], places: Mapping[str, Span]
    ) -> Iterator[tuple[str, object]]:
        """What is new of the s-ops, selectors, numbers and strings; and `out`."""
        session = self.session
        for name, value in {**session.scope.variables, "out": session.scope.get("out")}.items():
            # a name given the same value again is new: its place is another statement
            if before.get(name) is value and places.get(name) is session.places.get(name):
                continue
            if isinstance(value, NamedNode):
                selector = isinstance(value, Selector)
                example = session.selector_example if selector else session.sop_example
                program = session.elaborator.program(value, session.scope)
                yield name, Named(name, program, tuple(example))
            elif is_atom(value):
                yield name, value

"""RASP in notebooks: `%load_ext rasplab`, then `%%rasp` cells; and how our types show themselves
there.

The cells of a notebook share one session, and a cell with a fault changes nothing. What a cell
assigns is shown over the running example, and is a Python variable from then on, as is `out`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

import rasplab
from rasplab.apps.repl.completion import completions, help_at, value_line
from rasplab.apps.show import heads as studies
from rasplab.apps.show import html
from rasplab.apps.show.program import flow_svg
from rasplab.apps.show.svg import pattern_svg
from rasplab.base.errors import RaspError, Source, render
from rasplab.lang.elaborate.elaborator import Result
from rasplab.lang.elaborate.values import Applied, Node, Selector, is_atom, kind
from rasplab.lang.session import Brief, Examples, Failed, Outcome, Session
from rasplab.lang.syntax.ast import Command, Draw, Expression, Name, Statement
from rasplab.lang.syntax.parser import parse_module
from rasplab.program.graph import Program
from rasplab.program.interpret.bitrows import matrix
from rasplab.program.values import Value, input_text, selector_grid, sop_line, value_text

MAGIC = "%%rasp"


@dataclass(frozen=True)
class Shown:
    """An s-op or selector on an input, to look at: a list of values, or a matrix [query, key]."""

    name: str
    example: tuple[Value, ...]
    value: list[Value] | np.ndarray

    @property
    def is_selector(self) -> bool:
        """Whether it is a selector's (else an s-op's)."""
        return isinstance(self.value, np.ndarray)

    def __str__(self) -> str:
        if not self.is_selector:
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

    example   the input that it shows itself on
    """

    name: str
    program: Program
    example: tuple[Value, ...]

    def __call__(self, tokens: Sequence[Value]):
        """Its value on `tokens`: a list for an s-op, a bool matrix [query, key] for a selector."""
        return rasplab.evaluate(self.program, tokens).output

    def __repr__(self) -> str:
        return str(Shown(self.name, self.example, self(self.example)))

    def _repr_html_(self) -> str:
        return page([Shown(self.name, self.example, self(self.example))])


View = Shown | Picture | str
"""What a cell shows; a str is a line."""


def page(views: Sequence[View]) -> str:
    """S-ops as rows of one table per input, selectors as grids with the tokens on both axes, then
    lines and pictures."""
    sops: dict[tuple, list] = {}
    for view in views:
        if isinstance(view, Shown) and not view.is_selector:
            key = tuple((type(t), t) for t in view.example)
            sops.setdefault(key, [view.example]).append((view.name, view.value))
    parts = [html.sops_table(example, rows) for example, *rows in sops.values()]
    grids = [_figure(v) for v in views if isinstance(v, Picture) or _is_grid(v)]
    lines = [view for view in views if isinstance(view, str)]
    parts += [html.code("\n".join(lines))] if lines else []
    return html.wrapped(*parts, *grids, scripted=bool(grids))


def _is_grid(view: View) -> bool:
    return isinstance(view, Shown) and view.is_selector


def _figure(view: Shown | Picture) -> str:
    if isinstance(view, Picture):
        return html.figure(view.svg, f"the computation of {view.name}")
    return html.selector_figure(view.name, view.value, view.example)


class Cells:
    """The session that the cells of a notebook share.

    names   what the cells have assigned or loaded: Python variables for the notebook
    """

    def __init__(self):
        self.session = Session(draw=self._draw, kinds=True)
        self.names: dict[str, object] = {}
        self._pictures: list[Picture] = []

    def run(
        self, cell: str, example: Sequence[Value] | None = None, name: str = "<cell>"
    ) -> list[View]:
        """Run a cell, on another running example if one is given: what it shows.

        name   what to call the cell in messages

        Raises RaspError, placed in the cell, for one that does not parse or fails on the example;
        then nothing has changed.
        """
        session, self._pictures = self.session, []
        before, places = dict(session.scope.variables), dict(session.places)
        with session.all_or_nothing():
            if example is not None:
                self._set_example(example)
            views = self._views(parse_module(Source(name, cell)).items)
        self.names = dict(self._python_names(before, places))
        return [*views, *self._pictures]

    def _set_example(self, example: Sequence[Value]) -> None:
        plain = all(isinstance(t, str) and len(t) == 1 for t in example)
        tokens = "".join(example) if plain else list(example)
        session = self.session
        session.sop_example = session.selector_example = session.check.tokens = tokens

    def _views(self, items: Sequence[Statement | Command]) -> list[View]:
        """What the statements show: what is assigned twice shows itself once, as it is at last."""
        found: dict[object, View | None] = {}
        for item in items:
            for outcome in self.session.step(item):
                if isinstance(outcome, Failed):
                    raise outcome.error
                key, view = self._view(item, outcome)
                found[key] = view
        return [view for view in found.values() if view is not None]

    def _view(self, item: Statement | Command, outcome: Outcome) -> tuple[object, View | None]:
        """A key that is equal for what replaces it, and the view."""
        if isinstance(outcome, Examples):
            return item, "\n".join(f"{which} example: {e!r}" for which, e in outcome.pairs)
        if isinstance(outcome, Brief):
            return outcome.result.name, f"{kind(outcome.result.value)} {outcome.result.name}"
        if isinstance(outcome, Result):
            return self._result(item, outcome.name, outcome.value)
        return item, None  # the cell leaves: there is nothing to leave

    def _result(self, item: Statement, name: str | None, value) -> tuple[object, View | None]:
        expression = isinstance(item, Expression)
        if expression and not isinstance(item.expr, Name):
            name = item.expr.span.text
        if isinstance(value, Applied):
            put = item.expr.function if expression else item.sop if isinstance(item, Draw) else None
            shown = matrix(value.column) if value.is_selector else list(value.column)
            return item, Shown(put.span.text if put else name, value.tokens, shown)
        if isinstance(value, Node):
            return name, self._shown(name, value)
        if expression:
            return name, value_line(name, value)
        return name, None

    def _shown(self, name: str, node: Node) -> View:
        view, selector = self.session.view(), isinstance(node, Selector)
        example = view.selector_example if selector else view.sop_example
        if example is None:
            return f"{kind(node)} {name}"
        column = view.column(node, example)
        return Shown(name, tuple(example), matrix(column) if selector else list(column))

    def _draw(self, name: str, program: Program, tokens: tuple) -> None:
        trace = rasplab.evaluate(program, tokens)
        self._pictures.append(Picture(name, flow_svg(trace, f"{name}({input_text(tokens)})")))

    def _python_names(self, before: dict, places: dict) -> Iterator[tuple[str, object]]:
        """What is new of the s-ops, selectors, numbers and strings; and `out`."""
        session = self.session
        for name, value in {**session.scope.variables, "out": session.scope.get("out")}.items():
            if before.get(name) is value and places.get(name) is session.places.get(name):
                continue
            if isinstance(value, Node):
                selector = isinstance(value, Selector)
                example = session.selector_example if selector else session.sop_example
                program = session.elaborator.program(value, session.scope)
                yield name, Named(name, program, tuple(example))
            elif is_atom(value):
                yield name, value


def show(views: Sequence[View]) -> None:
    """Display a cell's views: HTML, and text for where HTML is not shown."""
    from IPython.display import display

    if views:
        text = "\n".join(map(str, views))
        display({"text/html": page(views), "text/plain": text}, raw=True)


def show_fault(error: RaspError) -> None:
    """Display a fault in its place."""
    from IPython.display import display

    display({"text/html": html.error_html(error), "text/plain": render(error)}, raw=True)


def rasp_magic(shell, cells: Cells, line: str, cell: str) -> None:
    """`%%rasp [example]`: run the cell; show what it made, or its fault."""
    from rasplab.apps.cli.compile import read_tokens

    try:
        example = read_tokens(_unquoted(line.strip())) if line.strip() else None
        number = len(shell.history_manager.input_hist_parsed) - 1  # this cell is in it already
        views = cells.run(cell, example, f"In [{number}]")
    except RaspError as error:
        show_fault(error)
        return
    shell.push(cells.names)
    show(views)


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text


def load_ipython_extension(shell) -> None:
    """Give `shell` the cell magic %%rasp, completion and help in its cells, and our types their
    pictures."""
    cells = Cells()

    def rasp(line: str, cell: str) -> None:
        rasp_magic(shell, cells, line, cell)

    rasp.__doc__ = rasp_magic.__doc__
    shell.register_magic_function(rasp, magic_kind="cell", magic_name="rasp")
    _add_completion(shell, cells.session)
    _add_help(shell, cells.session)
    _add_formatters(shell)
    _add_faults(shell)
    # TransformerLens brings tqdm, which would ask for widgets that nothing here uses
    warnings.filterwarnings("ignore", message="IProgress not found")


def _add_completion(shell, session: Session) -> None:
    """Names of the session in %%rasp cells, and nothing of Python's there."""
    from IPython.core.completer import SimpleCompletion, context_matcher

    @context_matcher(identifier="rasplab", priority=1000)
    def names(context):
        if not context.full_text.startswith(MAGIC):
            return {"completions": []}
        lines = context.full_text.split("\n")[: context.cursor_line + 1]
        before = "\n".join([*lines[:-1], lines[-1][: context.cursor_position]])
        word, found = completions(session, before) if len(lines) > 1 else ("", [])
        words = [SimpleCompletion(text=name, type="rasp") for name in found]
        return {"completions": words, "matched_fragment": word, "suppress": True}

    before = shell.Completer.custom_matchers
    before[:] = [m for m in before if getattr(m, "matcher_identifier", "") != "rasplab"] + [names]


def _add_help(shell, session: Session) -> None:
    """Shift-Tab in %%rasp cells: what a name of the language, the library or the session means."""
    kernel = getattr(shell, "kernel", None)
    if kernel is None:
        return
    inspect: Callable = getattr(kernel.do_inspect, "original", kernel.do_inspect)

    def do_inspect(code: str, cursor_pos: int, *args, **kwargs):
        if not code.startswith(MAGIC):
            return inspect(code, cursor_pos, *args, **kwargs)
        found = help_at(session, code, cursor_pos)
        data = {"text/plain": str(found), "text/html": html.help_html(found)} if found else {}
        return {"status": "ok", "found": bool(found), "data": data, "metadata": {}}

    do_inspect.original = inspect  # for a second %load_ext
    kernel.do_inspect = do_inspect


def _add_formatters(shell) -> None:
    """By name, so that nothing is imported before it is used."""
    formatter = shell.display_formatter.formatters["text/html"]
    for module, kind_, draw in (
        ("rasplab.program.graph", "Program", html.program_html),
        ("rasplab.program.interpret.exact", "Trace", html.trace_html),
        ("rasplab.circuit.graph", "Circuit", html.circuit_html),
        ("rasplab.compiler.compiled", "Compiled", html.compiled_html),
        ("rasplab.model.verify", "Report", html.report_html),
        ("rasplab.study.heads.screen", "MatchTable", html.match_html),
        ("rasplab.study.heads.verdict", "Evidence", studies.evidence_html),
        ("rasplab.study.heads.atlas", "Atlas", studies.atlas_html),
    ):
        formatter.for_type_by_name(module, kind_, draw)


def _add_faults(shell) -> None:
    """A RaspError in a Python cell is shown as a fault, without a traceback into our code."""

    def fault(shell, kind_, error, traceback, tb_offset=None):
        show_fault(error)

    shell.set_custom_exc((RaspError,), fault)


@dataclass(frozen=True)
class Attention:
    """The attention of every head of a model on one input, as pictures."""

    model: object
    tokens: Sequence[Value]

    def _repr_html_(self) -> str:
        texts = ["BOS", *map(value_text, self.tokens)]
        heads = self.model.patterns([self.tokens])[0]
        figures = [
            html.figure(
                pattern_svg(pattern, texts, texts, f"L{layer}H{head}"),
                f"attention of L{layer}H{head}",
            )
            for layer, row in enumerate(heads)
            for head, pattern in enumerate(row)
        ]
        return html.wrapped(f"<div>{''.join(figures)}</div>", scripted=True)


def attention(model, tokens: Sequence[Value]) -> Attention:
    """Every head's pattern on `tokens`, for a compiled or a trained model."""
    return Attention(model, tuple(tokens))

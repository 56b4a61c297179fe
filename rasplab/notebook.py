"""RASP in notebooks: `%load_ext rasplab`, then `%%rasp` cells; and how our types show themselves
there (floor 7).

The cells of a notebook are one text: each new cell is read after the accepted ones, and a cell with
a fault changes nothing. What a cell assigns is shown over the running example, and is a Python
variable from then on.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import rasplab
from rasplab.errors import RaspError, Source, Span
from rasplab.lang.parse import parse_module
from rasplab.lang.syntax import (
    Assign,
    Call,
    Expr,
    Expression,
    ListOf,
    Literal,
    Module,
    Name,
    SetExample,
)
from rasplab.program import Constant, Program, Value
from rasplab.show import html
from rasplab.show.svg import pattern_svg
from rasplab.show.text import grid, input_text, sop_line, value_text

EXAMPLE = tuple("hello")
"""The running example until a cell sets another: that of the reference REPL."""
SHOWN = "_shown"
"""The name that an expression's value gets while it is shown."""


@dataclass(frozen=True)
class Named:
    """An s-op or selector from a cell: call it on an input, or look at its `program`.

    example   the input that it shows itself on
    """

    name: str
    program: Program
    example: tuple[Value, ...]

    def __call__(self, tokens: Sequence[Value]):
        """Its value on `tokens`: a list for an s-op, a bool matrix [query, key] for a selector."""
        return rasplab.evaluate(self.program, tokens).values[self.program.output]

    @property
    def is_selector(self) -> bool:
        """Whether it is a selector (else an s-op)."""
        return self.program.is_selector(self.program.output)

    def __repr__(self) -> str:
        value = self(self.example)
        if not self.is_selector:
            return sop_line(self.name, self.example, value)
        texts = [value_text(t) for t in self.example]
        return f"{self.name}({input_text(self.example)})\n{grid(value, texts, texts)}"

    def _repr_html_(self) -> str:
        return shown([self])


def shown(named: Sequence[Named]) -> str:
    """S-ops as rows of one table per input, selectors as grids with the tokens on both axes."""
    sops: dict[tuple, list] = {}
    for n in named:
        if not n.is_selector:
            sops.setdefault(n.example, []).append((n.name, n(n.example)))
    parts = [html.sops_table(example, rows) for example, rows in sops.items()]
    grids = [html.selector_figure(n.name, n(n.example), n.example) for n in named if n.is_selector]
    if grids:
        parts.append(f"<div>{''.join(grids)}</div>")
    return html.wrapped(*parts, scripted=bool(grids))


def results(module: Module) -> list[tuple[str, str]]:
    """What a cell shows: (name, "") for what it assigns, (SHOWN, text) for an expression; each
    once, in order.
    """
    found: dict[tuple[str, str], None] = {}
    for item in module.items:
        match item:
            case Assign(names):
                found.update(dict.fromkeys((name, "") for name in names))
            case Expression(Name(name)):
                found[name, ""] = None
            case Expression(expr):
                found[SHOWN, expr.span.text] = None
    return list(found)


def new_example(module: Module) -> tuple[Value, ...] | None:
    """The input of the last `set example` of a cell, or None."""
    given = [written_input(i.value) for i in module.items if isinstance(i, SetExample)]
    return given[-1] if given else None


def written_input(expr: Expr) -> tuple[Value, ...] | None:
    """The tokens that a string or a list of literals writes, or None for anything else."""
    match expr:
        case Literal(str() as text) if text:
            return tuple(text)
        case ListOf(items) if items and all(isinstance(i, Literal) for i in items):
            return tuple(i.value for i in items)
    return None


def applied(module: Module) -> dict[str, tuple[str, tuple[Value, ...]]]:
    """Expressions that put something to an input, `f("abc")`: text -> (text of f, the input)."""
    return {
        item.expr.span.text: (item.expr.function.span.text, tokens)
        for item in module.items
        if isinstance(item, Expression) and isinstance(item.expr, Call)
        if len(item.expr.arguments) == 1
        if (tokens := written_input(item.expr.arguments[0]))
    }


class Cells:
    """The text that a notebook's cells add up to, and the running example."""

    def __init__(self):
        self.text, self.example = "", EXAMPLE

    def run(self, cell: str) -> list[Named]:
        """Accept a cell: its s-ops and selectors.

        Raises RaspError, placed in the cell, for one that does not parse or fails on the example.
        """
        text = f"{self.text}{cell}\n"
        module = parse_module(Source("<cell>", cell))
        try:
            rasplab.parse(f"{text}{SHOWN} = indices;", output=SHOWN)
            example = new_example(module) or self.example
            named = self._shown(text, module, example)
            for n in named:
                n(n.example)
        except RaspError as error:
            raise self._placed(error, cell) from None
        self.text, self.example = text, example
        return named

    def _shown(self, text: str, module: Module, example: tuple[Value, ...]) -> list[Named]:
        """What the cell shows, each on its input."""
        calls, found = applied(module), []
        for name, expression in results(module):
            one = self._named(text, name, expression, example)
            if one is None and expression in calls:
                one = self._named(text, SHOWN, *calls[expression])
            found += [one] if one else []
        return found

    def _named(self, text: str, name: str, expression: str, example: tuple) -> Named | None:
        """What `name` is, or None where it is no s-op and no selector."""
        tail = f"{name} = {expression};" if expression else ""
        try:
            program = rasplab.parse(text + tail, output=name)
        except RaspError:  # the text itself is sound: this is a number, a list or a function
            return None
        if isinstance(program.nodes[program.output], Constant):
            return None
        return Named(expression or name, program, example)

    def _placed(self, error: RaspError, cell: str) -> RaspError:
        """The fault with its place in this cell, or in none where it lies in what came before."""
        span, before = error.span, len(self.text)
        inside = (
            span is not None
            and span.source.text.startswith(self.text + cell)
            and span.stop > before
        )
        if inside:
            source, last = Source("<cell>", cell), len(cell)
            start = min(max(0, span.start - before), last)
            error.span = Span(source, start, min(span.stop - before, last))
        return error


def rasp_magic(shell, cells: Cells, line: str, cell: str) -> None:
    """`%%rasp [example]`: run the cell; show what it made, or its fault."""
    from IPython.display import HTML, display

    from rasplab.commands import read_tokens

    try:
        if line.strip():
            cells.example = tuple(read_tokens(_unquoted(line.strip())))
        named = cells.run(cell)
    except RaspError as error:
        display(HTML(html.error_html(error)))
        return
    shell.push({n.name: n for n in named if n.name.isidentifier()})
    if named:
        display(HTML(shown(named)))


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text


def load_ipython_extension(shell) -> None:
    """Give `shell` the cell magic %%rasp and our types their pictures."""
    cells = Cells()

    def rasp(line: str, cell: str) -> None:
        rasp_magic(shell, cells, line, cell)

    rasp.__doc__ = rasp_magic.__doc__
    shell.register_magic_function(rasp, magic_kind="cell", magic_name="rasp")
    _add_formatters(shell)
    _add_faults(shell)
    # TransformerLens brings tqdm, which would ask for widgets that nothing here uses
    warnings.filterwarnings("ignore", message="IProgress not found")


def _add_formatters(shell) -> None:
    """By name, so that nothing is imported before it is used."""
    formatter = shell.display_formatter.formatters["text/html"]
    for module, kind, draw in (
        ("rasplab.program", "Program", html.program_html),
        ("rasplab.interpret", "Trace", html.trace_html),
        ("rasplab.circuit.graph", "Circuit", html.circuit_html),
        ("rasplab.compiler", "Compiled", html.compiled_html),
        ("rasplab.model.verify", "Report", html.report_html),
        ("rasplab.study.match", "MatchTable", html.match_html),
    ):
        formatter.for_type_by_name(module, kind, draw)


def _add_faults(shell) -> None:
    """A RaspError in a Python cell is shown as a fault, without a traceback into our code."""

    def fault(shell, kind, error, traceback, tb_offset=None):
        from IPython.display import HTML, display

        display(HTML(html.error_html(error)))

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

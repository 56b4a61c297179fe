"""`%load_ext rasplab`: the cell magic %%rasp, completion and help in its cells, pictures of types.

`load_ipython_extension(shell)` is what IPython calls; it gives the shell

  %%rasp [example]   runs a cell of RASP in the shared session (`cells.Cells`); what it assigns is a
                     Python variable from then on, as is `out`
  completion, help   of RASP's names, in %%rasp cells only
  formatters         HTML for Program, Trace, Circuit, Compiled, Report, MatchTable, Evidence, Atlas
  faults             a RaspError in a Python cell is shown without a traceback into this package
"""

from __future__ import annotations

import builtins
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from keyword import iskeyword
from typing import TYPE_CHECKING, Any

from rasplab.apps.notebook.cells import Cells, View, page
from rasplab.apps.repl.completion import completions, help_at
from rasplab.apps.show import displays, heads, html, sweeps
from rasplab.apps.show.patterns import pattern_svg
from rasplab.base.arguments import SHELL, takes
from rasplab.base.errors import RaspError, render
from rasplab.lang.session import Session
from rasplab.program.values import Atom, value_text

if TYPE_CHECKING:
    from IPython.core.completer import CompletionContext, SimpleMatcherResult
    from IPython.core.interactiveshell import InteractiveShell

    from rasplab.model.bridge import LensModel

MAGIC = "%%rasp"

IPYTHON_NAMES = {"get_ipython", "display", "In", "Out", "exit", "quit"}
"""Names that IPython puts into a notebook and needs."""


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


def rasp_magic(shell: InteractiveShell, cells: Cells, line: str, cell: str) -> None:
    """`%%rasp [example]`: run the cell; show what it made, or its fault."""
    from rasplab.apps.cli.arguments import read_tokens

    try:
        example = read_tokens(_unquoted(line.strip())) if line.strip() else None
        history = shell.history_manager
        number = len(history.input_hist_parsed) - 1 if history else 0  # this cell is in it already
        views = cells.run(cell, example, f"In [{number}]")
    except RaspError as error:
        show_fault(error)
        return
    notices = push_names(shell, cells)
    show([*views, *notices])


def push_names(shell: InteractiveShell, cells: Cells) -> list[str]:
    """Make what a cell assigned Python variables; the notices of those that Python has already.

    Names of Python's builtins and of IPython are never replaced; a variable that is not of a RASP
    cell is, with a notice.
    """
    pushed, notices = {}, []
    for name, value in cells.names.items():
        if is_reserved(shell, name):
            notices.append(f"note: {name} stays Python's {name}; rename it to use it in Python")
            continue
        missing = object()
        current = shell.user_ns.get(name, missing)
        if current is not missing and current is not cells.pushed.get(name, missing):
            notices.append(f"note: {name} replaces the Python variable {name}")
        pushed[name] = value
    cells.pushed |= pushed
    shell.push(pushed)
    return notices


def is_reserved(shell: InteractiveShell, name: str) -> bool:
    """Whether a name is of Python's builtins, a keyword, or IPython's."""
    of_ipython = name in IPYTHON_NAMES or name in getattr(shell, "user_ns_hidden", {})
    return hasattr(builtins, name) or iskeyword(name) or name.startswith("_") or of_ipython


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text


@takes(shell=SHELL)
def load_ipython_extension(shell: InteractiveShell) -> None:
    """Give `shell` the cell magic %%rasp, its completion and help, and pictures of our types."""
    cells = Cells()

    def rasp(line: str, cell: str) -> None:
        rasp_magic(shell, cells, line, cell)

    rasp.__doc__ = rasp_magic.__doc__
    shell.magics_manager.register_function(rasp, magic_kind="cell", magic_name="rasp")
    _add_completion(shell, cells.session)
    _add_help(shell, cells.session)
    _add_formatters(shell)
    _add_faults(shell)
    # TransformerLens brings tqdm, which warns that the widgets it would use are not installed
    warnings.filterwarnings("ignore", message="IProgress not found")


def _add_completion(shell: InteractiveShell, session: Session) -> None:
    """Names of the session in %%rasp cells, and nothing of Python's there."""
    from IPython.core.completer import SimpleCompletion, context_matcher

    @context_matcher(identifier="rasplab", priority=1000)
    def names(context: CompletionContext) -> SimpleMatcherResult:
        if not context.full_text.startswith(MAGIC):
            return {"completions": []}
        lines = context.full_text.split("\n")[: context.cursor_line + 1]
        before = "\n".join([*lines[:-1], lines[-1][: context.cursor_position]])
        word, candidates = completions(session, before) if len(lines) > 1 else ("", [])
        words = [SimpleCompletion(text=name, type="rasp") for name in candidates]
        return {"completions": words, "matched_fragment": word, "suppress": True}

    # a second %load_ext replaces the matcher of the first
    matchers = shell.Completer.custom_matchers
    others = [m for m in matchers if getattr(m, "matcher_identifier", "") != "rasplab"]
    matchers[:] = [*others, names]


def _add_help(shell: InteractiveShell, session: Session) -> None:
    """Shift-Tab in %%rasp cells: what a name of the language, the library or the session means."""
    kernel = getattr(shell, "kernel", None)
    if kernel is None:
        return
    inspect: Callable[..., Any] = getattr(kernel.do_inspect, "original", kernel.do_inspect)

    def do_inspect(code: str, cursor_pos: int, *args: Any, **kwargs: Any) -> Any:
        if not code.startswith(MAGIC):
            return inspect(code, cursor_pos, *args, **kwargs)
        help_ = help_at(session, code, cursor_pos)
        data = {"text/plain": str(help_), "text/html": displays.help_html(help_)} if help_ else {}
        return {"status": "ok", "found": bool(help_), "data": data, "metadata": {}}

    vars(do_inspect)["original"] = inspect  # for a second %load_ext
    kernel.do_inspect = do_inspect


FORMATTERS: tuple[tuple[str, str, Callable[[Any], str]], ...] = (
    ("rasplab.program.graph", "Program", displays.program_html),
    ("rasplab.program.interpret.exact", "Trace", displays.trace_html),
    ("rasplab.circuit.graph", "Circuit", displays.circuit_html),
    ("rasplab.compiler.compiled", "Compiled", displays.compiled_html),
    ("rasplab.model.verify", "Report", displays.report_html),
    ("rasplab.study.heads.screen", "MatchTable", displays.match_html),
    ("rasplab.study.heads.evidence", "Evidence", heads.evidence_html),
    ("rasplab.study.heads.atlas", "Atlas", heads.atlas_html),
    ("rasplab.study.bench.superposition", "Superposed", sweeps.superposed_html),
)
"""Module and name of each type that a notebook shows as HTML, and what makes it.

The module is the one that defines the type: IPython compares it with `__module__`.
"""


def _add_formatters(shell: InteractiveShell) -> None:
    """Register FORMATTERS by name, so that nothing is imported before it is used."""
    display: Any = shell.display_formatter  # a trait, whose type IPython does not declare
    formatter = display.formatters["text/html"]
    for module, name, draw in FORMATTERS:
        formatter.for_type_by_name(module, name, draw)


def _add_faults(shell: InteractiveShell) -> None:
    """Show a RaspError in a Python cell as a fault, without a traceback into our code."""

    def fault(shell: Any, kind: Any, error: Any, traceback: Any, tb_offset: Any = None) -> None:
        show_fault(error)

    shell.set_custom_exc((RaspError,), fault)


@dataclass(frozen=True)
class Attention:
    """The attention of every head of a model on one input, as pictures."""

    model: LensModel
    tokens: Sequence[Atom]

    def _repr_html_(self) -> str:
        texts = ["BOS", *map(value_text, self.tokens)]
        layers = self.model.patterns([self.tokens])[0]
        figures = [
            html.figure(
                pattern_svg(pattern, texts, texts, f"L{layer}H{head}"),
                f"attention of L{layer}H{head}",
            )
            for layer, patterns in enumerate(layers)
            for head, pattern in enumerate(patterns)
        ]
        return html.wrapped(f"<div>{''.join(figures)}</div>", scripted=True)


def attention(model: LensModel, tokens: Sequence[Atom]) -> Attention:
    """Every head's pattern on `tokens`, for a compiled or a trained model."""
    return Attention(model, tuple(tokens))

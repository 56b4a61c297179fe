"""What a notebook shows of each type, as HTML; the types themselves know nothing of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rasplab.apps.show.circuit import circuit_svg
from rasplab.apps.show.html import SOFT, code, figure, score_table, sops_table, table, wrapped
from rasplab.apps.show.patterns import selector_figure
from rasplab.base.text import escape

if TYPE_CHECKING:  # notebooks import this module before they need any of the rooms above
    from rasplab.apps.repl.completion import Help
    from rasplab.circuit.graph import Circuit
    from rasplab.compiler.compiled import Compiled
    from rasplab.model.verify import Report
    from rasplab.program.graph import Program
    from rasplab.program.interpret.exact import Trace
    from rasplab.study.heads.screen import MatchTable


def help_html(help: Help) -> str:
    """Help on a name: how it is written, what it means, its source, its value."""
    head = f'<div><b>{escape(help.signature)}</b> <span style="{SOFT}">{help.kind}</span></div>'
    meaning = f"<div>{escape(help.meaning)}</div>" if help.meaning else ""
    return wrapped(head, meaning, *[code(text) for text in (help.source, help.value) if text])


def trace_html(trace: Trace) -> str:
    """Every named node of a trace: s-ops as rows of one table, selectors as grids."""
    program = trace.program
    names = dict(program.names) or {"output": program.output}
    values = {name: trace.values[i] for name, i in names.items()}
    sops = [(name, value) for name, value in values.items() if isinstance(value, list)]
    grids = [
        selector_figure(name, value, trace.tokens)
        for name, value in values.items()
        if not isinstance(value, list)
    ]
    table_ = sops_table(trace.tokens, sops)
    return wrapped(table_, f"<div>{''.join(grids)}</div>", scripted=bool(grids))


def program_html(program: Program) -> str:
    """The program's graph as its listing."""
    return wrapped(code(program.listing()))


def circuit_html(circuit: Circuit, title: str = "") -> str:
    """The circuit in layers."""
    return wrapped(figure(circuit_svg(circuit, title), f"circuit {title}".strip()), scripted=True)


def compiled_html(compiled: Compiled) -> str:
    """A compiled model's sizes, and the selector of each head."""
    sizes = {
        **compiled.weights.shape(),
        "parameters": compiled.n_params,
        "not zero": compiled.nonzero_params,
    }
    heads = [
        [f"L{layer}H{head}", label]
        for (layer, head), label in sorted(compiled.heads.items())
        if label
    ]
    shape = table(list(sizes), [[str(size) for size in sizes.values()]])
    return wrapped(shape, table(["head", "selector"], heads))


def report_html(report: Report) -> str:
    """A verification in one line, and its counterexample if there is one."""
    return wrapped(code(str(report)))


def match_html(match: MatchTable) -> str:
    """Heads by selectors: score above, chance below; stronger cells are shaded."""
    return wrapped(score_table(match))

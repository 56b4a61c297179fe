"""HTML for notebooks and the report: tables, figures and faults, all of it escaped.

A figure is an image of a picture as SVG, which an untrusted notebook shows too. Where scripts may
run, attention.js puts the picture itself in its place, so that hovering shows values and
JupyterLab's theme reaches it.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from html import escape
from importlib.resources import files

import numpy as np

from rasplab.apps.show.svg import MONO, SANS, circuit_svg, pattern_svg
from rasplab.base.errors import RaspError, caret_lines, marked_line
from rasplab.program.graph import Program
from rasplab.program.values import Value, kind_text, value_text

# Styles stand in the elements, as an untrusted notebook strips style sheets. Colours are the page's
# own, or work on a light and on a dark one.
BLOCK = f"font-family:{SANS};font-size:13px;line-height:1.45;margin:4px 0 10px 0".replace("'", "")
TABLE = f"border-collapse:collapse;margin:2px 0;font-family:{MONO};font-size:12.5px".replace(
    "'", ""
)
CELL = "padding:3px 8px;text-align:center;border-bottom:1px solid #8888"
HEAD = "padding:3px 8px;text-align:left;border-bottom:1px solid #8888;font-weight:600"
SOFT = "color:#808080;font-weight:400"
CODE = f"margin:0;padding:4px 0;font-family:{MONO};font-size:12.5px;background:none".replace(
    "'", ""
)
FAULT = "border-left:3px solid #d1434b;padding:4px 12px"
MARK = "background-color:rgba(209,67,75,0.28);font-weight:600"
FIGURE = "display:inline-block;margin:4px 10px 4px 0;vertical-align:top;max-width:100%"


@cache
def script_text() -> str:
    """attention.js."""
    return (files("rasplab.apps.show") / "attention.js").read_text(encoding="utf-8")


def document(title: str, body: str, css: str = "", script: str = "") -> str:
    """A whole page that needs no network and reads light and dark: report.css, then `css`."""
    style = (files("rasplab.apps.show") / "report.css").read_text(encoding="utf-8") + css
    end = f'<script type="module">{script}</script>' if script else ""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(title)}</title>"
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<style>{style}</style></head><body><main>{body}</main>{end}</body></html>\n"
    )


def wrapped(*parts: str, scripted: bool = False) -> str:
    """One output cell: the parts, and the script that brings figures to life if asked for."""
    script = f'<script type="module">{script_text()}</script>' if scripted else ""
    return f'<div class="rasplab" style="{BLOCK}">{"".join(parts)}</div>{script}'


def figure(svg: str, alt: str) -> str:
    """A picture as an image that needs no script and no network."""
    address = "data:image/svg+xml;base64," + b64encode(svg.encode()).decode()
    image = f'<img class="rl-figure" alt="{escape(alt)}" src="{address}" style="max-width:none">'
    return f'<div style="{FIGURE}">{image}</div>'


def code(text: str) -> str:
    """Lines as they are."""
    return f'<pre style="{CODE}">{escape(text)}</pre>'


def table(header: Sequence[str], rows: Iterable[Sequence[str]], notes: bool = False) -> str:
    """A table of texts; the first column is a row's name, and with `notes` the last column stands
    back.
    """
    head = "".join(map(_th, header, [HEAD, *[f"{CELL};{SOFT}"] * (len(header) - 1)]))
    body = "".join(f"<tr>{_row(list(row), notes)}</tr>" for row in rows)
    return _table(f"<tr>{head}</tr>", body)


def _table(head: str, body: str) -> str:
    return f'<table style="{TABLE}"><thead>{head}</thead><tbody>{body}</tbody></table>'


def _row(cells: list[str], notes: bool) -> str:
    styles = [CELL] * (len(cells) - 1)
    if notes:
        styles[-1:] = [f"{CELL};{SOFT}"]
    return _th(cells[0]) + "".join(map(_td, cells[1:], styles))


def _th(text: str, style: str = HEAD) -> str:
    return f'<th style="{style}">{escape(text)}</th>'


def _td(text: str, style: str = CELL) -> str:
    return f'<td style="{style}">{escape(text)}</td>'


def sops_table(tokens: Sequence[Value], rows: Sequence[tuple[str, Sequence[Value]]]) -> str:
    """S-ops under the tokens that they were computed on, position by position."""
    header = ["tokens", *map(value_text, tokens), ""]
    body = [[name, *map(value_text, values), kind_text(values)] for name, values in rows]
    return table(header, body, notes=True)


def selector_figure(name: str, matrix: np.ndarray, tokens: Sequence[Value]) -> str:
    """A selector [query, key] as a grid with the tokens on both axes."""
    texts = [value_text(t) for t in tokens]
    return figure(pattern_svg(matrix, texts, texts, name), f"selector {name}")


def error_html(error: RaspError) -> str:
    """A fault: its place, the reason, the line with carets, what to do."""
    place = f"<b>{escape(str(error.span))}</b>: " if error.span else ""
    parts = [f"<div>{place}{escape(error.message)}</div>"]
    if error.span:
        before, marked, after = map(escape, marked_line(error.span))
        line = f'  {before}<span style="{MARK}">{marked or " "}</span>{after}'
        parts.append(f'<pre style="{CODE}">{line}\n{caret_lines(error.span)[1]}</pre>')
    if error.hint:
        parts.append(f'<div style="{SOFT}">hint: {escape(error.hint)}</div>')
    return wrapped(f'<div class="fault" style="{FAULT}">{"".join(parts)}</div>')


def help_html(found) -> str:
    """Help on a name: how it is written, what it means, its source, its value."""
    head = f'<div><b>{escape(found.signature)}</b> <span style="{SOFT}">{found.kind}</span></div>'
    meaning = f"<div>{escape(found.meaning)}</div>" if found.meaning else ""
    return wrapped(head, meaning, *[code(text) for text in (found.source, found.value) if text])


def trace_html(trace) -> str:
    """Every named node of a Trace: s-ops as rows of one table, selectors as grids."""
    program = trace.program
    names = dict(program.names) or {"output": program.output}
    sops = [(n, trace.values[i]) for n, i in names.items() if not program.is_selector(i)]
    grids = [
        selector_figure(n, trace.values[i], trace.tokens)
        for n, i in names.items()
        if program.is_selector(i)
    ]
    return wrapped(
        sops_table(trace.tokens, sops), f"<div>{''.join(grids)}</div>", scripted=bool(grids)
    )


def program_html(program: Program) -> str:
    """The program's graph as its listing."""
    return wrapped(code(program.listing()))


def circuit_html(circuit, title: str = "") -> str:
    """The circuit in layers."""
    return wrapped(figure(circuit_svg(circuit, title), f"circuit {title}".strip()), scripted=True)


def compiled_html(compiled) -> str:
    """What a compiled model is made of: its sizes, and what each head is for."""
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
    parts = [table(list(sizes), [[str(v) for v in sizes.values()]])]
    return wrapped(*parts, table(["head", "selector"], heads))


def report_html(report) -> str:
    """A verification in one line, and its counterexample if there is one."""
    return wrapped(code(str(report)))


def match_html(match) -> str:
    """Heads by selectors: score above, chance below; stronger cells are shaded."""
    return wrapped(score_table(match))


def score_table(found, note: Callable[[int, int], str] = lambda i, j: "") -> str:
    """The same as a bare table, of a MatchTable or an Atlas; `note` is the hover text of head i
    and selector j."""
    head = _th("head") + "".join(_th(str(name), f"{CELL};{SOFT}") for name in found.selectors)
    rows = "".join(
        f"<tr>{_th(str(name))}{''.join(map(_score_cell, found.score[i], found.chance[i], notes))}"
        "</tr>"
        for i, name in enumerate(found.heads)
        for notes in [[note(i, j) for j in range(len(found.selectors))]]
    )
    return _table(f"<tr>{head}</tr>", rows)


def _score_cell(score: float, chance: float, note: str) -> str:
    if not np.isfinite(score):
        return _td("·", f"{CELL};{SOFT}")
    shade = f"background-color:rgba(59,130,246,{0.5 * min(1.0, max(0.0, score)):.2f})"
    below = f'<br><span style="opacity:.65">{chance:.2f}</span>'
    hover = f' title="{escape(note)}"' if note else ""
    return f'<td{hover} style="{CELL};{shade}">{score:.2f}{below}</td>'

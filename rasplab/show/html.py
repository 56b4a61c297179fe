"""HTML for notebooks and the report: tables, figures and faults, all of it escaped (floor 7).

A figure is an image of a picture as SVG, which an untrusted notebook shows too. Where scripts may
run, attention.js puts the picture itself in its place, so that hovering shows values and
JupyterLab's theme reaches it.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence
from functools import cache
from html import escape
from importlib.resources import files

import numpy as np

from rasplab.errors import RaspError, render
from rasplab.program import Program, Value
from rasplab.show.svg import MONO, SANS, circuit_svg, pattern_svg
from rasplab.show.text import kind_text, value_text

STYLE = f"""<style>
.rasplab{{font-family:{SANS};font-size:13px;line-height:1.45;margin:4px 0 10px}}
.rasplab table{{border-collapse:collapse;margin:2px 0}}
.rasplab td,.rasplab th{{padding:3px 8px;text-align:center;border:0;border-bottom:1px solid #8886;\
font-family:{MONO};font-size:12.5px}}
.rasplab th{{font-weight:600;text-align:left}}
.rasplab .soft{{opacity:.65;font-weight:400}}
.rasplab .left{{text-align:left}}
.rasplab pre{{margin:0;padding:8px 12px;border-left:3px solid #8886;\
font-family:{MONO};font-size:12.5px}}
.rasplab pre.fault{{border-left-color:#d1434b}}
.rasplab figure{{display:inline-block;margin:4px 10px 4px 0;vertical-align:top;\
max-width:100%;overflow-x:auto}}
.rasplab img,.rasplab svg{{max-width:none}}
</style>"""


@cache
def script_text() -> str:
    """attention.js."""
    return (files("rasplab.show") / "attention.js").read_text(encoding="utf-8")


def wrapped(*parts: str, scripted: bool = False) -> str:
    """One output cell: our style, the parts, and the script that brings figures to life if asked
    for.
    """
    script = f'<script type="module">{script_text()}</script>' if scripted else ""
    return f'{STYLE}<div class="rasplab">{"".join(parts)}</div>{script}'


def figure(svg: str, alt: str) -> str:
    """A picture as an image that needs no script and no network."""
    address = "data:image/svg+xml;base64," + b64encode(svg.encode()).decode()
    return f'<figure><img class="rl-figure" alt="{escape(alt)}" src="{address}"></figure>'


def table(header: Sequence[str], rows: Iterable[Sequence[str]], notes: bool = False) -> str:
    """A table of texts; the first column is a row's name, and with `notes` the last column stands
    back.
    """
    head = "".join(
        f'<th class="{"soft" if i else "left"}">{escape(c)}</th>' for i, c in enumerate(header)
    )
    body = "".join(f"<tr>{_row(list(row), notes)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _row(cells: list[str], notes: bool) -> str:
    last = len(cells) - 1
    parts = [f"<th>{escape(cells[0])}</th>"]
    for i, cell in enumerate(cells[1:], 1):
        soft = ' class="soft"' if notes and i == last else ""
        parts.append(f"<td{soft}>{escape(cell)}</td>")
    return "".join(parts)


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
    """A fault with its place and caret."""
    return wrapped(f'<pre class="fault">{escape(render(error))}</pre>')


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
    return wrapped(f"<pre>{escape(program.listing())}</pre>")


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
    return wrapped(f"<pre>{escape(str(report))}</pre>")


def match_html(match) -> str:
    """Heads by selectors: score above, chance below; stronger cells are shaded."""
    head = "".join(f'<th class="soft">{escape(str(s))}</th>' for s in match.selectors)
    rows = "".join(
        f"<tr><th>{escape(str(name))}</th>"
        f"{''.join(map(_score_cell, match.score[i], match.chance[i]))}</tr>"
        for i, name in enumerate(match.heads)
    )
    return wrapped(
        f'<table><thead><tr><th class="left">head</th>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table>"
    )


def _score_cell(score: float, chance: float) -> str:
    if not np.isfinite(score):
        return '<td class="soft">·</td>'
    shade = f' style="background:rgba(59,130,246,{0.5 * min(1.0, max(0.0, score)):.2f})"'
    return f'<td{shade}>{score:.2f}<br><span class="soft">{chance:.2f}</span></td>'

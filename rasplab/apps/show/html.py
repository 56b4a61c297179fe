"""Building blocks of HTML: pages, output cells, tables, figures and faults, all of it escaped.

A figure is an image of a picture as SVG, which an untrusted notebook shows too. Where scripts may
run, attention.js puts the picture itself in its place, so that hovering shows values and
JupyterLab's theme reaches it.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from importlib.resources import files
from math import isfinite
from typing import TYPE_CHECKING

from rasplab.apps.show.svg import MONO, SANS
from rasplab.base.errors import RaspError, caret_lines, marked_line
from rasplab.base.text import escape
from rasplab.program.values import Value, kind_text, value_text

if TYPE_CHECKING:
    from rasplab.study.heads.atlas import Atlas
    from rasplab.study.heads.screen import MatchTable

# Styles stand in the elements, because an untrusted notebook strips style sheets. Colours are the
# page's own, or work on a light and on a dark one. A quote would end the style attribute.
SANS_STYLE, MONO_STYLE = SANS.replace("'", ""), MONO.replace("'", "")
BLOCK = f"font-family:{SANS_STYLE};font-size:13px;line-height:1.45;margin:4px 0 10px 0"
TABLE = f"border-collapse:collapse;margin:2px 0;font-family:{MONO_STYLE};font-size:12.5px"
CELL = "padding:3px 8px;text-align:center;border-bottom:1px solid #8888"
HEAD = "padding:3px 8px;text-align:left;border-bottom:1px solid #8888;font-weight:600"
SOFT = "color:#808080;font-weight:400"
CODE = f"margin:0;padding:4px 0;font-family:{MONO_STYLE};font-size:12.5px;background:none"
FAULT = "border-left:3px solid #d1434b;padding:4px 12px"
MARK = "background-color:rgba(209,67,75,0.28);font-weight:600"
FIGURE = "display:inline-block;margin:4px 10px 4px 0;vertical-align:top;max-width:100%"


@cache
def script_text() -> str:
    """The text of attention.js, which brings figures and sliders to life."""
    return (files("rasplab.apps.show") / "attention.js").read_text(encoding="utf-8")


def document(title: str, body: str, css: str = "", script: str = "") -> str:
    """A whole page that needs no network, light or dark; its style is report.css, then `css`."""
    style = (files("rasplab.apps.show") / "report.css").read_text(encoding="utf-8") + css
    end = f'<script type="module">{script}</script>' if script else ""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(title)}</title>"
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<style>{style}</style></head><body><main>{body}</main>{end}</body></html>\n"
    )


def wrapped(*parts: str, scripted: bool = False) -> str:
    """One output cell: the parts, and with `scripted` the script that brings figures to life."""
    script = f'<script type="module">{script_text()}</script>' if scripted else ""
    return f'<div class="rasplab" style="{BLOCK}">{"".join(parts)}</div>{script}'


def figure(svg: str, alt: str) -> str:
    """A picture as an image that needs no script and no network."""
    address = "data:image/svg+xml;base64," + b64encode(svg.encode()).decode()
    image = f'<img class="rl-figure" alt="{escape(alt)}" src="{address}" style="max-width:none">'
    return f'<div style="{FIGURE}">{image}</div>'


def code(text: str) -> str:
    """Text in a fixed-width font, line by line."""
    return f'<pre style="{CODE}">{escape(text)}</pre>'


def table(header: Sequence[str], rows: Iterable[Sequence[str]], notes: bool = False) -> str:
    """A table of texts.

    rows   texts in the order of `header`; the first is the row's name
    notes  print the last column in a soft tone
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


def score_table(
    table: MatchTable | Atlas, note: Callable[[int, int], str] = lambda head, selector: ""
) -> str:
    """Heads by selectors: score above, chance below; stronger cells are shaded.

    note  the hover text of a head and a selector, by their numbers
    """
    header = _th("head") + "".join(_th(str(name), f"{CELL};{SOFT}") for name in table.selectors)
    rows = []
    for i, head in enumerate(table.heads):
        notes = [note(i, j) for j in range(len(table.selectors))]
        cells = map(_score_cell, table.score[i], table.chance[i], notes)
        rows.append(f"<tr>{_th(str(head))}{''.join(cells)}</tr>")
    return _table(f"<tr>{header}</tr>", "".join(rows))


def _score_cell(score: float, chance: float, note: str) -> str:
    if not isfinite(score):
        return _td("·", f"{CELL};{SOFT}")
    shade = f"background-color:rgba(59,130,246,{0.5 * min(1.0, max(0.0, score)):.2f})"
    below = f'<br><span style="opacity:.65">{chance:.2f}</span>'
    hover = f' title="{escape(note)}"' if note else ""
    return f'<td{hover} style="{CELL};{shade}">{score:.2f}{below}</td>'

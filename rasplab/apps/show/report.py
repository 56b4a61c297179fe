"""The demo's report: one HTML file that needs no network and no script, light or dark.

`demo_report` takes a `Study` for each program, which holds a `Learned` for each trained model, and
returns the page. Everything that comes from a program or a model is escaped here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rasplab.apps.show.circuit import circuit_svg
from rasplab.apps.show.html import document, script_text
from rasplab.apps.show.side_by_side import SideBySide, side_by_side_html
from rasplab.base.text import escape
from rasplab.circuit.graph import Circuit
from rasplab.lang.syntax.vocabulary import vocabulary
from rasplab.program.values import Value, value_text

PAIRS_NOTE = (
    "Move the slider, or use the arrow keys, for other inputs. Each row is a selector of the "
    "program: which keys (columns) every query (row) selects; where the compiled head that "
    "computes it looks; and where a trained head looks: the one with the best verdict, or, where "
    "all are refuted, the one that looks most alike. A compiled head whose query selects nothing "
    "looks at BOS, the mark before the input. Selectors of everything are not drawn, such as "
    "<code>full_s</code>, from which <code>length</code> comes. Hover a cell for its weights."
)
SCORE_NOTE = (
    "How far each head looks where each selector points. A score is corrected for chance: 0 is "
    "what the head reaches on wrong selectors (those of other inputs), 1 is equality. Under it "
    "stands that chance; the best of each column is outlined. Looks are no proof of use."
)
VERDICT_NOTE = (
    "A test by intervention. A head's pattern is taken from another input, row or length (a swap), "
    "and the model's answers are held against what the interpreter says when the selector is "
    "taken from there. <b>implements</b>: they agree, far beyond chance; <b>consistent</b>: in "
    "part, and the selector's own pattern in the head's place does as well; <b>refuted</b>: they "
    "do not, and the answers do not rest on the head in another way; <b>undecided</b>: neither is "
    "sure. <i>interchange</i> is the share that agrees, where "
    "it is lowest; <i>looks</i> is the score that compares patterns; * together with other heads. "
    "Hover a cell for the reason, and the lengths that it holds for."
)


MatchRow = tuple[str, tuple[tuple[float, float], ...]]
"""A head's name, and for each selector its (score, chance)."""


@dataclass(frozen=True)
class Learned:
    """A trained model held against the program.

    how       in words, what it was trained on
    training  its size and accuracy, in a line
    match     rows of the table of scores, one per head, in the order of `selectors`
    beside    compiled and trained heads on the same inputs
    verdicts  a picture as SVG: what each head implements
    curve     a picture as SVG: accuracy and loss over steps
    """

    title: str
    how: str
    training: str
    selectors: tuple[str, ...]
    match: tuple[MatchRow, ...]
    beside: SideBySide
    verdicts: str
    curve: str


@dataclass(frozen=True)
class Study:
    """All that the report says of one program.

    tokens        the sample input; `output` is what the interpreter gives on it
    sizes         name -> text, in the order shown
    verification  the result in a line; `exact` where no input was wrong
    circuit       the structural circuit
    """

    name: str
    summary: str
    source: str
    tokens: tuple[Value, ...]
    output: tuple[Value, ...]
    sizes: dict[str, str]
    verification: str
    exact: bool
    circuit: Circuit
    learned: tuple[Learned, ...]


def demo_report(studies: Sequence[Study], footer: str = "") -> str:
    """The whole page."""
    body = "".join(_program(study, explained=not i) for i, study in enumerate(studies))
    return document(
        "rasplab: programs and heads",
        f'{_opening(studies)}{body}<p class="soft">{escape(footer)}</p>',
        script=script_text(),
    )


def _opening(studies: Sequence[Study]) -> str:
    names = " and ".join(f"<code>{escape(s.name)}</code>" for s in studies)
    return (
        "<h1>Programs and heads</h1>"
        f'<p class="lead">{names}, written in RASP: interpreted, compiled into transformer '
        "weights, checked against the interpreter, and laid beside transformers that "
        "learned the same task from examples.</p>"
    )


def _program(study: Study, explained: bool) -> str:
    """One program and the models held against it; `explained`: the first with reading notes."""
    learned = "".join(_learned(m, explained and not i) for i, m in enumerate(study.learned))
    return (
        f'<article class="program"><h2>{escape(study.name)}</h2>'
        f'<p class="lead">{escape(study.summary)}</p>'
        f'<div class="columns"><div>{_heading("Program")}<pre>{_source(study.source)}</pre>'
        f"{_heading('A sample, interpreted')}{_sample(study)}</div>"
        f"<div>{_heading('Compiled')}{_facts(study)}</div></div>"
        f"{_heading('The circuit, read off the compiled weights')}"
        f'<div class="wide">{circuit_svg(study.circuit)}</div>'
        f"{learned}</article>"
    )


def _learned(learned: Learned, explained: bool) -> str:
    """One trained model: how it came about, its heads beside the compiled ones, the verdicts."""
    beside = side_by_side_html(learned.beside, lambda svg, _: svg)
    parts = (
        ("Selector, compiled head, trained head", PAIRS_NOTE, beside),
        ("What its heads implement", VERDICT_NOTE, f'<div class="wide">{learned.verdicts}</div>'),
        ("Where its heads look", SCORE_NOTE, _match(learned)),
        ("How it was trained", "", f'<div class="wide">{learned.curve}</div>'),
    )
    shown = "".join(
        f"{_heading(title)}{_soft(note) if explained and note else ''}{part}"
        for title, note, part in parts
    )
    return (
        f"<section><h2>{escape(learned.title)}</h2><p>{escape(learned.how)}</p>"
        f"{_soft(escape(learned.training))}{shown}</section>"
    )


def _soft(words: str) -> str:
    return f'<p class="soft">{words}</p>'


def _heading(text: str) -> str:
    return f"<h3>{escape(text)}</h3>"


def _source(text: str) -> str:
    """The program's text with comments and words of the language set off."""
    assigned = re.findall(r"^\s*(\w+)\s*=", text, re.MULTILINE)  # these are the program's words
    words = "|".join({*vocabulary().grammar, *vocabulary().names}.difference(assigned))
    lines = []
    for line in text.strip().splitlines():
        code, mark, note = line.partition("#")
        marked = re.sub(
            rf"\b({words})\b", r'<span class="word">\1</span>', escape(code, quote=False)
        )
        lines.append(marked + (f'<span class="note">#{escape(note)}</span>' if mark else ""))
    return "\n".join(lines)


def _sample(study: Study) -> str:
    rows = [("tokens", study.tokens), (study.name, study.output)]
    body = "".join(f"<tr><th>{escape(n)}</th>{_cells(values)}</tr>" for n, values in rows)
    return f"<table>{body}</table>"


def _cells(values: Sequence[Value]) -> str:
    return "".join(f"<td>{escape(value_text(v))}</td>" for v in values)


def _facts(study: Study) -> str:
    rows = "".join(
        f"<tr><th>{escape(k)}</th><td>{escape(v)}</td></tr>" for k, v in study.sizes.items()
    )
    tone = "verdict" if study.exact else "verdict bad"
    return f'<table class="facts">{rows}</table><p class="{tone}">{escape(study.verification)}</p>'


def _match(learned: Learned) -> str:
    head = "".join(f"<th>{escape(s)}</th>" for s in learned.selectors)
    best = [max(row[1][j][0] for row in learned.match) for j in range(len(learned.selectors))]
    rows = "".join(
        f"<tr><th>{escape(name)}</th>"
        f"{''.join(_score(s, c, s == best[j]) for j, (s, c) in enumerate(cells))}</tr>"
        for name, cells in learned.match
    )
    return (
        f'<div class="wide"><table class="match"><thead><tr><th>head</th>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _score(score: float, chance: float, best: bool) -> str:
    shade = 0.45 * min(1.0, max(0.0, score)) if np.isfinite(score) else 0.0
    return (
        f'<td{" class=best" if best else ""} style="background:rgba(var(--shade),{shade:.2f})">'
        f"{score:z.2f}<br>"
        f"<small>chance {chance:.2f}</small></td>"
    )

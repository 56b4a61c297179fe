"""The demo's report: one HTML file that needs no network, no script, and reads light and dark
(floor 7).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from rasplab.circuit.graph import Circuit
from rasplab.domain import BOS
from rasplab.program import Value
from rasplab.show.html import document, script_text
from rasplab.show.svg import circuit_svg, pattern_svg
from rasplab.show.text import input_text, value_text

KEYWORDS = (
    "select|aggregate|selector_width|tokens|indices|length|def|return|for|in|if|else|and|or|not"
)


LIKE, UNLIKE = 0.7, 0.2
"""Scores from which, and below which, a head is said to look like a selector or not; only words
hang on them.
"""

PAIRS_NOTE = (
    "For each selector: what it selects, the compiled head that computes it, and the trained head "
    "matched with it. Rows are queries, columns keys; a row that selects nothing attends to BOS. A "
    "score is corrected for chance: 0 is what the head scores on the selectors of other inputs, 1 "
    "is equality; chance is the similarity that it starts from."
)


@dataclass(frozen=True)
class Patterns:
    """One selector on one input, [query, key] with BOS first: what it selects, and where two heads
    look.
    """

    tokens: tuple[Value, ...]
    selector: np.ndarray
    compiled: np.ndarray
    trained: np.ndarray


@dataclass(frozen=True)
class Pair:
    """The compiled head and the trained head that come nearest to a selector.

    compiled_head, compiled_note   the heads that compute it, and what their picture shows
    patterns   one per sample input, in the order of the study's samples
    """

    selector: str
    compiled_head: str
    compiled_note: str
    trained_head: str
    score: float
    chance: float
    patterns: tuple[Patterns, ...]


@dataclass(frozen=True)
class Study:
    """All that the report says of one program.

    sizes    name -> text, in the order shown
    match    trained heads x selectors: rows of (head, [(score, chance), ...])
    verdicts, curve   pictures, as SVG: what each trained head implements; how training went
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
    training: str
    selectors: tuple[str, ...]
    match: tuple[tuple[str, tuple[tuple[float, float], ...]], ...]
    pairs: tuple[Pair, ...]
    verdicts: str = ""
    curve: str = ""


def demo_report(studies: Sequence[Study], footer: str = "") -> str:
    """The whole page."""
    body = "".join(map(_program, studies))
    return document(
        "rasplab: programs and heads",
        f'{_opening(studies)}{body}<p class="soft">{escape(footer)}</p>',
        _tab_rules(studies),
        script_text(),
    )


def _tab_rules(studies: Sequence[Study]) -> str:
    most = max((len(p.patterns) for s in studies for p in s.pairs), default=0)
    rule = ".tabs>input:nth-of-type({0}):checked~section:nth-of-type({0}){{display:block}}"
    return "".join(rule.format(i + 1) for i in range(most))


def _opening(studies: Sequence[Study]) -> str:
    names = " and ".join(f"<code>{escape(s.name)}</code>" for s in studies)
    return (
        "<h1>Programs and heads</h1>"
        f'<p class="lead">{names}, written in RASP: interpreted, compiled into transformer '
        "weights, checked against the interpreter, and laid beside a transformer that "
        "learned the same task from examples.</p>"
    )


def _program(study: Study) -> str:
    return (
        f'<article class="program"><h2>{escape(study.name)}</h2>'
        f'<p class="lead">{escape(study.summary)}</p>'
        f'<div class="columns"><div>{_heading("Program")}<pre>{_source(study.source)}</pre>'
        f"{_heading('A sample, interpreted')}{_sample(study)}</div>"
        f"<div>{_heading('Compiled')}{_facts(study)}</div></div>"
        f"{_heading('The circuit, read off the compiled weights')}"
        f'<div class="wide">{circuit_svg(study.circuit)}</div>'
        f"{_heading('Compiled heads beside trained heads')}{_pairs(study)}"
        f"{_heading('Every trained head against every selector')}{_match(study)}"
        f"{_judged(study)}</article>"
    )


def _judged(study: Study) -> str:
    """The verdicts of interventions, and the training curve, where there are some."""
    if not study.verdicts:
        return ""
    note = (
        "Patterns are taken from other inputs, rows and lengths; the model is held against what "
        "the interpreter says when the selector is taken from there. * with other heads; the "
        "reason is in each cell's hover text."
    )
    return (
        f'{_heading("What they implement")}<p class="soft">{note}</p>'
        f'<div class="wide">{study.verdicts}</div>'
        f'{_heading("How it was trained")}<div class="wide">{study.curve}</div>'
    )


def _heading(text: str) -> str:
    return f"<h3>{escape(text)}</h3>"


def _source(text: str) -> str:
    """The program's text with comments and words of the language set off."""
    lines = []
    for line in text.strip().splitlines():
        code, mark, note = line.partition("#")
        marked = re.sub(
            rf"\b({KEYWORDS})\b", r'<span class="word">\1</span>', escape(code, quote=False)
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


def _pairs(study: Study) -> str:
    """Tabs over the sample inputs; without styles all of them are shown."""
    inputs = [p.tokens for p in study.pairs[0].patterns] if study.pairs else []
    buttons = "".join(
        f'<input type="radio" name="{escape(study.name)}" id="{escape(study.name)}{i}"'
        f"{' checked' if not i else ''}>"
        f'<label for="{escape(study.name)}{i}">{escape(input_text(tokens))}</label>'
        for i, tokens in enumerate(inputs)
    )
    panels = "".join(
        f"<section>{''.join(_pair(pair, i) for pair in study.pairs)}</section>"
        for i in range(len(inputs))
    )
    return f'<p class="soft">{PAIRS_NOTE}</p><div class="tabs">{buttons}{panels}</div>'


def _pair(pair: Pair, i: int) -> str:
    found = pair.patterns[i]
    texts = [BOS, *map(value_text, found.tokens)]
    grids = (
        pattern_svg(found.selector, texts, texts, "selector", "what the program selects"),
        pattern_svg(
            found.compiled,
            texts,
            texts,
            f"compiled {pair.compiled_head}",
            pair.compiled_note,
        ),
        pattern_svg(
            found.trained,
            texts,
            texts,
            f"trained {pair.trained_head}",
            f"score {pair.score:.2f}, chance {pair.chance:.2f}",
        ),
    )
    return (
        f'<div class="pair"><p><code>{escape(pair.selector)}</code> '
        f'<span class="soft">{reading(pair)}</span></p>'
        f'<div class="grids">{"".join(grids)}</div><div class="readout"></div></div>'
    )


def reading(pair: Pair) -> str:
    """A match in words; LIKE and UNLIKE are where the words change."""
    if pair.score >= LIKE:
        return f"The trained {pair.trained_head} looks where this selector points."
    if pair.score < UNLIKE:
        return "No trained head alone looks like it."
    return f"The trained {pair.trained_head} looks there in part."


def _match(study: Study) -> str:
    head = "".join(f"<th>{escape(s)}</th>" for s in study.selectors)
    best = [max(row[1][j][0] for row in study.match) for j in range(len(study.selectors))]
    rows = "".join(
        f"<tr><th>{escape(name)}</th>"
        f"{''.join(_score(s, c, s == best[j]) for j, (s, c) in enumerate(cells))}</tr>"
        for name, cells in study.match
    )
    return (
        f'<p class="soft">The trained model: {escape(study.training)}. '
        "Each cell: the score, and under it the similarity "
        "that chance gives, measured on wrong selectors; the best of each column is outlined.</p>"
        f'<div class="wide"><table class="match"><thead><tr><th>head</th>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _score(score: float, chance: float, best: bool) -> str:
    shade = 0.45 * min(1.0, max(0.0, score)) if np.isfinite(score) else 0.0
    return (
        f'<td{" class=best" if best else ""} style="background:rgba(var(--shade),{shade:.2f})">'
        f"{score:.2f}<br>"
        f"<small>chance {chance:.2f}</small></td>"
    )

"""Selector, compiled head and trained head side by side on the same inputs, under a slider.

`side_by_side(program, compiled, trained)` computes the matrices: for each selector that the program
reads and each input, what is selected and where the two heads attend. `side_by_side_html` draws
them; attention.js makes the slider work.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from rasplab.apps.show.heads import MARKS
from rasplab.apps.show.html import MONO, SOFT, figure, wrapped
from rasplab.apps.show.patterns import pattern_svg
from rasplab.base.arguments import EVIDENCE, HEADS, INPUTS, MODEL, PROGRAM, TOKENS, optional, takes
from rasplab.base.arguments import shown as shown_value
from rasplab.base.errors import RaspNameError, RaspValueError
from rasplab.base.text import clip, escape, width
from rasplab.model.bridge import LensModel
from rasplab.program.domain import BOS, Domain
from rasplab.program.graph import Program
from rasplab.program.interpret.exact import evaluate
from rasplab.program.values import MAX_TOKEN, Atom, input_text, value_text
from rasplab.study.heads.evidence import Evidence, Finding, Verdict
from rasplab.study.heads.screen import MatchTable, match
from rasplab.study.heads.verdict import judge
from rasplab.transformer.sites import Site

N_INPUTS, SEED, DRAWN = 12, 1, 400
"""Inputs of the slider by default; seed and number of the samples that they are picked from."""
JUDGED_PAIRS = 100
"""Pairs of inputs for each kind of swap, where no evidence is given."""
DIGITS = 4
"""Decimals of the weights that the slider brings."""

RANK = ("implements", "consistent", "undecided", "refuted")
WORDS = {
    "implements": "The trained {} does this selector's work.",
    "consistent": "The trained {} may do this selector's work.",
    "undecided": "Whether the trained {} does this selector's work is open.",
    "refuted": "The trained {} does not do this selector's work.",
}

Tokens = tuple[Atom, ...]
Selected = Bool[np.ndarray, "_query _key"]
"""A selector on an input, without BOS. (`_`: the inputs of a list differ in length.)"""
Pattern = Float[np.ndarray, "_query _key"]
"""A head's pattern without BOS as query; BOS is key 0."""
Patterns = Float[np.ndarray, "layer head _pos _pos"]
"""The patterns of all heads on an input, BOS first."""


@dataclass(frozen=True, eq=False)
class Row:
    """A selector, the compiled heads that compute it, and a trained head.

    captions  (title, note) of the three pictures: selector, compiled, trained
    verdict   on the trained head and the selector; `words` and `reason` say it in full
    patterns  for each input what is selected and where the two heads attend, BOS as key 0; of
              compiled heads that count, what they count
    """

    selector: str
    captions: tuple[tuple[str, str], ...]
    verdict: Verdict
    words: str
    reason: str
    patterns: tuple[Float[np.ndarray, "3 _query _key"], ...]


@dataclass(frozen=True, eq=False, repr=False)
class SideBySide:
    """The result of `side_by_side`; a notebook shows it as pictures under a slider."""

    inputs: tuple[Tokens, ...]
    rows: tuple[Row, ...]

    def __repr__(self) -> str:
        lines = [
            f"{row.selector}: {', '.join(' '.join(caption) for caption in row.captions[1:])}"
            for row in self.rows
        ]
        return "\n".join([*lines, f"on {len(self.inputs)} inputs; pictures where HTML is shown"])

    def _repr_html_(self) -> str:
        return wrapped(side_by_side_html(self), scripted=True)


@takes(
    program=PROGRAM,
    compiled=MODEL,
    trained=MODEL,
    inputs=optional(INPUTS),
    heads=optional(HEADS),
    evidence=optional(EVIDENCE),
)
def side_by_side(
    program: Program,
    compiled: LensModel,
    trained: LensModel,
    inputs: Sequence[Sequence[Atom]] | None = None,
    heads: Mapping[str, str] | None = None,
    evidence: Evidence | None = None,
) -> SideBySide:
    """Each selector that `program` reads beside its compiled head and a trained head.

    inputs    what the slider goes over; by default up to 12 that both models take
    heads     which trained head to show, by selector: {"flip": "L1H0"}; by default the one with
              the best verdict, and where all are refuted the one whose pattern is most similar
    evidence  of `judge(trained, program)`, which is run here where it is not given

    Raises RaspNameError for a selector that the program does not read, RaspValueError for a head
    that is not there or an input that a model does not take, and what `match` and `judge` raise.
    """
    shown = _inputs(compiled, trained) if inputs is None else tuple(map(_tokens, inputs))
    if not shown:
        raise RaspValueError(
            "side_by_side got no inputs", hint="leave `inputs` out, or pass at least one"
        )
    evidence = evidence or judge(trained, program, JUDGED_PAIRS)
    chosen, table = _chosen(heads or {}, evidence), match(compiled, program)
    traces = [evaluate(program, tokens, causal=trained.domain.causal) for tokens in shown]
    compiled_patterns = [compiled.patterns([tokens])[0] for tokens in shown]
    trained_patterns = [trained.patterns([tokens])[0] for tokens in shown]
    rows = []
    for j, selector in enumerate(evidence.table.selectors):
        selected = [np.asarray(trace.values[selector.node], bool) for trace in traces]
        if all(matrix.all() for matrix in selected):
            continue  # every head matches a selector of everything
        side = compiled_side(compiled, table, j, compiled_patterns)
        finding = _finding(evidence, j, chosen.get(str(selector)))
        rows.append(_row_of(evidence.table, j, finding, selected, side, trained_patterns))
    return SideBySide(shown, tuple(rows))


def _chosen(heads: Mapping[str, str], evidence: Evidence) -> dict[str, str]:
    """The trained head to show, by selector, where the caller names one.

    Raises RaspNameError for a selector, RaspValueError for a head that is not in the evidence.
    """
    selectors = [str(s) for s in evidence.table.selectors]
    known = [str(h) for h in evidence.table.heads]
    for name, head in heads.items():
        if name not in selectors:
            hint = f"it reads: {', '.join(selectors)}"
            raise RaspNameError(f"the program reads no selector {name!r}", hint=hint)
        if head not in known:
            hint = f"it has {', '.join(known)}"
            raise RaspValueError(f"the trained model has no head {head!r}", hint=hint)
    return dict(heads)


@dataclass(frozen=True, eq=False)
class CompiledSide:
    """The compiled heads of a selector: their names, a note, and what to draw on each input."""

    name: str
    note: str
    patterns: list[Pattern]


def _row_of(
    table: MatchTable,
    j: int,
    finding: Finding,
    selected: list[Selected],
    side: CompiledSide,
    trained_patterns: list[Patterns],
) -> Row:
    """The row of selector j; the lists have an entry for each input."""
    head = finding.head
    score, chance = _scores(table, head, j)
    patterns = tuple(
        np.stack([with_bos(matrix), compiled, trained[head.layer, head.head, 1:]])
        for matrix, compiled, trained in zip(selected, side.patterns, trained_patterns, strict=True)
    )
    captions = (
        ("selector", "what the program selects"),
        (f"compiled {side.name}", side.note),
        (f"trained {head}", f"{finding.verdict}, score {score:z.2f} (chance {chance:.2f})"),
    )
    words = WORDS[finding.verdict].format(_who(finding))
    return Row(str(finding.selector), captions, finding.verdict, words, finding.reason, patterns)


def _tokens(given: Any) -> Tokens:
    if not TOKENS.test(given):
        raise TypeError(
            f"side_by_side: inputs holds {shown_value(given)}; it has to be {TOKENS.accepted}"
        )
    return tuple(given)


def _inputs(compiled: LensModel, trained: LensModel) -> tuple[Tokens, ...]:
    """Inputs that both models take."""
    ours, learned = compiled.domain, trained.domain
    vocab = tuple(t for t in learned.vocab if t in ours.vocab)
    if not vocab:
        raise RaspValueError(
            "the compiled and the trained model share no token",
            hint="compile for the trained model's domain: trained.domain",
        )
    return typical_inputs(Domain(vocab, min(ours.max_len, learned.max_len), learned.causal))


def typical_inputs(domain: Domain) -> tuple[Tokens, ...]:
    """Up to 12 different inputs, long and varied ones first.

    All have half the full length or more; those of one repeated token are left out where there are
    others.
    """
    samples = [tuple(domain.vocab[i] for i in ids) for ids in domain.sample(DRAWN, SEED)]
    long = [t for t in dict.fromkeys(samples) if 2 * len(t) >= domain.max_len]
    picked = ([t for t in long if len(set(t)) > 1] or long)[:N_INPUTS]
    return tuple(sorted(picked, key=lambda t: (len(t), len(set(t))), reverse=True))


def _finding(evidence: Evidence, j: int, head: str | None) -> Finding:
    """The finding of selector j with `head`; by default with the most plausible head."""
    findings = {f.head: f for f in (row[j] for row in evidence.findings)}
    if head is not None:
        return next(f for site, f in findings.items() if str(site) == head)
    best = min(findings.values(), key=lambda f: (RANK.index(f.verdict), -_share(f)))
    return best if best.verdict != "refuted" else findings[matched(evidence.table, j)]


def _share(finding: Finding) -> float:
    """Interchange accuracy; 0 where nothing was measured."""
    worst = finding.accuracy.worst
    return worst.value if worst.pairs else 0.0


def _who(finding: Finding) -> str:
    """The head, and those that share its work."""
    others = [h for h in finding.heads if h != finding.head]
    return " with ".join(map(str, [finding.head, *others]))


def matched(table: MatchTable, j: int) -> Site:
    """The head assigned to selector j, or the one with the highest score.

    The assignment is one to one, so that selectors can be left without a head.
    """
    assigned = {best.selector.node: best.head for best in table.best()}
    return assigned.get(table.selectors[j].node, table.heads[int(np.argmax(table.score[:, j]))])


def _scores(table: MatchTable, head: Site, j: int) -> tuple[float, float]:
    """Score and chance of a head and selector j."""
    i = table.heads.index(head)
    return float(table.score[i, j]), float(table.chance[i, j])


def compiled_side(
    compiled: LensModel, table: MatchTable, j: int, patterns: Sequence[Patterns]
) -> CompiledSide:
    """The compiled heads of selector j: those that count with it, or the one that matches it.

    patterns  of all heads of the compiled model, on each input
    """
    node, source = table.selectors[j].node, compiled.compiled
    counting = [
        (Site("head", layer, i), head.bos_weight)
        for layer, i, head in (source.layout.heads if source else ())
        if head.selector == node and head.bos_weight
    ]
    if not counting:
        head = matched(table, j)
        score, _ = _scores(table, head, j)
        attended = [a[head.layer, head.head, 1:] for a in patterns]
        return CompiledSide(str(head), f"score {score:z.2f}", attended)
    names = " + ".join(str(site) for site, _ in counting)
    counts = [
        np.max([counted(a[site.layer, site.head], weight) for site, weight in counting], axis=0)
        for a in patterns
    ]
    return CompiledSide(names, "counts: each key beside one counted key", counts)


def counted(pattern: Float[np.ndarray, "pos pos"], bos_weight: float) -> Pattern:
    """What a counting head counts: 1 where its selector selects, else 0.

    pattern     with BOS as query and key
    bos_weight  the weight of BOS beside that of a counted key

    A counting head attends to each selected key alike and to BOS `bos_weight` times as much, so a
    key's weight over BOS's, times `bos_weight`, is 1 where it is selected. BOS as key, which may
    outweigh all others, gets 0; BOS as query is left out.
    """
    weights = np.clip(pattern[1:] / pattern[1:, :1] * bos_weight, 0, 1)
    weights[:, 0] = 0
    return weights


def with_bos(selector: Selected) -> Bool[np.ndarray, "_query _key"]:
    """A selector with a first column for BOS, which it never selects."""
    return np.pad(np.asarray(selector, bool), ((0, 0), (1, 0)))


# As HTML ----------------------------------------------------------------------------------------


def side_by_side_html(beside: SideBySide, draw: Callable[[str, str], str] = figure) -> str:
    """A slider over the inputs and a row of three pictures for each selector.

    draw  a picture and its name as HTML: an image, or the picture itself

    The pictures show the first input. Where attention.js runs, it shows the slider and puts each
    input's weights, which stand below as JSON, into these very pictures.
    """
    texts = [_labels(tokens) for tokens in beside.inputs]
    rows = "".join(_row_html(row, texts, draw) for row in beside.rows)
    return (
        f'<div class="rl-side">{_slider(beside.inputs)}{rows}'
        f'<script type="application/json">{_frames(beside, texts)}</script></div>'
    )


def _labels(tokens: Tokens) -> list[str]:
    return [BOS, *(clip(value_text(t), MAX_TOKEN) for t in tokens)]


def _slider(inputs: Sequence[Tokens]) -> str:
    """The slider, hidden until a script can act on it, and the input that is shown."""
    # JupyterLab takes arrow keys for itself, but for elements with data-lm-suppress-shortcuts; and
    # in a notebook that is not trusted it strips empty attributes, so `hidden` has a value.
    mono = f"font-family:{MONO}".replace("'", "")
    slider = (
        f'<label hidden="hidden">input <input type="range" min="0" '
        f'max="{len(inputs) - 1}" value="0" data-lm-suppress-shortcuts="true" '
        f'style="width:260px;vertical-align:middle"></label>'
    )
    return (
        f'<div style="margin:4px 0 8px">{slider} '
        f'<b class="rl-input" aria-live="polite" style="{mono}">{escape(input_text(inputs[0]))}'
        f'</b> <span class="rl-place" style="{SOFT}"></span></div>'
    )


def _frames(beside: SideBySide, texts: Sequence[Sequence[str]]) -> str:
    """As JSON, for each input: its text, the tokens of the axes, the weights of every picture."""
    frames = [
        {
            "input": input_text(tokens),
            "tokens": texts[i],
            "grids": [
                list(map(_short, grid.ravel().tolist()))
                for r in beside.rows
                for grid in r.patterns[i]
            ],
        }
        for i, tokens in enumerate(beside.inputs)
    ]
    # no "<": a token such as </script> would end the element that holds the JSON
    return json.dumps(frames, separators=(",", ":")).replace("<", "\\u003c")


def _short(weight: float) -> float | int:
    """A weight with DIGITS decimals; whole numbers without a point."""
    short = round(weight, DIGITS)
    return int(short) if short == int(short) else short


def _row_html(row: Row, texts: Sequence[Sequence[str]], draw: Callable[[str, str], str]) -> str:
    """The three pictures of a selector, with room for the longest input."""
    room = max(map(len, texts))
    widest = max(width(t) for tokens in texts for t in tokens)
    missing = room - len(texts[0])
    tokens = [*texts[0], *[""] * missing]
    grids = []
    for grid, (title, note) in zip(row.patterns[0], row.captions, strict=True):
        padded = np.pad(grid.astype(float), (0, missing), constant_values=np.nan)
        svg = pattern_svg(padded, tokens[1:], tokens, title, note, widest=widest)
        grids.append(draw(svg, f"{row.selector}: {title}"))
    mark = f"border-left:4px solid {MARKS[row.verdict] or '#8884'}"
    return (
        f'<div class="pair" style="margin:0 0 14px;padding:2px 0 2px 12px;{mark}">'
        f"<div><code>{escape(row.selector)}</code> · <b>{row.verdict}</b>. {escape(row.words)} "
        f'<span style="{SOFT}">({escape(row.reason)})</span></div>'
        f'<div style="display:flex;flex-wrap:wrap;gap:4px 14px">{"".join(grids)}</div>'
        f'<div class="readout" style="{SOFT};min-height:1.5em"></div></div>'
    )

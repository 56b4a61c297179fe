"""Side by side on one input: what a selector selects, where the compiled head looks, where the
trained head looks; and a slider over inputs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from rasplab.apps.show.heads import MARKS
from rasplab.apps.show.html import MONO, SOFT, figure, wrapped
from rasplab.apps.show.svg import pattern_svg
from rasplab.base.errors import RaspNameError, RaspValueError
from rasplab.base.text import clip, width
from rasplab.model.bridge import LensModel
from rasplab.program.domain import BOS, Domain
from rasplab.program.graph import Program
from rasplab.program.interpret.exact import evaluate
from rasplab.program.values import MAX_TOKEN, Value, input_text, value_text
from rasplab.study.heads.screen import MatchTable, match
from rasplab.study.heads.verdict import Evidence, Finding, Verdict, judge
from rasplab.transformer.sites import Site

N_INPUTS, SEED = 12, 1
"""How many inputs the slider has where none are given, and what they are drawn with."""
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


@dataclass(frozen=True, eq=False)
class Row:
    """A selector, the compiled heads that compute it, and a trained head.

    captions  (title, note) of the three pictures: selector, compiled, trained
    verdict   on the trained head and the selector; `words` and `reason` say it in full
    patterns  for each input [3, query, key], BOS as key 0: what is selected, and where the two
              look; of compiled heads that count, what they count
    """

    selector: str
    captions: tuple[tuple[str, str], ...]
    verdict: Verdict
    words: str
    reason: str
    patterns: tuple[np.ndarray, ...]


@dataclass(frozen=True, eq=False, repr=False)
class SideBySide:
    """What `side_by_side` found; a notebook shows it as pictures under a slider."""

    inputs: tuple[tuple[Value, ...], ...]
    rows: tuple[Row, ...]

    def __repr__(self) -> str:
        shown = [f"{r.selector}: {', '.join(' '.join(c) for c in r.captions[1:])}"
                 for r in self.rows]  # fmt: skip
        return "\n".join([*shown, f"on {len(self.inputs)} inputs; pictures where HTML is shown"])

    def _repr_html_(self) -> str:
        return wrapped(side_by_side_html(self), scripted=True)


def side_by_side(
    program: Program,
    compiled: LensModel,
    trained: LensModel,
    inputs: Sequence[Sequence[Value]] | None = None,
    heads: Mapping[str, str] | None = None,
    evidence: Evidence | None = None,
) -> SideBySide:
    """Each selector that `program` reads beside its compiled head and a trained head.

    inputs    what the slider goes over; by default some that both models take
    heads     which trained head to show, by selector: {"flip": "L1H0"}; by default the one with
              the best verdict, and where all are refuted the one that looks most like it
    evidence  of `judge(trained, program)`, which is run here where it is not given
    Raises RaspNameError for a selector that the program does not read, RaspValueError for a head
    that is not there or an input that a model does not take, and what `match` and `judge` raise.
    """
    inputs = _inputs(compiled, trained) if inputs is None else tuple(map(tuple, inputs))
    if not inputs:
        raise RaspValueError("side_by_side needs at least one input")
    evidence = evidence or judge(trained, program, JUDGED_PAIRS)
    chosen, own = _chosen(heads or {}, evidence), match(compiled, program)
    traces = [evaluate(program, tokens, causal=trained.domain.causal) for tokens in inputs]
    looks = [(compiled.patterns([t])[0], trained.patterns([t])[0]) for t in inputs]
    rows = []
    for j, selector in enumerate(evidence.table.selectors):
        wanted = [trace.values[selector.node] for trace in traces]
        if not all(w.all() for w in wanted):  # what selects everything is matched by anything
            side = compiled_side(compiled, own, j, [mine for mine, _ in looks])
            finding = _finding(evidence, j, chosen.get(str(selector)))
            rows.append(_beside(evidence.table, j, finding, wanted, side, [b for _, b in looks]))
    return SideBySide(inputs, tuple(rows))


def _chosen(heads: Mapping[str, str], evidence: Evidence) -> dict[str, str]:
    """The heads asked for. Raises RaspNameError for a selector, RaspValueError for a head that is
    not in the evidence."""
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


def _beside(
    table: MatchTable, j: int, finding: Finding, wanted: list, side: tuple, looks: list[np.ndarray]
) -> Row:
    """The row of selector j: on each input what is selected, the compiled side, and the patterns
    [layer, head, query, key] of the trained model."""
    head, (name, note, drawn) = finding.head, side
    score, chance = _cell(table, head, j)
    patterns = tuple(
        np.stack([with_bos(w), mine, theirs[head.layer, head.head, 1:]])
        for w, mine, theirs in zip(wanted, drawn, looks, strict=True)
    )
    captions = (
        ("selector", "what the program selects"),
        (f"compiled {name}", note),
        (f"trained {head}", f"{finding.verdict}, score {score:z.2f} (chance {chance:.2f})"),
    )
    words = WORDS[finding.verdict].format(_who(finding))
    return Row(str(finding.selector), captions, finding.verdict, words, finding.reason, patterns)


def _inputs(compiled: LensModel, trained: LensModel) -> tuple[tuple[Value, ...], ...]:
    """Inputs that both models take."""
    mine, theirs = compiled.domain, trained.domain
    vocab = tuple(t for t in theirs.vocab if t in mine.vocab)
    if not vocab:
        raise RaspValueError("the compiled and the trained model share no token")
    return typical_inputs(Domain(vocab, min(mine.max_len, theirs.max_len), theirs.causal))


def typical_inputs(domain: Domain) -> tuple[tuple[Value, ...], ...]:
    """Some inputs of half the full length or more, different from each other, none of one token
    over and over where others can be had; long and varied ones first."""
    drawn = [tuple(domain.vocab[i] for i in ids) for ids in domain.sample(400, SEED)]
    long = [t for t in dict.fromkeys(drawn) if 2 * len(t) >= domain.max_len]
    some = ([t for t in long if len(set(t)) > 1] or long)[:N_INPUTS]
    return tuple(sorted(some, key=lambda t: (len(t), len(set(t))), reverse=True))


def _finding(evidence: Evidence, j: int, head: str | None) -> Finding:
    """Of selector j: with the head asked for, or the most plausible one."""
    found = {f.head: f for f in (row[j] for row in evidence.findings)}
    if head is not None:
        return next(f for site, f in found.items() if str(site) == head)
    best = min(found.values(), key=lambda f: (RANK.index(f.verdict), -_share(f)))
    return best if best.verdict != "refuted" else found[matched(evidence.table, j)]


def _share(finding: Finding) -> float:
    """Interchange accuracy; 0 where nothing was measured."""
    worst = finding.accuracy.worst
    return worst.value if worst.pairs else 0.0


def _who(finding: Finding) -> str:
    """The head, and those that share its work."""
    others = [h for h in finding.heads if h != finding.head]
    return " with ".join(map(str, [finding.head, *others]))


def matched(table: MatchTable, j: int) -> Site:
    """The head assigned to selector j; where the heads have run out, the one with the highest
    score.
    """
    assigned = {best.selector.node: best.head for best in table.best()}
    return assigned.get(table.selectors[j].node, table.heads[int(np.argmax(table.score[:, j]))])


def _cell(table: MatchTable, head: Site, j: int) -> tuple[float, float]:
    i = table.heads.index(head)
    return float(table.score[i, j]), float(table.chance[i, j])


def compiled_side(compiled: LensModel, table: MatchTable, j: int, looks: list[np.ndarray]):
    """The compiled heads of selector j: their names, a note, and what to draw on each input."""
    node, made = table.selectors[j].node, compiled.compiled
    counting = [
        (Site("head", layer, i), head.bos_weight)
        for layer, i, head in (made.layout.heads if made else ())
        if head.selector == node and head.bos_weight
    ]
    if not counting:
        head = matched(table, j)
        score, _ = _cell(table, head, j)
        return str(head), f"score {score:z.2f}", [a[head.layer, head.head, 1:] for a in looks]
    names = " + ".join(str(site) for site, _ in counting)
    drawn = [np.max([counted(a[s.layer, s.head], w) for s, w in counting], axis=0) for a in looks]
    return names, "counts: each key beside one counted key", drawn


def counted(pattern: np.ndarray, bos_weight: float) -> np.ndarray:
    """A counting head's pattern [query, key], BOS in both, as the weight of each key beside one
    that is counted: 1 where the selector selects, else 0. Without BOS as query; BOS as key, which
    may outweigh all others, gets 0.
    """
    weights = np.clip(pattern[1:] / pattern[1:, :1] * bos_weight, 0, 1)
    weights[:, 0] = 0
    return weights


def with_bos(selector: np.ndarray) -> np.ndarray:
    """A selector [query, key] with a first column for BOS, which it never selects."""
    return np.pad(np.asarray(selector, bool), ((0, 0), (1, 0)))


# As HTML ----------------------------------------------------------------------------------------


def side_by_side_html(found: SideBySide, draw: Callable[[str, str], str] = figure) -> str:
    """A slider over the inputs and a row of three pictures for each selector.

    draw   a picture and its name as HTML: an image, or the picture itself
    The pictures show the first input. Where attention.js runs, it shows the slider and puts each
    input's weights, which stand below as JSON, into these very pictures.
    """
    texts = [_labels(tokens) for tokens in found.inputs]
    rows = "".join(_row(row, texts, draw) for row in found.rows)
    return (
        f'<div class="rl-side">{_slider(found.inputs)}{rows}'
        f'<script type="application/json">{_frames(found, texts)}</script></div>'
    )


def _labels(tokens: Sequence[Value]) -> list[str]:
    return [BOS, *(clip(value_text(t), MAX_TOKEN) for t in tokens)]


def _slider(inputs: Sequence[tuple[Value, ...]]) -> str:
    """Hidden until a script can act on it; the input shown stands beside it. JupyterLab, which
    takes arrow keys for itself, leaves them to an element that is marked so; and it strips empty
    attributes where it trusts nothing."""
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


def _frames(found: SideBySide, texts: Sequence[Sequence[str]]) -> str:
    """For each input its text, the tokens of the axes, and the weights of every picture, row by
    row, as JSON."""
    frames = [
        {
            "input": input_text(tokens),
            "tokens": texts[i],
            "grids": [list(map(_short, grid.flat)) for r in found.rows for grid in r.patterns[i]],
        }
        for i, tokens in enumerate(found.inputs)
    ]
    return json.dumps(frames, separators=(",", ":")).replace("<", "\\u003c")


def _short(weight: float) -> float | int:
    short = round(float(weight), DIGITS)
    return int(short) if short == int(short) else short


def _row(row: Row, texts: Sequence[Sequence[str]], draw: Callable[[str, str], str]) -> str:
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

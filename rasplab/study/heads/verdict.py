"""Does a head implement a selector? The match in its three strengths, and a verdict for each pair.

  screen        the head looks as the selector does                        match.py
  substitution  the answers need its pattern, and the selector's will do   substitution.py
  interchange   its pattern from elsewhere does what the interpreter says  interchange.py, groups.py
  operands      so do its queries alone, and its keys alone                operands.py

Only interchange of patterns decides; operands say whether the head compares what the selector
compares. Looks mislead both ways: a head can attend as a selector says and be read
by nothing, and a head can do a selector's work with a pattern of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from math import isnan
from typing import Literal

from rasplab.base.text import lined_up
from rasplab.model.bridge import LensModel
from rasplab.model.native import reinitialised
from rasplab.model.threads import few_threads
from rasplab.program.graph import Program
from rasplab.study.heads.head_groups import Swapped, best_group
from rasplab.study.heads.interchange import MIN_PAIRS, Accuracy, Estimate, baseline, set_up
from rasplab.study.heads.qk_interchange import Operands, operands
from rasplab.study.heads.screen import ALIKE, MatchTable, Selector, match
from rasplab.study.heads.substitution import Substitution, substitution
from rasplab.transformer.sites import Site

HOLDS = 0.8
"""Interchange accuracy that `implements` needs at the interval's lower end, in every family."""

FAILS = 0.5
"""Interchange accuracy below which, at the interval's upper end, a pair is refuted."""

SUFFICES = 0.05
"""How far accuracy may fall when the selector's own pattern is put in, to call it sufficient."""

SHOWN = ("implements", "consistent", "undecided")
"""Verdicts that get a paragraph; of the refuted only those that look alike."""

Verdict = Literal["implements", "consistent", "refuted", "undecided"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What is known of one head and one selector.

    heads         the group it was judged in: itself alone, or with the heads that share the work
    readers       the s-ops whose reading of the selector these heads carry
    score         of the screen; `similarity` and `chance` behind it are in the table
    accuracy      interchange, of the group
    alone         interchange, of the head alone
    untrained     the best single head of a re-initialised model, on the same swaps
    substitution, operands  for pairs that the screen or the interchange makes plausible
    """

    head: Site
    selector: Selector
    verdict: Verdict
    reason: str
    heads: tuple[Site, ...]
    readers: tuple[str, ...]
    score: float
    accuracy: Accuracy
    alone: Accuracy
    untrained: Estimate
    substitution: Substitution | None
    operands: Operands | None


@dataclass(frozen=True, eq=False)
class Evidence:
    """Every head against every selector.

    findings  [head][selector], in the order of the table
    accuracy  how often the model says what the program says, on the swaps' inputs
    """

    table: MatchTable
    findings: tuple[tuple[Finding, ...], ...]
    accuracy: Estimate
    pairs: int
    seed: int

    def of(self, head: Site | str, selector: str | int) -> Finding:
        """The finding of a head (or its name) and a selector (its text, or its node)."""
        return next(
            f
            for row in self.findings
            for f in row
            if str(f.head) == str(head) and selector in (str(f.selector), f.selector.node)
        )

    def implementing(self, selector: str | int) -> tuple[Site, ...]:
        """The heads with the verdict `implements` for a selector."""
        return tuple(
            f.head
            for row in self.findings
            for f in row
            if f.verdict == "implements" and selector in (str(f.selector), f.selector.node)
        )

    def __str__(self) -> str:
        return evidence_text(self)

    def to_json(self) -> dict:
        """Everything, as plain values."""
        return evidence_json(self)


def judge(
    model: LensModel,
    program: Program,
    pairs: int = 200,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Evidence:
    """Screen, substitute and interchange every head of `model` with every selector of `program`.

    pairs     pairs of inputs in each family of swaps, about
    progress  called with (readings done, readings in all)
    Raises RaspValueError for a program that reads no selector or says what the model cannot say,
    and what the interpreter raises.
    """
    with few_threads(model.lens.cfg.d_model):
        bench = set_up(model, program, pairs, seed)
        table = match(model, program, 2 * pairs, seed)
        swapped, blank = Swapped(bench), Swapped(bench.on(reinitialised(model, seed)))
        readings = []
        for r in range(len(bench.readings)):
            readings.append(_reading(swapped, blank, r, table))
            progress(r + 1, len(bench.readings))
        case = _Case(swapped, table, tuple(readings), baseline(bench))
        return Evidence(table, _findings(case), case.right, pairs, seed)


@dataclass(frozen=True, slots=True)
class _Reading:
    """One reading: its place, the group that does it best, and how well untrained heads do."""

    r: int
    node: int
    group: tuple[Site, ...]
    untrained: Estimate


@dataclass(frozen=True, slots=True)
class _Case:
    """All that was run; `right` is the model's accuracy with nothing replaced."""

    swapped: Swapped
    table: MatchTable
    readings: tuple[_Reading, ...]
    right: Estimate


@dataclass(frozen=True, slots=True)
class _Pair:
    """A head and a selector (its place in the table), in the reading and group it does best in."""

    head: Site
    j: int
    reading: _Reading
    heads: tuple[Site, ...]


def _reading(swapped: Swapped, blank: Swapped, r: int, table: MatchTable) -> _Reading:
    node = swapped.bench.readings[r].selector
    j = next(j for j, s in enumerate(table.selectors) if s.node == node)
    alone = [blank.accuracy([h], r).worst for h in blank.bench.heads]
    untrained = max(alone, key=lambda e: e.value if e.pairs else -1.0)
    return _Reading(r, node, best_group(swapped, r, table.alike(j)), untrained)


def _findings(case: _Case) -> tuple[tuple[Finding, ...], ...]:
    """[head][selector]"""
    places = range(len(case.table.selectors))
    rows = [[_best(case, head, j) for j in places] for head in case.table.heads]
    return tuple(tuple(_finding(case, pair, row) for pair in row) for row in rows)


def _best(case: _Case, head: Site, j: int) -> _Pair:
    node = case.table.selectors[j].node
    options = [
        _Pair(head, j, reading, heads)
        for reading in case.readings
        if reading.node == node
        for heads in dict.fromkeys([(head,), reading.group if head in reading.group else (head,)])
    ]
    # of equally good ones the larger reading, which comes first, and the smaller group
    return max(options, key=lambda p: (round(_value(case, p), 2), -p.reading.r, -len(p.heads)))


def _value(case: _Case, pair: _Pair) -> float:
    return case.swapped.value(pair.heads, pair.reading.r)


def _finding(case: _Case, pair: _Pair, row: list[_Pair]) -> Finding:
    """The pair with its verdict; `row` holds the same head's pairs, its rivals among them."""
    r, table, swapped = pair.reading.r, case.table, case.swapped
    accuracy = swapped.accuracy(pair.heads, r)
    score = float(table.score[table.heads.index(pair.head), pair.j])
    tried = compared = None
    if score >= ALIKE or (accuracy.worst.pairs and accuracy.worst.high >= FAILS):
        tried = substitution(swapped, pair.heads, r, table.alike(pair.j))
        compared = operands(swapped.bench, pair.heads, r)
    rivals = [
        str(table.selectors[p.j])
        for p in row
        if p.j != pair.j and holds(swapped.accuracy(p.heads, p.reading.r), p.reading.untrained)
    ]
    verdict, reason = decide(accuracy, pair.reading.untrained, tried, case.right, rivals)
    readers = swapped.bench.readings[r].readers
    labels = swapped.bench.program.labels
    return Finding(
        pair.head, table.selectors[pair.j], verdict, reason, pair.heads,
        tuple(labels[i] for i in readers), score, accuracy, swapped.accuracy([pair.head], r),
        pair.reading.untrained, tried, compared,
    )  # fmt: skip


def holds(accuracy: Accuracy, untrained: Estimate) -> bool:
    """Whether the swap does what the interpreter says: surely, in every deciding family, beyond
    what arbitrary targets and untrained heads reach, and without upsetting what should stay."""
    worst, kept = accuracy.worst, accuracy.kept
    beyond = all(worst.low > c.high for c in (accuracy.arbitrary, untrained) if c.pairs)
    steady = not kept.pairs or kept.low >= HOLDS
    return bool(worst.pairs) and worst.low >= HOLDS and beyond and steady


def decide(
    accuracy: Accuracy,
    untrained: Estimate,
    tried: Substitution | None,
    right: Estimate,
    rivals: list[str],
) -> tuple[Verdict, str]:
    """The verdict and its reason in words; `rivals` are other selectors that hold for the head."""
    worst = accuracy.worst
    chance = max((c.value for c in (accuracy.arbitrary, untrained) if c.pairs), default=0.0)
    if not worst.pairs:
        return "undecided", f"no kind of swap changes the answers on {MIN_PAIRS} pairs"
    if holds(accuracy, untrained):
        if rivals:
            return "consistent", f"its swaps do what {', '.join(rivals)} says too"
        return "implements", f"its swaps do what the interpreter says: {worst}"
    if worst.high < FAILS:
        return "refuted", f"its swaps do not do what the interpreter says: {worst}"
    if worst.value <= chance:
        return "refuted", f"its swaps do no better than chance: {worst}, chance {chance:.2f}"
    sufficient = tried is not None and tried.sufficiency.value >= right.value - SUFFICES
    if sufficient and tried.margin > 0 and worst.low > chance:
        return "consistent", f"the selector's pattern will do; its own swaps in part: {worst}"
    return "undecided", f"its swaps do it in part: {worst}"


def evidence_text(evidence: Evidence) -> str:
    """A table of verdicts, then what is behind each that is not plainly refuted."""
    selectors = [str(s) for s in evidence.table.selectors]
    rows = [["head", *selectors]]
    for head, row in zip(evidence.table.heads, evidence.findings, strict=True):
        rows.append([str(head), *(f"{f.verdict} {_share(f.accuracy.worst)}" for f in row)])
    lines = lined_up(rows)
    lines += [
        f"verdict, interchange accuracy in the worst family; the model is right on "
        f"{_share(evidence.accuracy)}; about {evidence.pairs} pairs a family, seed {evidence.seed}",
    ]
    for f in (f for row in evidence.findings for f in row):
        if f.verdict in SHOWN and f.accuracy.worst.pairs or f.substitution is not None:
            lines += ["", *_paragraph(f)]
    return "\n".join(lines)


def _paragraph(f: Finding) -> list[str]:
    who = " + ".join(map(str, f.heads))
    lines = [
        f"{f.head} {f.verdict} {f.selector}, as {', '.join(f.readers)} reads it: {f.reason}",
        f"  screen {f.score:.2f}; interchange of {who}: {_families(f.accuracy)}",
        f"  kept {f.accuracy.kept}; chance: arbitrary targets {_share(f.accuracy.arbitrary)}, "
        f"untrained {_share(f.untrained)}",
    ]
    if len(f.heads) > 1:
        lines.append(f"  alone: {_families(f.alone)}")
    lines += _substituted(f.substitution) if f.substitution else []
    return lines + ([_compared(f.operands)] if f.operands else [])


def _families(accuracy: Accuracy) -> str:
    return ", ".join(f"{name} {e} ({e.pairs})" for name, e in accuracy.families if e.pairs)


def _substituted(found: Substitution) -> list[str]:
    controls = ", ".join(f"{name} {_share(e)}" for name, e in found.controls)
    return [
        f"  accuracy with the selector's pattern {_share(found.sufficiency)} ({controls}); its own "
        f"from elsewhere {_share(found.necessity)}, all alike {_share(found.jointly)}",
        f"  the selector's pattern from elsewhere does what the interpreter says: {found.imposed}",
    ]


def _compared(found: Operands) -> str:
    sides = (("queries", found.queries), ("keys", found.keys))
    said = [f"{name} {e} ({e.pairs})" if e.pairs else f"{name} change nothing" for name, e in sides]
    return f"  operands alone: {', '.join(said)}; arbitrary targets {_share(found.arbitrary)}"


def _share(estimate: Estimate) -> str:
    return "-" if isnan(estimate.value) else f"{estimate.value:.2f}"


def evidence_json(evidence: Evidence) -> dict:
    """Every number as plain values; what was not measured is null."""
    return {
        "heads": [str(h) for h in evidence.table.heads],
        "selectors": [str(s) for s in evidence.table.selectors],
        "accuracy": _plain(asdict(evidence.accuracy)),
        "pairs": evidence.pairs,
        "seed": evidence.seed,
        "screen": evidence.table.to_json(),
        "findings": [[_finding_json(f) for f in row] for row in evidence.findings],
    }


def _finding_json(f: Finding) -> dict:
    row = {
        "head": str(f.head), "selector": str(f.selector), "verdict": f.verdict, "reason": f.reason,
        "heads": [str(h) for h in f.heads], "readers": list(f.readers), "score": f.score,
        "interchange": _accuracy(f.accuracy), "alone": _accuracy(f.alone),
        "untrained": asdict(f.untrained),
        "substitution": None if f.substitution is None else asdict(f.substitution),
        "operands": None if f.operands is None else asdict(f.operands),
    }  # fmt: skip
    return _plain(row)


def _accuracy(accuracy: Accuracy) -> dict:
    return {
        "families": {name: asdict(e) for name, e in accuracy.families},
        "kept": asdict(accuracy.kept),
        "arbitrary": asdict(accuracy.arbitrary),
    }


def _plain(value):
    """nan as None, tuples of names and values as objects; JSON has neither."""
    match value:
        case dict():
            return {k: _plain(v) for k, v in value.items()}
        case [(str(), dict()), *_]:
            return {name: _plain(v) for name, v in value}
        case list() | tuple():
            return [_plain(v) for v in value]
        case float() if isnan(value):
            return None
    return value

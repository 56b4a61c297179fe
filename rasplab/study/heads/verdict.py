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
from dataclasses import dataclass
from typing import Literal

from rasplab.model.bridge import LensModel, reinitialised
from rasplab.model.threads import few_threads
from rasplab.program.graph import Program
from rasplab.study.heads.head_groups import Swapped, best_group
from rasplab.study.heads.interchange import FEWEST, Accuracy, Estimate, baseline, set_up
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
        from rasplab.study.heads.evidence_text import evidence_text

        return evidence_text(self)

    def to_json(self) -> dict:
        """Everything, as plain values."""
        from rasplab.study.heads.evidence_text import evidence_json

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
        return "undecided", f"no kind of swap changes the answers on {FEWEST} pairs"
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

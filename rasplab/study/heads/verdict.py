"""Does a head implement a selector? Three kinds of evidence, and a verdict for each pair.

`judge` takes a model and a program, and returns Evidence. In the order of the work:

  interchange   a pattern from another input has the predicted effect   interchange, counterfactuals
  screen        which heads look like which selector                    screen, similarity
  groups        heads that share or repeat a selector's work            head_groups
  substitution  the answers need the pattern; the selector's suffices   substitution
  operands      queries alone and keys alone have the predicted effect  qk_interchange
  strata        the lengths and tokens for which swaps do so            strata
  knock-out     whether a head without effect is not needed             knock_out
  accuracy      over the whole domain, every length                     domain_accuracy
  verdict       `decide`, below                                         evidence

Only interchange of patterns decides: a head can attend as a selector selects and be read by
nothing, and a head can do a selector's work with another pattern. Operands add whether the head
compares what the selector compares.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from rasplab.base.arguments import FUNCTION, MODEL, PROGRAM, SEED, takes, whole
from rasplab.model.bridge import LensModel
from rasplab.model.native import reinitialised
from rasplab.model.threads import few_threads
from rasplab.program.graph import Program
from rasplab.study.heads.domain_accuracy import DomainAccuracy, domain_accuracy
from rasplab.study.heads.estimates import Estimate
from rasplab.study.heads.evidence import Evidence, Finding, Verdict
from rasplab.study.heads.head_groups import JointSwaps, best_group
from rasplab.study.heads.interchange import FAMILIES, MIN_PAIRS, Accuracy, clean_accuracy, set_up
from rasplab.study.heads.knock_out import MIN_LOSS, KnockOuts, Necessity
from rasplab.study.heads.qk_interchange import OperandAccuracy, operands
from rasplab.study.heads.screen import MIN_ALIKE_SCORE, MatchTable, comparable, screen
from rasplab.study.heads.strata import Strata, strata_of
from rasplab.study.heads.substitution import Substitution, substitution
from rasplab.transformer.sites import Site

IMPLEMENTS_LOW = 0.8
"""Interchange accuracy that `implements` needs at the interval's lower end, in each family."""

REFUTED_HIGH = 0.5
"""Interchange accuracy at the interval's upper end, below which a pair is refuted."""

MAX_SUFFICIENCY_LOSS = 0.05
"""Accuracy that may be lost when the selector's own pattern is put in, to call it sufficient."""


@takes(model=MODEL, program=PROGRAM, pairs=whole(1), seed=SEED, progress=FUNCTION)
def judge(
    model: LensModel,
    program: Program,
    pairs: int = 200,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Evidence:
    """Screen, swap and substitute every head of `model` for every selector of `program`.

    pairs     pairs of inputs in each family of swaps, about
    progress  called with (readings done, readings in all)
    Raises RaspValueError for a program that reads no selector, refuses a token of the vocabulary,
    or outputs a value that the model cannot, and for weights that are not finite; and what the
    interpreter raises.
    """
    semantics = comparable(model, program)
    with few_threads(model.lens.cfg.d_model):
        experiment = set_up(model, semantics, pairs, seed)
        table = screen(model, semantics, 2 * pairs, seed)
        swaps = JointSwaps(experiment)
        untrained = JointSwaps(experiment.on(reinitialised(model, seed)))
        results = []
        for r in range(len(experiment.readings)):
            results.append(_reading_result(swaps, untrained, r, table))
            progress(r + 1, len(experiment.readings))
        clean, domain = clean_accuracy(experiment), domain_accuracy(model, semantics, seed)
        measured = _Measured(swaps, KnockOuts(experiment), table, tuple(results), clean, domain)
        return Evidence(table, _findings(measured), domain, pairs, seed)


@dataclass(frozen=True, slots=True)
class _ReadingResult:
    """Reading r of a selector: its best group of heads, and the best head of an untrained model."""

    r: int
    node: int
    group: tuple[Site, ...]
    untrained: Estimate


_Further = tuple[Substitution, OperandAccuracy]
"""The costly measurements, only of plausible pairings."""


@dataclass(frozen=True, slots=True)
class _Measured:
    """All that was run; `clean` is the accuracy on the swaps' inputs with nothing replaced."""

    swaps: JointSwaps
    knock_outs: KnockOuts
    table: MatchTable
    readings: tuple[_ReadingResult, ...]
    clean: Estimate
    domain: DomainAccuracy
    plausible: dict[tuple[tuple[Site, ...], int], _Further] = field(default_factory=dict)

    def further(self, pairing: _Pairing) -> _Further:
        """The costly measurements of a pairing: once for all heads of a group."""
        heads, r = pairing.heads, pairing.reading.r
        if (heads, r) not in self.plausible:
            alike = self.table.alike(pairing.j)
            substituted = substitution(self.swaps, heads, r, alike)
            self.plausible[heads, r] = substituted, operands(self.swaps.experiment, heads, r)
        return self.plausible[heads, r]


@dataclass(frozen=True, slots=True)
class _Pairing:
    """A head and selector j of the table, in the reading and group with the best accuracy."""

    head: Site
    j: int
    reading: _ReadingResult
    heads: tuple[Site, ...]


def _reading_result(
    swaps: JointSwaps, untrained: JointSwaps, r: int, table: MatchTable
) -> _ReadingResult:
    node = swaps.experiment.readings[r].selector
    j = next(j for j, s in enumerate(table.selectors) if s.node == node)
    alone = [untrained.accuracy([h], r).worst for h in untrained.experiment.heads]
    best = max(alone, key=lambda e: e.value if e.pairs else -1.0)
    return _ReadingResult(r, node, best_group(swaps, r, table.alike(j)), best)


def _findings(measured: _Measured) -> tuple[tuple[Finding, ...], ...]:
    """Every finding, [head][selector]."""
    columns = range(len(measured.table.selectors))
    rows = [[_best_pairing(measured, head, j) for j in columns] for head in measured.table.heads]
    return tuple(tuple(_finding(measured, pairing, row) for pairing in row) for row in rows)


def _best_pairing(measured: _Measured, head: Site, j: int) -> _Pairing:
    node = measured.table.selectors[j].node
    options = [
        _Pairing(head, j, reading, heads)
        for reading in measured.readings
        if reading.node == node
        for heads in dict.fromkeys([(head,), reading.group if head in reading.group else (head,)])
    ]
    # of accuracies equal to two digits: the reading by more readers, which comes first in the list
    # of readings, then the smaller group
    return max(options, key=lambda p: (round(_value(measured, p), 2), -p.reading.r, -len(p.heads)))


def _value(measured: _Measured, pairing: _Pairing) -> float:
    return measured.swaps.value(pairing.heads, pairing.reading.r)


def _finding(measured: _Measured, pairing: _Pairing, row: list[_Pairing]) -> Finding:
    """The finding of a pairing; `row` has the same head's pairings with every selector."""
    r, table, swaps = pairing.reading.r, measured.table, measured.swaps
    untrained = pairing.reading.untrained
    accuracy = swaps.accuracy(pairing.heads, r)
    score = float(table.score[table.heads.index(pairing.head), pairing.j])
    substituted = sides = necessity = None
    if score >= MIN_ALIKE_SCORE or (accuracy.worst.pairs and accuracy.worst.high >= REFUTED_HIGH):
        substituted, sides = measured.further(pairing)
        necessity = measured.knock_outs.necessity(pairing.head, pairing.heads)
    rivals = [
        str(table.selectors[p.j]) for p in row if _explains_too(swaps, p, pairing.j, accuracy)
    ]
    strata = strata_of(swaps, pairing.heads, r, IMPLEMENTS_LOW, measured.domain.tokens)
    verdict, reason = decide(accuracy, untrained, substituted, measured.clean, rivals, strata)
    if verdict == "refuted":
        effect = _effect(swaps, pairing)
        if not effect.decides:
            necessity = measured.knock_outs.necessity(pairing.head, pairing.heads)
        verdict, reason = confirmed(reason, effect, necessity)
    labels = swaps.experiment.semantics.program.labels
    return Finding(
        head=pairing.head,
        selector=table.selectors[pairing.j],
        verdict=verdict,
        reason=reason,
        heads=pairing.heads,
        readers=tuple(labels[i] for i in swaps.experiment.readings[r].readers),
        score=score,
        accuracy=accuracy,
        strata=strata,
        alone=swaps.accuracy([pairing.head], r),
        untrained=untrained,
        substitution=substituted,
        operands=sides,
        necessity=necessity,
    )


@dataclass(frozen=True, slots=True)
class Effect:
    """What the swap of one head changes, in the family of swaps that refutes it.

    moved      the share of the answers that it changes
    predicted  of these, the share that comes out as predicted
    """

    moved: float
    predicted: Estimate

    @property
    def as_predicted(self) -> bool:
        """Whether what the swap changes is as predicted for the most part, or may be.

        Of few answers it has to be sure, of MIN_LOSS and more it is enough that it is possible.
        """
        end = self.predicted.high if self.moved >= MIN_LOSS else self.predicted.low
        return bool(self.predicted.pairs) and end >= REFUTED_HIGH

    @property
    def decides(self) -> bool:
        """Whether the swap says enough of the head: else knock-outs say whether it is needed."""
        return self.as_predicted or self.moved >= MIN_LOSS


def _explains_too(swaps: JointSwaps, other: _Pairing, j: int, accuracy: Accuracy) -> bool:
    """Whether another selector than j explains the swaps of a head, and not surely less well.

    On short inputs a selector that depends on the right one predicts much the same.
    """
    rival = swaps.accuracy(other.heads, other.reading.r)
    worse = rival.worst.high < accuracy.worst.low
    return other.j != j and holds(rival, other.reading.untrained) and not worse


def _effect(swaps: JointSwaps, pairing: _Pairing) -> Effect:
    r, counts = pairing.reading.r, swaps.counts((pairing.head,))
    bootstrap, worst = swaps.experiment.bootstrap, swaps.accuracy(pairing.heads, r).worst_family
    mask = bootstrap.families == FAMILIES.index(worst)
    # against the model's own answers: those of a model of another program are wrong without a swap
    moved = counts.moved[mask].sum() / max(1, counts.positions[mask].sum())
    hits = np.minimum(counts.hits[:, r], counts.moved)
    return Effect(float(moved), bootstrap.estimate(hits, counts.moved, mask))


def confirmed(reason: str, effect: Effect, necessity: Necessity | None) -> tuple[Verdict, str]:
    """The verdict of a pair whose swaps do not do what is predicted, and its reason in words.

    `refuted` needs evidence that the head does not do the selector's work: its swaps change answers
    in other ways, or they change hardly any and no answer breaks without the head. Else it may
    vote, back up another, be read at BOS, or do the work on few inputs: `undecided`.

    necessity  of the head; None where the effect decides
    """
    if effect.as_predicted:
        text = f"but of the answers that they change, {effect.predicted} do"
        return "undecided", f"{reason}; {text}"
    if effect.decides or necessity is None:
        share = f"{effect.predicted.value:.2f}"
        return "refuted", f"{reason}; of the answers that they change, {share} do"
    if necessity.needed:
        return "undecided", f"{reason}; but answers break without it: {necessity}"
    return "refuted", f"{reason}; and no answers break without it: {necessity}"


def holds(accuracy: Accuracy, untrained: Estimate) -> bool:
    """Whether the swap surely has the predicted effect.

    In each deciding family the lower bound is IMPLEMENTS_LOW or more, and above the upper bounds of
    arbitrary targets and of untrained heads; positions whose prediction does not change stay right.
    """
    worst, unchanged = accuracy.worst, accuracy.unchanged
    beyond_chance = all(worst.low > c.high for c in (accuracy.arbitrary, untrained) if c.pairs)
    stays_right = not unchanged.pairs or unchanged.low >= IMPLEMENTS_LOW
    return bool(worst.pairs) and worst.low >= IMPLEMENTS_LOW and beyond_chance and stays_right


def decide(
    accuracy: Accuracy,
    untrained: Estimate,
    substituted: Substitution | None,
    clean: Estimate,
    rivals: list[str],
    strata: Strata,
) -> tuple[Verdict, str]:
    """The verdict of a pair, and its reason in words.

    clean   the model's accuracy with nothing replaced
    rivals  other selectors that hold for the same head, and not surely less well
    strata  where the swaps do what is predicted: for `implements`, at all lengths, with all tokens
    """
    worst = accuracy.worst
    partly = str(worst) if strata.holds or not strata.holding else f"{worst}, {strata}"
    chance = max((c.value for c in (accuracy.arbitrary, untrained) if c.pairs), default=0.0)
    if not worst.pairs:
        return "undecided", f"no kind of swap changes the answers on {MIN_PAIRS} pairs"
    if holds(accuracy, untrained):
        if rivals:
            return "consistent", f"its swaps do what {', '.join(rivals)} says too"
        if not strata.holds:
            return "consistent", f"its swaps do what the interpreter says only {strata}"
        return "implements", f"its swaps do what the interpreter says {strata}: {worst}"
    if worst.high < REFUTED_HIGH:
        return "refuted", f"its swaps do not do what the interpreter says: {worst}"
    if worst.value <= chance:
        return "refuted", f"its swaps do no better than chance: {worst}, chance {chance:.2f}"
    if substituted is not None and worst.low > chance:
        sufficient = substituted.sufficiency.value >= clean.value - MAX_SUFFICIENCY_LOSS
        if sufficient and substituted.margin > 0:
            return "consistent", f"the selector's pattern will do; its own swaps in part: {partly}"
    return "undecided", f"its swaps do it in part: {partly}"

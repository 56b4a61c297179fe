"""Evidence: what was measured of every head and selector, its verdicts, its text and its JSON.

`verdict.judge` makes it; nothing here measures or decides.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from math import isnan
from typing import Any, Literal

from rasplab.base.arguments import shown
from rasplab.base.errors import RaspNameError
from rasplab.base.text import lined_up, ranges_text
from rasplab.study.heads.domain_accuracy import DomainAccuracy
from rasplab.study.heads.estimates import Estimate
from rasplab.study.heads.interchange import Accuracy
from rasplab.study.heads.knock_out import Necessity
from rasplab.study.heads.qk_interchange import OperandAccuracy
from rasplab.study.heads.screen import MatchTable, Selector
from rasplab.study.heads.strata import Strata
from rasplab.study.heads.substitution import Substitution
from rasplab.transformer.sites import Site

Verdict = Literal["implements", "consistent", "refuted", "undecided"]

PRINTED_VERDICTS = ("implements", "consistent", "undecided")
"""Verdicts that get a paragraph; refuted pairs get one only where they look alike."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What is known of one head and one selector.

    reason        of the verdict, in words
    heads         the group that was judged: the head itself, or with those that share the work
    readers       the s-ops whose reading of the selector these heads carry
    score         of the screen; `similarity` and `chance` behind it are in the table
    accuracy      interchange accuracy of the group
    strata        the lengths and tokens that it holds for
    alone         interchange accuracy of the head alone
    untrained     the best single head of a re-initialised model, on the same swaps
    substitution  None for pairs that neither screen nor interchange makes plausible
    operands      None for the same pairs
    necessity     how the answers depend on the head's output; None where it was not measured
    """

    head: Site
    selector: Selector
    verdict: Verdict
    reason: str
    heads: tuple[Site, ...]
    readers: tuple[str, ...]
    score: float
    accuracy: Accuracy
    strata: Strata
    alone: Accuracy
    untrained: Estimate
    substitution: Substitution | None
    operands: OperandAccuracy | None
    necessity: Necessity | None


@dataclass(frozen=True, eq=False)
class Evidence:
    """Every head against every selector.

    table     the screen
    findings  [head][selector], in the order of the table
    domain    how often the model outputs what the program does, over the domain and by length
    pairs     pairs of inputs that were asked for in each family of swaps
    """

    table: MatchTable
    findings: tuple[tuple[Finding, ...], ...]
    domain: DomainAccuracy
    pairs: int
    seed: int

    @property
    def accuracy(self) -> Estimate:
        """How often the model outputs what the program does, over its whole domain."""
        return self.domain.total

    def of(self, head: Site | str, selector: str | int) -> Finding:
        """The finding of a head (or its name) and a selector (its text, or its node).

        Raises RaspNameError where there is no such head or selector.
        """
        findings = {str(f.head): f for f in self._of_selector(selector)}
        name = str(head) if isinstance(head, Site | str) else None
        if name not in findings:
            raise _unknown("head", head, findings)
        return findings[name]

    def implementing(self, selector: str | int) -> tuple[Site, ...]:
        """The heads with the verdict `implements` for a selector (its text, or its node).

        Raises RaspNameError where there is no such selector.
        """
        return tuple(f.head for f in self._of_selector(selector) if f.verdict == "implements")

    def _of_selector(self, selector: str | int) -> list[Finding]:
        findings = [f for row in self.findings for f in row]
        matching = [f for f in findings if selector in (str(f.selector), f.selector.node)]
        if not matching:
            raise _unknown("selector", selector, (str(s) for s in self.table.selectors))
        return matching

    def __str__(self) -> str:
        return evidence_text(self)

    def to_json(self) -> dict[str, Any]:
        """Everything, as plain values; what was not measured is None."""
        return {
            "heads": [str(h) for h in self.table.heads],
            "selectors": [str(s) for s in self.table.selectors],
            "accuracy": _plain(asdict(self.accuracy)),
            "accuracy_by_length": {str(n): e.value for n, e in self.domain.lengths},
            "accuracy_inputs": self.domain.inputs,
            "wrong_with_tokens": list(self.domain.tokens),
            "pairs": self.pairs,
            "seed": self.seed,
            "screen": self.table.to_json(),
            "findings": [[_plain(_finding_json(f)) for f in row] for row in self.findings],
        }


def _unknown(kind: str, name: object, known: Iterable[str]) -> RaspNameError:
    return RaspNameError(f"unknown {kind} {shown(name)}; the {kind}s are {', '.join(known)}")


def evidence_text(evidence: Evidence) -> str:
    """A table of verdicts, then a paragraph for each pair that is not plainly refuted."""
    selectors = [str(s) for s in evidence.table.selectors]
    rows = [["head", *selectors]]
    for head, findings in zip(evidence.table.heads, evidence.findings, strict=True):
        cells = (f"{f.verdict} {_share(f.accuracy.worst)}" for f in findings)
        rows.append([str(head), *cells])
    lines = lined_up(rows)
    lines.append(
        f"verdict, interchange accuracy in the worst family; the model is right on "
        f"{_share(evidence.accuracy)}; about {evidence.pairs} pairs a family, seed {evidence.seed}"
    )
    lines.append(f"right by length, on {evidence.domain}: {_by_length(evidence.domain.lengths)}")
    if evidence.domain.tokens:
        lines.append(f"mostly wrong with {', '.join(map(repr, evidence.domain.tokens))}")
    for f in (f for findings in evidence.findings for f in findings):
        if f.verdict in PRINTED_VERDICTS and f.accuracy.worst.pairs or f.substitution is not None:
            lines += ["", *_paragraph(f)]
    return "\n".join(lines)


def _by_length(lengths: tuple[tuple[int, Estimate], ...]) -> str:
    """Shares to two digits, lengths with the same share together, the lowest share first."""
    groups: dict[str, list[int]] = {}
    for n, estimate in sorted(lengths, key=lambda pair: pair[1].value):
        groups.setdefault(_share(estimate), []).append(n)
    return "; ".join(f"{ranges_text(numbers)}: {share}" for share, numbers in groups.items())


def _paragraph(f: Finding) -> list[str]:
    group = " + ".join(map(str, f.heads))
    lines = [
        f"{f.head} {f.verdict} {f.selector}, as {', '.join(f.readers)} reads it: {f.reason}",
        f"  screen {f.score:.2f}; interchange of {group}: {_families_text(f.accuracy)}",
        f"  kept {f.accuracy.unchanged}; chance: arbitrary targets "
        f"{_share(f.accuracy.arbitrary)}, untrained {_share(f.untrained)}",
    ]
    if len(f.heads) > 1:
        lines.append(f"  alone: {_families_text(f.alone)}")
    lines += [f"  knock-out: {f.necessity}"] if f.necessity else []
    lines += _substitution_lines(f.substitution) if f.substitution else []
    return lines + ([_operands_line(f.operands)] if f.operands else [])


def _families_text(accuracy: Accuracy) -> str:
    return ", ".join(f"{name} {e} ({e.pairs})" for name, e in accuracy.families if e.pairs)


def _substitution_lines(s: Substitution) -> list[str]:
    controls = ", ".join(f"{name} {_share(e)}" for name, e in s.controls)
    return [
        f"  accuracy with the selector's pattern {_share(s.sufficiency)} ({controls}); its own "
        f"from elsewhere {_share(s.necessity)}, all alike {_share(s.jointly)}",
        f"  the selector's pattern from elsewhere does what the interpreter says: {s.imposed}",
    ]


def _operands_line(operands: OperandAccuracy) -> str:
    sides = (("queries", operands.queries), ("keys", operands.keys))
    texts = [
        f"{name} {e} ({e.pairs})" if e.pairs else f"{name} change nothing" for name, e in sides
    ]
    return f"  operands alone: {', '.join(texts)}; arbitrary targets {_share(operands.arbitrary)}"


def _share(estimate: Estimate) -> str:
    return "-" if isnan(estimate.value) else f"{estimate.value:.2f}"


def _finding_json(f: Finding) -> dict[str, Any]:
    return {
        "head": str(f.head),
        "selector": str(f.selector),
        "verdict": f.verdict,
        "reason": f.reason,
        "heads": [str(h) for h in f.heads],
        "readers": list(f.readers),
        "score": f.score,
        "interchange": _accuracy_json(f.accuracy),
        "lengths": {str(n): asdict(e) for n, e in f.strata.lengths},
        "failing_tokens": list(f.strata.tokens),
        "failing_positions": list(f.strata.positions),
        "alone": _accuracy_json(f.alone),
        "untrained": asdict(f.untrained),
        "substitution": None if f.substitution is None else _substitution_json(f.substitution),
        "operands": None if f.operands is None else asdict(f.operands),
        "necessity": None if f.necessity is None else _necessity_json(f.necessity),
    }


def _accuracy_json(accuracy: Accuracy) -> dict[str, Any]:
    return {
        "families": {name: asdict(e) for name, e in accuracy.families},
        "kept": asdict(accuracy.unchanged),
        "arbitrary": asdict(accuracy.arbitrary),
    }


def _substitution_json(s: Substitution) -> dict[str, Any]:
    return asdict(s) | {"controls": {name: asdict(e) for name, e in s.controls}}


def _necessity_json(necessity: Necessity) -> dict[str, Any]:
    others = [str(h) for h in necessity.others]
    return asdict(necessity) | {"head": str(necessity.head), "others": others}


def _plain(value: Any) -> Any:
    """nan, which JSON lacks, as None."""
    match value:
        case dict():
            return {k: _plain(v) for k, v in value.items()}
        case list() | tuple():
            return [_plain(v) for v in value]
        case float() if isnan(value):
            return None
    return value

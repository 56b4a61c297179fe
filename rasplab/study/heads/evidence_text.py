"""Evidence as text and as plain values."""

from __future__ import annotations

from dataclasses import asdict
from math import isnan
from typing import TYPE_CHECKING

from rasplab.base.text import lined_up

if TYPE_CHECKING:
    from rasplab.study.heads.interchange import Accuracy, Estimate
    from rasplab.study.heads.qk_interchange import Operands
    from rasplab.study.heads.substitution import Substitution
    from rasplab.study.heads.verdict import Evidence, Finding

SHOWN = ("implements", "consistent", "undecided")
"""Verdicts that get a paragraph; of the refuted only those that look alike."""


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
        "findings": [[_finding(f) for f in row] for row in evidence.findings],
    }


def _finding(f: Finding) -> dict:
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

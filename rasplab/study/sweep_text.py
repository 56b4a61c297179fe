"""What a sweep found, as a table: one row for each setting, its seeds together (floor 6)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Row:
    """Runs that differ in their seed alone: the fields that vary in the sweep, and accuracies.

    mean, low, high  of the seeds' accuracies; the 95% interval of the mean, by Student's t
    diverged         runs without an accuracy
    """

    setting: dict
    values: tuple[float, ...]
    mean: float
    low: float
    high: float
    diverged: int


STUDENT = {1: float("inf"), 2: 12.71, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 7: 2.447, 8: 2.365}
"""Quantiles 0.975 of Student's t by the number of runs; beyond, the normal distribution's 1.96."""


def rows_of(records: list[dict]) -> list[Row]:
    """The records by setting, in their order; fields that are the same in all are left out."""
    recipes = [{k: v for k, v in r["recipe"].items() if k != "seed"} for r in records]
    varying = [k for k in recipes[0] if len({repr(r[k]) for r in recipes}) > 1] if recipes else []
    shown = ["task", *(k for k in varying if k not in ("task", "vocab"))]
    groups: dict[str, list[int]] = {}
    for i, r in enumerate(recipes):
        groups.setdefault(repr(sorted(r.items())), []).append(i)
    return [
        _row({k: recipes[of[0]][k] for k in shown}, [records[i]["held_out"] for i in of])
        for of in groups.values()
    ]


def _row(setting: dict, found: list[float | None]) -> Row:
    values = tuple(v for v in found if v is not None)
    mean, low, high = interval(values)
    return Row(setting, values, mean, low, high, len(found) - len(values))


def interval(values: tuple[float, ...]) -> tuple[float, float, float]:
    """Mean and 95% interval of shares, cut to [0, 1]; nan and all of it without a value."""
    if not values:
        return float("nan"), 0.0, 1.0
    mean = float(np.mean(values))
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else 1.0
    half = min(1.0, STUDENT.get(len(values), 1.96) * spread / len(values) ** 0.5)
    return mean, max(0.0, mean - half), min(1.0, mean + half)


def markdown(rows: list[Row]) -> str:
    """The rows as a Markdown table."""
    names = list(rows[0].setting) if rows else ["task"]
    head = [*names, "accuracy", "95% interval", "runs"]
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    for row in rows:
        runs = f"{len(row.values)}" + (f", {row.diverged} diverged" if row.diverged else "")
        numbers = [f"{row.mean:.2%}", f"{row.low:.2%} to {row.high:.2%}", runs]
        lines.append("| " + " | ".join([*(str(row.setting[n]) for n in names), *numbers]) + " |")
    return "\n".join(lines) + "\n"

"""Tables of a sweep: records in, one row per setting out, with the runs of all seeds together."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from rasplab.base.stats import student_t
from rasplab.base.text import table_text


@dataclass(frozen=True, slots=True)
class Row:
    """Runs that differ in their seed alone.

    setting          the fields of the recipe that vary in the sweep, and the task
    values           held-out accuracy of each run that has one, as a share of positions
    mean, low, high  mean of the values, and its 95% interval by Student's t
    faults           of the runs without an accuracy
    by_length        mean accuracy on inputs of each length
    trained_len      the longest input trained on
    """

    setting: dict
    values: tuple[float, ...]
    mean: float
    low: float
    high: float
    faults: tuple[str, ...] = ()
    by_length: dict[int, float] = field(default_factory=dict)
    trained_len: int = 0

    @property
    def name(self) -> str:
        """The setting in words."""
        shown = (f"{v}" if k == "task" else f"{k} {v}" for k, v in self.setting.items())
        return ", ".join(shown)

    @property
    def longer(self) -> float | None:
        """Mean accuracy over the lengths beyond those trained on; None where there are none."""
        beyond = [accuracy for n, accuracy in self.by_length.items() if n > self.trained_len]
        return float(np.mean(beyond)) if beyond else None


def rows_of(records: list[dict]) -> list[Row]:
    """One row per setting, in the order of the records.

    A setting is a recipe without its seed; of its fields a row shows those that vary.
    """
    recipes = [{k: v for k, v in record["recipe"].items() if k != "seed"} for record in records]
    varying = [k for k in recipes[0] if len({repr(r[k]) for r in recipes}) > 1] if recipes else []
    shown = ["task", *(k for k in varying if k not in ("task", "vocab"))]
    groups: dict[str, list[int]] = {}  # keyed by text, as values may be lists
    for i, recipe in enumerate(recipes):
        groups.setdefault(repr(sorted(recipe.items())), []).append(i)
    return [
        _row({k: recipes[group[0]][k] for k in shown}, [records[i] for i in group])
        for group in groups.values()
    ]


def _row(setting: dict, runs: list[dict]) -> Row:
    """The row of the runs of one setting."""
    scored = [run for run in runs if run["held_out"] is not None]
    values = tuple(run["held_out"] for run in scored)
    # lengths are strings in a record that was read from its file
    tables = [{int(n): v for n, v in run.get("by_length", {}).items()} for run in scored]
    by_length = {
        n: float(np.mean([t[n] for t in tables if n in t])) for n in sorted(set().union(*tables))
    }
    faults = tuple(run.get("fault", "no accuracy") for run in runs if run["held_out"] is None)
    longest = runs[0]["recipe"].get("train_len") or runs[0]["recipe"].get("max_len", 0)
    return Row(setting, values, *interval(values), faults, by_length, longest)


def interval(values: tuple[float, ...]) -> tuple[float, float, float]:
    """Mean and 95% interval of shares, cut to [0, 1]; nan and all of it without a value."""
    mean, low, high = student_t(values)
    return mean, max(0.0, low), min(1.0, high)


def markdown(rows: list[Row]) -> str:
    """The rows as a Markdown table, and why runs failed."""
    names = list(rows[0].setting) if rows else ["task"]
    longer = any(row.longer is not None for row in rows)
    head = [*names, "accuracy", "95% interval", *(["longer inputs"] if longer else []), "runs"]
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    for row in rows:
        cells = [*(table_text(str(row.setting[n])) for n in names), *_numbers(row)]
        cells += ["-" if row.longer is None else f"{row.longer:.2%}"] if longer else []
        failed = f", {len(row.faults)} failed" if row.faults else ""
        lines.append("| " + " | ".join([*cells, f"{len(row.values)}{failed}"]) + " |")
    faults = [
        table_text(f"{row.name}: {fault}") for row in rows for fault in dict.fromkeys(row.faults)
    ]
    return "\n".join([*lines, *([""] if faults else []), *faults]) + "\n"


def _numbers(row: Row) -> list[str]:
    """The cells of mean and interval; one run has no interval."""
    mean = f"{row.mean:.2%}" if row.values else "-"
    return [mean, f"{row.low:.2%} to {row.high:.2%}" if len(row.values) > 1 else "-"]

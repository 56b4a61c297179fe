"""Summaries of the discovery benchmark: rows in, means over programs and Markdown tables out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rasplab.base.stats import bootstrap_mean
from rasplab.base.text import table_text

DRAWS = 2000
"""Bootstrap draws over programs."""

TRUTHS = ("effective", "structural")
"""What areas are measured against, as a row names them."""


def summary(rows: Sequence[dict], seed: int = 0) -> list[dict]:
    """One line per method, variant, ablation and truth.

    Each has the mean AUC over programs, its 95% bootstrap interval over them, the mean of the
    pessimistic AUC, the programs with a perfect AUC, and the median cost.
    """
    groups: dict[tuple, list[dict]] = {}
    for row in rows:
        for truth in TRUTHS:
            if row.get(truth):
                key = (row["variant"], row["ablation"], truth, row["method"])
                groups.setdefault(key, []).append(row)
    return [_line(key, group, seed) for key, group in groups.items()]


def _line(key: tuple, rows: list[dict], seed: int) -> dict:
    variant, ablation, truth, method = key
    aucs = np.array([row[truth]["auc"] for row in rows])
    low, high = bootstrap_mean(aucs, DRAWS, np.random.default_rng(seed))
    return {
        "variant": variant,
        "ablation": ablation,
        "truth": truth,
        "method": method,
        "programs": len(rows),
        "auc": float(aucs.mean()),
        "low": low,
        "high": high,
        "pessimistic": float(np.mean([row[truth]["pessimistic"] for row in rows])),
        "perfect": int((aucs == 1).sum()),
        "forwards": float(np.median([row["forwards"] for row in rows])),
        "seconds": float(np.median([row["seconds"] for row in rows])),
    }


def markdown(rows: Sequence[dict], seed: int = 0) -> str:
    """The summary, then every program, as Markdown tables."""
    lines = ["# Discovery methods on known circuits", ""]
    table = summary(rows, seed)
    for variant in dict.fromkeys(row["variant"] for row in table):
        for ablation in dict.fromkeys(row["ablation"] for row in table):
            lines_shown = [r for r in table if (r["variant"], r["ablation"]) == (variant, ablation)]
            if lines_shown:
                title = f"## {table_text(variant)} models, {table_text(ablation)} ablation"
                lines += [title, "", *_methods(lines_shown), ""]
    note = "(realistic models: heads and MLPs, against the circuit that they were trained to have)"
    lines += ["## Every program: AUC against effective truth", "", note, "", *_programs(rows)]
    return "\n".join(lines) + "\n"


def _methods(table: list[dict]) -> list[str]:
    """The table of methods for one variant and ablation."""
    head = "| method | programs | effective AUC [95%] | pessimistic | structural AUC [95%] "
    lines = [head + "| pessimistic | forwards | s |", "|---" * 8 + "|"]
    for method in dict.fromkeys(row["method"] for row in table):
        by_truth = {row["truth"]: row for row in table if row["method"] == method}
        cells = [cell for truth in TRUTHS for cell in _area(by_truth.get(truth))]
        cost = next(iter(by_truth.values()))
        lines.append(
            f"| {table_text(method)} | {cost['programs']} | {' | '.join(cells)} | "
            f"{cost['forwards']:.0f} | {cost['seconds']:.2f} |"
        )
    return lines


def _area(row: dict | None) -> tuple[str, str]:
    """The cells of the mean AUC with its interval, and of the pessimistic mean."""
    if row is None:
        return "–", "–"
    interval = f"{row['auc']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"
    return interval, f"{row['pessimistic']:.3f}"


def _programs(rows: Sequence[dict]) -> list[str]:
    """The table of models: the AUC of every method on each."""
    methods = list(dict.fromkeys(row["method"] for row in rows))
    head = " | ".join(map(table_text, methods))
    lines = [f"| model | units | true | {head} |", "|---" * (3 + len(methods)) + "|"]
    for model in dict.fromkeys(map(_model, rows)):
        by_method = {row["method"]: row for row in rows if _model(row) == model}
        true = next((areas["n_true"] for areas in map(_areas, by_method.values()) if areas), "–")
        units = next((row["units"] for row in by_method.values() if "units" in row), "–")
        cells = [_cell(by_method.get(method)) for method in methods]
        lines.append(f"| {table_text(', '.join(model))} | {units} | {true} | {' | '.join(cells)} |")
    return lines


def _model(row: dict) -> tuple[str, str, str]:
    return row["program"], row["variant"], row["ablation"]


def _areas(row: dict) -> dict | None:
    """The areas that the table of models shows; None where the truth ranks nothing."""
    return row["structural" if row["variant"] == "realistic" else "effective"]


def _cell(row: dict | None) -> str:
    areas = _areas(row) if row else None
    return f"{areas['auc']:.2f}" if areas else "–"

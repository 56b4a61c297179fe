"""The benchmark's rows as Markdown, JSON and a picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rasplab.base.stats import bootstrap_mean

DRAWS = 2000
"""Bootstrap draws over programs."""

TRUTHS = ("effective", "structural")


def summary(rows: Sequence[dict], seed: int = 0) -> list[dict]:
    """One line per method, variant, ablation and truth: mean AUC over programs, its 95% bootstrap
    interval over them, the pessimistic mean, and the median cost.
    """
    groups: dict[tuple, list[dict]] = {}
    for row in rows:
        for truth in TRUTHS:
            if row.get(truth):
                key = (row["variant"], row["ablation"], truth, row["method"])
                groups.setdefault(key, []).append(row)
    return [_line(key, found, seed) for key, found in groups.items()]


def _line(key: tuple, rows: list[dict], seed: int) -> dict:
    variant, ablation, truth, method = key
    aucs = np.array([row[truth]["auc"] for row in rows])
    low, high = bootstrap_mean(aucs, DRAWS, np.random.default_rng(seed))
    return {
        "variant": variant, "ablation": ablation, "truth": truth, "method": method,
        "programs": len(rows), "auc": float(aucs.mean()), "low": low, "high": high,
        "pessimistic": float(np.mean([row[truth]["pessimistic"] for row in rows])),
        "perfect": int((aucs == 1).sum()),
        "forwards": float(np.median([row["forwards"] for row in rows])),
        "seconds": float(np.median([row["seconds"] for row in rows])),
    }  # fmt: skip


def markdown(rows: Sequence[dict], seed: int = 0) -> str:
    """The summary, then every program, as Markdown tables."""
    lines = ["# Discovery methods on known circuits", ""]
    table = summary(rows, seed)
    for variant in dict.fromkeys(row["variant"] for row in table):
        for ablation in dict.fromkeys(row["ablation"] for row in table):
            some = [r for r in table if (r["variant"], r["ablation"]) == (variant, ablation)]
            if some:
                lines += [f"## {variant} models, {ablation} ablation", "", *_methods(some), ""]
    note = "(realistic models: heads and MLPs, against the circuit that they were trained to have)"
    lines += ["## Every program: AUC against effective truth", "", note, "", *_programs(rows)]
    return "\n".join(lines) + "\n"


def _methods(table: list[dict]) -> list[str]:
    head = "| method | programs | effective AUC [95%] | pessimistic | structural AUC [95%] "
    lines = [head + "| pessimistic | forwards | s |", "|---" * 8 + "|"]
    for method in dict.fromkeys(row["method"] for row in table):
        found = {row["truth"]: row for row in table if row["method"] == method}
        cells = [c for truth in TRUTHS for c in _area(found.get(truth))]
        any_ = next(iter(found.values()))
        lines.append(
            f"| {method} | {any_['programs']} | {' | '.join(cells)} | "
            f"{any_['forwards']:.0f} | {any_['seconds']:.2f} |"
        )
    return lines


def _area(row: dict | None) -> tuple[str, str]:
    if row is None:
        return "–", "–"
    interval = f"{row['auc']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"
    return interval, f"{row['pessimistic']:.3f}"


def _programs(rows: Sequence[dict]) -> list[str]:
    methods = list(dict.fromkeys(row["method"] for row in rows))
    lines = [f"| model | units | true | {' | '.join(methods)} |", "|---" * (3 + len(methods)) + "|"]
    models = dict.fromkeys(map(_model, rows))
    for model in models:
        mine = {
            r["method"]: r for r in rows if (r["program"], r["variant"], r["ablation"]) == model
        }
        some = next((r for r in mine.values() if _truth(r)), None)
        true = _truth(some)["n_true"] if some else "–"
        units = next((r["units"] for r in mine.values() if "units" in r), "–")
        cells = [_cell(mine.get(m)) for m in methods]
        lines.append(f"| {', '.join(model)} | {units} | {true} | {' | '.join(cells)} |")
    return lines


def _model(row: dict) -> tuple[str, str, str]:
    return row["program"], row["variant"], row["ablation"]


def _truth(row: dict) -> dict | None:
    """The areas that the table of programs shows."""
    return row["structural" if row["variant"] == "realistic" else "effective"]


def _cell(row: dict | None) -> str:
    return f"{_truth(row)['auc']:.2f}" if row and _truth(row) else "–"

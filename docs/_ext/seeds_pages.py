"""Verdicts and atlases over seeds of training, and times of discovery: results/seeds.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tables import page, table


def over_seeds(path: Path) -> str:
    """What one seed shows and others do not."""
    data = json.loads(path.read_text("utf-8"))
    reverse, induction = data["reverse"], data["induction"]
    return page(
        "Over seeds",
        "One trained model proves little about how transformers solve a task. These tables show "
        "the same question asked of models that differ only in their seed.",
        "## Verdicts on reverse",
        reverse["about"],
        verdicts(reverse["rows"]),
        "## Heads of induction models",
        induction["about"],
        heads(induction["rows"]),
        induction["note"],
        "## Where this comes from",
        f"`experiments/results/{path.name}`: measured {data['conditions']['measured']}: "
        f"`{reverse['command']}`; `{induction['command']}`.",
    )


def verdicts(rows: list[dict[str, Any]]) -> str:
    """The best head of each seed, by selector."""
    head = ("selector", *(f"seed {i}" for i in range(len(rows[0]["verdicts"]))), "")
    return table(
        head,
        [
            (r["selector"], *r["verdicts"], "accepted" if r["accepted"] else "not accepted")
            for r in rows
        ],
    )


def heads(rows: list[dict[str, Any]]) -> str:
    """Scores in the atlas, by seed."""
    head = ("seed", "loss, nats", "right", "layer 0 as previous", "layer 1 as induction")
    lines = [
        (
            r["seed"],
            f"{r['loss']:.4f}",
            f"{r['right']:.4f}",
            " ".join(f"{x:.2f}" for x in r["previous"]),
            " ".join(f"{x:.2f}" for x in r["induction"]),
        )
        for r in rows
    ]
    return table(head, lines)


def seconds(path: Path) -> list[str]:
    """How long discovery takes, for the page on discovery."""
    data = json.loads(path.read_text("utf-8"))
    times = data["discovery_seconds"]
    head = ("model", "method", "zero, s", "resample, s")
    rows = [(r["model"], r["method"], r["zero"], r["resample"]) for r in times["rows"]]
    measured = f"From `experiments/results/{path.name}`: measured {data['conditions']['measured']}."
    return ["## Time", times["about"], table(head, rows, 2), measured]

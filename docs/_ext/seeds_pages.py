"""Verdicts and atlases over seeds of training, and times of discovery: results/seeds.json.

The file is written by experiments/seeds.py.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tables import conditions, page, percent, source, table

COMMAND = "make seeds"


def over_seeds(path: Path) -> str:
    """What one seed shows and others do not."""
    data = json.loads(path.read_text("utf-8"))
    accuracies = ", ".join(percent(share) for share in data["accuracies"])
    return page(
        "Over seeds",
        "One trained model proves little about how transformers solve a task. These tables show "
        "the same question asked of models that differ only in their seed.",
        "## Verdicts on reverse",
        "Reverse with two layers of two heads. In each cell the best head of that seed, its "
        "verdict, and its interchange accuracy in the worst family with the 95% interval. The "
        f"models are right on {accuracies} of positions.",
        verdicts(data["reverse"]),
        "## Heads of induction models",
        "A language model with two layers of four heads and no MLP, trained on sequences of 16 "
        "different tokens that repeat from a random place; no attention was supervised. Loss and "
        f"accuracy on {data['sequences']:,} held-out sequences, second halves; scores of the four "
        "heads of a layer in the atlas.",
        heads(data["induction"]),
        "## Where this comes from",
        source(f"experiments/results/{path.name}", COMMAND),
        conditions(data),
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
            percent(r["right"]),
            " ".join(f"{x:.2f}" for x in r["previous"]),
            " ".join(f"{x:.2f}" for x in r["induction"]),
        )
        for r in rows
    ]
    return table(head, lines)


def seconds(path: Path) -> list[str]:
    """How long discovery takes, for the page on discovery."""
    data = json.loads(path.read_text("utf-8"))
    head = ("program (vocabulary, max length)", "edges", "method", "zero, s", "resample, s")
    rows = [
        (
            f"{r['program']} ({r['vocab_size']}, {r['max_len']})",
            r["edges"],
            r["method"],
            r["zero"],
            r["resample"],
        )
        for r in data["discovery_seconds"]
    ]
    about = (
        f"Seconds on one thread, the shortest of {data['repeats']} runs, with the default pairs of "
        "all lengths, under zero and resample ablation."
    )
    return [
        "## Time",
        about,
        table(head, rows, 2),
        source(f"experiments/results/{path.name}", COMMAND),
    ]

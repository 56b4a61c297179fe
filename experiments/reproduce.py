"""The RASP paper's question, measured: `make reproduce`, `make reproduce-quick`.

Is a program's depth and number of heads what a trained transformer needs? Each task is trained at
its recipe's size, with one head less, and with one layer less, where there are such, on three seeds
(Weiss, Goldberg & Yahav 2021, section 5, asks this of the same seven tasks; Friedman, Wettig & Chen
2023, arXiv:2306.01128, train on them too). REMARKS says what differs from both.

`python experiments/reproduce.py full|quick [FOLDER]` keeps its runs in FOLDER/reproduce-KIND
(default out), so that a stopped run goes on, and writes results/KIND.json, KIND.md and KIND.svg.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from statistics import mean

from record import RESULTS, ROOT

from rasplab.base.atomic import write_atomic
from rasplab.model.recipe import Recipe, recipe
from rasplab.study.bench.sweep import Sweep, run_sweep
from rasplab.study.bench.sweep_tables import Row, markdown, rows_of

TASKS = ("reverse", "hist", "double_hist", "sort", "most_freq", "dyck1", "dyck2")
SEEDS = (0, 1, 2)

QUICK_TASKS = ("hist", "sort")
QUICK = {"max_len": 6, "steps": 400, "batch": 128, "d_model": 32, "d_mlp": 64}
"""Smaller tasks and models and fewer steps, for a check in minutes; not comparable to the full
table."""


def sizes(base: Recipe) -> dict[str, Recipe]:
    """The recipe at the program's size, and with one head or one layer less."""
    variants = {"as the program": base}
    if base.heads > 1:
        variants["one head less"] = replace(base, heads=base.heads - 1)
    if base.layers > 1:
        variants["one layer less"] = replace(base, layers=base.layers - 1)
    return variants


def recipes(quick: bool) -> list[tuple[str, Recipe]]:
    """Every run: its size in words, and its recipe."""
    return [
        (words, replace(variant, seed=seed))
        for name in (QUICK_TASKS if quick else TASKS)
        for words, variant in sizes(recipe(name, **(QUICK if quick else {}))).items()
        for seed in SEEDS
    ]


REMARKS = """\
Share of positions right on held-out inputs, the mean of three seeds with its 95% interval
(Student's t). A run ends when it reaches its recipe's target (99.9%, but 99% for most_freq and
99.8% for dyck2), or else after its last step: where the target is reached, accuracy says no more
than that, and the steps say how soon.

What differs from the papers. Vocabularies, lengths, widths (48 or 64) and training are those of our
recipes; the RASP paper's scripts train models 256 wide on vocabularies of 10 to 100 tokens and up
to 100 of them. Every model here has BOS, so hist is the case of one head; held-out inputs are half
of them chosen for rare answers, and each length is alike often. The tasks of Transformer Programs,
as its code draws them, are smaller (a vocabulary of 8 counts BOS, EOS and padding, a length of 8
counts BOS and EOS), but for brackets, 15 there, 12 and 10 here. Published accuracies are not
repeated: we could not check them against the papers.
"""


def table(quick: bool, records: list[dict]) -> list[Row]:
    """One row for each task and size; layers and heads are shown, whether they vary or not."""
    rows, runs = [], recipes(quick)
    for k in range(0, len(runs), len(SEEDS)):
        words, base = runs[k]
        group = records[k : k + len(SEEDS)]
        setting = {
            "task": base.task,
            "size": words,
            "layers": base.layers,
            "heads": base.heads,
            "target reached": f"{sum(map(_reached, group))} of {len(group)}",
            "steps": round(mean(record.get("step", 0) for record in group)),
        }
        rows.append(replace(rows_of(group)[0], setting=setting))
    return rows


PLOTTED = ("task", "size", "layers", "heads")
"""The parts of a setting that name a row in the plot."""


def _reached(record: dict) -> bool:
    return (record["held_out"] or 0.0) >= record["recipe"]["target"]


def main(kind: str, out: str = "out") -> None:
    """Train what is not trained yet, in out/reproduce-KIND, and write results/KIND.* anew."""
    from rasplab.apps.show.sweeps import sweep_svg

    quick = kind == "quick"
    sweep = Sweep(tuple(made for _, made in recipes(quick)))
    folder = Path(out) / f"reproduce-{kind}"
    rows = table(quick, run_sweep(sweep, folder, progress=_progress))
    shown = [
        row.setting | {"accuracies": row.values, "mean": row.mean, "low": row.low, "high": row.high}
        for row in rows
    ]
    write_atomic(RESULTS / f"{kind}.json", json.dumps(shown, indent=1) + "\n")
    write_atomic(RESULTS / f"{kind}.md", markdown(rows) + "\n" + REMARKS)
    plotted = [replace(row, setting={k: row.setting[k] for k in PLOTTED}) for row in rows]
    write_atomic(RESULTS / f"{kind}.svg", sweep_svg(plotted))
    print(markdown(rows))
    print(f"written to {RESULTS.relative_to(ROOT)}: {kind}.json, .md, .svg", file=sys.stderr)


def _progress(done: int, total: int) -> None:
    print(f"{done}/{total} runs", file=sys.stderr, flush=True)


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in ("full", "quick"):
        sys.exit("usage: python experiments/reproduce.py full|quick [FOLDER]")
    main(*sys.argv[1:])

"""The same question asked of models that differ in their seed only: `make seeds`.

`python experiments/seeds.py [DIR]` trains reverse with two heads a layer, and the induction model,
on three seeds each (some 6 minutes on 2 idle cores), judges the first and screens the second, and
times discovery on two compiled models. Models are kept in DIR (default out/seeds), so that a run
that was stopped goes on. Writes results/seeds.json.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import torch
from record import CIRCUITS, conditions, write_results

from rasplab.circuit.discovery.discover import discover
from rasplab.compiler.pipeline import compile_program
from rasplab.lang.loading import load, load_selectors
from rasplab.model.bridge import LensModel
from rasplab.model.open_models import load_any_model
from rasplab.model.recipe import recipe
from rasplab.program.domain import make_domain
from rasplab.program.zoo import entry
from rasplab.study.bench.across_seeds import Seeds, judge_seeds, kept_model
from rasplab.study.bench.sweep import run_id
from rasplab.study.heads.atlas import atlas
from rasplab.study.tasks.tasks import second_rounds, task
from rasplab.study.training.trainer import accuracy_on, loss_on

SEEDS = (0, 1, 2)
PAIRS = 200
"""Input pairs in a family of interchanges."""

SECOND_ROUNDS = 1000
"""Held-out sequences on which an induction model is measured."""

REPEATS = 3
"""Runs of a discovery method; the shortest counts."""

TIMED: tuple[tuple[str, dict[str, Any]], ...] = (("acdc", {}), ("eap_ig", {"points": 11}))
ABLATIONS = ("zero", "resample")
TIMED_MODELS = (("reverse", "abc", 3), ("dyck1", "()", 12))
"""Program, vocabulary and maximum length of the compiled models on which discovery is timed."""


def verdicts(seeds: Seeds) -> list[dict]:
    """One entry for each selector: the best head of each seed, and whether it is accepted."""
    return [
        {
            "selector": str(selector),
            "verdicts": seeds.best_text(selector.node),
            "accepted": seeds.accepted(selector.node),
        }
        for selector in seeds.selectors
    ]


def induction(seed: int, folder: Path) -> dict:
    """Loss (nats) and accuracy of one induction model, and its heads' scores in the atlas."""
    made = recipe("induction", seed=seed)
    model = kept_model(made, folder)
    language = task(made.program(), made.domain, made.inputs)
    examples = second_rounds(language, SECOND_ROUNDS, seed)
    with torch.no_grad():
        loss = float(loss_on(model, examples))
    library = load_selectors(str(CIRCUITS / "heads.rasp"))
    screen = atlas(load_any_model(str(folder / run_id(made)), "cpu"), library, seed=seed)
    columns = {"previous": (0, "previous"), "induction": (1, "induction")}
    scores = {
        key: [
            round(float(screen.score[i, screen.selectors.index(selector)]), 3)
            for i, head in enumerate(screen.heads)
            if head.layer == layer
        ]
        for key, (layer, selector) in columns.items()
    }
    return {"seed": seed, "loss": loss, "right": accuracy_on(model, examples), **scores}


def discovery_seconds() -> list[dict]:
    """The shortest of REPEATS runs of each method under zero and resample ablation."""
    rows = []
    for name, vocab, max_len in TIMED_MODELS:
        compiled = compile_program(load(entry(name).path), make_domain(vocab, max_len))
        model = compiled.to_model("cpu")
        for method, settings in TIMED:
            runs = {kind: _fastest(model, method, kind, settings) for kind in ABLATIONS}
            units = runs["zero"][1]
            seconds = {kind: run[0] for kind, run in runs.items()}
            names = {"program": name, "vocab_size": len(vocab), "max_len": max_len}
            rows.append({**names, "edges": units, "method": method, **settings, **seconds})
    return rows


def _fastest(
    model: LensModel, method: str, ablation: str, settings: dict[str, Any]
) -> tuple[float, int]:
    """Seconds of the shortest of REPEATS runs, and how many units it scored."""
    runs = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        scores = discover(model, method, ablation=ablation, **settings)
        runs.append((time.perf_counter() - start, len(scores.names)))
    seconds, units = min(runs)
    return round(seconds, 3), units


def main(out: str = "out/seeds") -> None:
    """Train what is not trained yet, measure, and write the results."""
    measured, folder = conditions(), Path(out)
    torch.set_num_threads(1)
    times = discovery_seconds()
    program = load(entry("reverse").path)
    reverse = judge_seeds(recipe("reverse", heads=2), program, SEEDS, folder, PAIRS)
    print(reverse, flush=True)
    content = {
        "pairs": PAIRS,
        "sequences": SECOND_ROUNDS,
        "repeats": REPEATS,
        "accuracies": [e.accuracy.value for e in reverse.evidence],
        "reverse": verdicts(reverse),
        "induction": [induction(seed, folder) for seed in SEEDS],
        "discovery_seconds": times,
    }
    write_results("seeds", measured, content)


if __name__ == "__main__":
    main(*sys.argv[1:])

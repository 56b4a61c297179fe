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
from rasplab.model.checkpoint import load_model
from rasplab.model.open_models import load_any_model
from rasplab.model.recipe import Recipe, recipe
from rasplab.program.domain import make_domain
from rasplab.program.zoo import entry
from rasplab.study.bench.across_seeds import Seeds, finished, judge_seeds
from rasplab.study.heads.atlas import atlas
from rasplab.study.tasks.tasks import second_rounds, task
from rasplab.study.training.trainer import accuracy_on, loss_on, trained

SEEDS = (0, 1, 2)
PAIRS = 200
"""Input pairs in a family of interchanges."""

SECOND_ROUNDS = 1000
"""Held-out sequences on which an induction model is measured."""

REPEATS = 3
"""Runs of a discovery method; the shortest counts."""

TIMED: tuple[tuple[str, dict[str, Any]], ...] = (("acdc", {}), ("eap_ig", {"points": 11}))
TIMED_MODELS = (("reverse", "abc", 3), ("dyck1", "()", 12))
"""Program, vocabulary and maximum length of the compiled models on which discovery is timed."""


def verdicts(seeds: Seeds) -> list[dict]:
    """One entry for each selector: the best head of each seed, and whether it is accepted."""
    rows = []
    for selector in seeds.selectors:
        best = [f"{f.head} {f.verdict} {f.accuracy.worst}" for f in seeds.best(selector.node)]
        accepted = seeds.accepted(selector.node)
        rows.append({"selector": str(selector), "verdicts": best, "accepted": accepted})
    return rows


def model_of(made: Recipe, folder: Path) -> LensModel:
    """The model of a recipe, from `folder` or trained into it."""
    if not finished(folder, made):
        trained(made, folder, "cpu")
    return load_model(folder, "cpu")


def induction(seed: int, folder: Path) -> dict:
    """Loss (nats) and accuracy of one induction model, and its heads' scores in the atlas."""
    made = recipe("induction", seed=seed)
    place = folder / f"induction_{seed}"
    model = model_of(made, place)
    language = task(made.program(), made.domain, made.inputs)
    examples = second_rounds(language, SECOND_ROUNDS, seed)
    with torch.no_grad():
        loss = float(loss_on(model, examples))
    library = load_selectors(str(CIRCUITS / "heads.rasp"))
    screen = atlas(load_any_model(str(place), "cpu"), library, seed=seed)
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
            seconds = {kind: _fastest(model, method, kind, settings) for kind in ABLATIONS}
            units = len(discover(model, method, **settings).names)
            names = {"program": name, "vocab_size": len(vocab), "max_len": max_len}
            rows.append({**names, "edges": units, "method": method, **settings, **seconds})
    return rows


ABLATIONS = ("zero", "resample")


def _fastest(model: LensModel, method: str, ablation: str, settings: dict[str, Any]) -> float:
    runs = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        discover(model, method, ablation=ablation, **settings)
        runs.append(time.perf_counter() - start)
    return round(min(runs), 3)


def main(out: str = "out/seeds") -> None:
    """Train what is not trained yet, measure, and write the results."""
    measured, folder = conditions(), Path(out)
    torch.set_num_threads(1)
    times = discovery_seconds()
    reverse = judge_seeds(recipe("reverse", heads=2), load(entry("reverse").path), SEEDS, folder)
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

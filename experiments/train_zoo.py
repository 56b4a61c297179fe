"""Train the models of circuits/trained: `make trained`.

`python experiments/train_zoo.py [NAME ...]` trains these names of TASK_RECIPES, by default all, one
after the other, about half an hour in all. A model that is there, of the same recipe, is left as it
is; one that was stopped goes on from its last checkpoint. On one thread, so that the same library
versions give the same bytes. results/models.json has the accuracies of all shipped models.
"""

from __future__ import annotations

import sys

from record import CIRCUITS, conditions, write_results

from rasplab.model.checkpoint import load_model
from rasplab.model.recipe import TASK_RECIPES, recipe
from rasplab.study.bench.across_seeds import finished
from rasplab.study.tasks.tasks import task
from rasplab.study.training.trainer import accuracy_by_length, train

TRAINED = CIRCUITS / "trained"


def main(names: list[str]) -> None:
    """Train those of `names`, by default of all, that are not finished."""
    for name in names or TASK_RECIPES:
        if not finished(TRAINED / name, recipe(name)):
            end = train(name, out=TRAINED / name, device="cpu").trained
            assert end is not None
            print(f"{name}: {end.held_out:.4f} after {end.step} steps, {end.seconds:.0f} s")
    write_results("models", conditions(), {"models": [summary(name) for name in TASK_RECIPES]})


def summary(name: str) -> dict:
    """Recipe, size and accuracies (shares of held-out positions) of a shipped model."""
    model = load_model(TRAINED / name, "cpu")
    made, end = model.recipe, model.trained
    assert made is not None and end is not None
    sizes = ("task", "seed", "layers", "heads", "d_model", "d_mlp", "max_len", "inputs", "target")
    lengths = accuracy_by_length(model, task(made.program(), made.domain, made.inputs))
    return {
        "name": name,
        **{field: getattr(made, field) for field in sizes},
        "vocab_size": len(made.vocab),
        "supervise": [list(pair) for pair in made.supervise],
        "n_params": model.n_params,
        "held_out": end.held_out,
        "step": end.step,
        "seconds": end.seconds,
        "by_length": lengths,
    }


if __name__ == "__main__":
    main(sys.argv[1:])

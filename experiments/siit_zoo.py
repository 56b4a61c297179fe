"""Train the realistic models of circuits/realistic: `make realistic`.

`python experiments/siit_zoo.py [NAME ...]` trains the models of these programs anew, by default all
that circuits/realistic/index.toml has a recipe for. One that reaches the thresholds is written to
circuits/realistic/NAME as soon as it is trained, with measured.json (what it reaches) beside; to
resume a stopped run, name the programs that are left.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, replace

from record import CIRCUITS

from rasplab.base.atomic import write_atomic
from rasplab.model.checkpoint import save_model
from rasplab.study.training.siit import Measured, train_siit
from rasplab.study.training.siit_zoo import MEASURED, recipes


def main(names: list[str]) -> int:
    """Train these models, by default all, and store the good ones; 1 if one is not good."""
    bad = 0
    for name in names or recipes():
        recipe = recipes()[name]
        model, measured = train_siit(recipe, lambda *at, name=name: progress(name, *at))
        print(f"{name}: {measured}; {'good' if measured.good else 'NOT good'}")
        bad += not measured.good
        if measured.good:
            folder = CIRCUITS / "realistic" / name
            save_model(replace(model, recipe=None), folder)
            record = measured.to_json() | {"recipe": asdict(recipe)}
            write_atomic(folder / MEASURED, json.dumps(record, indent=1) + "\n")
    return 1 if bad else 0


def progress(name: str, step: int, loss: float, measured: Measured) -> None:
    """Print where the training of `name` stands."""
    print(f"{name}: step {step}  loss {loss:.3f}  {measured}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

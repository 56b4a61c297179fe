"""`python -m rasplab.study.training.siit_zoo [NAME ...]`: make the realistic models of circuits/realistic
anew.

index.toml there has a recipe for each; NAME/ the weights, and measured.json what they reach.
"""

from __future__ import annotations

import json
import sys
import tomllib
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path

from rasplab.base.errors import RaspNameError
from rasplab.model.checkpoint import load_model, save_model
from rasplab.program.zoo import shipped
from rasplab.study.training.siit import Measured, Realistic, make

MEASURED = "measured.json"


@cache
def recipes() -> dict[str, Realistic]:
    """Every recipe by name, as the index has them."""
    text = (shipped("circuits") / "realistic" / "index.toml").read_text(encoding="utf-8")
    return {
        name: Realistic(name, tuple(row.pop("vocab")), **row)
        for name, row in tomllib.loads(text).items()
    }


def folder(name: str) -> Path:
    """Where the model of a program is shipped. Raises RaspNameError where there is none."""
    if name not in recipes():
        raise RaspNameError(
            f"there is no realistic model of {name!r}", hint=f"there are: {', '.join(recipes())}"
        )
    return shipped("circuits") / "realistic" / name


def load_realistic(name: str):
    """The shipped realistic model of a program."""
    return load_model(folder(name), device="cpu")


def stored(name: str) -> Measured:
    """What the shipped model reached when it was made."""
    row = json.loads((folder(name) / MEASURED).read_text(encoding="utf-8"))
    return Measured(row["behaviour"], row["interchange"], row["effect"], row["moved"])


def main(names: list[str]) -> int:
    """Make these models (all by default) and store those that are good; 1 if one is not."""
    bad = 0
    for name in names or recipes():
        recipe = recipes()[name]
        model, measured = make(recipe, _tell(name))
        print(f"{name}: {measured}; {'good' if measured.good else 'NOT good'}")
        bad += not measured.good
        if measured.good:
            save_model(replace(model, recipe=None), folder(name))
            record = measured.to_json() | {"recipe": asdict(recipe)}
            text = json.dumps(record, indent=1) + "\n"
            (folder(name) / MEASURED).write_text(text, encoding="utf-8")
    return 1 if bad else 0


def _tell(name: str):
    def tell(step: int, loss: float, measured: Measured) -> None:
        print(f"{name}: step {step}  loss {loss:.3f}  {measured}", file=sys.stderr, flush=True)

    return tell


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

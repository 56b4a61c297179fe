"""The shipped realistic models of circuits/realistic: recipes, weights and measurements.

index.toml has a recipe for each program; NAME/ the weights, and NAME/measured.json what they reach.
experiments/siit_zoo.py trains them.
"""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

from rasplab.base.errors import RaspNameError
from rasplab.base.schema import mapping, number, read_json, record
from rasplab.model.bridge import LensModel
from rasplab.model.checkpoint import load_model
from rasplab.program.zoo import shipped
from rasplab.study.training.siit import Measured, Realistic

MEASURED = "measured.json"
"""The file beside the weights that has the fields of `Measured` and the recipe."""


@cache
def recipes() -> dict[str, Realistic]:
    """The recipe of every realistic model by program, in the order of the index."""
    text = (shipped("circuits") / "realistic" / "index.toml").read_text(encoding="utf-8")
    return {
        name: Realistic(name, tuple(row.pop("vocab")), **row)
        for name, row in tomllib.loads(text).items()
    }


def folder(name: str) -> Path:
    """The folder of the shipped model of a program.

    Raises RaspNameError where there is none.
    """
    if name not in recipes():
        raise RaspNameError(
            f"there is no realistic model of {name!r}", hint=f"there are: {', '.join(recipes())}"
        )
    return shipped("circuits") / "realistic" / name


def load_realistic(name: str) -> LensModel:
    """The shipped realistic model of a program, on the CPU.

    Raises RaspNameError where there is none.
    """
    return load_model(folder(name), device="cpu")


def stored(name: str) -> Measured:
    """What the shipped model of a program reached when it was trained."""
    share = number(0, 1)
    schema = record(
        {"behaviour": share, **dict.fromkeys(("interchange", "effect", "moved"), mapping(share))}
    )
    row = read_json(folder(name) / MEASURED, schema, hint="write it again: make realistic")
    return Measured(row["behaviour"], row["interchange"], row["effect"], row["moved"])

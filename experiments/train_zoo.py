"""`python -m rasplab.study.shipped`: train every task that has a recipe of its own into
circuits/trained/, one model after the other.

A task that is there already, of the same recipe, is left; one that was stopped goes on. On one
thread, so that the same versions give the same bytes.
"""

from __future__ import annotations

import sys

from rasplab.model.recipe import TASK_RECIPES, recipe
from rasplab.program.zoo import shipped
from rasplab.study.bench.across_seeds import finished
from rasplab.study.training.trainer import train


def main(names: list[str]) -> None:
    """Train those of `names`, or all, that are not finished."""
    for name in names or TASK_RECIPES:
        folder = shipped("circuits") / "trained" / name
        if not finished(folder, recipe(name)):
            came = train(name, out=folder, device="cpu").trained
            print(f"{name}: {came.held_out:.4f} after {came.step} steps, {came.seconds:.0f} s")


if __name__ == "__main__":
    main(sys.argv[1:])

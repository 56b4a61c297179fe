"""Small recipes and tasks that train in seconds."""

from __future__ import annotations

from rasplab.model.recipe import Recipe
from rasplab.program.domain import Domain
from rasplab.program.graph import Builder, Program, Select, SelectorWidth, Tokens
from rasplab.study.tasks.tasks import Task, task

ABC = Domain(("a", "b", "c"), 5)
TINY = {"layers": 1, "heads": 1, "d_model": 16, "d_mlp": 16, "batch": 32, "warmup": 5}


def hist() -> Program:
    """How often the token here occurs."""
    b = Builder()
    t = b.add(Tokens())
    return b.program(b.add(SelectorWidth(b.add(Select(t, t, "==")))))


def tiny(name: str = "hist", **changes: object) -> Recipe:
    """A recipe of a zoo program over three letters that trains in a second."""
    base = {"vocab": ABC.vocab, "max_len": ABC.max_len} | TINY | {"steps": 30}
    return Recipe(name, **(base | changes))


def task_of(made: Recipe) -> Task:
    """The task of a recipe."""
    return task(made.program(), made.domain, made.inputs)

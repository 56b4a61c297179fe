"""The trained models of circuits/trained: what they promise, and that each recipe has one."""

import pytest

from rasplab.model.checkpoint import load_model
from rasplab.model.recipe import TASK_RECIPES, recipe
from rasplab.program import zoo
from rasplab.study.tasks.tasks import task
from rasplab.study.training.trainer import accuracy_on

PROMISED = {
    "reverse": 0.995,
    "hist": 0.995,
    "double_hist": 0.995,
    "sort": 0.995,
    "dyck1": 0.99,
    "dyck2": 0.99,
    "most_freq": 0.95,
    "induction": 0.99,
    "reverse_supervised": 0.995,
}
"""Shares of held-out positions that the shipped models get right, at least."""


@pytest.mark.parametrize("name", PROMISED)
def test_the_shipped_models_do_their_tasks(name):
    """As promised, on held-out inputs; recipe, curve and files as the repository has them."""
    folder = zoo.shipped("circuits") / "trained" / name
    model = load_model(folder, "cpu")
    assert model.recipe == recipe(name)
    assert sum(p.stat().st_size for p in folder.iterdir()) < 1_000_000
    study_task = task(model.program, model.domain, model.recipe.inputs)
    assert study_task.classes == model.readout.values
    assert accuracy_on(model, study_task.sample(1000, seed=11, held_out=True)) >= PROMISED[name]
    assert model.trained.curve[-1][0] == model.trained.step


def test_every_recipe_of_its_own_is_shipped():
    """The table of recipes, the promises and the folders name the same tasks."""
    folders = {p.name for p in (zoo.shipped("circuits") / "trained").iterdir()}
    assert set(TASK_RECIPES) == set(PROMISED) == folders

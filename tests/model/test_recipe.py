"""Recipes: unknown tasks and settings that cannot be are refused before anything is built."""

import pytest

from rasplab.base.errors import RaspNameError
from rasplab.model.recipe import recipe


def test_a_task_must_be_in_the_zoo():
    """With the nearest names."""
    with pytest.raises(RaspNameError, match="revers"):
        recipe("revers")


def test_sizes_that_cannot_be_are_refused():
    """Before anything is built."""
    with pytest.raises(ValueError, match="heads must divide"):
        recipe("reverse", heads=5)
    with pytest.raises(ValueError, match="steps"):
        recipe("reverse", steps=0)


def test_impossible_recipes_are_refused():
    """Before anything is built."""
    for wrong in (
        {"inputs": "text"},
        {"train_len": 99},
        {"d_mlp": -1},
        {"seed": -1},
        {"lr": "1"},
        {"vocab": 3},
        {"supervise": "L0H0"},
        {"causal": 1},
        {"sise": 2},
    ):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            recipe("hist", **wrong)

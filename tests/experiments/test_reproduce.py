"""The reproduction on file: its recipes, the shipped models in it, one quick run made again."""

import json

import pytest
from record import RESULTS
from reproduce import SEEDS, recipes, sizes, table

from rasplab.model.checkpoint import load_model
from rasplab.model.recipe import recipe
from rasplab.program import zoo
from rasplab.study.bench.sweep import run_one


@pytest.fixture(scope="module", params=["quick", "full"])
def on_file(request):
    """A table on file: which, and its rows."""
    return request.param, json.loads((RESULTS / f"{request.param}.json").read_text())


def test_the_tables_are_those_of_their_recipes(on_file):
    """Tasks, sizes and seeds as the module says; as many targets reached as accuracies say."""
    kind, rows = on_file
    runs = recipes(quick=kind == "quick")
    assert len(runs) == len(SEEDS) * len(rows)
    for (words, made), row in zip(runs[:: len(SEEDS)], rows, strict=True):
        assert (words, made.task) == (row["size"], row["task"])
        assert (made.layers, made.heads) == (row["layers"], row["heads"])
        reached = sum(a >= made.target for a in row["accuracies"])
        assert row["target reached"] == f"{reached} of {len(SEEDS)}"
        assert row["low"] <= row["mean"] <= row["high"]


def test_the_shipped_models_are_the_first_seed_of_the_full_table():
    """Their held-out accuracy is that on file."""
    rows = json.loads((RESULTS / "full.json").read_text())
    full_size = [row for row in rows if row["size"] == "as the program"]
    for task, accuracy in ((row["task"], row["accuracies"][0]) for row in full_size):
        model = load_model(zoo.shipped("circuits") / "trained" / task, "cpu")
        assert model.recipe == recipe(task) and model.trained.held_out == accuracy


@pytest.fixture(scope="module")
def quick():
    """The quick table on file."""
    return json.loads((RESULTS / "quick.json").read_text())


def test_a_quick_run_gives_the_value_on_file(quick, tmp_path):
    """One of them again: as far off as other versions of the libraries may make it."""
    place = next(i for i, row in enumerate(quick) if row["size"] == "one layer less")
    _, made = recipes(quick=True)[place * len(SEEDS)]
    record = run_one(made, str(tmp_path))
    assert record["held_out"] == pytest.approx(quick[place]["accuracies"][0], abs=0.03)


def test_sizes_below_the_program():
    """One head less, one layer less, where there are such; rows carry mean and interval."""
    _, base = recipes(quick=False)[0]
    assert set(sizes(base)) == {"as the program", "one layer less"}
    records = [
        {"recipe": r.to_json(), "held_out": 0.9 + r.seed / 100} for _, r in recipes(quick=True)
    ]
    rows = table(True, records)
    assert all(row.mean == pytest.approx(0.91) and len(row.values) == 3 for row in rows)

"""What is on file of long studies: the calibration of the verdicts, and the quick reproduction."""

import json
from pathlib import Path

import pytest
from reproduce import HERE, SEEDS, recipes, sizes, table

from rasplab.model.checkpoint import load_model
from rasplab.model.recipe import recipe
from rasplab.program import zoo
from rasplab.study.bench.calibration import DISGUISES, RIGHT, calibrated, markdown
from rasplab.study.bench.sweep import run_one


@pytest.fixture(scope="module")
def calibration():
    """By program and disguise."""
    return json.loads((zoo.shipped("circuits") / "calibration.json").read_text())


def test_calibration_finds_all_and_nothing_else(calibration):
    """Every program of the zoo in every disguise: exactly the true heads, of untrained models
    none."""
    assert set(calibration) == set(zoo.entries("zoo"))
    models = [(d, row) for of in calibration.values() for d, row in of.items()]
    assert len(models) == len(calibration) * len(DISGUISES)
    assert all(row["found"] == row["selectors"] and not row["wrong"] for _, row in models)
    assert all(row["accuracy"] > RIGHT for d, row in models if d != "untrained")


def test_the_calibration_table_is_that_of_its_rows(calibration):
    """The Markdown says what the JSON holds, noise among it."""
    text = (zoo.shipped("circuits") / "calibration.md").read_text()
    assert text == markdown(calibration)
    assert "| dyck2 | 5/5 | 5/5 | 5/5 at 1e-10 |" in text


def test_a_calibrated_row_is_the_one_on_file(calibration):
    """One of them again, the numbers that no version of the libraries should move."""
    again = calibrated(zoo.entry("reverse"), "noisy")
    on_file = calibration["reverse"]["noisy"]
    same = ("found", "wrong", "selectors", "heads", "noise")
    assert {k: again[k] for k in same} == {k: on_file[k] for k in same}


@pytest.fixture(scope="module", params=["quick", "full"])
def on_file(request):
    """A table on file: which, and its rows."""
    return request.param, json.loads((HERE / f"{request.param}.json").read_text())


def test_the_tables_are_those_of_their_recipes(on_file):
    """Tasks, sizes and seeds as the module says; as many targets reached as accuracies say."""
    kind, rows = on_file
    found = recipes(quick=kind == "quick")
    assert len(found) == len(SEEDS) * len(rows)
    for (words, wanted), row in zip(found[:: len(SEEDS)], rows, strict=True):
        assert (words, wanted.task) == (row["size"], row["task"])
        assert (wanted.layers, wanted.heads) == (row["layers"], row["heads"])
        reached = sum(a >= wanted.target for a in row["accuracies"])
        assert row["target reached"] == f"{reached} of {len(SEEDS)}"
        assert row["low"] <= row["mean"] <= row["high"]


def test_the_shipped_models_are_the_first_seed_of_the_full_table():
    """Their held-out accuracy is that on file."""
    rows = json.loads((HERE / "full.json").read_text())
    own = {row["task"]: row["accuracies"][0] for row in rows if row["size"] == "as the program"}
    for task, accuracy in own.items():
        model = load_model(zoo.shipped("circuits") / "trained" / task, "cpu")
        assert model.recipe == recipe(task) and model.trained.held_out == accuracy


@pytest.fixture(scope="module")
def quick():
    """The quick table on file."""
    return json.loads((HERE / "quick.json").read_text())


def test_a_quick_run_gives_the_value_on_file(quick, tmp_path):
    """One of them again: as far off as other versions of the libraries may make it."""
    place = next(i for i, row in enumerate(quick) if row["size"] == "one layer less")
    _, wanted = recipes(quick=True)[place * len(SEEDS)]
    record = run_one(wanted, str(tmp_path))
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
    assert Path(HERE).name == "results"

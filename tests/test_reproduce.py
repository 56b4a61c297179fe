"""What is on file of long studies: the calibration of the verdicts, and the quick reproduction."""

import json
from pathlib import Path

import pytest

from rasplab import zoo
from rasplab.reproduce import HERE, QUICK, SEEDS, recipes, sizes, table
from rasplab.study.sweep import run_one


def test_calibration_finds_all_and_nothing_else():
    """On file: no wrong head in any model; every selector found in those that are still right."""
    rows = json.loads((zoo.shipped("circuits") / "calibration.json").read_text())
    models = [(d, row) for of in rows.values() for d, row in of.items()]
    assert len([1 for of in rows.values() if "untrained" in of]) >= 15
    assert not [row for _, row in models if row["wrong"]]
    exact = [row for d, row in models if row["accuracy"] == 1.0 or d == "untrained"]
    assert all(row["found"] == row["selectors"] for row in exact) and len(exact) > 70


@pytest.fixture(scope="module")
def quick():
    """The quick table on file."""
    return json.loads((HERE / "quick.json").read_text())


def test_the_quick_table_is_that_of_its_recipes(quick):
    """Tasks, sizes and seeds as the module says."""
    found = recipes(quick=True)
    assert len(found) == len(SEEDS) * len(quick)
    assert [(words, r.task) for words, r in found[:: len(SEEDS)]] == [
        (row["size"], row["task"]) for row in quick
    ]
    assert {row["task"] for row in quick} == set(QUICK["tasks"])


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
    assert Path(HERE).name == "reproduction"

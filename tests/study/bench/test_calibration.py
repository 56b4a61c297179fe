"""Calibration of the verdicts: the rows on file, their table, and one row made again."""

import json

import pytest

from rasplab.program import zoo
from rasplab.study.bench.calibration import DISGUISES, RIGHT, calibrated, markdown


@pytest.fixture(scope="module")
def calibration():
    """By program and disguise."""
    return json.loads((zoo.shipped("circuits") / "calibration.json").read_text())


def test_calibration_finds_all_and_nothing_else(calibration):
    """Every zoo program in every disguise: exactly the true heads, of untrained models none."""
    assert set(calibration) == set(zoo.entries("zoo"))
    models = [(d, row) for of in calibration.values() for d, row in of.items()]
    assert len(models) == len(calibration) * len(DISGUISES)
    assert all(row["found"] == row["selectors"] and not row["wrong"] for _, row in models)
    assert all(row["accuracy"] > RIGHT for d, row in models if d != "untrained")


def test_the_calibration_table_is_that_of_its_rows(calibration):
    """The Markdown says what the JSON holds, noise among it."""
    text = (zoo.shipped("circuits") / "calibration.md").read_text()
    assert text == markdown(calibration)
    assert "| dyck2 | 5/5 | 5/5 | 5/5 at 1e-09 |" in text


def test_a_calibrated_row_is_the_one_on_file(calibration):
    """One of them again, the numbers that no version of the libraries should move."""
    again = calibrated(zoo.entry("reverse"), "noisy")
    on_file = calibration["reverse"]["noisy"]
    same = ("found", "wrong", "selectors", "heads", "noise")
    assert {k: again[k] for k in same} == {k: on_file[k] for k in same}

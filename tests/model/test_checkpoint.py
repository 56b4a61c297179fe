"""Checkpoints of trained models: the round trip, and every way of breaking one."""

import json
import math
import shutil

import pytest
import torch
from support.training import ABC, hist, tiny

from rasplab.base.errors import FileError
from rasplab.model.checkpoint import RECORD, WEIGHTS, load_model, save_model
from rasplab.study.tasks.tasks import task
from rasplab.study.training import trainer as training
from rasplab.study.training.trainer import fit


@pytest.fixture(scope="module")
def hist_task():
    """hist over three letters."""
    return task(hist(), ABC)


def test_a_checkpoint_comes_back_as_it_was(hist_task, tmp_path):
    """The same values, recipe and numbers; equal models give equal bytes."""
    model = fit(tiny(), hist_task, tmp_path / "one", "cpu")
    again = load_model(tmp_path / "one", "cpu")
    assert (again.recipe, again.readout, again.domain) == (
        model.recipe,
        model.readout,
        model.domain,
    )
    assert (again.steps, again.accuracy) == (model.steps, model.accuracy)
    assert again.run_batch(["abc", "c", "aabba"]) == model.run_batch(["abc", "c", "aabba"])
    save_model(again, tmp_path / "two")
    one, two = ((tmp_path / d / WEIGHTS).read_bytes() for d in ("one", "two"))
    assert one == two
    record = json.loads((tmp_path / "one" / RECORD).read_text())
    assert record["recipe"]["seed"] == 0 and "transformer-lens" in record["versions"]
    assert sorted(p.name for p in (tmp_path / "one").iterdir()) == [RECORD, WEIGHTS]


@pytest.fixture(scope="module")
def saved(hist_task, tmp_path_factory):
    """A checkpoint to break."""
    folder = tmp_path_factory.mktemp("saved")
    save_model(training.blank(tiny(), hist_task, "cpu"), folder)
    return folder


def _flip(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 255
    path.write_bytes(content)


BREAKS = {
    "no record": (RECORD, lambda p: p.unlink(), "missing"),
    "no weights": (WEIGHTS, lambda p: p.unlink(), "missing"),
    "record cut": (RECORD, lambda p: p.write_bytes(p.read_bytes()[:50]), "damaged"),
    "weights cut": (WEIGHTS, lambda p: p.write_bytes(p.read_bytes()[:500]), "damaged"),
    "weights changed": (WEIGHTS, _flip, "damaged"),
    "weights empty": (WEIGHTS, lambda p: p.write_bytes(b""), "damaged"),
    "record a list": (RECORD, lambda p: p.write_text("[]"), "version"),
    "another version": (
        RECORD,
        lambda p: p.write_text(p.read_text().replace("model 2", "model 9")),
        "version",
    ),
    "another run": (
        RECORD,
        lambda p: p.write_text(p.read_text().replace('"layers": 1', '"layers": 2')),
        "run",
    ),
    "no fields": (RECORD, lambda p: p.write_text('{"format": "rasplab trained model 2"}'), "run"),
}


def test_weights_that_are_no_numbers_are_not_loaded(hist_task, tmp_path):
    """A checkpoint with one nan: told by its file."""
    model = training.blank(tiny(), hist_task, "cpu")
    with torch.no_grad():
        next(iter(model.lens.parameters())).view(-1)[0] = math.nan
    save_model(model, tmp_path)
    with pytest.raises(FileError, match="nan") as told:
        load_model(tmp_path, "cpu")
    assert WEIGHTS in told.value.message and told.value.hint


@pytest.mark.parametrize("name", BREAKS)
def test_broken_checkpoints_are_told(saved, tmp_path, name):
    """A FileError with the reason and a way out, for each way of breaking one."""
    shutil.copytree(saved, tmp_path / "m")
    file, damage, reason = BREAKS[name]
    damage(tmp_path / "m" / file)
    with pytest.raises(FileError, match=reason) as told:
        load_model(tmp_path / "m", "cpu")
    assert told.value.hint

"""Checkpoints of trained models: the round trip, and every way of breaking one."""

import json
import math
import shutil
from dataclasses import replace

import pytest
import torch
from support.damage import TEXTS, damaged, dumps
from support.training import ABC, hist, tiny

from rasplab.base.errors import FileError, RaspValueError
from rasplab.model import checkpoint
from rasplab.model.checkpoint import RECORD, WEIGHTS, load_model, save_model
from rasplab.model.native import fresh_model
from rasplab.study.tasks.tasks import task
from rasplab.study.training import trainer as training
from rasplab.study.training.trainer import fit
from rasplab.transformer.readout import Readout


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
    "no fields": (
        RECORD,
        lambda p: p.write_text('{"format": "rasplab trained model 2"}'),
        "lacks config",
    ),
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


def test_a_damaged_record_of_a_trained_model_is_one_file_error(saved, tmp_path):
    """Every entry of model.json replaced by values of other types and sizes, and nonsense texts."""
    shutil.copytree(saved, tmp_path / "m")
    path = tmp_path / "m" / RECORD
    texts = [dumps(d) for _, d in damaged(json.loads(path.read_text()))] + list(TEXTS.values())
    for text in texts:
        path.write_text(text)
        try:
            load_model(tmp_path / "m", "cpu")
        except FileError as error:
            assert str(path.parent) in error.message and "\n" not in error.message, text
            assert error.hint


@pytest.mark.parametrize("claim", [("layers", 10**6), ("d_model", 10**9), ("d_mlp", 10**12)])
def test_claims_of_sizes_are_refused_before_they_are_allocated(saved, tmp_path, claim):
    """A record and a header that agree on a huge model: refused by what the weights have."""
    shutil.copytree(saved, tmp_path / "m")
    path = tmp_path / "m" / RECORD
    record = json.loads(path.read_text())
    record["config"][claim[0]] = claim[1]
    path.write_text(json.dumps(record))
    _with_run_of(record, tmp_path / "m" / WEIGHTS)
    with pytest.raises(FileError, match=f"its {claim[0]} needs"):
        load_model(tmp_path / "m", "cpu")


def _with_run_of(record, path):
    """Rewrite the header of the weights so that it fits an edited record."""
    from safetensors import safe_open
    from safetensors.torch import save_file

    with safe_open(path, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        header = json.loads(file.metadata()["rasplab"])
    header["run"] = checkpoint._run(record)
    save_file(tensors, path, {"rasplab": json.dumps(header)})


@pytest.mark.parametrize("sizes", [(10**6, 1, 8), (1, 1, 10**7)])
def test_models_beyond_the_limits_are_refused_before_they_are_built(sizes):
    """A million layers, or a d_model of ten million."""
    with pytest.raises(RaspValueError):
        fresh_model(ABC, Readout((0, 1)), *sizes, 0)


def test_a_folder_of_another_task_or_kind_is_not_overwritten(hist_task, tmp_path):
    """Another task's model, or a compiled one: refused before training, unless it is forced."""
    fit(tiny(), hist_task, tmp_path / "m", "cpu")
    before = (tmp_path / "m" / WEIGHTS).read_bytes()
    other = replace(tiny(), task="reverse")
    with pytest.raises(FileError, match="trained model of hist"):
        fit(other, hist_task, tmp_path / "m", "cpu")
    assert (tmp_path / "m" / WEIGHTS).read_bytes() == before
    fit(other, hist_task, tmp_path / "m", "cpu", force=True)
    recipe = load_model(tmp_path / "m", "cpu").recipe
    assert recipe is not None and recipe.task == "reverse"
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "compiled.json").write_text("{}")
    with pytest.raises(FileError, match="holds a compiled model"):
        fit(tiny(), hist_task, tmp_path / "c", "cpu")

"""Tasks and training: disjoint splits, seeds, checkpoints that are whole, faults that are told."""

import json
import math
import shutil

import numpy as np
import pytest
import torch

from rasplab.base.errors import FileError, RaspError, RaspNameError, RaspValueError
from rasplab.model.checkpoint import RECORD, WEIGHTS, load_model, save_model
from rasplab.model.recipe import TASK_RECIPES, Recipe, recipe
from rasplab.program import zoo
from rasplab.program.domain import Domain
from rasplab.program.graph import (
    Aggregate,
    Builder,
    Constant,
    Indices,
    Map,
    Select,
    SelectorWidth,
    Tokens,
)
from rasplab.program.interpret.exact import evaluate
from rasplab.study.tasks.tasks import IGNORED, is_held_out, task
from rasplab.study.training import trainer as training
from rasplab.study.training.trainer import accuracy_on, fit, lr_schedule

ABC = Domain(("a", "b", "c"), 5)
TINY = {"layers": 1, "heads": 1, "d_model": 16, "d_mlp": 16, "batch": 32, "warmup": 5}


def hist():
    """How often the token here occurs."""
    b = Builder()
    t = b.add(Tokens())
    return b.program(b.add(SelectorWidth(b.add(Select(t, t, "==")))))


def tiny(**changes):
    """A recipe of seconds."""
    return Recipe("hist", ABC.vocab, ABC.max_len, **(TINY | {"steps": 10} | changes))


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Models this small are quickest on one thread, also beside other work."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def hist_task():
    """hist over three letters."""
    return task(hist(), ABC)


def rows(examples):
    """The inputs as tuples of ids."""
    return {tuple(ids[:n].tolist()) for ids, n in zip(examples.ids, examples.lengths, strict=True)}


def test_answers_are_the_interpreters(hist_task):
    """Class c at a position means classes[c], and nothing stands after the end."""
    assert hist_task.classes == (1, 2, 3, 4, 5)
    examples = hist_task.sample(100, seed=1)
    for ids, n, answers in zip(examples.ids, examples.lengths, examples.answers, strict=True):
        wanted = evaluate(hist_task.program, [ABC.vocab[t] for t in ids[:n]]).output
        assert [hist_task.classes[c] for c in answers[:n]] == wanted
        assert (answers[n:] == IGNORED).all()


def test_held_out_inputs_are_never_trained_on(hist_task):
    """Whatever the seeds: the split is a property of the input."""
    trained = rows(hist_task.sample(400, seed=0)) | rows(hist_task.sample(400, seed=1))
    unseen = rows(hist_task.sample(200, seed=0, held_out=True)) | rows(
        hist_task.sample(200, seed=2, held_out=True)
    )
    assert trained and unseen and not trained & unseen
    assert {len(row) for row in trained} == {1, 2, 3, 4, 5}


def test_about_one_input_in_five_is_held_out():
    """The hash spreads at every length."""
    rng = np.random.default_rng(0)
    for n in (3, 8, 20):
        share = is_held_out(rng.integers(0, 8, (5000, n))).mean()
        assert 0.17 < share < 0.23, (n, share)


def test_equal_seeds_sample_equally(hist_task):
    """A sample is a function of its arguments."""
    one, two, other = (hist_task.sample(50, seed=s) for s in (4, 4, 5))
    assert (one.ids == two.ids).all() and (one.answers == two.answers).all()
    assert one.ids.shape != other.ids.shape or (one.ids != other.ids).any()


def test_training_learns_and_repeats(hist_task):
    """Accuracy rises well above the untrained model's; equal seeds end equal."""
    wanted = tiny(steps=100, lr=5e-3)
    unseen = hist_task.sample(300, seed=0, held_out=True)
    before = accuracy_on(training.blank(wanted, hist_task, "cpu"), unseen)
    one, two = (fit(wanted, hist_task, device="cpu") for _ in range(2))
    assert one.accuracy == two.accuracy > before + 0.2
    assert one.accuracy == pytest.approx(accuracy_on(one, hist_task.sample(3000, 0, held_out=True)))


def test_masked_positions_do_not_matter(hist_task):
    """In a batch of mixed lengths a model says what it says to each input alone."""
    model = training.blank(tiny(), hist_task, "cpu")
    examples = hist_task.sample(20, seed=3)
    together = training.logits_on(model, examples).detach().numpy()
    for i, n in enumerate(examples.lengths):
        alone = model.logits(examples.ids[i : i + 1, :n])[0].numpy()
        np.testing.assert_allclose(together[i, :n], alone, atol=1e-5)


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


def test_an_interrupt_leaves_the_last_checkpoint(hist_task, tmp_path, monkeypatch):
    """Ctrl-C at step 12 with a checkpoint every 5: that of step 10 loads."""
    monkeypatch.setattr(training, "EVAL_INTERVAL", 5)

    def stop(step, loss, accuracy):
        if step == 12:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(tiny(steps=20), hist_task, tmp_path, "cpu", stop)
    assert load_model(tmp_path, "cpu").steps == 10


def test_an_interrupt_between_the_two_files_leaves_a_usable_pair(hist_task, tmp_path, monkeypatch):
    """The weights are one checkpoint younger than the record;
    they load, and their own numbers count."""
    monkeypatch.setattr(training, "EVAL_INTERVAL", 5)
    model = fit(tiny(steps=10), hist_task, tmp_path / "run", "cpu")
    older = json.loads((tmp_path / "run" / RECORD).read_text())
    older["trained"]["step"] = 5
    (tmp_path / "run" / RECORD).write_text(json.dumps(older))
    assert load_model(tmp_path / "run", "cpu").steps == model.steps == 10


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


def test_a_loss_that_is_no_number_stops_training(hist_task, tmp_path):
    """Said as a fault, not trained on."""
    with pytest.raises(RaspError, match="diverged"):
        fit(tiny(lr=math.inf), hist_task, tmp_path, "cpu")


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


def test_a_program_of_many_values_is_no_classification():
    """tokens * 1.5 + indices over many tokens: refused with a way out."""
    b = Builder()
    big = b.add(
        Map("+", (b.add(Tokens("int")), b.add(Map("/", (b.add(Indices()), b.add(Constant(7)))))))
    )
    with pytest.raises(RaspValueError, match="values"):
        task(b.program(big), Domain(tuple(range(100)), 5))


def test_the_interpreters_fault_is_told():
    """A program that fails on its domain trains nothing."""
    b = Builder()
    one = b.add(Constant(1))
    with pytest.raises(RaspError, match="average"):
        task(b.program(b.add(Aggregate(b.add(Select(one, one, "==")), b.add(Tokens())))), ABC)


def test_the_rate_rises_then_falls():
    """Warm-up from nearly 0 to 1, then a cosine down to a tenth."""
    wanted = tiny(steps=100, warmup=10)
    rates = [lr_schedule(step, wanted) for step in range(100)]
    assert rates[0] == 0.1 and max(rates) == rates[9] == 1.0
    assert rates[-1] == pytest.approx(0.1, abs=0.01)
    assert all(a >= b for a, b in zip(rates[10:], rates[11:], strict=False))


PROMISED = {
    "reverse": 0.995, "hist": 0.995, "double_hist": 0.995, "sort": 0.995,
    "dyck1": 0.99, "dyck2": 0.99, "most_freq": 0.95, "induction": 0.99,
    "reverse_supervised": 0.995,
}  # fmt: skip
"""Shares of held-out positions that the shipped models get right, at least."""


@pytest.mark.parametrize("name", PROMISED)
def test_the_shipped_models_do_their_tasks(name):
    """As promised, on inputs they were not trained on; recipe and files as the repository has
    them, the curve with them."""
    folder = zoo.shipped("circuits") / "trained" / name
    model = load_model(folder, "cpu")
    assert model.recipe == recipe(name)
    assert sum(p.stat().st_size for p in folder.iterdir()) < 1_000_000
    todo = task(model.program, model.domain, model.recipe.inputs)
    assert todo.classes == model.readout.values
    assert accuracy_on(model, todo.sample(1000, seed=11, held_out=True)) >= PROMISED[name]
    assert model.trained.curve[-1][0] == model.trained.step


def test_every_recipe_of_its_own_is_shipped():
    """The table of recipes, the promises and the folders name the same tasks."""
    folders = {p.name for p in (zoo.shipped("circuits") / "trained").iterdir()}
    assert set(TASK_RECIPES) == set(PROMISED) == folders


def test_a_recipe_that_cannot_be_leaves_no_folder(tmp_path):
    """A head to supervise that is not there: told, and nothing is made."""
    changes = TINY | {"supervise": {"L9H0": "same"}}
    with pytest.raises(RaspError, match="no head 'L9H0'"):
        training.train("hist", out=tmp_path / "run", progress=False, **changes)
    assert not (tmp_path / "run").exists()

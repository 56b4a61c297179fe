"""Training: learning, checkpoints that are whole, stopped and resumed runs, faults."""

import json
import math

import numpy as np
import pytest
from support.training import ABC, TINY, hist, task_of, tiny

from rasplab.base.errors import FileError, RaspError
from rasplab.model.checkpoint import RECORD, WEIGHTS, load_model
from rasplab.model.training_state import STATE
from rasplab.study.tasks.tasks import task
from rasplab.study.training import trainer as training
from rasplab.study.training.trainer import accuracy_by_length, accuracy_on, fit, lr_schedule


@pytest.fixture(scope="module")
def hist_task():
    """hist over three letters."""
    return task(hist(), ABC)


def test_training_learns_and_repeats(hist_task):
    """Accuracy rises well above the untrained model's; equal seeds end equal."""
    made = tiny(steps=100, lr=5e-3)
    unseen = hist_task.sample(300, seed=0, held_out=True)
    before = accuracy_on(training.blank(made, hist_task, "cpu"), unseen)
    one, two = (fit(made, hist_task, device="cpu") for _ in range(2))
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
    """Weights one checkpoint younger than the record load, and their own numbers count."""
    monkeypatch.setattr(training, "EVAL_INTERVAL", 5)
    model = fit(tiny(steps=10), hist_task, tmp_path / "run", "cpu")
    older = json.loads((tmp_path / "run" / RECORD).read_text())
    older["trained"]["step"] = 5
    (tmp_path / "run" / RECORD).write_text(json.dumps(older))
    assert load_model(tmp_path / "run", "cpu").steps == model.steps == 10


def test_a_loss_that_is_no_number_stops_training(hist_task, tmp_path):
    """Said as a fault, not trained on."""
    with pytest.raises(RaspError, match="diverged"):
        fit(tiny(lr=1e18), hist_task, tmp_path, "cpu")
    with pytest.raises(ValueError, match="lr must be a number of at least 0, got inf"):
        tiny(lr=math.inf)


def test_the_rate_rises_then_falls():
    """Warm-up from nearly 0 to 1, then a cosine down to a tenth."""
    rates = [lr_schedule(step, steps=100, warmup=10) for step in range(100)]
    assert rates[0] == 0.1 and max(rates) == rates[9] == 1.0
    assert rates[-1] == pytest.approx(0.1, abs=0.01)
    assert all(a >= b for a, b in zip(rates[10:], rates[11:], strict=False))


def test_a_recipe_that_cannot_be_leaves_no_folder(tmp_path):
    """A head to supervise that is not there: told, and nothing is made."""
    changes = TINY | {"supervise": {"L9H0": "same"}}
    with pytest.raises(RaspError, match="no head 'L9H0'"):
        training.train("hist", out=tmp_path / "run", progress=False, **changes)
    assert not (tmp_path / "run").exists()


class Stopped(Exception):
    """What a test kills a run with."""


def stop_at(step):
    """A report that kills the run at a step."""

    def report(at, loss, accuracy):
        if at == step:
            raise Stopped

    return report


@pytest.mark.parametrize("changes", [{}, {"supervise": (("L0H0", "same"),)}, {"norm": "RMS"}])
def test_a_killed_run_ends_as_an_unbroken_one(tmp_path, monkeypatch, changes):
    """Killed twice, once between two checkpoints: the same weights to the byte, the same curve."""
    monkeypatch.setattr(training, "EVAL_INTERVAL", 10)
    made = tiny(**changes)
    study_task = task_of(made)
    for step in (17, 21):
        with pytest.raises(Stopped):
            fit(made, study_task, tmp_path / "broken", "cpu", stop_at(step))
        assert (tmp_path / "broken" / STATE).is_file()
    fit(made, study_task, tmp_path / "broken", "cpu")
    fit(made, study_task, tmp_path / "whole", "cpu")
    one, two = ((tmp_path / d / WEIGHTS).read_bytes() for d in ("broken", "whole"))
    assert one == two
    one, two = (json.loads((tmp_path / d / RECORD).read_text()) for d in ("broken", "whole"))
    assert one["trained"]["curve"] == two["trained"]["curve"] and len(one["trained"]["curve"]) == 3
    assert not (tmp_path / "broken" / STATE).exists()


def test_a_resumed_run_repeats_no_step(tmp_path, monkeypatch):
    """After a kill at step 25 the next report is of step 21."""
    monkeypatch.setattr(training, "EVAL_INTERVAL", 10)
    seen = []
    study_task = task_of(tiny())
    with pytest.raises(Stopped):
        fit(tiny(), study_task, tmp_path, "cpu", stop_at(25))
    fit(tiny(), study_task, tmp_path, "cpu", lambda step, *_: seen.append(step))
    assert seen[0] == 21


def test_a_stopped_run_of_other_settings_or_version_is_not_trained_over(tmp_path, monkeypatch):
    """Said what differs, with the ways out; the state stays as it was."""
    monkeypatch.setattr(training, "EVAL_INTERVAL", 10)
    with pytest.raises(Stopped):
        fit(tiny(), task_of(tiny()), tmp_path, "cpu", stop_at(15))
    state = (tmp_path / STATE).read_bytes()
    with pytest.raises(FileError, match="lr 0.002, not 0.001") as told:
        fit(tiny(lr=1e-3), task_of(tiny()), tmp_path, "cpu")
    assert "another folder" in told.value.hint and (tmp_path / STATE).read_bytes() == state
    (tmp_path / STATE).write_bytes(state.replace(b"training state 1", b"training state 9"))
    with pytest.raises(FileError, match="another version"):
        fit(tiny(), task_of(tiny()), tmp_path, "cpu")


def test_a_folder_that_cannot_be_written_is_told_before_training(tmp_path):
    """A file stands where the folder is to be."""
    (tmp_path / "out").write_text("")
    with pytest.raises(FileError, match="cannot write") as told:
        fit(tiny(), task_of(tiny()), tmp_path / "out", "cpu", stop_at(1))
    assert "-o" in told.value.hint


def test_a_damaged_state_is_told(tmp_path, monkeypatch):
    """A file cut short: said, with what to do; not trained over."""
    monkeypatch.setattr(training, "EVAL_INTERVAL", 10)
    with pytest.raises(Stopped):
        fit(tiny(), task_of(tiny()), tmp_path, "cpu", stop_at(15))
    state = tmp_path / STATE
    state.write_bytes(state.read_bytes()[:-40])
    with pytest.raises(FileError, match="damaged") as told:
        fit(tiny(), task_of(tiny()), tmp_path, "cpu")
    assert "delete" in told.value.hint


def test_a_run_that_diverges_keeps_the_last_good_checkpoint(tmp_path, monkeypatch):
    """The learning rate explodes after step 10: a fault, and the model of step 10 on disk."""
    monkeypatch.setattr(training, "EVAL_INTERVAL", 10)
    plain = training.lr_schedule

    def exploding(step, steps, warmup):
        return plain(step, steps, warmup) if step < 10 else 1e9

    monkeypatch.setattr(training, "lr_schedule", exploding)
    with pytest.raises(RaspError, match="diverged") as told:
        fit(tiny(), task_of(tiny()), tmp_path, "cpu")
    assert "lower lr" in told.value.hint
    kept = load_model(tmp_path, "cpu")
    assert kept.steps == 10 and 0 <= kept.accuracy <= 1


def test_attention_only_models_learn_and_come_back(tmp_path):
    """d_mlp 0: no neuron runs, the checkpoint says so."""
    made = tiny("hist", d_mlp=0, steps=60, lr=5e-3)
    model = fit(made, task_of(made), tmp_path, "cpu")
    again = load_model(tmp_path, "cpu")
    assert again.lens.cfg.attn_only and again.recipe == made
    assert again.run_batch(["abc", "aab"]) == model.run_batch(["abc", "aab"])
    assert json.loads((tmp_path / RECORD).read_text())["config"]["d_mlp"] == 0


@pytest.mark.parametrize(
    "changes",
    [{"norm": "RMS"}, {"norm": "LNPre"}, {"norm": "none"}, {"act": "relu"}, {"causal": True}],
)
def test_settings_of_the_transformer_are_used(tmp_path, changes):
    """Norms, activations and direction reach the model, which trains and comes back."""
    given = {k: None if v == "none" else v for k, v in changes.items()}
    made = tiny(steps=3, **given)
    model = fit(made, task_of(made), tmp_path, "cpu")
    cfg = load_model(tmp_path, "cpu").lens.cfg
    assert cfg.normalization_type == made.norm and cfg.act_fn == made.act
    assert cfg.attention_dir == ("causal" if made.causal else "bidirectional")
    assert not math.isnan(model.accuracy)


def test_longer_inputs_than_trained_on_are_measured():
    """Trained up to 3 of 6 tokens: accuracies for every length, those beyond are lower."""
    made = tiny(max_len=6, train_len=3, steps=150, lr=5e-3)
    study_task = task_of(made)
    assert study_task.sample(50, 0, lengths=made.trained_lengths).lengths.max() == 3
    found = accuracy_by_length(fit(made, study_task, device="cpu"), study_task)
    assert {3, 4, 5, 6} <= set(found) and found[6] < found[3]

"""Training beyond the plain run: resumed, supervised, causal, on repeats, on longer inputs."""

import json
import math

import numpy as np
import pytest
import torch

from rasplab.base.errors import FileError, RaspError, RaspNameError, RaspValueError
from rasplab.lang.loading import load
from rasplab.model.checkpoint import RECORD, WEIGHTS, load_model
from rasplab.model.recipe import Recipe, recipe
from rasplab.model.resume import STATE
from rasplab.program import zoo
from rasplab.program.domain import Domain
from rasplab.study.tasks.coverage import coverage
from rasplab.study.tasks.tasks import (
    IGNORED,
    is_held_out,
    next_tokens,
    repeated_rows,
    second_rounds,
    task,
)
from rasplab.study.training import trainer as training
from rasplab.study.training.supervise import targets, wanted_patterns
from rasplab.study.training.trainer import accuracy_by_length, fit

TINY = {"layers": 1, "heads": 1, "d_model": 16, "d_mlp": 16, "batch": 32, "warmup": 5}


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Models this small are quickest on one thread, also beside other work."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def tiny(name="hist", **changes):
    """A recipe of seconds."""
    return Recipe(name, **({"vocab": tuple("abc"), "max_len": 5} | TINY | {"steps": 30} | changes))


def task_of(wanted):
    """The task of a recipe."""
    return task(wanted.program(), wanted.domain, wanted.inputs)


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
    wanted = tiny(**changes)
    todo = task_of(wanted)
    for step in (17, 21):
        with pytest.raises(Stopped):
            fit(wanted, todo, tmp_path / "broken", "cpu", stop_at(step))
        assert (tmp_path / "broken" / STATE).is_file()
    fit(wanted, todo, tmp_path / "broken", "cpu")
    fit(wanted, todo, tmp_path / "whole", "cpu")
    one, two = ((tmp_path / d / WEIGHTS).read_bytes() for d in ("broken", "whole"))
    assert one == two
    one, two = (json.loads((tmp_path / d / RECORD).read_text()) for d in ("broken", "whole"))
    assert one["trained"]["curve"] == two["trained"]["curve"] and len(one["trained"]["curve"]) == 3
    assert not (tmp_path / "broken" / STATE).exists()


def test_a_resumed_run_repeats_no_step(tmp_path, monkeypatch):
    """After a kill at step 25 the next report is of step 21."""
    monkeypatch.setattr(training, "EVAL_INTERVAL", 10)
    seen = []
    todo = task_of(tiny())
    with pytest.raises(Stopped):
        fit(tiny(), todo, tmp_path, "cpu", stop_at(25))
    fit(tiny(), todo, tmp_path, "cpu", lambda step, *_: seen.append(step))
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
    monkeypatch.setattr(training, "pace", lambda step, w: plain(step, w) if step < 10 else 1e9)
    with pytest.raises(RaspError, match="diverged") as told:
        fit(tiny(), task_of(tiny()), tmp_path, "cpu")
    assert "lower lr" in told.value.hint
    kept = load_model(tmp_path, "cpu")
    assert kept.steps == 10 and 0 <= kept.accuracy <= 1


def test_supervised_heads_attend_as_the_selector():
    """reverse with its second layer supervised on flip: most attention where flip selects, which
    unsupervised training of as many steps does not give."""
    shared = {"max_len": 5, "layers": 2, "heads": 1, "d_model": 32, "d_mlp": 32, "steps": 120,
              "batch": 64, "lr": 5e-3}  # fmt: skip
    masses = []
    for supervise in ((("L1H0", "flip"),), ()):
        wanted = tiny("reverse", **(shared | {"supervise": supervise}))
        todo = task_of(wanted)
        model = fit(wanted, todo, device="cpu")
        patterns = model.patterns_of(np.array([[0, 1, 2, 0, 1]] * 2))[0, 1, 0, 1:, 1:]
        masses.append(float(np.fliplr(patterns).trace() / 5))
    assert masses[0] > 0.7 and masses[0] > masses[1] + 0.1


def test_wanted_patterns_end_where_inputs_end():
    """Rows of probabilities at tokens, nothing after the end; a width counts BOS."""
    wanted = tiny()
    todo = task_of(wanted)
    batch = todo.sample(20, seed=0)
    model = training.blank(wanted, todo, "cpu")
    rows = wanted_patterns(todo, batch, targets(model, todo.program, (("L0H0", "same"),)))[0]
    inside = np.arange(batch.ids.shape[1]) < batch.lengths[:, None]
    np.testing.assert_allclose(rows.sum(-1).numpy(), inside, atol=1e-6)
    first = int(np.flatnonzero(batch.lengths > 1)[0])
    same = (batch.ids[first, : batch.lengths[first]] == batch.ids[first, 0]).sum()
    assert float(rows[first, 0, 0]) == pytest.approx(1 / (1 + same))


def test_supervision_names_heads_and_selectors():
    """Of the model and of the program; both faults with what there is."""
    with pytest.raises(RaspNameError, match="no selector 'sme'") as told:
        fit(tiny(supervise=(("L0H0", "sme"),)), task_of(tiny()), device="cpu")
    assert "same" in told.value.hint
    with pytest.raises(RaspValueError, match="no head 'L3H0'"):
        fit(tiny(supervise=(("L3H0", "same"),)), task_of(tiny()), device="cpu")


def test_repeats_are_predicted_from_the_second_round_on():
    """abcabc: the next token from c on, but not at the end."""
    answers = next_tokens(np.array([[0, 1, 2, 0, 1, 2]]))
    assert answers.tolist() == [[IGNORED, IGNORED, IGNORED, 1, 2, IGNORED]]


def test_rows_repeat_with_different_periods_from_different_places():
    """Two rounds or more, after tokens that do not come again: what followed a token before
    follows it now."""
    rows = repeated_rows(8, 400, 12, np.random.default_rng(0)).tolist()
    found = set()
    for row in rows:
        period = next(p for p in range(2, 7) if row[-p:] == row[-2 * p : -p])
        start = next(n for n in range(12) if row[n + period :] == row[n:-period])
        assert len(set(row[: start + period])) == start + period
        found.add((period, start))
    assert {p for p, _ in found} == {2, 3, 4, 5, 6} and (2, 6) in found and (2, 0) in found
    for row, answers in zip(rows, next_tokens(np.array(rows)).tolist(), strict=True):
        for at, answer in enumerate(answers):
            last = max((k for k in range(at) if row[k] == row[at]), default=None)
            assert answer == (IGNORED if last is None or at == 11 else row[last + 1])


@pytest.mark.parametrize(("n_vocab", "n_pos"), [(1, 1), (1, 5), (2, 3), (3, 1), (2, 9)])
def test_few_tokens_and_short_rows_repeat_too(n_vocab, n_pos):
    """As well as they can."""
    rows = repeated_rows(n_vocab, 20, n_pos, np.random.default_rng(0))
    assert rows.shape == (20, n_pos) and rows.min() >= 0 and rows.max() < n_vocab


def test_second_rounds_are_held_out_halves_said_twice():
    """Different tokens, then the same; answers in the second half alone. Too few tokens are
    refused."""
    program = load(zoo.entry("induction").path)
    todo = task(program, Domain(tuple("abcdefgh"), 8, True), "repeated")
    found = second_rounds(todo, 50)
    assert len(found) == 50 and is_held_out(found.ids).all()
    assert (found.ids[:, :4] == found.ids[:, 4:]).all()
    assert all(len(set(row)) == 4 for row in found.ids[:, :4].tolist())
    assert (found.answers[:, :4] == IGNORED).all() and (found.answers[:, 7] == IGNORED).all()
    assert (found.answers[:, 4:7] == found.ids[:, 5:]).all()
    with pytest.raises(RaspValueError, match="half the length is 4; there are 3"):
        second_rounds(task(program, Domain(tuple("abc"), 8, True), "repeated"), 5)


def test_a_language_model_is_causal_and_speaks_its_vocabulary():
    """Bidirectional ones are refused; the classes are the tokens."""
    program = load(zoo.entry("induction").path)
    with pytest.raises(RaspValueError, match="next token"):
        task(program, Domain(tuple("abcd"), 8), "repeated")
    assert task(program, Domain(tuple("abcd"), 8, True), "repeated").classes == tuple("abcd")


def test_attention_only_models_learn_and_come_back(tmp_path):
    """d_mlp 0: no neuron runs, the checkpoint says so."""
    wanted = tiny("hist", d_mlp=0, steps=60, lr=5e-3)
    model = fit(wanted, task_of(wanted), tmp_path, "cpu")
    again = load_model(tmp_path, "cpu")
    assert again.lens.cfg.attn_only and again.recipe == wanted
    assert again.run_batch(["abc", "aab"]) == model.run_batch(["abc", "aab"])
    assert json.loads((tmp_path / RECORD).read_text())["config"]["d_mlp"] == 0


@pytest.mark.parametrize("changes", [{"norm": "RMS"}, {"norm": "LNPre"}, {"norm": "none"},
                                     {"act": "relu"}, {"causal": True}])  # fmt: skip
def test_settings_of_the_transformer_are_used(tmp_path, changes):
    """Norms, activations and direction reach the model, which trains and comes back."""
    given = {k: None if v == "none" else v for k, v in changes.items()}
    wanted = tiny(steps=3, **given)
    model = fit(wanted, task_of(wanted), tmp_path, "cpu")
    cfg = load_model(tmp_path, "cpu").lens.cfg
    assert cfg.normalization_type == wanted.norm and cfg.act_fn == wanted.act
    assert cfg.attention_dir == ("causal" if wanted.causal else "bidirectional")
    assert not math.isnan(model.accuracy)


def test_longer_inputs_than_trained_on_are_measured():
    """Trained up to 3 of 6 tokens: accuracies for every length, those beyond are lower."""
    wanted = tiny(max_len=6, train_len=3, steps=150, lr=5e-3)
    todo = task_of(wanted)
    assert todo.sample(50, 0, lengths=wanted.trained_lengths).lengths.max() == 3
    found = accuracy_by_length(fit(wanted, todo, device="cpu"), todo)
    assert {3, 4, 5, 6} <= set(found) and found[6] < found[3]


def test_rare_answers_are_sampled_more():
    """dyck1 of random brackets is balanced at few positions; the sample has more of them."""
    entry = zoo.entry("dyck1")
    todo = task(load(entry.path), entry.domain)
    rng = np.random.default_rng(0)
    plain = todo.answers(rng.integers(0, 2, (4000, 12)))
    sampled = todo.sample(4000, 0, lengths=range(12, 13)).answers
    balanced = todo.classes.index("T")
    assert (sampled == balanced).mean() > 1.3 * (plain == balanced).mean()


def test_coverage_counts_by_hand():
    """hist on the inputs of one length: widths, values and lengths as counted here."""
    todo = task(load(zoo.entry("hist").path), Domain(tuple("ab"), 2))
    examples = todo.sample(40, 0)
    found = coverage(todo, examples)
    pairs = examples.ids[examples.lengths == 2]
    equal = int((pairs[:, 0] == pairs[:, 1]).sum())
    assert found.lengths == {1: int((examples.lengths == 1).sum()), 2: len(pairs)}
    assert found.values == {1: found.lengths[1] + 2 * (len(pairs) - equal), 2: 2 * equal}
    assert found.positions == (2, 2)
    assert found.rows == {"same": (0, found.values[1], found.values[2])}
    assert "rows of same: empty 0.0%" in str(found)
    assert json.loads(json.dumps(found.to_json()))["lengths"]["2"] == len(pairs)


@pytest.mark.parametrize("name", ["hist", "count_a", "hist_so_far", "pair_balance"])
def test_rare_values_are_classes_and_are_met(name):
    """The highest counts of four letters at length 8 are one input in thousands; numbers that
    differ by rounding only are one class."""
    entry = zoo.entry(name)
    todo = task(load(entry.path), entry.domain)
    values = coverage(todo, todo.sample(8_000, 0)).values
    assert min(values.values()) > 0
    assert len({round(float(v), 9) for v in values}) == len(values)
    if name != "pair_balance":
        assert max(values) == entry.domain.max_len and values[max(values)] > 10


def test_held_out_inputs_begin_with_any_token():
    """The sample is a random one of those held out, not the first in some order."""
    todo = task(load(zoo.entry("reverse").path), zoo.entry("reverse").domain)
    examples = todo.sample(400, 0, True, range(8, 9))
    shares = np.bincount(examples.ids[:, 0], minlength=4) / len(examples)
    assert shares.min() > 0.15 and shares.max() < 0.35


def test_a_vocabulary_that_the_program_does_not_take_is_told():
    """With the program's place, by training and by matching alike."""
    program = load(zoo.entry("addition").path)
    with pytest.raises(RaspValueError, match="does not take the vocabulary") as told:
        task(program, Domain(tuple("ab"), 3))
    assert told.value.span and "begins with 'a', 'b'" in told.value.hint


def test_impossible_recipes_are_refused():
    """Before anything is built."""
    for wrong in ({"inputs": "text"}, {"train_len": 99}, {"d_mlp": -1}, {"seed": -1}, {"lr": "1"},
                  {"vocab": 3}, {"supervise": "L0H0"}, {"causal": 1}, {"sise": 2}):  # fmt: skip
        with pytest.raises(ValueError, match=next(iter(wrong))):
            recipe("hist", **wrong)

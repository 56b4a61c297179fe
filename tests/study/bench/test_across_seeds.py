"""Verdicts over several seeds of training."""

import json

import pytest

import rasplab
from rasplab.apps.cli.parser import main
from rasplab.base.errors import RaspValueError
from rasplab.model.recipe import recipe
from rasplab.program import zoo
from rasplab.study.bench.across_seeds import Seeds, judge_seeds
from rasplab.study.heads.verdict import judge

TINY = {"max_len": 4, "vocab": "abc", "steps": 60, "d_model": 16, "d_mlp": 16, "batch": 64}


@pytest.fixture(scope="module")
def evidence():
    """Of the compiled hist, whose one head implements its one selector."""
    entry = zoo.entry("hist")
    compiled = rasplab.compile(rasplab.load(entry.path), entry.domain.vocab, entry.domain.max_len)
    return judge(compiled.to_model("cpu"), compiled.program, pairs=30)


def test_three_seeds_accept_what_two_do_not(evidence):
    """The same verdict on each, of enough seeds."""
    two, three = (Seeds(tuple(range(n)), (evidence,) * n) for n in (2, 3))
    assert three.accepted("same") and not two.accepted("same")
    assert [str(f.head) for f in three.best("same")] == ["L0H0"] * 3
    assert "accepted" in str(three).splitlines()[1] and "accepted" not in str(two).splitlines()[1]
    assert json.loads(json.dumps(three.to_json(), allow_nan=False))["accepted"] == {"same": True}


def test_one_seed_without_it_is_enough_to_refuse(evidence, tmp_path):
    """Two compiled models and an untrained one."""
    program = rasplab.load(zoo.entry("hist").path)
    found = judge_seeds(recipe("hist", **TINY), program, (0, 1), tmp_path, 30, progress=False)
    mixed = Seeds((0, 1, 2), (evidence, evidence, found.evidence[0]))
    assert not mixed.accepted("same") and mixed.best("same")[2].verdict != "implements"


def test_models_that_are_there_are_not_trained_again(tmp_path, monkeypatch):
    """A second call reads both; the same verdicts come out."""
    program, wanted = rasplab.load(zoo.entry("hist").path), recipe("hist", **TINY)
    first = judge_seeds(wanted, program, (0, 1), tmp_path, 30, progress=False)
    assert len(list(tmp_path.iterdir())) == 2
    monkeypatch.setattr("rasplab.study.bench.across_seeds.trained", None)
    again = judge_seeds(wanted, program, (0, 1), tmp_path, 30, progress=False)
    assert again.to_json() == first.to_json()


def test_seeds_that_tell_nothing_are_refused(tmp_path):
    """One seed, or one twice."""
    program, wanted = rasplab.load(zoo.entry("hist").path), recipe("hist", **TINY)
    for seeds in ((0,), (1, 1)):
        with pytest.raises(RaspValueError, match="two or more different seeds"):
            judge_seeds(wanted, program, seeds, tmp_path)


def test_a_compiled_model_has_no_other_seeds(tmp_path, capsys):
    """It was not trained; the sentence says what to take instead."""
    assert main(["compile", "hist", "-o", str(tmp_path / "hist")]) == 0
    capsys.readouterr()
    assert main(["match", str(tmp_path / "hist"), "hist", "--seeds", "3"]) != 0
    assert "rasplab train" in capsys.readouterr().err

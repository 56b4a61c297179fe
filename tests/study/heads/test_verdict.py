"""The three strengths of a match, on compiled models, whose answer is known."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from support.compiled import compiled as compiled_zoo

from rasplab.base.errors import RaspError, RaspValueError
from rasplab.lang.loading import load
from rasplab.model.checkpoint import load_model
from rasplab.model.native import reinitialised
from rasplab.program import zoo
from rasplab.study.bench.calibration import true_heads
from rasplab.study.heads.verdict import judge

CALIBRATED = [
    "length",
    "reverse",
    "hist",
    "double_hist",
    "sort",
    "shift_1",
    "shift_2",
    "copy_first",
    "count_a",
    "frac_prevs",
    "pair_balance",
    "has_seen",
    "induction",
    "detect_abc",
    "hist_so_far",
]


def implementing(evidence):
    """By selector node: the heads with the verdict `implements`; selectors without one left out."""
    by_node = {s.node: set(evidence.implementing(s.node)) for s in evidence.table.selectors}
    return {node: heads for node, heads in by_node.items() if heads}


@pytest.mark.usefixtures("unchecked_annotations")
@pytest.mark.parametrize("name", CALIBRATED)
def test_the_true_heads_implement_and_no_other(name):
    """Rotated, heads shuffled, and beside decoys that attend alike: the verdicts are the layout."""
    compiled = compiled_zoo(name).with_decoys(1).shuffled_heads(2).rotated(3)
    evidence = judge(compiled.to_model("cpu"), compiled.program, pairs=60)
    assert implementing(evidence) == true_heads(compiled)
    assert evidence.accuracy.value == 1.0


def test_decoys_look_alike_and_are_refuted():
    """What nothing reads scores as its twin on the screen and 0 at interchange."""
    compiled = compiled_zoo("reverse").with_decoys(1)
    evidence = judge(compiled.to_model("cpu"), compiled.program, pairs=60)
    twin, decoy = (evidence.of(head, "flip") for head in ("L1H0", "L1H1"))
    assert twin.verdict == "implements" and decoy.verdict == "refuted"
    assert decoy.score == pytest.approx(twin.score) and twin.score > 0.99
    assert decoy.accuracy.worst.high < 0.1
    assert decoy.substitution.necessity.value == 1.0 > twin.substitution.necessity.value


def test_a_liar_that_is_read_is_refuted_too():
    """The model of shift_2, held against shift_1: its head is read, and selects otherwise."""
    model, other = compiled_zoo("shift_2").to_model("cpu"), load(zoo.entry("shift_1").path)
    evidence = judge(model, other, pairs=60)
    assert [f.verdict for row in evidence.findings for f in row] == ["refuted"]


@pytest.mark.parametrize("name", ["reverse", "hist", "sort", "detect_abc"])
def test_untrained_models_implement_nothing(name):
    """The same shapes with weights drawn anew."""
    compiled = compiled_zoo(name)
    evidence = judge(reinitialised(compiled.to_model("cpu"), 3), compiled.program, pairs=60)
    assert not implementing(evidence)


def test_noise_that_leaves_the_answers_leaves_the_verdicts():
    """Every weight off by about 1e-4 of its size."""
    compiled = compiled_zoo("hist").with_noise(1e-4, 1)
    evidence = judge(compiled.to_model("cpu"), compiled.program, pairs=60)
    assert implementing(evidence) == true_heads(compiled)


def test_repeated_heads_are_found_together():
    """Two heads with the same pattern and half the output each: neither alone, both jointly."""
    compiled = compiled_zoo("reverse")
    w = compiled.weights
    halves = {n: np.concatenate([getattr(w, n)] * 2, 1) for n in ("W_Q", "W_K", "W_V")}
    halves |= {n: np.concatenate([getattr(w, n)] * 2, 1) for n in ("b_Q", "b_K", "b_V")}
    halves["W_O"] = np.concatenate([w.W_O / 2] * 2, 1)
    model = replace(compiled, weights=replace(w, **halves)).to_model("cpu")
    evidence = judge(model, compiled.program, pairs=60)
    finding = evidence.of("L1H0", "flip")
    assert [str(h) for h in evidence.implementing("flip")] == ["L1H0", "L1H1"]
    assert [str(h) for h in finding.heads] == ["L1H0", "L1H1"]
    assert finding.alone.worst.value < 0.9 < finding.accuracy.worst.value


def test_neighbours_in_a_chain_are_told_apart():
    """sort's last head depends on the first selector alone: rows swapped at some positions tell."""
    compiled = compiled_zoo("sort")
    evidence = judge(compiled.to_model("cpu"), compiled.program, pairs=60)
    last = max(h for heads in true_heads(compiled).values() for h in heads)
    first = compiled.layout.heads[0][2].selector
    families = dict(evidence.of(last, first).accuracy.families)
    assert families["input"].value > 0.9 > 0.7 > families["rows"].value
    assert evidence.of(last, first).verdict != "implements"


def test_evidence_prints_and_serialises():
    """Verdicts by head and selector; JSON has no nan; equal seeds give equal evidence."""
    compiled = compiled_zoo("hist")
    model = compiled.to_model("cpu")
    one, two = (judge(model, compiled.program, pairs=30, seed=4) for _ in range(2))
    text = json.dumps(one.to_json(), allow_nan=False)
    assert text == json.dumps(two.to_json(), allow_nan=False)
    row = json.loads(text)["findings"][0][0]
    assert row["verdict"] == "implements" and row["interchange"]["families"]["input"]["pairs"] > 20
    put = row["substitution"]
    assert put["controls"]["uniform"]["value"] < put["sufficiency"]["value"]
    assert "L0H0 implements same" in str(one)


@pytest.mark.usefixtures("unchecked_annotations")
def test_the_induction_model_has_the_textbook_circuit():
    """Heads of layer 0 look one token back together, those of layer 1 behind a repeat."""
    model = load_model(zoo.shipped("circuits") / "trained" / "induction", "cpu")
    evidence = judge(model, load(zoo.entry("induction").path), pairs=60)
    assert evidence.accuracy.value > 0.99
    previous, _, after = evidence.table.selectors
    for selector, layer in ((previous, 0), (after, 1)):
        findings = [f for row in evidence.findings for f in row if f.selector == selector]
        best = max(findings, key=lambda f: f.accuracy.worst.value)
        assert {h.layer for h in best.heads} == {layer} and len(best.heads) > 1
        assert best.accuracy.worst.low > 0.5 and best.untrained.value < 0.1
        assert best.substitution.sufficiency.value > 0.95 > 0.8 > best.substitution.jointly.value
        assert best.substitution.imposed.value > 0.8 and best.substitution.margin > 0.3
        assert best.verdict == "consistent"
        others = [f for f in findings if f.head.layer != layer]
        assert all(f.verdict == "refuted" for f in others)
    scores = evidence.table.score[:, 2]
    assert scores[4:].max() > 0.9 and scores[:4].max() < 0.1


def test_a_program_of_another_task_is_refused():
    """hist's answers are no outputs of a model of reverse; a program may not take its tokens."""
    model = compiled_zoo("reverse").to_model("cpu")
    with pytest.raises(RaspValueError, match="no output of this model"):
        judge(model, load(zoo.entry("hist").path))
    with pytest.raises(RaspError):
        judge(model, load(zoo.entry("addition").path))


def test_weights_that_are_no_numbers_are_told():
    """nan anywhere makes every comparison false; the parameter is named."""
    compiled = compiled_zoo("hist")
    model = compiled.to_model("cpu")
    with torch.no_grad():
        next(model.lens.parameters())[0, 0] = float("nan")
    with pytest.raises(RaspValueError, match="nan"):
        judge(model, compiled.program)

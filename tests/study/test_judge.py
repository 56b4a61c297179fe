"""The three strengths of a match, on compiled models, whose answer is known."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

import rasplab
from rasplab.base.errors import RaspError, RaspValueError
from rasplab.lang.loading import load
from rasplab.model.bridge import reinitialised
from rasplab.model.checkpoint import load_model
from rasplab.model.interventions import attending
from rasplab.program import zoo
from rasplab.program.batch.evaluate import FAULT, evaluate_batch
from rasplab.program.graph import Aggregate, Builder, Indices, Select, SelectorWidth, Tokens
from rasplab.study.bench.calibration import true_heads
from rasplab.study.heads.counterfactuals import FAMILIES, Swap, candidates, readings
from rasplab.study.heads.interchange import MIN_PAIRS, Bench, estimate, set_up
from rasplab.study.heads.qk_interchange import operands
from rasplab.study.heads.verdict import judge

CALIBRATED = (
    "length", "reverse", "hist", "double_hist", "sort", "shift_1", "shift_2", "copy_first",
    "count_a", "frac_prevs", "pair_balance", "has_seen", "induction", "detect_abc", "hist_so_far",
)  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Models this small are quickest on one thread, also beside other work."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def compiled_zoo(name):
    """A zoo program, compiled for its domain."""
    entry = zoo.entry(name)
    domain = entry.domain
    return rasplab.compile(load(entry.path), domain.vocab, domain.max_len, causal=domain.causal)


def implementing(evidence):
    """By selector node: the heads with the verdict `implements`; selectors without one left out."""
    found = {s.node: set(evidence.implementing(s.node)) for s in evidence.table.selectors}
    return {node: heads for node, heads in found.items() if heads}


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


def test_a_control_that_is_the_selector_is_none():
    """shift_1 selects the previous token, which elsewhere is a control."""
    controls = {}
    for name in ("shift_1", "shift_2"):
        compiled = compiled_zoo(name)
        evidence = judge(compiled.to_model("cpu"), compiled.program, pairs=30)
        controls[name] = dict(evidence.findings[0][0].substitution.controls)
        assert evidence.findings[0][0].substitution.margin > 0.3
    assert set(controls["shift_2"]) - set(controls["shift_1"]) == {"previous token"}


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
    found = evidence.of("L1H0", "flip")
    assert [str(h) for h in evidence.implementing("flip")] == ["L1H0", "L1H1"]
    assert [str(h) for h in found.heads] == ["L1H0", "L1H1"]
    assert found.alone.worst.value < 0.9 < found.accuracy.worst.value


def test_neighbours_in_a_chain_are_told_apart():
    """sort's last head depends on the first selector alone: rows swapped at some positions tell."""
    compiled = compiled_zoo("sort")
    evidence = judge(compiled.to_model("cpu"), compiled.program, pairs=60)
    last = max(h for heads in true_heads(compiled).values() for h in heads)
    first = compiled.layout.heads[0][2].selector
    found = dict(evidence.of(last, first).accuracy.families)
    assert found["input"].value > 0.9 > 0.7 > found["rows"].value
    assert evidence.of(last, first).verdict != "implements"


@pytest.mark.parametrize("name", ["reverse", "most_freq", "dyck2", "induction", "addition"])
def test_operands_of_true_heads_do_what_the_interpreter_says(name):
    """Queries alone and keys alone, wherever a program's values stay such as inputs give."""
    compiled = compiled_zoo(name)
    bench, sides = set_up(compiled.to_model("cpu"), compiled.program, pairs=60), 0
    true = true_heads(compiled)
    whole = {reading.selector: r for r, reading in reversed(list(enumerate(bench.readings)))}
    for selector, r in whole.items():
        found = operands(bench, tuple(sorted(true[selector])), r)
        for side in (found.queries, found.keys):
            assert side.value == 1.0 or not side.pairs
            sides += side.pairs >= MIN_PAIRS
        assert found.arbitrary.value < 0.3 or not found.arbitrary.pairs
    assert sides >= len(whole)


def test_operands_of_a_decoy_do_nothing():
    """A twin with the same queries and keys, whose output nothing reads."""
    compiled = compiled_zoo("reverse").with_decoys(1)
    found = judge(compiled.to_model("cpu"), compiled.program, pairs=60)
    true, decoy = (found.of(head, "flip").operands for head in ("L1H0", "L1H1"))
    assert true.queries.value == true.keys.value == 1.0
    assert decoy.queries.value == decoy.keys.value == 0.0
    assert "operands alone: queries 1.00" in str(found)


def test_a_read_selector_is_read_instead():
    """hist where every position reads a shift instead: 1 everywhere but at the start."""
    program, ids = load(zoo.entry("hist").path), np.array([[0, 0, 1], [2, 2, 2]])
    node = next(i for i, n in enumerate(program.nodes) if isinstance(n, SelectorWidth))
    shift = np.broadcast_to(np.eye(3, k=-1, dtype=bool), (2, 3, 3))
    trace = evaluate_batch(program, ids, "abc", reads={node: shift})
    assert [trace.output.row(i) for i in range(2)] == [[0, 1, 1]] * 2
    with pytest.raises(ValueError, match="reads no selector"):
        evaluate_batch(program, ids, "abc", reads={0: shift})
    with pytest.raises(ValueError, match="shape"):
        evaluate_batch(program, ids, "abc", reads={node: shift[:, :2]})


@pytest.mark.parametrize("name", ["sort", "dyck1", "hist_so_far", "induction"])
def test_reading_the_selector_itself_changes_nothing(name):
    """Every reader given what it reads anyway, on random inputs."""
    entry = zoo.entry(name)
    program, domain = load(entry.path), entry.domain
    ids = np.random.default_rng(0).integers(0, len(domain.vocab), (40, domain.max_len))
    plain = evaluate_batch(program, ids, domain.vocab, domain.causal)
    reads = {
        reader: np.broadcast_to(plain.selector(r.selector), (*ids.shape, domain.max_len))
        for r in readings(program)
        for reader in r.readers
    }
    again = evaluate_batch(program, ids, domain.vocab, domain.causal, reads)
    assert [again.output.row(i) for i in range(40)] == [plain.output.row(i) for i in range(40)]


def test_what_cannot_be_computed_is_a_fault_where_it_stands():
    """The mean of two letters at one position; the letters elsewhere stay."""
    b = Builder()
    t, i = b.add(Tokens()), b.add(Indices())
    node = b.add(Aggregate(b.add(Select(i, i, "==")), t))
    two = np.eye(3, dtype=bool)[None].copy()
    two[0, 1, 0] = True
    trace = evaluate_batch(b.program(node), np.array([[0, 1, 2]]), "abc", reads={node: two})
    assert trace.output.row(0) == ["a", FAULT, "c"]


def test_rows_and_keys_move_together_in_selectors_and_patterns():
    """A pattern of a swapped selector is the swapped pattern of the selector."""
    rng = np.random.default_rng(0)
    for swap in candidates(zoo.entry("sort").domain, seed=1):
        swap = swap.take(np.arange(20))
        m = swap.sources.shape[1]
        selector = rng.random((20, m, m)) < 0.4
        moved = attending(swap.moved(selector))[:, None, 1:]
        np.testing.assert_allclose(swap.moved_patterns(attending(selector)[:, None]), moved)


def test_swapped_rows_by_hand():
    """Row 0 of the source at position 1 of the input, and no key beyond the source's end."""
    swap = Swap(
        "length", np.zeros((1, 3), int), np.zeros((1, 2), int), np.array([[1, 0, 0]]),
        np.broadcast_to(np.arange(2), (1, 3, 2)),
    )  # fmt: skip
    moved = swap.moved(np.array([[[True, False], [True, True]]]))
    assert moved.astype(int).tolist() == [[[1, 1, 0], [1, 0, 0], [1, 0, 0]]]


def test_causal_swaps_never_look_ahead():
    """No moved row of a causal selector sees a key after its position."""
    entry = zoo.entry("hist_so_far")
    for swap in candidates(entry.domain, seed=0):
        trace = evaluate_batch(load(entry.path), swap.sources, entry.domain.vocab, causal=True)
        n = swap.ids.shape[1]
        assert not (swap.moved(trace.selector(1)) & ~np.tri(n, dtype=bool)).any()


def test_every_family_and_reading_is_drawn():
    """Pairs of each family; each has a reading whose prediction it changes."""
    compiled = compiled_zoo("induction")
    bench = set_up(compiled.to_model("cpu"), compiled.program, pairs=40)
    assert {s.family for s in bench.swaps} == set(FAMILIES)
    assert len(bench.readings) == 5  # the shift is read twice: together, and each alone
    for r in range(5):
        assert any(p[r].changed.any() for p in bench.predictions)


def test_intervals_cover():
    """Of 200 shares of 60 pairs with a known share, about 95% lie in their interval."""
    rng, covered = np.random.default_rng(0), 0
    swaps = (Swap("input", np.zeros((60, 1), int), *[np.zeros((60, 1), int)] * 3),)
    for seed in range(200):
        bench = Bench(None, None, seed, (), swaps, (), (), ())
        found = estimate(bench, rng.binomial(4, 0.7, 60), np.full(60, 4))
        covered += found.low <= 0.7 <= found.high
    assert 186 <= covered <= 200


def test_certainty_needs_pairs():
    """All of 20 pairs right: at least 0.83; of none: nothing is known."""
    swaps = (Swap("input", np.zeros((20, 1), int), *[np.zeros((20, 1), int)] * 3),)
    bench = Bench(None, None, 0, (), swaps, (), (), ())
    found = estimate(bench, np.ones(20), np.ones(20))
    assert found.value == found.high == 1.0 and 0.8 < found.low < 0.9
    nothing = estimate(bench, np.zeros(20), np.zeros(20))
    assert (nothing.low, nothing.high, nothing.pairs) == (0.0, 1.0, 0)


def test_a_counting_pattern_by_hand():
    """Two keys and BOS a third each; no key: BOS alone."""
    pattern = attending(np.array([[True, True], [False, False]]), counts=True)
    np.testing.assert_allclose(pattern, [[1, 0, 0], [1 / 3, 1 / 3, 1 / 3], [1, 0, 0]])


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


def test_the_induction_model_has_the_textbook_circuit():
    """A language model, on sequences that repeat: heads of the first layer together are the
    previous token to it, heads of the second what came after the last occurrence."""
    model = load_model(zoo.shipped("circuits") / "trained" / "induction", "cpu")
    evidence = judge(model, load(zoo.entry("induction").path), pairs=60)
    assert evidence.accuracy.value > 0.99
    previous, _, after = evidence.table.selectors
    for selector, layer in ((previous, 0), (after, 1)):
        found = [f for row in evidence.findings for f in row if f.selector == selector]
        best = max(found, key=lambda f: f.accuracy.worst.value)
        assert {h.layer for h in best.heads} == {layer} and len(best.heads) > 1
        assert best.accuracy.worst.low > 0.5 and best.untrained.value < 0.1
        assert best.substitution.sufficiency.value > 0.95 > 0.8 > best.substitution.jointly.value
        assert best.substitution.imposed.value > 0.8 and best.substitution.margin > 0.3
        assert best.verdict == "consistent"
        others = [f for f in found if f.head.layer != layer]
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

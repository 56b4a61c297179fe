"""Swapped selectors: rows and keys by hand, and what the interpreter says to them."""

import numpy as np
import pytest

from rasplab.lang.loading import load
from rasplab.model.interventions import attending
from rasplab.program import zoo
from rasplab.program.batch.evaluate import FAULT, evaluate_batch
from rasplab.program.graph import Aggregate, Builder, Indices, Select, SelectorWidth, Tokens
from rasplab.study.heads.counterfactuals import SwapBatch, drawn_swaps, selector_readings


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
        for r in selector_readings(program)
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
    for batch in drawn_swaps(zoo.entry("sort").domain, seed=1):
        batch = batch.take(np.arange(20))
        m = batch.sources.shape[1]
        selector = rng.random((20, m, m)) < 0.4
        moved = attending(batch.moved(selector))[:, None, 1:]
        np.testing.assert_allclose(batch.moved_patterns(attending(selector)[:, None]), moved)


def test_swapped_rows_by_hand():
    """Row 0 of the source at position 1 of the input, and no key beyond the source's end."""
    batch = SwapBatch(
        "length",
        np.zeros((1, 3), int),
        np.zeros((1, 2), int),
        np.array([[1, 0, 0]]),
        np.broadcast_to(np.arange(2), (1, 3, 2)),
    )
    moved = batch.moved(np.array([[[True, False], [True, True]]]))
    assert moved.astype(int).tolist() == [[[1, 1, 0], [1, 0, 0], [1, 0, 0]]]


def test_causal_swaps_never_look_ahead():
    """No moved row of a causal selector sees a key after its position."""
    entry = zoo.entry("hist_so_far")
    for batch in drawn_swaps(entry.domain, seed=0):
        trace = evaluate_batch(load(entry.path), batch.sources, entry.domain.vocab, causal=True)
        n = batch.ids.shape[1]
        assert not (batch.moved(trace.selector(1)) & ~np.tri(n, dtype=bool)).any()

"""Similarity of a pattern and a selector, by hand."""

import numpy as np
import pytest

from rasplab.program.batch.evaluate import evaluate_batch
from rasplab.program.graph import (
    Aggregate,
    Builder,
    Constant,
    Indices,
    Map,
    Select,
    Tokens,
)
from rasplab.study.heads.similarity import similarity, unambiguous, without_bos


def test_similarity_is_one_minus_total_variation():
    """By hand: rows (1/2, 1/2) and, without BOS, (0.25, 0.75); and an empty row, meaning BOS."""
    patterns = np.array([[[[0.2, 0.2, 0.6], [0.5, 0.25, 0.25]]]])
    selector = np.array([[[True, True], [False, False]]])
    full, rows = similarity(patterns, selector, with_bos=True)
    assert full == pytest.approx([(0.2 + 0.5) + 0.5]) and rows == 2
    bare, rows = similarity(without_bos(patterns), selector, with_bos=False)
    assert bare == pytest.approx([0.25 + 0.5]) and rows == 1


def test_a_head_wholly_on_bos_is_like_no_selector():
    """Taking BOS out leaves nothing to rescale."""
    patterns = np.array([[[[1.0, 0.0, 0.0]]]])
    assert similarity(without_bos(patterns), np.ones((1, 1, 2), bool), with_bos=False)[0] == [0]


def test_later_keys_make_nothing_ambiguous_where_they_are_not_seen():
    """The previous token's token comes again later: a causal head could not attend there."""
    b = Builder()
    i, t = b.add(Indices()), b.add(Tokens())
    before = b.add(Select(i, b.add(Map("-", (i, b.add(Constant(1))))), "=="))
    program, ids = b.program(b.add(Aggregate(before, t))), np.array([[0, 1, 0, 2]])
    node = next(n for n in range(len(program.nodes)) if program.is_selector(n))
    rows = [unambiguous(evaluate_batch(program, ids, "abc", c), node)[0] for c in (False, True)]
    assert [r.astype(int).tolist() for r in rows] == [[1, 0, 1, 0], [1, 1, 1, 0]]

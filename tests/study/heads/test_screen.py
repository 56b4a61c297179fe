"""The match table: what each number means, shown on heads whose pattern is known."""

import json

import numpy as np
import pytest

import rasplab
from rasplab.base.errors import RaspValueError
from rasplab.model.interventions import attending, with_pattern
from rasplab.model.native import fresh_model
from rasplab.program import zoo
from rasplab.program.domain import Domain
from rasplab.program.graph import (
    Aggregate,
    Builder,
    Combine,
    Constant,
    Indices,
    Map,
    Select,
    SelectorWidth,
    Tokens,
)
from rasplab.study.bench.calibration import true_heads
from rasplab.study.heads.screen import VIEWS, PatternGroup, assignment, match
from rasplab.transformer.readout import Readout
from rasplab.transformer.sites import Site

ABC = Domain(("a", "b", "c"), 5)


def reverse():
    """The paper's reverse, node by node."""
    b = Builder()
    i, one = b.add(Indices()), b.add(Constant(1))
    full = b.add(Select(one, one, "=="))
    opposite = b.add(Map("-", (b.add(Map("-", (b.add(SelectorWidth(full)), one))), i)))
    flip = b.add(Select(i, opposite, "=="))
    return b.program(b.add(Aggregate(flip, b.add(Tokens()))), {"full": full, "flip": flip})


def hist():
    """How often the token here occurs."""
    b = Builder()
    t = b.add(Tokens())
    same = b.add(Select(t, t, "=="))
    return b.program(b.add(SelectorWidth(same)), {"same": same})


@pytest.fixture(scope="module")
def compiled_reverse():
    """reverse, compiled, in TransformerLens."""
    return rasplab.compile(reverse(), vocab="abc", max_len=5).to_model("cpu")


def test_a_compiled_head_is_its_selector(compiled_reverse):
    """The head that flips scores 1 on flip, every other head about 0."""
    table = match(compiled_reverse, reverse(), n=200)
    flip = [str(s) for s in table.selectors].index("flip")
    assert table.score[:, flip].max() > 0.999
    assert np.sort(table.score[:, flip])[-2] < 0.05
    best = next(b for b in table.best() if str(b.selector) == "flip")
    assert best.head == table.heads[int(table.score[:, flip].argmax())] and best.mass > 0.999


def test_a_head_that_counts_matches_without_bos():
    """hist's width head attends to BOS and equal tokens: 1 without BOS's column, less with it."""
    model = rasplab.compile(hist(), vocab="abc", max_len=5).to_model("cpu")
    table = match(model, hist(), n=200)
    assert table.score[0, 0] > 0.999 and VIEWS[table.view[0, 0]] == "without BOS"
    assert 0.3 < table.mass[0, 0] < 0.999


def test_a_selector_on_two_heads_is_found_together():
    """Two heads of sort share a selector: neither looks like it, what they write together does.

    One counts smaller tokens, the other earlier equal ones; both attend nearly all to BOS.
    """
    entry = zoo.entry("sort")
    program = rasplab.load(entry.path)
    compiled = rasplab.compile(program, entry.domain.vocab, entry.domain.max_len)
    table = match(compiled.to_model("cpu"), compiled.program, n=200)
    true = true_heads(compiled)
    for j, selector in enumerate(table.selectors):
        split = table.splits[j]
        if len(true[selector.node]) == 1:
            assert split is None
        else:
            assert set(split.heads) == true[selector.node] == set(table.alike(j))
            assert split.score > 0.999 > 0.6 > table.score[:, j].max()
    assert "what they write together scores 1.00" in str(table)
    assert [b.split for b in table.best()] == list(table.splits)


def test_what_is_written_needs_values():
    """A key that gives nothing is not written, however much attention it has."""
    patterns = np.array([[[[0.5, 0.25, 0.25]] * 2]])
    group = PatternGroup(patterns, patterns * [0.0, 0.0, 2.0], [], [])
    pattern, bare, written = (v[0, 0, 0].tolist() for v in group.views())
    assert (pattern, bare, written) == ([0.5, 0.25, 0.25], [0.5, 0.5], [0.0, 1.0])


def test_selecting_everything_is_no_evidence(compiled_reverse):
    """Every row selects every key: no control differs from it, so every score is 0."""
    table = match(compiled_reverse, reverse(), n=100)
    full = [str(s) for s in table.selectors].index("full")
    assert np.abs(table.score[:, full]).max() < 1e-6


def test_an_untrained_model_scores_at_chance():
    """Heads at random: no score beyond 0.2, on a positional selector and on one of content."""
    model = fresh_model(ABC, Readout(ABC.vocab), 2, 2, 16, 16, seed=0, device="cpu")
    for program in (reverse(), hist()):
        assert np.abs(match(model, program, n=300).score).max() < 0.2


def test_positional_selectors_are_known_as_such(compiled_reverse):
    """flip is the same for all inputs of a length, same is not."""
    assert all(s.positional for s in match(compiled_reverse, reverse(), n=50).selectors)
    assert not any(s.positional for s in match(compiled_reverse, hist(), n=50).selectors)


def test_the_assignment_maximises_the_sum():
    """Greedy would take (0, 0) first and end lower."""
    assert assignment(np.array([[0.9, 0.8], [0.7, 0.1]])) == [(1, 0), (0, 1)]
    assert assignment(np.array([[0.1, 0.9, -0.2]])) == [(0, 1)]


def test_the_table_prints_and_serialises(compiled_reverse):
    """Scores with controls, heads by site; JSON by the same names; equal seeds, equal tables."""
    table = match(compiled_reverse, reverse(), n=60, seed=3)
    text = str(table)
    assert "L1H0" in text and "flip" in text and "seed 3" in text
    row = json.loads(json.dumps(table.to_json()))
    assert row["best"]["flip"] in row["heads"] and np.shape(row["score"]) == table.score.shape
    assert (match(compiled_reverse, reverse(), n=60, seed=3).score == table.score).all()


def test_a_program_without_selectors_is_refused(compiled_reverse):
    """There is nothing to match."""
    b = Builder()
    with pytest.raises(RaspValueError, match="no selector"):
        match(compiled_reverse, b.program(b.add(Tokens())))


def test_only_selectors_that_are_read_count(compiled_reverse):
    """The parts of an `and` are not columns of their own."""
    b = Builder()
    t, i = b.add(Tokens()), b.add(Indices())
    both = b.add(Combine("and", (b.add(Select(t, t, "==")), b.add(Select(i, i, "<")))))
    table = match(compiled_reverse, b.program(b.add(SelectorWidth(both)), {"both": both}), n=50)
    assert [str(s) for s in table.selectors] == ["both"]


def test_a_replaced_pattern_changes_what_the_selector_would(compiled_reverse):
    """With the flip head attending to the same position instead, reverse gives the input back."""
    table = match(compiled_reverse, reverse(), n=60)
    head = next(b.head for b in table.best() if str(b.selector) == "flip")
    assert compiled_reverse.run("abca") == ["a", "c", "b", "a"]
    edited = with_pattern(compiled_reverse, "abca", head.layer, head.head, attending(np.eye(4)))
    assert edited == ["a", "b", "c", "a"]
    shifted = np.eye(4, k=-1)  # each query selects the position before; the first selects nothing
    edited = with_pattern(compiled_reverse, "abca", head.layer, head.head, attending(shifted))
    assert edited[1:] == ["a", "b", "c"]


def test_a_pattern_of_another_shape_is_refused(compiled_reverse):
    """With both shapes in the message."""
    with pytest.raises(ValueError, match=r"\(3, 3\)"):
        with_pattern(compiled_reverse, "abca", 0, 0, np.eye(3))
    with pytest.raises(ValueError, match="no head L9H0"):
        with_pattern(compiled_reverse, "abca", 9, 0, np.eye(5))


def test_heads_are_sites(compiled_reverse):
    """Layer by layer, in forward order."""
    heads = match(compiled_reverse, reverse(), n=30).heads
    assert heads[0] == Site("head", 0, 0) and list(heads) == sorted(heads)

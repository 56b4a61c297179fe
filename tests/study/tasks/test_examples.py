"""Tasks: answers of the interpreter, disjoint splits, samples with rare answers, repeats."""

import numpy as np
import pytest
from support.training import ABC, hist

from rasplab.base.errors import RaspError, RaspValueError
from rasplab.lang.loading import load, parse
from rasplab.program import zoo
from rasplab.program.domain import Domain
from rasplab.program.graph import (
    Aggregate,
    Builder,
    Constant,
    Indices,
    Map,
    Select,
    Tokens,
)
from rasplab.program.interpret.exact import evaluate
from rasplab.study.tasks.tasks import (
    IGNORED,
    is_held_out,
    next_tokens,
    repeated_rows,
    second_rounds,
    task,
)


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
        expected = evaluate(hist_task.program, [ABC.vocab[t] for t in ids[:n]]).output
        assert [hist_task.classes[c] for c in answers[:n]] == expected
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


def test_repeats_are_predicted_from_the_second_round_on():
    """abcabc: the next token from c on, but not at the end."""
    answers = next_tokens(np.array([[0, 1, 2, 0, 1, 2]]))
    assert answers.tolist() == [[IGNORED, IGNORED, IGNORED, 1, 2, IGNORED]]


def test_rows_repeat_with_different_periods_from_different_places():
    """Two rounds or more, after tokens that do not come again.

    What followed a token before follows it now.
    """
    rows = repeated_rows(8, 400, 12, np.random.default_rng(0)).tolist()
    drawn = set()
    for row in rows:
        period = next(p for p in range(2, 7) if row[-p:] == row[-2 * p : -p])
        start = next(n for n in range(12) if row[n + period :] == row[n:-period])
        assert len(set(row[: start + period])) == start + period
        drawn.add((period, start))
    assert {p for p, _ in drawn} == {2, 3, 4, 5, 6} and (2, 6) in drawn and (2, 0) in drawn
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
    """Different tokens, then the same; answers in the second half alone.

    Too few tokens are refused.
    """
    program = load(zoo.entry("induction").path)
    language_task = task(program, Domain(tuple("abcdefgh"), 8, True), "repeated")
    examples = second_rounds(language_task, 50)
    assert len(examples) == 50 and is_held_out(examples.ids).all()
    assert (examples.ids[:, :4] == examples.ids[:, 4:]).all()
    assert all(len(set(row)) == 4 for row in examples.ids[:, :4].tolist())
    assert (examples.answers[:, :4] == IGNORED).all() and (examples.answers[:, 7] == IGNORED).all()
    assert (examples.answers[:, 4:7] == examples.ids[:, 5:]).all()
    with pytest.raises(RaspValueError, match="half the length is 4; there are 3"):
        second_rounds(task(program, Domain(tuple("abc"), 8, True), "repeated"), 5)


def test_a_language_model_is_causal_and_speaks_its_vocabulary():
    """Bidirectional ones are refused; the classes are the tokens."""
    program = load(zoo.entry("induction").path)
    with pytest.raises(RaspValueError, match="next token"):
        task(program, Domain(tuple("abcd"), 8), "repeated")
    assert task(program, Domain(tuple("abcd"), 8, True), "repeated").classes == tuple("abcd")


def test_rare_answers_are_sampled_more():
    """dyck1 of random brackets is balanced at few positions; the sample has more of them."""
    entry = zoo.entry("dyck1")
    zoo_task = task(load(entry.path), entry.domain)
    rng = np.random.default_rng(0)
    plain = zoo_task.answers(rng.integers(0, 2, (4000, 12)))
    sampled = zoo_task.sample(4000, 0, lengths=range(12, 13)).answers
    balanced = zoo_task.classes.index("T")
    assert (sampled == balanced).mean() > 1.3 * (plain == balanced).mean()


def test_held_out_inputs_begin_with_any_token():
    """The sample is a random one of those held out, not the first in some order."""
    zoo_task = task(load(zoo.entry("reverse").path), zoo.entry("reverse").domain)
    examples = zoo_task.sample(400, 0, True, range(8, 9))
    shares = np.bincount(examples.ids[:, 0], minlength=4) / len(examples)
    assert shares.min() > 0.15 and shares.max() < 0.35


def test_a_vocabulary_that_the_program_does_not_take_is_told():
    """With the program's place, by training and by matching alike."""
    program = parse("r = tokens_int + 1;")
    with pytest.raises(RaspValueError, match="does not take the vocabulary") as raised:
        task(program, Domain(tuple("ab"), 3))
    assert raised.value.span and "begins with 'a', 'b'" in raised.value.hint

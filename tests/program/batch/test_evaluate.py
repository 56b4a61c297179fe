"""The batched interpreter says what the interpreter says, value by value, kind by kind."""

import numpy as np
import pytest

import rasplab
from rasplab.base.errors import RaspError
from rasplab.program import zoo
from rasplab.program.batch import evaluate as batch
from rasplab.program.batch.evaluate import evaluate_batch
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
from rasplab.program.interpret.bitrows import failed_bits, matrix
from rasplab.program.interpret.exact import evaluate
from rasplab.program.values import typed_key

VOCABS = [("a", "b", "c"), (0, 1, 2, -3), (0.1, 0.2, 0.3, 2.5), (True, False), (0, 0.5, True)]


def agree(program, ids, vocab, causal=False):
    """Assert equality on every node and input; returns how many inputs fault."""
    trace = evaluate_batch(program, ids, vocab, causal)
    for row, tokens in enumerate([[vocab[t] for t in r] for r in ids]):
        try:
            expected = evaluate(program, tokens, causal=causal)
        except RaspError as error:
            assert trace.faults[row], (error, tokens)
            continue
        assert not trace.faults[row], tokens
        for i in range(len(program.nodes)):
            if program.is_selector(i):
                selector = trace.selector(i)
                # cells that cannot be computed have no value
                valid = ~matrix(failed_bits(expected.columns[i]))
                np.testing.assert_array_equal(
                    selector[row if len(selector) > 1 else 0] & valid, expected.values[i] & valid
                )
            else:
                got = list(map(typed_key, trace[i].row(row)))
                assert got == list(map(typed_key, expected.values[i])), (
                    program.listing(),
                    tokens,
                    i,
                )
    return int(trace.faults.sum())


@pytest.mark.parametrize("name", list(zoo.entries("zoo")))
def test_the_zoo_in_batches(name):
    """Every node of every zoo program on a sample of its domain."""
    entry = zoo.entry(name)
    program = rasplab.load(entry.path)
    for n in {1, 2, entry.domain.max_len}:
        ids = np.random.default_rng(n).integers(0, len(entry.domain.vocab), (20, n))
        agree(program, ids, entry.domain.vocab, entry.domain.causal)


def random_program(rng):
    """Some nodes over random operands: many of them illegal on some input."""
    b = Builder()
    sops = [b.add(Tokens("asis")), b.add(Indices())]
    sops += [b.add(Constant(c)) for c in (1, 2.5, "a", True)]
    selectors = [b.add(Select(sops[1], sops[1], "<="))]
    for _ in range(10):
        x, y, z = (sops[i] for i in rng.integers(0, len(sops), 3))
        s, t = (selectors[i] for i in rng.integers(0, len(selectors), 2))
        match rng.integers(0, 8):
            case 0:
                sops.append(
                    b.add(Map(str(rng.choice(["+", "-", "*", "/", "%", "<", "==", "and"])), (x, y)))
                )
            case 1:
                sops.append(b.add(Map(str(rng.choice(["not", "neg", "round", "indicator"])), (x,))))
            case 2:
                sops.append(b.add(Map("if", (x, y, z))))
            case 3 | 4:
                selectors.append(b.add(Select(x, y, str(rng.choice(["==", "!=", "<", ">="])))))
            case 5:
                fn = str(rng.choice(["and", "or", "not"]))
                selectors.append(b.add(Combine(fn, (s,) if fn == "not" else (s, t))))
            case 6:
                sops.append(b.add(Aggregate(s, x, [0, 0.5, "-"][rng.integers(0, 3)])))
            case 7:
                sops.append(b.add(SelectorWidth(s)))
    return b.program(sops[-1])


@pytest.mark.parametrize("causal", [False, True])
def test_random_programs_in_batches(causal):
    """Random programs over tokens of every kind, faults included; both outcomes occur."""
    rng = np.random.default_rng(7)
    faulty = total = 0
    for trial in range(300):
        vocab = VOCABS[trial % len(VOCABS)]
        ids = rng.integers(0, len(vocab), (6, int(rng.integers(1, 6))))
        faulty, total = faulty + agree(random_program(rng), ids, vocab, causal), total + len(ids)
    assert 0.1 < faulty / total < 0.9


def test_chunks_do_not_show(monkeypatch):
    """A batch cut into pieces of two inputs gives what the whole gives."""
    program, vocab = rasplab.load(zoo.entry("sort").path), ("a", "b", "c", "d")
    ids = np.random.default_rng(0).integers(0, 4, (9, 5))
    whole = evaluate_batch(program, ids, vocab)
    monkeypatch.setattr(batch, "CHUNK_CELLS", 1)
    pieces = evaluate_batch(program, ids, vocab)
    assert [pieces.output.row(i) for i in range(9)] == [whole.output.row(i) for i in range(9)]


def test_large_sums_stay_exact():
    """Means of ints beyond 2^53 are rounded once, as Python rounds."""
    b = Builder()
    one = b.add(Constant(1))
    program = b.program(b.add(Aggregate(b.add(Select(one, one, "==")), b.add(Tokens("asis")))))
    vocab = (2**53 + 1, 3, -(2**62), 2**70)
    agree(program, np.array([[0, 1], [0, 0], [2, 1], [3, 2]]), vocab)


def test_the_first_fault_is_raised_as_the_interpreter_does():
    """raise_first_fault gives the interpreter's own message."""
    b = Builder()
    program = b.program(b.add(Map("/", (b.add(Constant(1)), b.add(Tokens("asis"))))))
    domain = Domain((0, 1), 2)
    trace = evaluate_batch(program, np.array([[1, 1], [1, 0]]), domain.vocab)
    assert trace.faults.tolist() == [False, True]
    with pytest.raises(RaspError, match="zero"):
        trace.raise_first_fault()


def test_what_no_input_influences_is_computed_once():
    """A positional selector has a batch of 1."""
    program = rasplab.load(zoo.entry("reverse").path)
    trace = evaluate_batch(program, np.zeros((50, 4), int), ("a", "b"))
    assert trace.selector("flip").shape == (1, 4, 4)

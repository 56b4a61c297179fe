"""Random programs of every kind, held against what they compute: a quick part of `make fuzz`."""

from __future__ import annotations

import pytest
from support import outcomes
from support.grammar_kinds import KINDS, drawn
from support.outcomes import EXACT, FAILURES, ILLEGAL, REFUSED, WRONG, graph_outcome, outcome

import rasplab
from rasplab.compiler.compiled import Compiled

SEEDS = 3


@pytest.mark.parametrize("kind", KINDS)
def test_programs_of_a_kind_are_what_they_compute(kind):
    """Interpreters, both bases, certificates, and `equal` for several outputs."""
    words = []
    for seed in range(SEEDS):
        program = drawn(seed, kind)
        result = outcome(program, check_verify=False)
        assert result.word not in FAILURES, f"seed {seed}: {result}\n{program.text}"
        words.append(result.word)
    assert {*words} <= {EXACT, REFUSED, ILLEGAL} and EXACT in words


def test_verify_and_run_all_agree_with_the_check():
    """The model of a program of several outputs, in TransformerLens."""
    rasplab.compile(rasplab.parse("r = tokens;"), "ab", 1).to_model(device="cpu")  # imports
    program = drawn(0, "several outputs")
    assert len(program.outputs) > 1 and outcome(program).word == EXACT


def test_graphs_are_what_the_batched_interpreter_computes():
    """Programs that are drawn as graphs, of every type of node."""
    assert not {graph_outcome(seed).word for seed in range(10)} & {*FAILURES}


def test_seeds_give_the_same_programs_again():
    """A program is a function of its seed and kind."""
    for kind in KINDS:
        a, b = drawn(7, kind), drawn(7, kind)
        assert (a.text, a.vocab, a.max_len, a.outputs) == (b.text, b.vocab, b.max_len, b.outputs)
        assert a.expected(a.inputs()[-1]) == b.expected(b.inputs()[-1])


def test_a_wrong_model_is_noticed(monkeypatch):
    """With every readout's values shifted by one class, no program of several values is exact."""
    original = outcomes.check_compiled

    def shifted(compiled: Compiled, batches):
        values = compiled.readout.classes
        turned = values[1:] + values[:1]
        object.__setattr__(compiled.readout, "values", turned)
        original(compiled, batches)

    monkeypatch.setattr(outcomes, "check_compiled", shifted)
    assert outcome(drawn(0, "orders"), check_verify=False).word == WRONG


def test_an_endless_program_is_stopped(monkeypatch):
    """What takes too long is an outcome of its own."""

    def endless(*_, **__):
        while True:
            pass

    monkeypatch.setattr(outcomes, "SECONDS", 0.2)
    monkeypatch.setattr(rasplab, "compile", endless, raising=False)
    assert outcome(drawn(0, "orders"), check_verify=False).word == "too slow"

"""Queries alone and keys alone, on compiled models, whose heads are known."""

import pytest
from support.compiled import compiled as compiled_zoo

from rasplab.program.semantics import Semantics
from rasplab.study.bench.calibration import true_heads
from rasplab.study.heads.interchange import MIN_PAIRS, set_up
from rasplab.study.heads.qk_interchange import operands
from rasplab.study.heads.verdict import judge


@pytest.mark.parametrize("name", ["reverse", "most_freq", "dyck2", "induction", "addition"])
def test_operands_of_true_heads_do_what_the_interpreter_says(name):
    """Queries alone and keys alone, wherever a program's values stay such as inputs give."""
    compiled = compiled_zoo(name)
    semantics, sides = Semantics(compiled.program, compiled.domain), 0
    experiment = set_up(compiled.to_model("cpu"), semantics, pairs=60)
    true = true_heads(compiled)
    whole = {reading.selector: r for r, reading in reversed(list(enumerate(experiment.readings)))}
    for selector, r in whole.items():
        accuracy = operands(experiment, tuple(sorted(true[selector])), r)
        for side in (accuracy.queries, accuracy.keys):
            assert side.value == 1.0 or not side.pairs
            sides += side.pairs >= MIN_PAIRS
        assert accuracy.arbitrary.value < 0.3 or not accuracy.arbitrary.pairs
    assert sides >= len(whole)


def test_operands_of_a_decoy_do_nothing():
    """A twin with the same queries and keys, whose output nothing reads."""
    compiled = compiled_zoo("reverse").with_decoys(1)
    evidence = judge(compiled.to_model("cpu"), compiled.program, pairs=60)
    true, decoy = (evidence.of(head, "flip").operands for head in ("L1H0", "L1H1"))
    assert true.queries.value == true.keys.value == 1.0
    assert decoy.queries.value == decoy.keys.value == 0.0
    assert "operands alone: queries 1.00" in str(evidence)

"""The paper's own programs as transformers: exact, or refused with the input that forbids it."""

from __future__ import annotations

import pytest

import rasplab
from rasplab.base.errors import CompileError
from rasplab.program.zoo import shipped

EXAMPLES = [
    ("hist_bos", "§abc", 6),
    ("hist_nobos", "abc", 6),
    ("reverse", "abc", 6),
    ("sort_bos", "§abc", 5),
    ("hist2_bos", "§abc", 5),
    ("sort_by_most_freq", "§abc", 5),
    ("dyck1_ptf", "()", 7),
    ("dyck2_ptf", "(){}", 4),
    ("dyck3_ptf", "(){}[]", 3),
]


@pytest.mark.parametrize(("name", "vocab", "max_len"), EXAMPLES)
def test_paper_example_compiles_exactly(name, vocab, max_len):
    """0 mismatches on up to 1,500 inputs (all of them, mostly)."""
    program = rasplab.load(shipped("circuits") / "paper_examples.rasp", output=name)
    report = rasplab.verify(rasplab.compile(program, vocab, max_len).to_model("cpu"), 1500)
    assert report.mismatches == 0 and report.checked > 200


def test_long_addition_compiles_exactly():
    """Sums of two digits each over 0 to 3: 0 mismatches on 1,500 inputs, legal sums or not."""
    program = rasplab.load(shipped("circuits") / "long_addition.rasp")
    model = rasplab.compile(program, "0123+", 5).to_model("cpu")
    assert model.run("13+32") == rasplab.evaluate(program, "13+32").output
    assert rasplab.verify(model, 1500).mismatches == 0


def test_rover_is_refused_with_the_input_that_forbids_it():
    """On inputs that are no questions rover averages strings: no model can say that."""
    program = rasplab.load(shipped("circuits") / "rover.rasp")
    with pytest.raises(CompileError, match="fails on the input .* cannot average strings"):
        rasplab.compile(program, "ab<A,?#x:", 6)

"""Statements: scopes, functions, loops, the programs of the paper."""

from __future__ import annotations

from itertools import product

import pytest
from support.texts import output_of

from rasplab.base.errors import RaspNameError
from rasplab.lang.loading import load, parse
from rasplab.program.interpret.exact import evaluate
from rasplab.program.zoo import shipped


def test_functions_look_names_up_when_called():
    """A name may be defined after the function that uses it; assignments inside stay inside."""
    text = "k = 1; def f(x) { k = 9; return x + later; } later = 5; a = f(indices); b = a + k;"
    assert output_of(text, "ab") == [6, 7]


def test_loop_variables_stay_and_comprehension_variables_do_not():
    """After a loop its variable has its last value."""
    assert output_of("for i in range(4) { x = i; } y = indices + i;", "ab") == [3, 4]
    with pytest.raises(RaspNameError):
        parse("l = [j for j in range(4)]; y = indices + j;")


def test_a_ternary_on_atoms_is_lazy():
    """So that recursion ends: here 5,000 deep."""
    text = "def up(n) { return indices if n == 0 else up(n - 1) + 1; } x = up(5000);"
    assert output_of(text, "ab") == [5000, 5001]


@pytest.mark.parametrize(
    ("file", "name", "tokens", "expected"),
    [
        ("paper_examples", "hist_bos", "§hello", [0, 1, 1, 2, 2, 1]),
        ("paper_examples", "hist_nobos", "hello", [1, 1, 2, 2, 1]),
        ("paper_examples", "reverse", "stressed", list("desserts")),
        ("paper_examples", "sort_bos", "§cab", list("§abc")),
        ("paper_examples", "hist2_bos", "§aabbcd", [0, 2, 2, 2, 2, 2, 2]),
        ("paper_examples", "sort_by_most_freq", "§bananas", list("§anbs§§§")),
        ("paper_examples", "dyck1_ptf", "())(", list("PTFF")),
        ("paper_examples", "dyck2_ptf", "({)}", list("PPFF")),
        ("paper_examples", "dyck3_ptf", "[({})]", list("PPPPPT")),
        ("long_addition", "longsum", "345+678", [0, 0, 0, 1, 0, 2, 3]),
        ("long_addition", "longsum", "9+1", [0, 1, 0]),
        ("rover", "res", "a<A,x<A:x<B,a<B?", ["T"] * 16),
        ("rover", "res", "a<A,a#A?", ["F"] * 8),
        ("rover", "res", "b<A,a<B?", ["?"] * 8),
        ("rover", "res", "a<A,x<A:x<B,x<B:x#C,a<C?", ["F"] * 24),
        ("rover", "res", "b<A,a#B,x<A:x<B,a<A?", ["?"] * 20),
    ],
)
def test_programs_of_the_paper(file, name, tokens, expected):
    """The paper's programs on its examples."""
    assert evaluate(load(shipped("circuits") / f"{file}.rasp", name), tokens).output == expected


def test_longsum_adds():
    """Every carry there can be, on pairs of numbers."""
    program = load(shipped("circuits") / "long_addition.rasp")
    for a, b in [(1, 1), (999, 1), (456, 544), (99, 99), (12345, 8), (90909, 9091), (0, 0)]:
        digits = "".join(map(str, evaluate(program, f"{a}+{b}").output))
        assert int(digits) == a + b


def balanced(text: str, pairs: dict[str, str]) -> list[str]:
    """Dyck prefixes with a stack."""
    verdicts, stack = [], []
    for c in text:
        broken = bool(verdicts) and verdicts[-1] == "F"
        if c in pairs:
            stack.append(pairs[c])
        elif not broken and (not stack or stack.pop() != c):
            broken = True
        verdicts.append("F" if broken else "P" if stack else "T")
    return verdicts


def test_dyck_is_a_stack():
    """On every text of up to 6 brackets of two kinds."""
    program = load(shipped("circuits") / "paper_examples.rasp", "dyck2_ptf")
    for n in range(1, 7):
        for text in product("(){}", repeat=n):
            verdicts = balanced("".join(text), {"(": ")", "{": "}"})
            assert evaluate(program, text).output == verdicts

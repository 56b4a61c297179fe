"""Functions of several s-ops: every one of finite variables has neurons, however it is guarded."""

from __future__ import annotations

import pytest
from support.compiled import every_input, mismatches

import rasplab
from rasplab.base.errors import CompileError
from rasplab.compiler.pipeline import compile_program
from rasplab.program.domain import Domain

ROTATE = """
def rotate(s, k) {
    here = aggregate(select(indices, indices - k, ==), s, "x");
    wrap = aggregate(select(indices, indices + length - k, ==), s, "x");
    return here if k <= indices else wrap;
}
r = rotate(tokens, 1);
"""

SWAP_NEIGHBOURS = """
left = shift(tokens, 1, "-");
right = shift(tokens, -1, "-");
r = tokens if indices == length - 1 and indices % 2 == 0
    else (right if indices % 2 == 0 else left);
"""

GUARDS = {
    "a default that a ternary hides": (
        'r = shift(tokens, 1, "x") if indices > 0 else tokens;',
        "ab",
        3,
    ),
    "a default that min hides": ("r = min(shift(tokens_int, 2, 1), indices);", (0, 1, 2), 4),
    "rotation": (ROTATE, "abc", 4),
    "neighbours swapped": (SWAP_NEIGHBOURS, "abc", 4),
    "two defaults": (
        'r = shift(tokens, 1, "x") if indices > 0 else '
        '(shift(tokens, -1, "y") if length > 1 else tokens);',
        "ab",
        4,
    ),
}


@pytest.mark.parametrize("basis", ["compact", "one_hot"])
@pytest.mark.parametrize("kind", GUARDS)
def test_a_default_hidden_by_a_guard_is_exact(kind, basis):
    """Values that never meet are merged without a contradiction; all inputs are right."""
    text, vocab, max_len = GUARDS[kind]
    compiled = compile_program(rasplab.parse(text), Domain(tuple(vocab), max_len), basis)
    assert not mismatches(compiled, every_input(compiled.domain))


GCD = """
a = selector_width(select(tokens, "a", ==));
b = selector_width(select(tokens, "b", ==));
def step(x, y) { return x % (y if y > 0 else x + 1); }
def gcd2(a, b) { c = step(a, b); d = step(b, c); return c + d; }
def gcd4(a, b) { c = step(a, b); d = step(b, c); e = step(c, d); f = step(d, e); return e + f; }
"""


def test_chains_of_elementwise_functions_are_one_table_where_that_is_small():
    """More rounds on the same two counts take no more weights and no more layers."""
    sizes, layers = [], []
    for rounds in (2, 4):
        program = rasplab.parse(GCD + f"r = gcd{rounds}(a, b);")
        compiled = compile_program(program, Domain(("a", "b"), 6))
        assert not mismatches(compiled, every_input(compiled.domain))
        sizes.append(compiled.n_params)
        layers.append(compiled.layout.n_layers)
    assert max(sizes) < 4000 and max(layers) <= 2


def test_a_joint_function_is_refused_by_memory_alone():
    """The message says how many neurons or combinations, and how much memory they take."""
    program = rasplab.parse("t = tokens_int; r = (7 * t * t + 11 * indices * t) % 31;")
    domain = Domain(tuple(range(30)), 12)
    assert compile_program(program, domain).n_params
    with (
        rasplab.limit(memory=300_000),
        pytest.raises(CompileError, match=r"[0-9]+ (neurons|combinations), .* [KM]iB"),
    ):
        compile_program(program, domain)

"""The compiler's contract: the model says what the interpreter says, or the program is refused with
a reason.
"""

from __future__ import annotations

import numpy as np
import pytest
from support.compiled import mismatches, outputs
from support.generate import DOMAINS, random_program

from rasplab.base.errors import CompileError, RaspError
from rasplab.compiler.pipeline import compile_program
from rasplab.program.domain import Domain, make_domain
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


def graph(make):
    """The program that `make(add)` returns the output of."""
    builder = Builder()
    return builder.program(make(lambda node: builder.add(node)))


@pytest.mark.parametrize("basis", ["compact", "one_hot"])
def test_generated_programs_are_exact_or_refused(basis):
    """300 random programs: no mismatch on 40 inputs each; refusals name an input or a reason."""
    compiled_count = 0
    for seed in range(300):
        program, domain = random_program(seed)
        try:
            compiled = compile_program(program, domain, basis)
        except CompileError as error:
            assert error.message
            continue
        compiled_count += 1
        wrong = mismatches(compiled, domain.sample(40, seed))
        assert not wrong, f"seed {seed}: {wrong[0]}\n{program.listing()}"
    assert compiled_count > 270


def test_generator_reaches_every_node_type():
    """The random programs cover the whole node set and all domains, or the test above would say
    little.
    """
    programs = [random_program(seed) for seed in range(300)]
    seen = {type(node) for program, _ in programs for node in program.nodes}
    assert seen == {Tokens, Indices, Constant, Map, Select, Combine, Aggregate, SelectorWidth}
    assert {domain for _, domain in programs} == set(DOMAINS)


def hist(add):
    t = add(Tokens())
    return add(SelectorWidth(add(Select(t, t, "=="))))


def reverse(add):
    one, i = add(Constant(1)), add(Indices())
    length = add(SelectorWidth(add(Select(one, one, "=="))))
    opposite = add(Map("-", (add(Map("-", (length, one))), i)))
    return add(Aggregate(add(Select(i, opposite, "==")), add(Tokens()), 0))


def sort(add):
    t, i = add(Tokens()), add(Indices())
    tie = add(Combine("and", (add(Select(t, t, "==")), add(Select(i, i, "<")))))
    rank = add(SelectorWidth(add(Combine("or", (add(Select(t, t, "<")), tie)))))
    return add(Aggregate(add(Select(rank, i, "==")), t, 0))


LETTERS = tuple("abcdefghijklmnopqrstuvwxyzABCDEF")


@pytest.mark.parametrize("basis", ["compact", "one_hot"])
@pytest.mark.parametrize("make", [hist, reverse, sort])
def test_exact_at_length_32(make, basis):
    """Vocabulary 16, length 32, where Tracr at its default is wrong on every input: 0 of 200 inputs
    differ.
    """
    domain = Domain(LETTERS[:16], 32)
    assert mismatches(compile_program(graph(make), domain, basis), domain.sample(200, 1)) == []


@pytest.mark.parametrize(
    ("make", "dense", "nonzero", "layers"),
    [(reverse, 3000, 600, 2), (hist, 2000, 350, 1)],
    ids=["reverse", "hist"],
)
def test_compact_models_are_small(make, dense, nonzero, layers):
    """At vocabulary 32 and length 32 reverse takes 2 layers (Tracr: 4) and a thousandth of Tracr's
    weights.
    """
    compiled = compile_program(graph(make), Domain(LETTERS, 32))
    assert compiled.n_params <= dense
    assert compiled.nonzero_params <= nonzero
    assert compiled.weights.shape()["n_layers"] == layers


def test_pattern_is_the_selector_normalised():
    """The head of reverse attends to the mirrored position with all of its weight."""
    compiled = compile_program(graph(reverse), Domain(("a", "b"), 5))
    layer, head, spec = compiled.layout.heads[-1]
    w, ids = compiled.weights, np.array([[0, 1, 1, 0]])
    assert outputs(compiled, ids[0]) == ["a", "b", "b", "a"]
    assert compiled.heads[layer, head].startswith("select(indices")
    assert len(spec.pairs) <= w.W_Q.shape[-1]


def test_mean_of_strings_is_refused_with_an_input():
    """Averaging strings is illegal on some input: the refusal shows it."""
    program = graph(
        lambda add: add(
            Aggregate(add(Select(add(Constant(1)), add(Constant(1)), "==")), add(Tokens()), "-")
        )
    )
    with pytest.raises(CompileError, match="fails on the input"):
        compile_program(program, Domain(("a", "b"), 3))


def test_division_by_zero_is_refused():
    """1 / indices fails at position 0 of every input."""
    program = graph(lambda add: add(Map("/", (add(Constant(1)), add(Indices())))))
    with pytest.raises(CompileError, match="fails on the input"):
        compile_program(program, Domain(("a", "b"), 3))


def test_a_selector_is_no_output():
    """A program that ends in a selector is refused with a way out."""
    program = graph(lambda add: add(Select(add(Tokens()), add(Tokens()), "==")))
    with pytest.raises(CompileError) as error:
        compile_program(program, Domain(("a", "b"), 3))
    assert "selector_width" in error.value.hint


@pytest.mark.parametrize(
    ("vocab", "max_len", "message"),
    [
        ("", 3, "empty"),
        ("aa", 3, "twice"),
        ("ab", 0, "at least 1"),
        ([None], 2, "NoneType"),
        ("ab", True, "max_len"),
    ],
)
def test_bad_domains_are_refused(vocab, max_len, message):
    """A domain that cannot be one: ValueError naming what is wrong."""
    with pytest.raises(ValueError, match=message):
        make_domain(vocab, max_len)


def test_unknown_tokens_and_long_inputs_are_refused():
    """Inputs outside the domain: the token, its position, and what to do."""
    domain = Domain(("a", "b"), 3)
    with pytest.raises(RaspError, match="position 1"):
        domain.encode("az")
    with pytest.raises(RaspError, match="1 to 3"):
        domain.encode("abab")


def test_every_direction_has_one_writer_before_its_readers():
    """Layout invariant, over random programs: no part reads what is written at the same time or
    later.
    """
    for seed in range(60):
        program, domain = random_program(seed)
        try:
            layout = compile_program(program, domain).layout
        except CompileError:
            continue
        for _, _, head in layout.heads:
            forms = [f for pair in head.pairs for f in pair] + [v for v, _ in head.outs]
            assert all(layout.directions[d].time < head.time for f in forms for d, _ in f.terms)
        for _, _, neuron in layout.neurons:
            assert all(layout.directions[d].time < neuron.time for d, _ in neuron.pre.terms)


@pytest.mark.parametrize("domain", [Domain(("a", "b"), 2000), Domain(tuple(range(10**6)), 20)])
def test_domains_too_large_are_refused_at_once(domain):
    """No minutes of work and no gigabytes: a sentence."""
    with pytest.raises(CompileError, match="too large"):
        compile_program(graph(reverse), domain)


@pytest.mark.parametrize("basis", ["compact", "one_hot"])
def test_numbers_that_differ_by_rounding_only_are_not_told_apart(basis):
    """A mean of means may be another's neighbour in the last digit: refused, not wrong."""

    def make(add):
        tokens = add(Tokens("asis"))
        below = add(Select(tokens, tokens, "<="))
        mean = add(Aggregate(below, add(Indices()), 1))
        again = add(Aggregate(below, mean, -2))
        return add(SelectorWidth(add(Select(again, mean, ">="))))

    with pytest.raises(CompileError, match="differ by rounding only"):
        compile_program(graph(make), Domain((True, False), 4), basis)

"""The contract of the compiler: the model gives the interpreter's values, or a refusal."""

from __future__ import annotations

import pytest
from support.compiled import mismatches
from support.generate import DOMAINS, random_program
from support.graphs import LETTERS, graph, hist, reverse, sort

import rasplab.compiler
from rasplab.base.errors import CompileError, RaspError
from rasplab.compiler import STAGES
from rasplab.compiler.pipeline import STAGE_FUNCTIONS, compile_program
from rasplab.program.domain import Domain, make_domain
from rasplab.program.graph import (
    Aggregate,
    Combine,
    Constant,
    Indices,
    Map,
    Select,
    SelectorWidth,
    Tokens,
)


def test_stages_stand_once():
    """Names, functions and the docstring of the compiler list the same stages in one order."""
    assert tuple(STAGE_FUNCTIONS) == STAGES
    documentation = rasplab.compiler.__doc__
    places = [documentation.index(f"\n  {name} ") for name in STAGES]
    assert places == sorted(places)
    for name, function in STAGE_FUNCTIONS.items():
        assert function.__name__ == name
        file = function.__module__.removeprefix("rasplab.compiler.").replace(".", "/")
        assert f"{file}.py" in documentation


def test_an_unknown_basis_is_refused():
    """The message lists the bases."""
    with pytest.raises(ValueError, match="unknown basis 'wide'; the bases are compact and one_hot"):
        compile_program(graph(hist), Domain(("a", "b"), 2), "wide")


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
    """The random programs cover the whole node set and all domains of the test above."""
    programs = [random_program(seed) for seed in range(300)]
    seen = {type(node) for program, _ in programs for node in program.nodes}
    assert seen == {Tokens, Indices, Constant, Map, Select, Combine, Aggregate, SelectorWidth}
    assert {domain for _, domain in programs} == set(DOMAINS)


@pytest.mark.parametrize("basis", ["compact", "one_hot"])
@pytest.mark.parametrize("make", [hist, reverse, sort])
def test_exact_at_length_32(make, basis):
    """At vocabulary 16 and length 32 no input differs; Tracr's default is wrong on every one."""
    domain = Domain(LETTERS[:16], 32)
    assert mismatches(compile_program(graph(make), domain, basis), domain.sample(200, 1)) == []


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

"""The exact interpreter against a plain evaluation by definition, and its faults."""

from __future__ import annotations

import random
import time
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rasplab.base.errors import RaspError, RaspNameError, RaspTypeError, RaspValueError
from rasplab.lang.loading import load, parse
from rasplab.program.faults import Faulty, FaultyRows
from rasplab.program.functions import PREDICATES
from rasplab.program.graph import (
    Aggregate,
    Builder,
    Combine,
    Constant,
    Indices,
    Select,
    Tokens,
    operands,
)
from rasplab.program.interpret.bitrows import combine_rows, masked, matrix, means, select_rows
from rasplab.program.interpret.exact import evaluate

ATOMS = st.one_of(st.integers(-9, 9), st.booleans(), st.floats(-9, 9, allow_nan=False))
KEYS = st.lists(ATOMS, min_size=1, max_size=8)
STRINGS = st.lists(st.text("abé\0", max_size=2), min_size=1, max_size=8)


def by_definition(keys, queries, predicate):
    """The selector's matrix, cell by cell."""
    return np.array([[PREDICATES[predicate](k, q) for k in keys] for q in queries], bool)


@given(st.one_of(KEYS, STRINGS), st.sampled_from(sorted(PREDICATES)), st.randoms())
def test_select_is_its_definition(keys, predicate, rng):
    """Rows of bits are what the predicate says of every key and query."""
    queries = rng.sample(keys, len(keys))
    rows = select_rows(keys, queries, predicate, PREDICATES[predicate])
    assert (matrix(rows) == by_definition(keys, queries, predicate)).all()


@pytest.mark.parametrize("predicate", sorted(PREDICATES))
def test_select_on_nan_is_its_definition(predicate):
    """A nan equals nothing, not even itself."""
    nan = float("nan")
    rows = select_rows([nan, 1, nan], [1, nan, 2], predicate, PREDICATES[predicate])
    assert (matrix(rows) == by_definition([nan, 1, nan], [1, nan, 2], predicate)).all()


@given(st.lists(st.integers(0, 255), min_size=8, max_size=8), st.integers(0, 255))
def test_combinations_are_numpys(rows, other):
    """and, or, not and the causal mask are those of bool matrices."""
    a, b = rows, [other] * 8
    assert (matrix(combine_rows("and", [a, b])) == (matrix(a) & matrix(b))).all()
    assert (matrix(combine_rows("or", [a, b])) == (matrix(a) | matrix(b))).all()
    assert (matrix(combine_rows("not", [a])) == ~matrix(a)).all()
    assert (matrix(masked(a)) == np.tril(matrix(a))).all()


WIDE = st.one_of(st.integers(-(10**30), 10**30), st.floats(-1e30, 1e30), st.booleans())


@given(st.lists(WIDE, min_size=1, max_size=12), st.integers(1, 4095))
def test_means_are_exactly_rounded(values, bits):
    """A mean is the float nearest to the exact quotient, ints and floats of any size."""
    row = bits & ((1 << len(values)) - 1) or 1
    chosen = [Fraction(v) for k, v in enumerate(values) if row >> k & 1]
    assert means({row}, values)[row] == float(sum(chosen) / len(chosen))


def test_aggregate_by_the_number_selected():
    """Nothing gives the default, one its value as it is, more a float mean."""
    program = parse('a = aggregate(select(indices, indices, <), indices, "-");', name="a.rasp")
    assert evaluate(program, "x").output == ["-"]
    program = parse("a = aggregate(select(indices, indices, <), indices, -1);")
    output = evaluate(program, "abcd").output
    assert output == [-1, 0, 0.5, 1.0]
    assert [type(v) for v in output] == [int, int, float, float]


def test_one_selected_keeps_any_type():
    """A single bool or string passes unchanged."""
    program = parse('a = aggregate(select(indices, indices, ==), tokens == "a");')
    assert evaluate(program, "ab").output == [True, False]


def test_causal_masks_every_selector():
    """Also below a `not`, and in the trace."""
    program = parse("s = not select(indices, indices, <); w = selector_width(s);")
    trace = evaluate(program, "abc", causal=True)
    assert trace.output == [1, 1, 1]
    assert (trace["s"] == np.eye(3, dtype=bool)).all()


def test_trace_names_and_values():
    """Names give lists or matrices; values holds one per node."""
    program = parse('s = select(tokens, "a", ==); w = selector_width(s);')
    trace = evaluate(program, ["a", "b"])
    assert trace["w"] == trace.output == [1, 1]
    assert trace["s"].tolist() == [[True, False], [True, False]]
    assert len(trace.values) == len(program.nodes) and trace.tokens == ("a", "b")
    with pytest.raises(RaspNameError, match="it has: w"):
        trace["ww"]


def test_selector_as_output():
    """A selector's output is its matrix, row = query."""
    program = parse("s = select(indices, indices, <);")
    assert evaluate(program, "ab").output.tolist() == [[False, False], [True, False]]


@pytest.mark.parametrize(
    ("text", "tokens", "fault", "reason"),
    [
        ("x = 1 / indices;", "ab", RaspValueError, "1 / 0 at position 0: division by zero"),
        ("x = tokens_int;", "1b", RaspValueError, 'cannot read the token "b" at position 1'),
        ("x = aggregate(full_s, tokens);", "ab", RaspValueError, "cannot average strings"),
        ('x = aggregate(full_s, tokens == "a");', "ab", RaspValueError, "cannot average bools"),
        (
            "x = aggregate(select(indices, 0, ==), tokens_asis) + 1;",
            "ab",
            RaspTypeError,
            '"a" \\+ 1',
        ),
        ("x = aggregate(select(indices, indices, >), tokens);", "ab", RaspTypeError, "not both"),
        ('x = {"a": 1}[tokens];', "ab", RaspValueError, 'no key "b" at position 1'),
        ("x = select(tokens_asis, indices, <);", "ab", RaspTypeError, 'cannot test "a" < 0'),
        ("x = 10.0 ^ (indices + 400);", "a", RaspValueError, "position 0"),
        ("x = indices;", "", RaspValueError, "the input is empty"),
        (
            "x = [1, 2, 3][indices];",
            "hello",
            RaspValueError,
            "at position 3: index 3 is outside a list of length 3; valid indices are 0 to 2",
        ),
        (
            'x = "abc"[indices - 4];',
            "hello",
            RaspValueError,
            "at position 0: index -4 is outside a string of length 3",
        ),
        ("x = [][indices];", "a", RaspValueError, "outside a list of length 0; it is empty"),
        ("x = [1, 2][indices / 1];", "a", RaspTypeError, "indexed by whole numbers, not by 0.0"),
    ],
)
def test_faults_say_values_and_position(text, tokens, fault, reason):
    """Every fault of an s-op is a RaspError with its place, values and position."""
    with pytest.raises(fault, match=reason) as caught:
        evaluate(parse(text), tokens)
    assert caught.value.span is not None or not tokens


def test_mixed_numbers_stay_as_they_are():
    """A sequence of ints and floats is legal and keeps its values; bools count as numbers."""
    assert evaluate(parse("x = indices if indices < 1 else 0.5;"), "ab").output == [0, 0.5]
    assert evaluate(parse("x = True if indices < 1 else 7;"), "ab").output == [True, 7]


def test_long_chains_need_no_recursion():
    """A sum of 10,000 terms parses, evaluates, and is labelled in bounded space."""
    program = parse(f"x = {' + '.join(['indices'] * 10_000)};")
    assert evaluate(program, "ab").output == [0, 10_000]
    assert max(len(label) for label in program.labels) <= 200


@pytest.mark.parametrize("name", ["sort", "hist", "sort_by_freq", "dyck2"])
def test_a_thousand_tokens_are_fast(name):
    """The circuits on 1,000 tokens take less than 0.3 s each."""
    from rasplab.program.zoo import PACKAGE

    program = load(PACKAGE.parent / "circuits" / f"{name}.rasp")
    tokens = random.Random(0).choices("(){}abcdef", k=1000)
    start = time.process_time()
    evaluate(program, tokens)
    assert time.process_time() - start < 0.3


@st.composite
def programs(draw):
    """A random small program, by the builder."""
    builder = Builder()
    sops = [builder.add(Tokens()), builder.add(Indices()), builder.add(Constant(1))]
    selectors = []
    for _ in range(draw(st.integers(1, 8))):
        pick = st.sampled_from(sops)
        predicate = draw(st.sampled_from(["==", "!=", "<", "<="]))
        selectors.append(builder.add(Select(draw(pick), draw(pick), predicate)))
        if draw(st.booleans()):
            pair = (draw(st.sampled_from(selectors)), draw(st.sampled_from(selectors)))
            selectors.append(builder.add(Combine(draw(st.sampled_from(["and", "or"])), pair)))
        sops.append(builder.add(Aggregate(selectors[-1], draw(pick), draw(st.integers(0, 1)))))
    return builder.program(sops[-1])


@settings(max_examples=150, deadline=None)
@given(programs(), st.text("ab", min_size=1, max_size=5))
def test_random_programs_match_the_definition(program, tokens):
    """Every node of a random program is what its definition says, or the fault is a RaspError."""
    try:
        trace = evaluate(program, tokens)
    except RaspError:
        return
    for i, node in enumerate(program.nodes):
        read = (i, *operands(node))
        if any(isinstance(trace.columns[k], Faulty | FaultyRows) for k in read):
            continue  # a part that no output reads
        if isinstance(node, Select):
            expected = by_definition(
                trace.values[node.keys], trace.values[node.queries], node.predicate
            )
            assert (trace.values[i] == expected).all()
        elif isinstance(node, Aggregate):
            assert trace.values[i] == averages(trace.values, node)


def averages(values, node: Aggregate) -> list:
    """aggregate by its definition."""
    means = []
    for row in values[node.selector]:
        chosen = [v for v, here in zip(values[node.values], row, strict=True) if here]
        exact = len(chosen) > 1 and float(sum(map(Fraction, chosen)) / len(chosen))
        means.append(exact if len(chosen) > 1 else chosen[0] if chosen else node.default)
    return means

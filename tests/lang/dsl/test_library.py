"""The s-op algebra in Python builds the programs that the text builds."""

from __future__ import annotations

import operator

import numpy as np
import pytest
from support.generate import Anything, random_program

from rasplab.base.errors import RaspError
from rasplab.dsl import (
    SOp,
    aggregate,
    constant,
    has_focus,
    indicator,
    indices,
    isin,
    length,
    lookup,
    program,
    select,
    selector_width,
    shift,
    sort,
    tokens,
    where,
)
from rasplab.lang.dsl import library as dsl
from rasplab.lang.loading import parse
from rasplab.lang.syntax.ast import Define
from rasplab.lang.syntax.vocabulary import BUILT_IN, prelude
from rasplab.program.graph import (
    Aggregate,
    Combine,
    Constant,
    Indices,
    Map,
    Program,
    Select,
    SelectorWidth,
    Tokens,
)

SAME = select(tokens, tokens, "==")
OPERATORS = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "%": operator.mod,
    "^": operator.pow,
    "and": operator.and_,
    "or": operator.or_,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "not": operator.invert,
    "neg": operator.neg,
    "pos": operator.pos,
    "round": round,
    "indicator": indicator,
    "if": lambda c, a, b: where(c, a, b),
}


@pytest.mark.parametrize(
    ("sop", "text"),
    [
        (
            lambda: aggregate(select(indices, length - 1 - indices), tokens),
            "aggregate(select(indices, length - 1 - indices, ==), tokens)",
        ),
        (lambda: selector_width(SAME), "selector_width(select(tokens, tokens, ==))"),
        (lambda: sort(tokens, key=tokens), "sort(tokens, tokens)"),
        (lambda: shift(tokens, 2, "-"), 'shift(tokens, 2, "-")'),
        (lambda: dsl.max(indices, 3) + dsl.min(3, indices), "max(indices, 3) + min(3, indices)"),
        (
            lambda: has_focus(SAME & ~select(indices, indices, operator.lt) | dsl.full_s),
            "has_focus(select(tokens, tokens, ==) and not select(indices, indices, <) or full_s)",
        ),
        (lambda: 1 - indices**2 % 3, "1 - indices ^ 2 % 3"),
        (lambda: (indices > 1) & (tokens == "a"), '(1 < indices) and ("a" == tokens)'),
        (lambda: True | (indices > 1), "True or (indices > 1)"),
        (lambda: round(indices / 2) * -indices, "round(indices / 2) * (-indices)"),
        (lambda: where(isin(tokens, ["a", "b"]), "x", tokens), "x if c else tokens"),
        (lambda: lookup([5, 6], indices % 2), "[5, 6][indices % 2]"),
        (lambda: lookup({"a": 1, "b": 2.5}, tokens), '{"a": 1, "b": 2.5}[tokens]'),
        (lambda: tokens[-1], "tokens[-1]"),
        (lambda: isin("a", tokens), '"a" in tokens'),
        (lambda: aggregate(SAME, 1, False), "aggregate(select(tokens, tokens, ==), 1, False)"),
        (lambda: constant(3) + indices, "3 + indices"),
    ],
)
def test_as_the_text(sop, text):
    """The same graph as the text's, operators, library, casts and all."""
    text = text.replace("x if c", '"x" if (tokens in ["a", "b"])')
    assert program(sop()).digest == parse(f"out_ = {text};").digest


def as_python(nodes: Program) -> dsl.SOp | dsl.Selector:
    """A program built anew by the algebra, node by node."""
    made: list = []
    for node in nodes.nodes:
        match node:
            case Tokens(cast):
                made.append(getattr(dsl, f"tokens_{cast}"))
            case Indices():
                made.append(indices)
            case Constant(value):
                made.append(constant(thawed(value)))
            case Map("lookup", (pairs, at)):
                items = {k: thawed(v) for k, v in nodes.nodes[pairs].value}
                made.append(lookup(items, made[at]))
            case Map("index", (values, at)):
                made.append(lookup(thawed(nodes.nodes[values].value), made[at]))
            case Map("in", (item, values)):
                made.append(isin(made[item], thawed(nodes.nodes[values].value)))
            case Map(fn, args) | Combine(fn, args):
                made.append(OPERATORS[fn](*(made[a] for a in args)))
            case Select(keys, queries, predicate):
                made.append(select(made[keys], made[queries], predicate))
            case Aggregate(selector, values, default):
                made.append(aggregate(made[selector], made[values], thawed(default)))
            case SelectorWidth(selector):
                made.append(selector_width(made[selector]))
    return made[nodes.output]


def thawed(value):
    """Tuples as lists."""
    return [thawed(v) for v in value] if isinstance(value, tuple) else value


@pytest.mark.parametrize("seed", range(0, 400, 100))
def test_random_programs(seed):
    """Any program can be built from Python, node by node, with the same digest."""
    for s in range(seed, seed + 100):
        for nodes in (random_program(s)[0], Anything(s).program()):
            assert program(as_python(nodes)).digest == nodes.digest


def test_every_library_function_is_there():
    """All of the prelude's functions, and the built-in ones but chr, which Python has."""
    names = {d.name for d in prelude().items if isinstance(d, Define)} | {*BUILT_IN}
    assert all(callable(getattr(dsl, name)) for name in names - {"chr"})
    assert set(dsl.__all__) <= set(vars(dsl))


def test_selectors_and_sops_of_the_library():
    """What a function of the library says it makes is what it makes."""
    one = select(indices, indices, "==")
    for sop_or_selector in (
        dsl.select_from_last(tokens, "a"),
        dsl.select_from_first(tokens, "a"),
        dsl.select_next_identical(tokens),
        dsl.average(indices),
        dsl.count(tokens, "a"),
        shift(tokens, 1, "-"),
        dsl.load_from_location(tokens, 0),
        dsl.mark_last_instance(tokens, "a"),
        has_focus(one),
    ):
        built = program(sop_or_selector)
        assert built.is_selector(built.output) == isinstance(sop_or_selector, dsl.Selector)


def test_names():
    """`named` names parts; `name` the output; the same name for two things is refused."""
    flip = select(indices, length - 1 - indices).named("flip")
    reverse = program(aggregate(flip, tokens), name="reverse")
    assert {"flip", "reverse", "length"} <= dict(reverse.names).keys()
    assert reverse.labels[reverse.output] == "reverse"
    with pytest.raises(ValueError, match="two different things are named 'a'"):
        program(indices.named("a") + tokens_named_a())
    for name in ("out", "if", "b c", "indices"):
        with pytest.raises(ValueError, match="not a name"):
            indices.named(name)


def tokens_named_a() -> SOp:
    """Another s-op of the name a."""
    return dsl.tokens_int.named("a")


def test_put_to_an_input():
    """An s-op called is its values, a selector called its matrix."""
    assert sort(tokens, tokens)("cab") == ["a", "b", "c"]
    assert select(indices, 1)("ab").tolist() == [[False, True]] * 2


def test_a_fault_is_placed_in_python():
    """The message has the file, line and columns of the Python that built it."""
    with pytest.raises(RaspError) as caught:
        program(indices + (tokens - 0))
    lines = str(caught.value).split("\n")
    assert "test_library.py:" in lines[0] and lines[0].endswith(
        "`-` takes numbers, and this is a str"
    )
    assert lines[1].strip() == "program(indices + (tokens - 0))"
    assert lines[2].index("^") == lines[1].index("tokens")
    assert lines[2].strip() == "^" * len("tokens - 0")
    with pytest.raises(
        RaspError, match=r"test_library\.py:\d+:14: tokens_int cannot read the token"
    ):
        _ = (dsl.tokens_int + 1)("1b")


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: bool(tokens == "a"),
        lambda: tokens in [indices],
        lambda: "a" in tokens,
        lambda: tokens and indices,
        lambda: 0 < indices < 2,
        lambda: list(tokens),
        lambda: SAME + 1,
        lambda: SAME & tokens,
        lambda: tokens & SAME,
        lambda: tokens + None,
        lambda: tokens["a"],
        lambda: shift(tokens, 1),
        lambda: program(3),
        lambda: select(tokens, {1}),
    ],
)
def test_misuse_is_a_type_error(wrong):
    """What would silently mean something else in Python raises at once."""
    with pytest.raises(TypeError):
        wrong()


def test_hashing_is_by_identity():
    """Sets and dicts hold s-ops as distinct objects, although == makes a new s-op."""
    a, b = indices + 1, indices + 1
    assert len({a, b, a}) == 2 and {a: 1, b: 2}[a] == 1
    assert isinstance(a == b, SOp) and program(a).digest == program(b).digest


def test_numpy_scalars_are_constants():
    """On either side; numpy does not take the s-op apart."""
    assert (np.int64(3) + indices)("ab") == [3, 4] and (indices * np.float64(0.5))("ab") == [0, 0.5]


def test_shared_parts_are_made_once():
    """60 doublings and 5,000 additions are as many nodes, at any depth."""
    sop = indices
    for _ in range(60):
        sop = sop + sop
    for i in range(5000):
        sop = sop + i
    assert len(program(sop).nodes) == 1 + 60 + 5000 + 5000

"""Expressions to values: precedence, forms, operators and the library."""

from __future__ import annotations

import time

import pytest
from support.texts import output_of

from rasplab.base.errors import RaspTypeError, RaspValueError
from rasplab.lang.loading import load, parse
from rasplab.lang.session import Session
from rasplab.program.batch.many import evaluate_many
from rasplab.program.graph import SelectorWidth
from rasplab.program.interpret.exact import evaluate
from rasplab.program.zoo import shipped


def value_of(text: str):
    """What an expression on atoms and lists gives."""
    return Session().run(f"{text};")[-1].value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-3^2", 9),
        ("2^3^2", 64),
        ("13%4*3", 1),
        ("not 1==2", False),
        ("True or False and False", False),
        ("3>2>1", False),
        ("1 if False else 2 if True else 3", 2),
        ("2 if 3 in [3] else 4", 2),
        ("False and 5 in [False]", True),
        ("not 2 in [2]", False),
        ("-[4,5][1]", -5),
        ("1 - -1", 2),
        ("9-4-3", 2),
        ("1 != 2", True),
        ("3 and 5", 5),
        ("0042", 42),
        ("[x*y for x, y in zip([1,2],[3,4])]", [3, 8]),
        ('{c: c+"!" for c in ["a"]}', {"a": "a!"}),
        ("range (5, 0, -2)", [5, 3, 1]),
        ("len ([1, 2])", 2),
        ("round(2.5)", 2),
        ("(1)", 1),
    ],
)
def test_expressions(text, expected):
    """The precedence table, and the forms."""
    assert value_of(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("length", [5] * 5),
        ("has_focus(select(indices, indices, <))", [False, True, True, True, True]),
        ('count(tokens, "l")', [2] * 5),
        ('contains(tokens, "z")', [False] * 5),
        ("min(indices, 2)", [0, 1, 2, 2, 2]),
        ("max(indices, 2)", [2, 2, 2, 3, 4]),
        ("average(indices)", [2.0] * 5),
        ("load_from_location(tokens, length - 1 - indices)", list("olleh")),
        ('shift(tokens, 2, "_")', list("__hel")),
        ('mark_last_instance(tokens, "l")', [False, False, False, True, False]),
        ('mark_first_instance(tokens, "l")', [False, False, True, False, False]),
        ('selector_width(select_from_last(tokens, "l"))', [1] * 5),
        ("sort(tokens, tokens)", list("ehllo")),
        ("selector_width(select_next_identical(tokens))", [0, 0, 1, 0, 0]),
        ("tokens[-1]", ["o"] * 5),
        ("tokens[99]", [0] * 5),
        ('"h" in tokens', [True] * 5),
        ('tokens in ["h", "l"]', [True, False, True, True, False]),
        ("[5, 6, 7][indices % 3]", [5, 6, 7, 5, 6]),
        ('{"h": 1, "e": 2, "l": 3, "o": 4}[tokens]', [1, 2, 3, 3, 4]),
        ('tokens if indices % 2 == 0 else "."', list("h.l.o")),
    ],
)
def test_library_and_operators(text, expected):
    """The library's table, on "hello"."""
    assert output_of(f"x = {text};") == expected


def test_constants_fold_and_equal_nodes_are_one():
    """2 * 3 is one constant; the same select twice is one node."""
    program = parse("a = select(indices, 2 * 3, ==); b = select(indices, 6, ==); c = a and b;")
    assert len(program.nodes) == 4
    assert parse("x = length;").digest == parse("y = selector_width(full_s);").digest
    assert isinstance(parse("x = length;").nodes[-1], SelectorWidth)


def test_long_texts_are_fast():
    """rover in 0.2 s (the best of three loads); 10,000 terms in a few."""
    taken = []
    for _ in range(3):
        start = time.process_time()
        load(shipped("circuits") / "rover.rasp")
        taken.append(time.process_time() - start)
    assert min(taken) < 0.2
    Session().run(f"x = {' + '.join(f'indices * {i}' for i in range(10_000))};")
    assert time.process_time() - start < 5


@pytest.mark.parametrize(
    "text",
    [
        "d = {i * (2^61 - 1): i for i in range(100000)}; x = d[indices];",
        "d = [i * (2^61 - 1) for i in range(100000)]; x = indices in d;",
        f"d = {dict.fromkeys([i * (2**61 - 1) for i in range(1002)], 1)}; x = d[indices];",
    ],
    ids=["comprehension", "in", "dict"],
)
def test_keys_of_one_hash_are_refused(text):
    """Python compares each with all others: 100,000 of them would take an hour."""
    with pytest.raises(RaspValueError, match="more than 1,000 keys are equal modulo 2"):
        parse(text)


def test_equal_keys_and_lists_of_one_hash_are_taken():
    """A key that is written again is one key, and a list is not looked up by value."""
    text = "d = {0 * i: i for i in range(5000)}; x = d[0 * indices];"
    assert evaluate(parse(text), "ab").output == [4999, 4999]
    text = "d = [i * (2^61 - 1) for i in range(5000)]; x = d[indices];"
    assert evaluate(parse(text), "ab").output == [0, 2**61 - 1]


def test_a_large_table_is_built_once_where_positions_fail():
    """10,000 positions, of which all but one read a key that is missing behind a guard."""
    text = "d = {i: i for i in range(50000)}; x = d[0 - indices] if indices < 1 else 1;"
    start = time.process_time()
    assert evaluate(parse(text), "a" * 5000).output[:3] == [0, 1, 1]
    assert time.process_time() - start < 8


@pytest.mark.parametrize(
    "branch",
    [
        "1 / 0",
        "1 % 0",
        "1 // 0",
        "(0 - 1) ^ 0.5",
        "10.0 ^ 400",
        "-(1 / 0)",
        "[1][5]",
        '{"a": 1}["b"]',
    ],
)
def test_numbers_fail_only_in_branches_that_are_taken(branch):
    """What is computed from plain numbers is guarded as what is computed from s-ops is."""
    program = parse(f"x = {branch} if indices > 5 else 2;")
    assert evaluate(program, "abc").output == [2, 2, 2]
    assert evaluate_many(program, ["abc"]) == [[2, 2, 2]]
    assert parse(program.unparse()).digest == program.digest
    taken = parse(f"x = {branch} if indices > 0 else 2;")
    with pytest.raises(RaspValueError, match="position 1|positions? 0|at position"):
        evaluate(taken, "abc")
    with pytest.raises(RaspValueError):
        parse(f"x = {branch};")
    with pytest.raises(RaspTypeError):
        parse('x = "a" + 1 if indices > 5 else 2;')


def test_numbers_after_what_decides_are_not_read():
    """`and` and `or` read nothing after the operand that decides, numbers or not."""
    program = parse(
        "x = indices > 5 and 1 / 0 > 1; y = indices < 5 or 1 / 0 > 1;", output=["x", "y"]
    )
    assert evaluate(program, "ab")["x"] == [False, False]
    assert evaluate(program, "ab")["y"] == [True, True]
    assert evaluate_many(program, ["ab"]) == [[False, False]]
    with pytest.raises(RaspValueError, match="1 / 0 at position 0: division by zero"):
        evaluate(parse("x = indices < 5 and 1 / 0 > 1;"), "ab")

"""The meaning of a program on a domain, against the interpreters that it is made of."""

from __future__ import annotations

import numpy as np
import pytest

import rasplab
from rasplab.base.errors import RaspError
from rasplab.program.batch.columns import Column
from rasplab.program.domain import Domain
from rasplab.program.semantics import Semantics

DOMAIN = Domain(("3", "1", "x"), 3, True)
IDS = np.array([[0, 1], [1, 1], [1, 2]])


@pytest.fixture
def halves() -> Semantics:
    """Every token as an int, halved: `x` is refused."""
    return Semantics(rasplab.parse("tokens_int / 2;"), DOMAIN)


def test_evaluate_marks_what_is_refused_and_checked_raises_it(halves):
    assert halves.evaluate(IDS).faults.tolist() == [False, False, True]
    assert halves.checked(IDS[:2]).output.row(0) == [1.5, 0.5] == halves.interpret("31").output
    with pytest.raises(RaspError) as batched:
        halves.checked(IDS)
    with pytest.raises(RaspError) as exact:
        halves.interpret("1x")
    assert str(batched.value) == str(exact.value)


def test_compare_holds_nowhere_on_refused_inputs(halves):
    given = Column(np.array([[0, 0], [1, 1], [1, 1]]), (1.5, 0.5))
    same = halves.compare(halves.evaluate(IDS), given)
    assert same.tolist() == [[True, False], [True, True], [False, False]]


def test_representable(halves):
    output = halves.evaluate(IDS[:2]).output
    assert halves.representable(output, None).all()
    assert halves.representable(output, ("a", 0.5)).tolist() == [[False, True], [True, True]]


def test_the_domain_decides_causality():
    """Counting all keys, masked to those up to the query."""
    program = rasplab.parse("selector_width(select(1, 1, ==));")
    for causal, expected in ((False, [2, 2]), (True, [1, 2])):
        meaning = Semantics(program, Domain(("a",), 2, causal))
        assert meaning.evaluate(np.zeros((1, 2), int)).output.row(0) == expected
        assert meaning.interpret("aa").output == expected


def test_reads_replace_selectors():
    program = rasplab.parse("selector_width(select(1, 1, ==));")
    meaning = Semantics(program, Domain(("a",), 2))
    reads = {program.output: np.eye(2, dtype=bool)[None]}
    assert meaning.evaluate(np.zeros((1, 2), int), reads).output.row(0) == [1, 1]

"""Values: keys of equality, the float rule, and columns compared cell by cell."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rasplab.program.batch.cells import FAULT
from rasplab.program.batch.columns import Column
from rasplab.program.batch.compare import cells_among, equal_cells
from rasplab.program.values import same_value, typed_key, value_key

VALUES = (1, 1.0, True, "1", 0, 0.0, -0.0, False, "", math.nan, math.inf, (1,), (1.0,), ("1",), ())


def test_typed_keys_tell_types_apart():
    """No two of these values are the same value of the same type."""
    assert len(set(map(typed_key, VALUES))) == len(VALUES)
    assert typed_key(float("nan")) == typed_key(math.nan)


def test_value_keys_merge_numbers_but_not_bools():
    groups: dict[tuple, list] = {}
    for value in VALUES:
        groups.setdefault(value_key(value), []).append(value)
    merged = [g for g in groups.values() if len(g) > 1]
    assert merged == [[1, 1.0], [0, 0.0, -0.0], [(1,), (1.0,)]]
    assert value_key(float("nan")) == value_key(math.nan)


@pytest.mark.parametrize(
    "expected, given, same",
    [
        (2, 2.0, True),
        (True, 1, False),
        ("1", 1, False),
        (0.1 + 0.2, 0.3, True),
        (1.0, 1.0 + 1e-8, False),
        (0.0, 1e-13, True),
        (0.0, 1e-11, False),
        (math.nan, math.nan, True),
        (math.nan, 0.0, False),
        (math.inf, math.inf, True),
        (math.inf, 1e300, False),
        (10**400, 10**400, True),
        (10**400, 10**400 + 1, False),
        (10**12, 10**12 + 1, False),
        (10**12, 10**12 + 1.0, False),
        (10.0**12, 10**12, True),
        (10.0**12, 10.0**12 + 1, True),
        (10**20, 10**20 + 1, False),
        (3, 3 - 1e-13, True),
        ((1, "a"), (1.0, "a"), True),
        (FAULT, FAULT, True),
        (FAULT, 0, False),
    ],
)
def test_equality_of_one_value_and_of_columns(expected, given, same):
    """The scalar rule and the vectorised one agree."""
    assert same_value(expected, given) is same
    zero = np.zeros((1, 1), int)
    assert equal_cells(Column(zero, (expected,)), Column(zero, (given,))).all() == same
    assert cells_among(Column(zero, (expected,)), ("other", given)).all() == same


def test_values_that_python_calls_equal_stay_apart():
    """1 and True are equal keys of a dict: tables of equality are kept for each tuple of values."""
    zero = np.zeros((1, 1), int)
    one, true, same = (1,), (True,), (1.0,)
    for expected, given, equal in ((one, same, True), (one, true, False), (true, one, False)) * 2:
        assert equal_cells(Column(zero, expected), Column(zero, given)).all() == equal


def test_columns_of_one_row_are_broadcast():
    same_everywhere = Column(np.array([[0, 1]]), ("a", "b"))
    column = Column(np.array([[0, 1], [1, 0]]), ("b", "a"))
    assert equal_cells(same_everywhere, column).tolist() == [[False, False], [True, True]]

"""Functions of columns, by the distinct tuples of their values."""

import numpy as np
import pytest

import rasplab
from rasplab.program.batch.columns import Column, mapped


@pytest.mark.parametrize("columns", [3, 61, 62, 63, 70])
def test_functions_of_more_combinations_than_integers_count(columns):
    """2^70 possible tuples of values: each cell has the function of its own values."""
    rng = np.random.default_rng(columns)
    codes = rng.integers(0, 2, (columns, 5, 4))
    codes[:, 3] = codes[:, 1]  # tuples that occur twice
    args = [Column(c, (3 * i, 3 * i + 1)) for i, c in enumerate(codes)]
    args[1] = Column(codes[1, :1], args[1].values)  # the same for every input
    given = mapped(lambda *values: sum(v << i for i, v in enumerate(values)), args)
    for cell in np.ndindex(5, 4):
        values = [c.values[c.codes[cell if len(c.codes) > 1 else (0, cell[1])]] for c in args]
        expected = sum(v << i for i, v in enumerate(values))
        assert given.values[given.codes[cell]] == expected


def test_tokens_as_far_apart_as_codes_reach():
    """Tokens that differ by 2^62 - 1 and more are told apart."""
    program = rasplab.parse("x = tokens_int + 1;")
    for high in (2**62 - 2, 2**62 - 1, 2**62, 2**63 - 1, 2**70):
        assert rasplab.evaluate_many(program, [[0, high]]) == [[1, high + 1]]

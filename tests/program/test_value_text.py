"""Values and selectors as text."""

import numpy as np

from rasplab.program import values


def test_values_are_shown_as_rasp_shows_them():
    """Booleans are T and F, floats have 3 decimals, strings are bare, and the kind is named."""
    assert values.sop_line("f", "ab", [True, False]) == 'f("ab") = [T, F] (bools)'
    assert values.sop_line("f", [1, 2], [1 / 3, 1]) == "f([1, 2]) = [0.333, 1] (floats)"
    assert values.sop_line("f", ["ab"], ["x"]) == 'f(["ab"]) = [x] (strings)'


def test_grid_has_a_row_per_query():
    """A selector's text has the keys on top and one line per query."""
    lines = values.grid(np.array([[1, 0], [0, 1]], bool), ["a", "b"], ["a", "b"]).splitlines()
    assert lines == ["    a b", "a │ ■ ·", "b │ · ■"]

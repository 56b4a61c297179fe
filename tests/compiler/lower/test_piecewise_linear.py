"""Piecewise-linear fits: which of the two is taken."""

from __future__ import annotations

import numpy as np
import pytest

from rasplab.compiler.lower.piecewise_linear import ROUNDING, fit

NUMBERS = np.arange(128.0)


@pytest.mark.parametrize(("error", "kind"), [(1e-4, "lines"), (0.05, "plateaus")])
def test_plateaus_are_taken_only_where_they_lose_more_error_than_they_add(error, kind):
    """The square of 0 .. 127 in float32: the ramps of 127 plateaus round by 0.98 themselves.

    Lines pass on 253 times the error, and round by 0.004.
    """
    squares = (NUMBERS**2)[:, None]
    taken = fit(NUMBERS, squares, error, ROUNDING["float32"])
    assert taken.kind == kind
    assert taken.other

"""Heat grids."""

import numpy as np
import pytest
from support.circuits import titles

from rasplab.apps.show.patterns import pattern_svg


def test_pattern_picture_names_every_cell():
    """A cell's hover text has its query, key and value; a zero cell has no heat."""
    picture = pattern_svg(np.array([[1, 0], [0.25, 0.75]]), ["BOS", "<"], ["BOS", "<"], "L0H0")
    assert titles(picture)[2] == "query < → key BOS: 0.25"
    assert picture.count('class="rl-heat"') == 3


def test_pattern_picture_refuses_the_wrong_size():
    """Tokens and matrix must agree."""
    with pytest.raises(ValueError, match=r"matrix \(2, 2\), tokens 3 x 2"):
        pattern_svg(np.eye(2), ["a", "b", "c"], ["a", "b"])

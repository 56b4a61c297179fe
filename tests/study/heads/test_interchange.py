"""Interchange accuracy: the pairs that are drawn, and the intervals of a share."""

import numpy as np
from support.compiled import compiled as compiled_zoo

from rasplab.study.heads.counterfactuals import FAMILIES, Swap
from rasplab.study.heads.interchange import Bench, estimate, set_up


def test_every_family_and_reading_is_drawn():
    """Pairs of each family; each has a reading whose prediction it changes."""
    compiled = compiled_zoo("induction")
    bench = set_up(compiled.to_model("cpu"), compiled.program, pairs=40)
    assert {s.family for s in bench.swaps} == set(FAMILIES)
    assert len(bench.readings) == 5  # the shift is read twice: together, and each alone
    for r in range(5):
        assert any(p[r].changed.any() for p in bench.predictions)


def test_intervals_cover():
    """Of 200 shares of 60 pairs with a known share, about 95% lie in their interval."""
    rng, covered = np.random.default_rng(0), 0
    swaps = (Swap("input", np.zeros((60, 1), int), *[np.zeros((60, 1), int)] * 3),)
    for seed in range(200):
        bench = Bench(None, None, seed, (), swaps, (), (), ())
        found = estimate(bench, rng.binomial(4, 0.7, 60), np.full(60, 4))
        covered += found.low <= 0.7 <= found.high
    assert 186 <= covered <= 200


def test_certainty_needs_pairs():
    """All of 20 pairs right: at least 0.83; of none: nothing is known."""
    swaps = (Swap("input", np.zeros((20, 1), int), *[np.zeros((20, 1), int)] * 3),)
    bench = Bench(None, None, 0, (), swaps, (), (), ())
    found = estimate(bench, np.ones(20), np.ones(20))
    assert found.value == found.high == 1.0 and 0.8 < found.low < 0.9
    nothing = estimate(bench, np.zeros(20), np.zeros(20))
    assert (nothing.low, nothing.high, nothing.pairs) == (0.0, 1.0, 0)

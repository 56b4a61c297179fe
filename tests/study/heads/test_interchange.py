"""Interchange accuracy: the pairs that are drawn, and the intervals of a share."""

import numpy as np
from support.compiled import compiled as compiled_zoo

from rasplab.program.semantics import Semantics
from rasplab.study.heads.counterfactuals import FAMILIES
from rasplab.study.heads.estimates import PairBootstrap
from rasplab.study.heads.interchange import set_up


def test_every_family_and_reading_is_drawn():
    """Pairs of each family; each has a reading whose prediction it changes."""
    compiled = compiled_zoo("induction")
    semantics = Semantics(compiled.program, compiled.domain)
    experiment = set_up(compiled.to_model("cpu"), semantics, pairs=40)
    assert {b.family for b in experiment.batches} == set(FAMILIES)
    assert len(experiment.readings) == 5  # the shift is read twice: together, and each alone
    for r in range(5):
        assert any(p[r].changed.any() for p in experiment.predictions)


def test_intervals_cover():
    """Of 200 shares of 60 pairs with a known share, about 95% lie in their interval."""
    rng, covered = np.random.default_rng(0), 0
    for seed in range(200):
        bootstrap = PairBootstrap(np.zeros(60, int), seed)
        interval = bootstrap.estimate(rng.binomial(4, 0.7, 60), np.full(60, 4))
        covered += interval.low <= 0.7 <= interval.high
    assert 186 <= covered <= 200


def test_certainty_needs_pairs():
    """All of 20 pairs right: at least 0.83; of none: nothing is known."""
    bootstrap = PairBootstrap(np.zeros(20, int), 0)
    interval = bootstrap.estimate(np.ones(20), np.ones(20))
    assert interval.value == interval.high == 1.0 and 0.8 < interval.low < 0.9
    nothing = bootstrap.estimate(np.zeros(20), np.zeros(20))
    assert (nothing.low, nothing.high, nothing.pairs) == (0.0, 1.0, 0)

"""Intervals: held against scipy, against tables, and against how often they cover the truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from rasplab.base.stats import (
    bootstrap_counts,
    bootstrap_mean,
    percentiles,
    student_t,
    wilson,
)

SHARES = [(0, 1), (1, 1), (3, 7), (20, 20), (199, 200), (0, 400)]


@pytest.mark.parametrize("hits, n", SHARES)
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_wilson_is_scipys(hits, n, level):
    interval = stats.binomtest(hits, n).proportion_ci(level, method="wilson")
    assert wilson(hits / n, n, level) == pytest.approx(tuple(interval), abs=1e-12)


def test_wilson_known_value():
    """20 of 20: 3.84 / 23.84 below 1."""
    low, high = wilson(1.0, 20)
    assert low == pytest.approx(20 / (20 + 1.959964**2), rel=1e-6) and high == 1.0


@pytest.mark.parametrize("n, quantile", [(2, 12.706), (3, 4.303), (9, 2.306), (30, 2.045)])
def test_student_t_known_quantiles(n, quantile):
    """The half width over the standard error is the table's quantile, at 9 and 30 seeds too."""
    values = np.random.default_rng(n).random(n)
    mean, low, high = student_t(tuple(values))
    error = values.std(ddof=1) / math.sqrt(n)
    assert (high - mean) / error == pytest.approx(quantile, abs=5e-4)
    assert mean - low == pytest.approx(high - mean)


@pytest.mark.parametrize("n", [3, 9, 30])
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_student_t_is_scipys(n, level):
    values = np.random.default_rng(n).normal(size=n)
    expected = stats.t.interval(level, n - 1, values.mean(), stats.sem(values))
    assert student_t(tuple(values), level)[1:] == pytest.approx(expected)


def test_student_t_of_few_values():
    assert student_t((0.5,)) == (0.5, -math.inf, math.inf)
    mean, low, high = student_t(())
    assert math.isnan(mean) and (low, high) == (-math.inf, math.inf)
    assert student_t((0.5, 0.5)) == (0.5, 0.5, 0.5)


def test_bootstrap_counts_are_resamples():
    counts = bootstrap_counts(7, 2000, np.random.default_rng(0))
    assert counts.shape == (2000, 7) and (counts.sum(1) == 7).all()
    assert np.abs(counts.mean(0) - 1).max() < 0.1


def test_bootstrap_mean_is_near_student_t():
    values = np.random.default_rng(0).normal(size=200)
    low, high = bootstrap_mean(values, 4000, np.random.default_rng(1))
    assert (low, high) == pytest.approx(student_t(tuple(values))[1:], abs=0.02)
    assert bootstrap_mean(values, 50, np.random.default_rng(1)) == bootstrap_mean(
        values, 50, np.random.default_rng(1)
    )


def test_percentiles_work_along_the_first_axis():
    draws = np.stack([np.linspace(0, 1, 1001), np.linspace(0, 10, 1001)], 1)
    low, high = percentiles(draws, 0.9)
    assert low == pytest.approx([0.05, 0.5]) and high == pytest.approx([0.95, 9.5])

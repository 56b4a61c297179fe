"""Transforms: the same function in other weights."""

from __future__ import annotations

import numpy as np
import pytest
from support.compiled import compiled, mismatches

INPUTS = 20


@pytest.fixture(scope="module")
def sort():
    """The zoo's sort: several heads in two layers."""
    return compiled("sort")


@pytest.mark.parametrize("transform", ["rotated", "shuffled_heads", "with_decoys"])
def test_the_function_stays(sort, transform):
    """Other weights, of which every output is the program's."""
    other = getattr(sort, transform)(seed=1)
    assert not np.array_equal(other.weights.W_Q, sort.weights.W_Q)
    assert mismatches(other, sort.domain.sample(INPUTS, 0)) == []


def test_decoys_double_the_heads(sort):
    """Head h has the twin h + n_heads, with its queries and keys."""
    other, heads = sort.with_decoys(), sort.layout.n_heads
    assert other.weights.W_Q.shape[1] == 2 * heads
    assert np.array_equal(other.weights.W_Q[:, heads:], other.weights.W_Q[:, :heads])


def test_shuffled_heads_stay_named(sort):
    """The layout follows: labels are the same, at other places in some layer."""
    others = [sort.shuffled_heads(seed=seed) for seed in range(4)]
    assert all(sorted(o.heads.values()) == sorted(sort.heads.values()) for o in others)


def test_noise_keeps_zeros(sort):
    """Every weight that is not 0 changes, none that is."""
    other = sort.with_noise(0.1)
    for name, array in sort.weights.arrays().items():
        noisy = other.weights.arrays()[name]
        assert np.array_equal(noisy == 0, array == 0)
        assert (noisy != array).sum() == (array != 0).sum()

"""A compiled model squeezed into fewer residual dimensions."""

from __future__ import annotations

import inspect
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import rasplab
from rasplab.apps.show.sweeps import overlap_svg, superposition_svg
from rasplab.program.zoo import entries
from rasplab.study.bench.superposition import superpose, superpose_curve


@pytest.fixture(scope="module")
def fractions():
    """The share of "x" among the tokens so far, at length 4: 7 directions."""
    return rasplab.compile(rasplab.load(entries()["frac_prevs"].path), "xy", 4)


@pytest.fixture(scope="module")
def curve(fractions):
    """Squeezed to every second size."""
    full = fractions.weights.W_E.shape[1]
    return superpose_curve(fractions, [full, full - 2, 1], steps=60)


def test_all_dimensions_lose_nothing(fractions, curve):
    """As many dimensions as directions: the squeezed model is exact on every input."""
    report = rasplab.verify(curve[0].compiled.to_model("cpu"))
    assert report.exhaustive and report.mismatches == 0 and curve[0].accuracy == 1


def test_fewer_dimensions_cost_accuracy(curve):
    """The fewer, the worse; the weights really have that many."""
    assert [s.accuracy for s in curve] == sorted((s.accuracy for s in curve), reverse=True)
    assert curve[-1].accuracy < 0.9
    assert [s.compiled.weights.W_E.shape[1] for s in curve] == [s.d_model for s in curve]


def test_training_helps_and_never_harms(fractions):
    """The kept map is no worse than the principal directions that training starts from."""
    k = fractions.weights.W_E.shape[1] - 2
    assert superpose(fractions, k, steps=100).loss < superpose(fractions, k, steps=0).loss


def test_the_same_seed_gives_the_same_map(fractions):
    """Twice the same, another seed another."""
    one, two, other = (superpose(fractions, 3, seed=s, steps=50) for s in (1, 1, 2))
    assert np.array_equal(one.projection, two.projection)
    assert not np.array_equal(one.projection, other.projection)


def test_overlap_is_the_identity_where_all_have_room(curve):
    """W W^T of the full size; of one dimension it has rank 1."""
    assert np.allclose(curve[0].overlap, np.eye(len(curve[0].labels)), atol=1e-5)
    assert np.linalg.matrix_rank(curve[-1].overlap, tol=1e-6) == 1


def test_sizes_outside_are_refused(fractions):
    """The message says what there is."""
    unchecked = inspect.unwrap(superpose)  # the types that tests check would refuse 2.5 before
    for size in (0, 99, True, 2.5):
        with pytest.raises(ValueError, match="it can be 1 to"):
            unchecked(fractions, size)


def test_pictures_are_svg(curve):
    """One cell per pair of directions; one point per size."""
    count = len(curve[1].labels) ** 2
    assert overlap_svg(curve[1]).count('class="rl-box"') == count
    ET.fromstring(overlap_svg(curve[1]))
    assert superposition_svg(curve).count("<circle") == 3
    ET.fromstring(superposition_svg(curve))
    with pytest.raises(ValueError, match="no points"):
        superposition_svg([])

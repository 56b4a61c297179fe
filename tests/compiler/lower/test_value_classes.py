"""Classes of values: however targets are free, the classes determine them."""

from __future__ import annotations

import numpy as np
import pytest

from rasplab.compiler.lower.value_classes import merged_classes


@pytest.mark.parametrize("seed", range(40))
def test_classes_determine_the_targets(seed):
    """Rows of equal classes have equal targets, wherever these are not free."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(2, 5, size=rng.integers(1, 4))
    grid = np.stack(np.meshgrid(*(np.arange(s) for s in sizes), indexing="ij"), -1)
    rows = grid.reshape(-1, len(sizes))
    rows = rows[rng.random(len(rows)) < 0.7]
    targets = rng.integers(0, 2, size=(len(rows), 2)).astype(float)
    targets[rng.random(targets.shape) < 0.3] = np.nan
    orders = [list(range(s)) for s in sizes]
    tables = merged_classes(list(rows.T), orders, targets)
    merged = np.column_stack([t[c] for t, c in zip(tables, rows.T, strict=True)])
    for t in range(2):
        known = {}
        for classes, target in zip(merged.tolist(), targets[:, t], strict=True):
            if not np.isnan(target):
                assert known.setdefault(tuple(classes), target) == target


def test_free_values_join_the_first_class():
    """A value whose targets are free has no class of its own."""
    codes = [np.array([0, 0, 1, 1, 2]), np.array([0, 1, 0, 1, 0])]
    targets = np.array([[1.0], [2.0], [1.0], [2.0], [np.nan]])
    first, second = merged_classes(codes, [[0, 1, 2], [0, 1]], targets)
    assert first.tolist() == [0, 0, 0] and second.tolist() == [0, 1]

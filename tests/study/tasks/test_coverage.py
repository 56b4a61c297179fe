"""What a sample of a task meets: values, positions and selector rows."""

import json

import pytest

from rasplab.lang.loading import load
from rasplab.program import zoo
from rasplab.program.domain import Domain
from rasplab.study.tasks.coverage import coverage
from rasplab.study.tasks.tasks import task


def test_coverage_counts_by_hand():
    """hist on the inputs of one length: widths, values and lengths as counted here."""
    hist_task = task(load(zoo.entry("hist").path), Domain(tuple("ab"), 2))
    examples = hist_task.sample(40, 0)
    covered = coverage(hist_task, examples)
    pairs = examples.ids[examples.lengths == 2]
    equal = int((pairs[:, 0] == pairs[:, 1]).sum())
    assert covered.lengths == {1: int((examples.lengths == 1).sum()), 2: len(pairs)}
    assert covered.values == {1: covered.lengths[1] + 2 * (len(pairs) - equal), 2: 2 * equal}
    assert covered.positions == (2, 2)
    assert covered.rows == {"same": (0, covered.values[1], covered.values[2])}
    assert "rows of same: empty 0.0%" in str(covered)
    assert json.loads(json.dumps(covered.to_json()))["lengths"]["2"] == len(pairs)


@pytest.mark.parametrize("name", ["hist", "count_a", "hist_so_far", "pair_balance"])
def test_rare_values_are_classes_and_are_met(name):
    """The highest counts of four letters at length 8 are one input in thousands.

    Numbers that differ by rounding only are one class.
    """
    entry = zoo.entry(name)
    zoo_task = task(load(entry.path), entry.domain)
    values = coverage(zoo_task, zoo_task.sample(8_000, 0)).values
    assert min(values.values()) > 0
    assert len({round(float(v), 9) for v in values}) == len(values)
    if name != "pair_balance":
        assert max(values) == entry.domain.max_len and values[max(values)] > 10

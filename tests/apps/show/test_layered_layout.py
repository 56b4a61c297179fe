"""Where the boxes and lines of a layered drawing go."""

import time

import pytest

import rasplab
from rasplab.apps.show import layered_layout as layered
from rasplab.apps.show.program import flow_svg


def test_sweeps_untangle_a_crossing():
    """Two crossed links are put straight."""
    layers = layered.layers_of({"a": 0, "b": 0, "c": 1, "d": 1}, [("a", "d"), ("b", "c")])
    assert layered.crossings(layers.rows, layers.links) == 1
    better = layered.ordered(layers)
    assert layered.crossings(better.rows, better.links) == 0


def test_edges_that_skip_rows_share_a_lane():
    """A value read three rows up by two readers passes each row between once."""
    layers = layered.layers_of(
        {"a": 0, "b": 1, "c": 2, "d": 3, "e": 3}, [("a", "d"), ("a", "e"), ("b", "c")]
    )
    assert [item for row in layers.rows for item in row if item.lane] == [
        layered.Item("a", 1, True),
        layered.Item("a", 2, True),
    ]


def test_drawing_takes_time_in_proportion_to_its_boxes():
    """1,600 nodes in 1,000 rows take a second, not the square of it."""
    steps = "".join(f"x{i + 1} = (x{i} + indices) % 7;\n" for i in range(800))
    trace = rasplab.evaluate(rasplab.parse(f"x0 = tokens_int;\n{steps}"), "0123")
    start = time.process_time()
    assert flow_svg(trace).count("rl-box") > 1_600
    assert time.process_time() - start < 10


def test_drawings_that_are_too_large_are_refused_before_they_are_laid_out():
    """300 selectors of the first row, each read in a row of its own, and 3,000 of them."""
    reads = "x0 = tokens_int;\n" + "".join(
        f"x{i + 1} = aggregate(select(indices, {i}, ==), x{i});\n" for i in range(300)
    )
    trace = rasplab.evaluate(rasplab.parse(reads), "0123")
    with pytest.raises(rasplab.RaspError, match="boxes and pieces of lines; at most 30,000"):
        flow_svg(trace)
    rows = {i: i for i in range(3_000)} | {-i: 0 for i in range(1, 3_000)}
    with pytest.raises(rasplab.RaspError, match=r"4,501,500 boxes"):
        layered.layers_of(rows, [(-i, i) for i in range(1, 3_000)])

"""Where the boxes and lines of a layered drawing go."""

from rasplab.apps.show import layered_layout as layered


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

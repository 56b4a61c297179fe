"""Models of programs with several outputs: none is dropped, and another number is refused."""

from __future__ import annotations

import pytest

import rasplab
from rasplab.apps.cli.parser import main

TEXT = "a = indices; b = a + 1; c = a;"


def test_outputs_that_are_one_node_are_all_given():
    """Three names of two nodes: three entries, each with the value of its name."""
    program = rasplab.parse(TEXT, output=["c", "b", "a"])
    model = rasplab.compile(program, "xy", 3).to_model(device="cpu")
    assert model.run_all("xyx") == {"a": [0, 1, 2], "b": [1, 2, 3], "c": [0, 1, 2]}


def test_a_program_with_another_number_of_outputs_is_refused():
    """One sentence with both numbers, whichever has more."""
    one = rasplab.parse(TEXT, output="b")
    two = rasplab.parse(TEXT, output=["b", "a"])
    for mine, other in ((one, two), (two, one)):
        model = rasplab.compile(mine, "xy", 2).to_model(device="cpu")
        with pytest.raises(rasplab.RaspError, match=r"has \d outputs, and the model \d"):
            rasplab.verify(model, program=other)
        assert rasplab.verify(model).mismatches == 0


def test_run_shows_every_output_that_is_named(tmp_path, capsys):
    """--output again and again: a line for each."""
    path = tmp_path / "p.rasp"
    path.write_text(TEXT)
    assert main(["run", str(path), "xy", "--output", "c", "--output", "b"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("(")[0].strip() for line in lines if line.strip()] == ["c", "b"] or (
        "c" in lines[0] and any("b" in line for line in lines[1:])
    )
    assert main(["run", str(path), "xy", "--output", "c", "--output", "b", "--json"]) == 0
    assert '"outputs": {"c": [0, 1], "b": [1, 2]}' in capsys.readouterr().out

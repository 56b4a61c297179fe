"""The one reader of JSON: what it takes, and how it refuses everything else."""

from __future__ import annotations

import pytest
from support.damage import TEXTS

from rasplab.base.errors import FileError
from rasplab.base.schema import (
    SchemaError,
    array,
    atom,
    boolean,
    depth,
    integer,
    loads,
    mapping,
    nullable,
    number,
    one_of,
    parse_json,
    read_json,
    read_toml,
    record,
    row,
    string,
)


@pytest.mark.parametrize("name", TEXTS)
def test_texts_that_are_no_documents(name, tmp_path):
    """One sentence with the path and the reason, for every such text."""
    path = tmp_path / "f.json"
    path.write_text(TEXTS[name])
    with pytest.raises(FileError) as error:
        read_json(path, record({"a": integer()}), hint="make it again")
    assert str(path) in error.value.message and error.value.hint == "make it again"
    assert "\n" not in error.value.message


def test_files_that_cannot_be_read(tmp_path):
    """Missing, a folder, no UTF-8, too large: each says so."""
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe\x00")
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(1 << 29)  # a hole: it takes no room on the disk
    reasons = {tmp_path / "none": "missing", tmp_path: "missing", binary: "UTF-8", large: "bytes"}
    for path, reason in reasons.items():
        with pytest.raises(FileError, match=reason):
            read_json(path, string, hint="")


@pytest.mark.parametrize(
    ("schema", "taken", "refused"),
    [
        (integer(0, 3), [0, 3], [-1, 4, 1.0, True, "1", None, [1]]),
        (number(0, 1), [0, 0.5, 1], [-0.1, 1.1, True, "0", float("nan")]),
        (string, ["", "a"], [1, None, ["a"]]),
        (boolean, [True, False], [0, 1, "true", None]),
        (atom, ["a", 1, 0.5, True], [None, [], {}]),
        (one_of("a", 1), ["a", 1], ["b", True, 1.0]),
        (nullable(integer()), [None, 1], ["a"]),
        (array(integer(), 1, 2), [[1], [1, 2]], [[], [1, 2, 3], ["a"], {}, "a"]),
        (row(string, integer()), [["a", 1]], [["a"], [1, "a"], "a1"]),
        (mapping(integer()), [{}, {"a": 1}], [{"a": "b"}, [], None]),
        (record({"a": integer()}, {"b": string}), [{"a": 1}, {"a": 1, "b": ""}], [{}, {"a": "1"}]),
        (record({}, further=False), [{}], [{"x": 1}]),
    ],
)
def test_schemas_take_and_refuse(schema, taken, refused):
    """Each kind of schema on values at its edges."""
    for value in taken:
        assert schema(value, "") == value
    for value in refused:
        with pytest.raises(SchemaError):
            schema(value, "")


def test_a_fault_has_its_place():
    """Where in the document the value is, what it is, and what is accepted."""
    schema = record({"runs": array(record({"share": number(0, 1)}))})
    with pytest.raises(FileError) as error:
        parse_json('{"runs": [{"share": 0.5}, {"share": 2.0}]}', schema, where="f.json", hint="")
    assert error.value.message == (
        "f.json is damaged: runs[1].share is 2.0; it has to be a number of at least 0 "
        "and of at most 1"
    )


def test_brackets_in_strings_do_not_nest():
    """Depth counts lists and objects alone."""
    assert depth('["[[[", {"a}": "\\"]"}, []]') == 2
    assert loads('["[[["]') == ["[[["]


@pytest.mark.parametrize("text", ["a =", "a = " + "[" * 5000 + "]" * 5000])
def test_toml_that_is_refused(tmp_path, text):
    """A FileError of one line."""
    path = tmp_path / "f.toml"
    path.write_text(text)
    with pytest.raises(FileError, match="TOML") as error:
        read_toml(path, hint="")
    assert "\n" not in error.value.message

"""Text in columns, carets under source text, and whole files."""

import pytest

from rasplab.base import text
from rasplab.base.atomic import write_atomic
from rasplab.base.errors import Source, Span, caret_lines


def test_table_aligns_wide_and_combining_characters():
    """Columns start at the same terminal column whatever the characters."""
    lines = text.table(["name", "n"], [["日本", "1"], ["e\u0301", "22"]], "<>").splitlines()
    assert lines == ["name   n", "────  ──", "日本   1", "e\u0301     22"]


def test_clip_keeps_to_its_columns():
    """A clipped text is never wider than asked, wide characters included."""
    assert text.clip("num_smaller", 6) == "num_s…"
    assert text.width(text.clip("日本語テキスト", 6)) <= 6


def test_sizes_are_in_a_unit_that_suits_them():
    """No limit reads as 0.0 of a unit."""
    sizes = {0: "0 bytes", 1023: "1,023 bytes", 1 << 10: "1.0 KiB", 1_000_000: "976.6 KiB"}
    sizes |= {3 << 19: "1.5 MiB", 4 << 30: "4.0 GiB", 9 << 40: "9,216.0 GiB"}
    assert {size: text.size_text(size) for size in sizes} == sizes


def test_carets_stand_under_wide_characters():
    """A caret's column is a terminal's column."""
    source = Source("<cell>", 'x = "日本" + \ty;')
    assert caret_lines(Span(source, 12, 13))[1] == "               \t^"


def test_a_failed_write_leaves_the_old_file(tmp_path):
    """write_atomic replaces a file whole, or leaves it and nothing beside it."""
    path = write_atomic(tmp_path / "new" / "a.txt", "one")
    with pytest.raises(UnicodeEncodeError):
        write_atomic(path, "\ud800")
    assert path.read_text() == "one" and list(path.parent.iterdir()) == [path]

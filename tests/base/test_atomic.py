"""Files that belong together, leftovers of killed writers, and folders of one kind."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from rasplab.base import atomic
from rasplab.base.atomic import (
    SAVING,
    clear_leftovers,
    complete_folder,
    own_folder,
    remove_tree,
    write_atomic,
    write_together,
)
from rasplab.base.errors import FileError
from rasplab.base.folders import require_kind

OLD, NEW = {"a": b"old a", "b": b"old b"}, {"a": b"new a", "b": b"new b"}

KILLED = """
import os, pathlib, sys
from rasplab.base import atomic
calls, stop = 0, int(sys.argv[2])
def dying(function):
    def call(*args, **kwargs):
        global calls
        calls += 1
        if calls == stop:
            os.kill(os.getpid(), 9)
        return function(*args, **kwargs)
    return call
os.replace, os.fdopen = dying(os.replace), dying(os.fdopen)
atomic.shutil.rmtree = dying(atomic.shutil.rmtree)
atomic.write_together(pathlib.Path(sys.argv[1]), {"a": b"new a", "b": b"new b"})
"""


@pytest.mark.parametrize("stop", range(1, 13))
def test_a_kill_between_files_leaves_one_whole_set(tmp_path, stop):
    """Killed before any step of the save: all old files or all new ones, and then no leftovers."""
    write_together(tmp_path, OLD)
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), str(stop)], check=False)
    place = complete_folder(tmp_path)
    assert {name: (place / name).read_bytes() for name in OLD} in (OLD, NEW)
    atomic._cleared.clear()
    write_together(tmp_path, NEW)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b"]
    assert {name: (tmp_path / name).read_bytes() for name in OLD} == NEW


def test_leftovers_of_killed_writers_are_cleared(tmp_path):
    """Files of processes that no longer run, at the next write; those of running ones stay."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    host = atomic._host()
    for pid in (ended.pid, os.getpid()):
        (tmp_path / f".f.json.{host}-{pid}.abc.part").write_text("")
    (tmp_path / ".f.json.old.part").write_text("")
    os.utime(tmp_path / ".f.json.old.part", (0, 0))
    (tmp_path / ".f.json.elsewhere-1.abc.part").write_text("")
    write_atomic(tmp_path / "f.json", "x")
    assert {p.name for p in tmp_path.iterdir()} == {
        ".f.json.elsewhere-1.abc.part",
        f".f.json.{host}-{os.getpid()}.abc.part",
        "f.json",
    }


def test_links_are_removed_and_not_followed(tmp_path):
    """A link on the way to a folder: what it names stays whole."""
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    (outside / "run").mkdir(parents=True)
    (outside / "run" / "kept").write_text("")
    inside.mkdir()
    (inside / "work").symlink_to(outside)
    remove_tree(inside / "work" / "run", inside)
    assert (outside / "run" / "kept").is_file() and not (inside / "work").is_symlink()
    (inside / "work").symlink_to(outside)
    assert own_folder(inside / "work" / "run", inside).is_dir()
    assert not (inside / "work").is_symlink() and not any((inside / "work" / "run").iterdir())
    remove_tree(inside / "work", inside)
    assert not (inside / "work").exists()


def test_a_link_in_the_place_of_a_saved_set_is_not_followed(tmp_path):
    """SAVING as a link counts for nothing."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / SAVING).symlink_to(tmp_path / "elsewhere")
    assert complete_folder(tmp_path / "folder") == tmp_path / "folder"
    clear_leftovers(tmp_path / "folder")


def test_folders_are_of_one_kind(tmp_path):
    """Another kind is refused by its name; force takes models, and never a sweep."""
    (tmp_path / "model.json").write_text("{}")
    with pytest.raises(FileError, match="holds a trained model"):
        require_kind(tmp_path, "compiled.json")
    require_kind(tmp_path, "compiled.json", force=True)
    require_kind(tmp_path, "model.json")
    (tmp_path / "runs").mkdir()
    with pytest.raises(FileError, match="holds a sweep"):
        require_kind(tmp_path, "compiled.json", force=True)

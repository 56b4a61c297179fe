"""Writing files: replaced in one step, alone or several together, and removing what a run left.

A writer that is killed leaves its temporary file, `.NAME.HOST-PID.RANDOM.part`; the next program
that writes into the folder removes those of writers that no longer run.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import socket
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from rasplab.base.errors import FileError

SAVING = ".saving"
"""The folder in a folder where files that belong together wait until all are complete."""

OLD = 24 * 3600
"""Seconds after which a temporary file of an unknown writer counts as left over."""

_PART = re.compile(r"\..+?\.(?P<host>[^.]*)-(?P<pid>\d+)\.[^.]+\.part")

_cleared: set[tuple[int, Path]] = set()
"""Folders that this process has cleared of leftovers, with its number."""


def write_atomic(path: str | Path, content: str | bytes) -> Path:
    """Write a file so that a reader sees either the old content or all of the new.

    content  text is written as UTF-8
    The folder is made if it is missing. Raises OSError where the disk refuses.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _clear_once(path.parent)
    prefix = f".{path.name}.{_host()}-{os.getpid()}."
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=prefix, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
        os.chmod(temporary, 0o644)  # mkstemp makes the file private to its user
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return path


def write_together(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Write files that belong together: `complete_folder` then has all old ones, or all new ones.

    The folder is made if it is missing. Raises OSError where the disk refuses.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _clear_once(folder)
    _finish(folder)
    prefix = f"{SAVING}.{_host()}-{os.getpid()}."
    staging = Path(tempfile.mkdtemp(dir=folder, prefix=prefix, suffix=".part"))
    try:
        os.chmod(staging, 0o755)
        for name, content in contents.items():
            write_atomic(staging / name, content)
        os.replace(staging, folder / SAVING)  # from here on the new files count
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    _finish(folder)


def _finish(folder: Path) -> None:
    """Put the files of a complete save, which may be another's that was killed, into their places.

    Each stays in SAVING until all are in place, so a stop at any moment leaves one whole set.
    """
    saving = folder / SAVING
    if saving.is_symlink() or not saving.is_dir():
        return
    for file in sorted(saving.iterdir()):
        write_atomic(folder / file.name, file.read_bytes())
    done = saving.with_name(f"{SAVING}.{_host()}-{os.getpid()}.{time.time_ns()}.part")
    os.replace(saving, done)
    shutil.rmtree(done, ignore_errors=True)


def complete_folder(folder: Path) -> Path:
    """Where the files of the last `write_together` are: SAVING if it was stopped half-way."""
    saving = folder / SAVING
    return saving if saving.is_dir() and not saving.is_symlink() else folder


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9_]", "_", socket.gethostname())


def clear_leftovers(folder: Path) -> None:
    """Remove temporary files of writers that were killed; those of running ones stay."""
    for path in folder.glob(".*.part"):
        if not _left_over(path):
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _clear_once(folder: Path) -> None:
    key = os.getpid(), folder.absolute()
    if key not in _cleared:
        _cleared.add(key)
        clear_leftovers(folder)


def _left_over(path: Path) -> bool:
    """Whether nobody writes a temporary file any more."""
    match = _PART.fullmatch(path.name)
    if match and match["host"] == _host():
        return not _runs(int(match["pid"]))
    try:
        return time.time() - path.lstat().st_mtime > OLD
    except OSError:
        return False


def _runs(pid: int) -> bool:
    """Whether this machine runs a process of that number."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        pass
    return True


def remove_tree(path: Path, inside: Path) -> None:
    """Remove a folder of `inside` with what it holds; a link on the way is removed, not followed.

    Nothing outside `inside` is touched. What cannot be removed stays.
    """
    place = inside
    for part in path.relative_to(inside).parts:
        if part == "..":
            return
        place /= part
        if place.is_symlink():
            place.unlink(missing_ok=True)
            return
    shutil.rmtree(path, ignore_errors=True)


def own_folder(path: Path, inside: Path) -> Path:
    """A folder of `inside`, made if it is missing; links on the way become folders of its own.

    Raises FileError where nothing can be written to it.
    """
    place = inside
    for part in path.relative_to(inside).parts:
        place /= part
        if place.is_symlink():
            place.unlink(missing_ok=True)
    return writable(path)


def writable(folder: Path) -> Path:
    """The folder, made if it is missing.

    Raises FileError where nothing can be written to it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise FileError(
            f"cannot write to {folder}: {error.strerror or error}",
            hint="choose another folder with -o",
        ) from None
    return folder

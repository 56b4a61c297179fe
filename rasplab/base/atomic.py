"""Writing files: replaced in one step, into folders that are checked first."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

from rasplab.base.errors import FileError


def write_atomic(path: str | Path, content: str | bytes) -> Path:
    """Write a file so that a reader sees either the old content or all of the new.

    content  text is written as UTF-8
    The folder is made if it is missing. Raises OSError where the disk refuses.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
        os.chmod(temporary, 0o644)  # mkstemp makes the file private to its user
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return path


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

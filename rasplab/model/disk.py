"""What trained models and records of runs need of the disk (floor 4)."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from rasplab.errors import FileError


def writable(folder: Path) -> Path:
    """The folder, made if need be. Raises FileError where nothing can be written to it."""
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


def replaced(path: Path, content: bytes) -> None:
    """Write beside `path`, then put it in place: a reader sees the old file or the new one."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(content)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def versions() -> dict[str, str]:
    """The versions of what decides a trained model beside its recipe."""
    from importlib.metadata import version

    return {name: version(name) for name in ("rasplab", "torch", "transformer-lens", "numpy")}

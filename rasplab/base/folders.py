"""Folders of one kind: what a folder holds, by the files that rasplab writes into it."""

from __future__ import annotations

from pathlib import Path

from rasplab.base.atomic import complete_folder
from rasplab.base.errors import FileError

COMPILED, TRAINED, STOPPED = "compiled.json", "model.json", "resume.safetensors"

KINDS: dict[str, str] = {
    COMPILED: "a compiled model",
    TRAINED: "a trained model",
    STOPPED: "a training run that was stopped",
    "index.sqlite": "a sweep",
    "runs": "a sweep",
    "rows.jsonl": "a benchmark",
    "config.json": "a Hugging Face model",
}
"""A file that only folders of one kind have -> the kind."""

FILES: dict[str, tuple[str, ...]] = {
    COMPILED: (COMPILED, "weights.safetensors"),
    TRAINED: (TRAINED, "model.safetensors"),
    STOPPED: (STOPPED,),
}
"""The files of a model, which another model replaces where that is forced."""

FORCE = "choose another folder with -o, or replace it: --force (in Python: force=True)"


def kinds_in(folder: Path) -> list[str]:
    """The files of KINDS that a folder has; one or none, unless somebody has mixed them."""
    places = {folder, complete_folder(folder)}
    return [name for name in KINDS if any((place / name).exists() for place in places)]


def require_kind(folder: Path, *accepted: str, force: bool = False) -> None:
    """Refuse to write a folder of another kind than `accepted`, names of KINDS.

    force  models of rasplab of another kind are accepted; sweeps and benchmarks never are

    Raises FileError, which says what the folder holds.
    """
    for name in kinds_in(folder):
        if name not in accepted and not (force and name in FILES):
            raise FileError(f"{folder} holds {KINDS[name]}, which is not replaced", hint=FORCE)


def drop_others(folder: Path, *accepted: str) -> None:
    """Remove the files of models of other kinds than `accepted`, once a forced save is complete."""
    for name in set(kinds_in(folder)) - set(accepted):
        for file in FILES.get(name, ()):
            (folder / file).unlink(missing_ok=True)

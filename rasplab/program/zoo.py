"""The zoo: the programs under circuits/ with their domains, from the index.toml of each group."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from rasplab.base.errors import RaspNameError
from rasplab.base.text import near_names
from rasplab.program.domain import Domain
from rasplab.program.values import Atom

PACKAGE = Path(__file__).resolve().parents[1]


def shipped(folder: str) -> Path:
    """`grammars` or `circuits`: beside the package in a checkout, inside it in a wheel."""
    installed = PACKAGE / f"_{folder}"
    return installed if installed.is_dir() else PACKAGE.parent / folder


@dataclass(frozen=True)
class Entry:
    """One zoo program: its domain, what it computes, and a sample input with its output."""

    name: str
    path: Path
    summary: str
    domain: Domain
    sample: tuple[Atom, ...]
    output: tuple[Any, ...]


GROUPS = {"zoo": "", "tasks": "tasks"}
"""Groups of programs, and the folder of each under circuits/."""


@cache
def entries(group: str | None = None) -> dict[str, Entry]:
    """The programs of one group, or of all, by name, in the order of their index."""
    if group is None:
        return {name: row for part in GROUPS for name, row in entries(part).items()}
    folder = shipped("circuits") / GROUPS[group]
    index = tomllib.loads((folder / "index.toml").read_text(encoding="utf-8"))
    return {name: _entry(folder, name, row) for name, row in index.items()}


def _entry(folder: Path, name: str, row: dict) -> Entry:
    domain = Domain(tuple(row["vocab"]), row["max_len"], row.get("causal", False))
    path = folder / row.get("file", f"{name}.rasp")
    return Entry(name, path, row["summary"], domain, tuple(row["sample"]), tuple(row["output"]))


def entry(name: str) -> Entry:
    """The zoo program called `name`.

    Raises RaspNameError for any other name; the hint lists the nearest ones.
    """
    if name not in entries():
        near = near_names(name, entries()) or list(entries("zoo"))
        raise RaspNameError(f"no program {name!r} in the zoo", hint=f"try: {', '.join(near)}")
    return entries()[name]

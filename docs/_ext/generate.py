"""Pages that are written before each build, from code and from stored results.

api/      the public names, by room       from api_pages.py
cli/      every command and its options   from the parser
results/  tables and figures              from experiments/results and circuits
deviations.md                             from tests/conformance/deviations.toml
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import api_pages
import cli_pages
import results_pages

import rasplab


def write_all(folder: Path, root: Path) -> None:
    """Write every generated page into `folder`; what is unchanged keeps its time stamp."""
    pages = {
        **{f"api/{name}": text for name, text in api_pages.pages().items()},
        **{f"cli/{name}": text for name, text in cli_pages.pages().items()},
        **{f"results/{name}": text for name, text in results_pages.pages(root).items()},
        "rooms.md": rooms(),
        "deviations.md": deviations(root / "tests" / "conformance" / "deviations.toml"),
    }
    for stale in {p for p in folder.rglob("*") if p.is_file()} - {folder / name for name in pages}:
        stale.unlink()
    for name, text in pages.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")


def rooms() -> str:
    """The rooms of the package, top floor first, as a table."""
    lines = re.findall(r"^  (\w+) {2,}(.*?) -> (.*?): (.*)$", rasplab.__doc__ or "", re.M)
    rows = [f"| `{room}` | {a} → {b.replace('->', '→')} | {text} |" for room, a, b, text in lines]
    return "\n".join(["| room | in → out | what it does |", "|---|---|---|", *reversed(rows), ""])


def deviations(path: Path) -> str:
    """The records that rasplab answers otherwise than the reference, as a table."""
    table = tomllib.loads(path.read_text("utf-8"))["deviations"]
    rows = [f"| `{record}` | {reason} |" for record, reason in table.items()]
    return "\n".join(["| record | difference and reason |", "|---|---|", *rows, ""])

"""The floors of the house: a file imports only from lower floors or its own package."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import rasplab

ROOT = Path(rasplab.__file__).parent
FLOORS = (
    ("errors", "limits", "sites"),
    ("functions", "program", "domain", "inputs", "weights"),
    ("lang", "interpret", "batch", "zoo", "dsl", "explain", "raspl", "equality"),
    ("compiler",),
    ("model",),
    ("circuit",),
    ("study",),
    (
        "show",
        "names",
        "highlight",
        "notebook",
        "terminal",
        "repl",
        "demo",
        "commands",
        "text_commands",
        "discovery",
        "studies",
        "reproduce",
        "cli",
    ),
)
FLOOR = {name: k for k, names in enumerate(FLOORS) for name in names}
UPWARD = {
    # a program's or a compiled model's own convenience methods, imported when called
    ("compiler", "model"),
    ("program", "lang"),
    ("program", "explain"),
    ("explain", "show"),
}


def imports(path: Path) -> set[str]:
    """The rasplab parts that a file imports, by first name below rasplab."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("rasplab"):
            parts = node.module.split(".")
            found |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
    return {name for name in found if name in FLOOR}


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_down(path):
    """No file imports from a higher floor, save the named exceptions."""
    part = path.relative_to(ROOT).parts[0].removesuffix(".py")
    if part in ("__init__", "__main__"):
        return
    assert part in FLOOR, f"{part} has no floor"
    for name in imports(path):
        down = FLOOR[name] < FLOOR[part] or name == part or FLOOR[name] == FLOOR[part]
        assert down or (part, name) in UPWARD, (
            f"{part} (floor {FLOOR[part]}) imports {name} (floor {FLOOR[name]})"
        )

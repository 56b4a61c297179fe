"""Markdown tables and the parts that all pages of results have."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

Cell = object


def table(head: Sequence[str], rows: Iterable[Sequence[Cell]], numbers: int = 0) -> str:
    """A Markdown table; the last `numbers` columns are aligned to the right."""
    rule = ["---"] * (len(head) - numbers) + ["--:"] * numbers
    lines = [head, rule, *([shown(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def shown(cell: Cell) -> str:
    """A value as the text of a cell."""
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, float):
        return f"{cell:.0f}" if abs(cell) >= 1000 else f"{cell:.3g}" if cell else "0"
    if isinstance(cell, int):
        return f"{cell:,}"
    return str(cell).replace("|", "\\|")


def page(title: str, *parts: str) -> str:
    """A page of paragraphs."""
    return "\n\n".join([f"# {title}", *parts]) + "\n"


def absent(title: str, path: Path, command: str) -> str:
    """A page that says what is missing."""
    note = f"`experiments/results/{path.name}` is not there. `{command}` writes it."
    return page(title, f":::{{warning}}\n{note}\n:::")


def source(path: str, command: str) -> str:
    """Where a page's numbers come from."""
    return f"From `{path}`; measured anew by `{command}`."


def percent(share: float) -> str:
    """A share with two decimals."""
    return f"{share:.2%}"


def conditions(data: dict[str, Any]) -> str:
    """Machine, versions and settings, as a list."""
    measured = data["conditions"]
    versions = ", ".join(f"{name} {version}" for name, version in measured["versions"].items())
    machine = f"{measured['processor']}, {measured['cores']} cores"
    settings = [
        f"{k.replace('_', ' ')}: {v:,}"
        for k, v in data.items()
        if not hasattr(v, "keys") and not isinstance(v, list)
    ]
    lines = [
        f"{machine}, load average {measured['load_average']}",
        f"Python {measured['python']}, {versions}",
        *settings,
    ]
    return "\n".join(f"- {line}" for line in lines)

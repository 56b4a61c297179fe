"""What several commands print: one JSON object, progress on stderr, shared lines."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rasplab.model.verify import Report


@contextlib.contextmanager
def only_json(enabled: bool) -> Iterator[None]:
    """Keep stdout for the one JSON object: what libraries print meanwhile goes to stderr."""
    with contextlib.redirect_stdout(sys.stderr) if enabled else contextlib.nullcontext():
        yield


def print_json(**fields: Any) -> None:
    """Print one JSON object on stdout."""
    print(json.dumps(fields, ensure_ascii=False, default=_plain))


def _plain(value: Any) -> Any:
    """Arrays, dataclasses and sets as lists and dicts; anything else as its text."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if hasattr(value, "__dataclass_fields__"):
        return {name: getattr(value, name) for name in value.__dataclass_fields__}
    return list(value) if isinstance(value, (set, frozenset)) else str(value)


@contextlib.contextmanager
def progress_bar(name: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr where that is a terminal; call it with what is done, and of how much."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn

    console = Console(file=sys.stderr)
    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bars:
        task = bars.add_task(name, total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)


def write_noted(path: str | Path, text: str) -> None:
    """Write a file atomically, and say on stderr where it is."""
    from rasplab.base.atomic import write_atomic

    print(f"written to {write_atomic(path, text)}", file=sys.stderr)


def verification_line(report: Report) -> str:
    """As in `checked 87,380 inputs, every one of the domain: 0 mismatches`."""
    scope = "every one of the domain" if report.exhaustive else f"a sample of seed {report.seed}"
    return f"checked {report.checked:,} inputs, {scope}: {report.mismatches:,} mismatches"

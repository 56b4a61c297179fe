"""What the examples of a task cover: lengths, answers by position, and rows of selectors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rasplab.program.graph import effective_selectors
from rasplab.program.values import Value
from rasplab.study.tasks.tasks import Examples, Task


@dataclass(frozen=True, eq=False)
class Coverage:
    """Counts over examples.

    lengths    by length: inputs
    values     by class: positions with that answer
    positions  by position: different answers there
    rows       by selector: its rows that select no key, one key, and several
    """

    lengths: dict[int, int]
    values: dict[Value, int]
    positions: tuple[int, ...]
    rows: dict[str, tuple[int, int, int]]

    def __str__(self) -> str:
        total = max(1, sum(self.values.values()))
        lines = [
            "inputs of each length: " + ", ".join(f"{n}: {c:,}" for n, c in self.lengths.items()),
            "answers: " + ", ".join(f"{v!r} {c / total:.1%}" for v, c in self.values.items()),
            "different answers by position: " + " ".join(map(str, self.positions)),
        ]
        for name, (empty, one, several) in self.rows.items():
            count = max(1, empty + one + several)
            lines.append(
                f"rows of {name}: empty {empty / count:.1%}, one {one / count:.1%}, "
                f"several {several / count:.1%}"
            )
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """Everything, as plain values; rows as [empty, one, several]."""
        return {
            "lengths": {str(n): c for n, c in self.lengths.items()},
            "values": [[v, c] for v, c in self.values.items()],
            "positions": list(self.positions),
            "rows": {name: list(counts) for name, counts in self.rows.items()},
        }


def coverage(task: Task, examples: Examples) -> Coverage:
    """What `examples` of a task cover."""
    lengths, sizes = np.unique(examples.lengths, return_counts=True)
    answered = examples.answers >= 0  # IGNORED is negative
    counts = np.bincount(examples.answers[answered], minlength=len(task.classes))
    columns = zip(examples.answers.T, answered.T, strict=True)
    return Coverage(
        {int(n): int(c) for n, c in zip(lengths, sizes, strict=True)},
        {v: int(c) for v, c in zip(task.classes, counts, strict=True)},
        tuple(len(np.unique(column[mask])) for column, mask in columns),
        _selector_rows(task, examples),
    )


def _selector_rows(task: Task, examples: Examples) -> dict[str, tuple[int, int, int]]:
    """By selector: how many rows select no key, one key, and several."""
    selectors = effective_selectors(task.program)
    counts = np.zeros((len(selectors), 3), np.int64)
    for n in np.unique(examples.lengths):
        ids = examples.ids[examples.lengths == n, :n]
        trace = task.semantics.evaluate(ids)
        for j, node in enumerate(selectors):
            selector = np.broadcast_to(trace.selector(node), (len(ids), n, n))
            counts[j] += np.bincount(np.minimum(selector.sum(-1), 2).ravel(), minlength=3)
    labels = task.program.labels
    return {
        labels[node]: (int(empty), int(one), int(several))
        for node, (empty, one, several) in zip(selectors, counts, strict=True)
    }

"""What a task's examples cover: lengths, values by position, and rows of selectors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rasplab.program.batch.evaluate import evaluate_batch
from rasplab.program.graph import effective_selectors
from rasplab.program.values import Value
from rasplab.study.tasks.tasks import Examples, Task


@dataclass(frozen=True, eq=False)
class Coverage:
    """Counts over examples.

    lengths    inputs of each length
    values     by class, how often it is the answer
    positions  by position, how many different answers occur there
    rows       by selector, its rows that select no key, one, and several
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
        for name, (none, one, more) in self.rows.items():
            count = max(1, none + one + more)
            lines.append(
                f"rows of {name}: empty {none / count:.1%}, one {one / count:.1%}, "
                f"several {more / count:.1%}"
            )
        return "\n".join(lines)

    def to_json(self) -> dict:
        """Plain values; rows as [empty, one, several]."""
        return {
            "lengths": {str(n): c for n, c in self.lengths.items()},
            "values": [[v, c] for v, c in self.values.items()],
            "positions": list(self.positions),
            "rows": {name: list(counts) for name, counts in self.rows.items()},
        }


def coverage(todo: Task, examples: Examples) -> Coverage:
    """What `examples` of the task meet."""
    lengths, sizes = np.unique(examples.lengths, return_counts=True)
    real = examples.answers >= 0
    counts = np.bincount(examples.answers[real], minlength=len(todo.classes))
    positions = tuple(
        len(np.unique(column[seen]))
        for column, seen in zip(examples.answers.T, real.T, strict=True)
    )
    return Coverage(
        {int(n): int(c) for n, c in zip(lengths, sizes, strict=True)},
        {v: int(c) for v, c in zip(todo.classes, counts, strict=True)},
        positions,
        _rows(todo, examples),
    )


def _rows(todo: Task, examples: Examples) -> dict[str, tuple[int, int, int]]:
    program, domain = todo.program, todo.domain
    wanted = effective_selectors(program)
    counts = np.zeros((len(wanted), 3), np.int64)
    for n in np.unique(examples.lengths):
        ids = examples.ids[examples.lengths == n, :n]
        trace = evaluate_batch(program, ids, domain.vocab, domain.causal)
        for j, node in enumerate(wanted):
            selector = np.broadcast_to(trace.selector(node), (len(ids), n, n))
            counts[j] += np.bincount(np.minimum(selector.sum(-1), 2).ravel(), minlength=3)
    return {
        program.labels[node]: tuple(map(int, row)) for node, row in zip(wanted, counts, strict=True)
    }

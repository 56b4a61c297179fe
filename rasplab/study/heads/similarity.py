"""How like a selector a pattern is: total variation, corrected for chance."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from rasplab.program.batch.evaluate import BatchTrace
from rasplab.program.graph import Aggregate, SelectorWidth

SHIFTS = 4
"""Controls per input: how many other inputs (or other orders of the rows) it is compared with."""


class Sums:
    """Similarities summed over queries: with the selector itself and with controls, each [head,
    selector]."""

    def __init__(self, heads: int, selectors: int):
        self.own, self.control = np.zeros((heads, selectors)), np.zeros((heads, selectors))
        self.n_own, self.n_control = np.zeros(selectors), np.zeros(selectors)

    def add(
        self,
        patterns: np.ndarray,
        selectors: list[np.ndarray],
        informative_pairs: list[np.ndarray],
        with_bos: bool,
    ) -> None:
        """Count patterns [batch, head, query, key] in, BOS as key 0 if `with_bos`, at the `informative_pairs`
        rows of each selector."""
        for j, (selector, rows) in enumerate(zip(selectors, informative_pairs, strict=True)):
            wrong = list(controls(selector))
            # every length weighs the same in both sums, however many controls it has
            for control in wrong:
                total, count = similarity(patterns, control, with_bos, rows)
                self.control[:, j] += total / len(wrong)
                self.n_control[j] += count / len(wrong)
            if wrong:
                total, count = similarity(patterns, selector, with_bos, rows)
                self.own[:, j] += total
                self.n_own[j] += count

    def result(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """similarity, chance, score."""
        own, chance = (
            self.own / np.maximum(self.n_own, 1),
            self.control / np.maximum(self.n_control, 1),
        )
        # where every control is the selector itself (it selects everything), nothing can be told:
        # no evidence
        room = np.maximum(1 - chance, 1e-6)
        return own, chance, np.where(1 - chance < 1e-6, 0.0, (own - chance) / room)


def controls(selector: np.ndarray) -> Iterator[np.ndarray]:
    """Wrong selectors of the same kind: those of other inputs;
    for positional ones, the rows in another order."""
    axis = 1 if len(selector) == 1 else 0
    for shift in range(1, min(SHIFTS, selector.shape[axis] - 1) + 1):
        yield np.roll(selector, shift, axis)


def without_bos(patterns: np.ndarray) -> np.ndarray:
    """The key columns but BOS's, each row rescaled to 1; a row wholly on BOS stays 0."""
    keys = patterns[..., 1:]
    total = keys.sum(-1, keepdims=True)
    return np.where(total > 1e-6, keys / np.maximum(total, 1e-6), 0)


def unambiguous(trace: BatchTrace, selector: int) -> np.ndarray:
    """bool [batch, query]: rows where some reader could tell the selector from another one.

    An aggregate cannot where a key that is seen and not selected holds the value of one that is:
    attention there does as well. Where no row of the batch is clear, all of them count.
    """
    chosen = np.broadcast_to(trace.selector(selector), (*trace.ids.shape, trace.ids.shape[1]))
    n_pos, clear = trace.ids.shape[1], np.zeros(trace.ids.shape, bool)
    seen = np.tri(n_pos, dtype=bool) if trace.causal else np.ones((n_pos, n_pos), bool)
    for node in trace.program.nodes:
        match node:
            case SelectorWidth(read) if read == selector:
                clear[:] = True
            case Aggregate(read, values, _) if read == selector:
                codes = trace[values].codes
                equal = codes[:, :, None] == codes[:, None, :]
                clear |= ~((chosen.astype(np.float32) @ equal > 0) & ~chosen & seen).any(-1)
    return clear if clear.any() else np.ones_like(clear)


def similarity(
    patterns: np.ndarray, selector: np.ndarray, with_bos: bool, rows: np.ndarray | None = None
) -> tuple[np.ndarray, int]:
    """Sum over batch and query of 1 - total variation distance, per head;
    and how many rows were counted.

    patterns  [batch, head, query, key], BOS as key 0 if `with_bos`
    selector  bool [batch or 1, query, key] without BOS; empty rows mean BOS, or do not count
    rows      bool [batch, query]: those that count
    """
    overlap, counted = overlaps(patterns, selector, with_bos, rows)
    return overlap.sum(0), int(counted.sum())


def overlaps(
    patterns: np.ndarray, selector: np.ndarray, with_bos: bool, rows: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """`similarity` of each input: [batch, head], and the rows counted [batch]."""
    width = selector.sum(-1, keepdims=True)
    target = selector / np.maximum(width, 1)
    counted = np.ones(width.shape[:2]) if with_bos else (width[..., 0] > 0).astype(float)
    counted = counted if rows is None else counted * rows
    if with_bos:
        target = np.concatenate([width == 0, target], -1)
    overlap = np.minimum(patterns, target[:, None]).sum(-1)
    # rows of both sum to 1, so the overlap is 1 - total variation distance;
    # a row at BOS alone overlaps nowhere
    total = (overlap * counted[:, None]).sum(2)
    return total, np.broadcast_to(counted, (len(patterns), counted.shape[1])).sum(1)

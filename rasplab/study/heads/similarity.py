"""How much an attention pattern is like a selector: 1 - total variation distance, against controls.

Patterns and selectors of one batch of inputs go in, similarities per head and selector come out.
Read `overlaps` first (one selector, one batch), then `SimilaritySums` (all selectors and batches,
corrected for chance).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Bool, Float

from rasplab.program.batch.evaluate import BatchTrace
from rasplab.program.graph import Aggregate, SelectorWidth

MAX_CONTROLS = 4
"""Control selectors made of each selector, at most."""

MIN_ROOM = 1e-6
"""Least 1 - chance for which a score is computed; below, every control equals the selector."""


def overlaps(
    patterns: Float[np.ndarray, "batch head query key_seen"],
    selector: Bool[np.ndarray, "#batch query key"],
    with_bos: bool,
    rows: Bool[np.ndarray, "batch query"] | None = None,
) -> tuple[Float[np.ndarray, "batch head"], Float[np.ndarray, " batch"]]:
    """For each input: 1 - total variation distance summed over queries, and the queries counted.

    The target of a query is its row of the selector divided by the number of keys selected. Pattern
    and target sum to 1, so that sum_k min(pattern_k, target_k) = 1 - total variation distance.

    patterns  attention probabilities; BOS is key 0 if `with_bos`, else its column is left out
    selector  without BOS; an empty row means BOS if `with_bos`, else it does not count
    rows      the queries that count; by default all
    """
    width = selector.sum(-1, keepdims=True)
    target = selector / np.maximum(width, 1)
    # with BOS's column an empty row has a target, BOS; without it there is none to compare with
    counted = np.ones(width.shape[:2]) if with_bos else (width[..., 0] > 0).astype(float)
    counted = counted if rows is None else counted * rows
    if with_bos:
        target = np.concatenate([width == 0, target], -1)
    # a pattern wholly on BOS is 0 everywhere without BOS's column: it overlaps with nothing
    overlap = np.minimum(patterns, target[:, None]).sum(-1)
    total = (overlap * counted[:, None]).sum(2)
    return total, np.broadcast_to(counted.sum(1), (len(patterns),))


def similarity(
    patterns: Float[np.ndarray, "batch head query key_seen"],
    selector: Bool[np.ndarray, "#batch query key"],
    with_bos: bool,
    rows: Bool[np.ndarray, "batch query"] | None = None,
) -> tuple[Float[np.ndarray, " head"], int]:
    """The sums of `overlaps` over the batch: per head, and the number of queries counted."""
    overlap, counted = overlaps(patterns, selector, with_bos, rows)
    return overlap.sum(0), int(counted.sum())


def controls(
    selector: Bool[np.ndarray, "batch query key"],
) -> Iterator[Bool[np.ndarray, "batch query key"]]:
    """Wrong selectors of the same kind, at most MAX_CONTROLS.

    A selector of content is replaced by that of another input of the batch. One that depends on
    positions alone (a batch of 1) is the same for all inputs: its rows are rotated instead.
    """
    # a single input has no other to take the selector from: it is treated as positional too
    axis = 1 if len(selector) == 1 else 0
    for shift in range(1, min(MAX_CONTROLS, selector.shape[axis] - 1) + 1):
        yield np.roll(selector, shift, axis)


class SimilaritySums:
    """Similarities summed over batches: to each selector, and to its controls."""

    def __init__(self, n_heads: int, n_selectors: int) -> None:
        self._similar, self._control = np.zeros((2, n_heads, n_selectors))
        self._rows, self._control_rows = np.zeros((2, n_selectors))

    def add(
        self,
        patterns: Float[np.ndarray, "batch head query key_seen"],
        selectors: Sequence[Bool[np.ndarray, "#batch query key"]],
        informative_rows: Sequence[Bool[np.ndarray, "batch query"]],
        with_bos: bool,
    ) -> None:
        """Add a batch, as `overlaps` takes it; `informative_rows` are the queries that count."""
        for j, (selector, rows) in enumerate(zip(selectors, informative_rows, strict=True)):
            wrong = list(controls(selector))
            # the mean over controls: a batch weighs the same in both sums, however many it has
            for control in wrong:
                total, count = similarity(patterns, control, with_bos, rows)
                self._control[:, j] += total / len(wrong)
                self._control_rows[j] += count / len(wrong)
            if wrong:
                total, count = similarity(patterns, selector, with_bos, rows)
                self._similar[:, j] += total
                self._rows[j] += count

    def result(self) -> tuple[Float[np.ndarray, "head selector"], ...]:
        """Similarity s, chance c and score (s - c) / (1 - c)."""
        similar = self._similar / np.maximum(self._rows, 1)
        chance = self._control / np.maximum(self._control_rows, 1)
        return similar, chance, corrected(similar, chance)


def corrected(
    similar: Float[np.ndarray, "*shape"], chance: Float[np.ndarray, "*shape"]
) -> Float[np.ndarray, "*shape"]:
    """(similarity - chance) / (1 - chance): 1 is the selector itself, 0 what a wrong one gets.

    0 where chance is 1: every control equals the selector (it selects everything), and similarity
    is no evidence.
    """
    # the form of Cohen's kappa: agreement beyond chance, as a share of what is left beyond it
    room = 1 - chance
    return np.where(room < MIN_ROOM, 0.0, (similar - chance) / np.maximum(room, MIN_ROOM))


def without_bos(
    patterns: Float[np.ndarray, "*batch query key_bos"],
) -> Float[np.ndarray, "*batch query key"]:
    """Patterns without BOS's column (key 0), rows rescaled to sum 1; rows all on BOS become 0."""
    keys = patterns[..., 1:]
    total = keys.sum(-1, keepdims=True)
    # a row with less than 1e-6 beside BOS is on BOS up to rounding of float32
    return np.where(total > 1e-6, keys / np.maximum(total, 1e-6), 0)


def unambiguous(trace: BatchTrace, selector: int) -> Bool[np.ndarray, "batch query"]:
    """Rows where a reader of node `selector` could tell it from another selector.

    An Aggregate cannot where a visible key that is not selected holds the same value as one that
    is: a head that attends there instead computes the same. A SelectorWidth always can. Where no
    row of the batch qualifies, all of them count.
    """
    n_pos = trace.ids.shape[1]
    chosen = np.broadcast_to(trace.selector(selector), (*trace.ids.shape, n_pos))
    visible = np.tri(n_pos, dtype=bool) if trace.causal else np.ones((n_pos, n_pos), bool)
    clear = np.zeros(trace.ids.shape, bool)
    for node in trace.program.nodes:
        match node:
            case SelectorWidth(read) if read == selector:
                clear[:] = True
            case Aggregate(read, values, _) if read == selector:
                codes = trace[values].codes
                equal = codes[:, :, None] == codes[:, None, :]
                # [query, key] @ [key, other]: whether some selected key holds the other key's value
                selected_value = chosen.astype(np.float32) @ equal > 0
                clear |= ~(selected_value & ~chosen & visible).any(-1)
    return clear if clear.any() else np.ones_like(clear)

"""Which head attends as which selector selects: a screen, corrected for chance (floor 6).

A high score says that a head looks like a selector, not that it computes it: that takes
interventions (substitution.py, interchange.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from rasplab.batch import BatchTrace, evaluate_batch
from rasplab.errors import RaspValueError
from rasplab.inputs import even_ids
from rasplab.model.lens import LensModel, require_numbers
from rasplab.program import Aggregate, Program, SelectorWidth
from rasplab.sites import Site

ALIKE = 0.5
"""Score from which a head counts as one that looks like a selector."""

SHIFTS = 4
"""Controls per input: how many other inputs (or other orders of the rows) it is compared with."""


@dataclass(frozen=True, slots=True)
class Selector:
    """A selector that the program reads: its node, its text,
    and whether it is the same for all inputs of a length."""

    node: int
    label: str
    positional: bool

    def __str__(self) -> str:
        return self.label


@dataclass(frozen=True, slots=True)
class Best:
    """The head assigned to a selector."""

    selector: Selector
    head: Site
    score: float
    similarity: float
    chance: float
    mass: float


@dataclass(frozen=True, eq=False)
class MatchTable:
    """Heads against selectors, on the same inputs; every array is [head, selector].

    mass        attention on selected keys, over queries that select something;
                BOS counts as not selected
    similarity  1 - total variation distance from the row-normalised selector, mean over queries
    chance      the same against controls: the selector on another input,
                or with its rows in another order
    score       (similarity - chance) / (1 - chance): 1 is the selector itself,
                0 what a wrong one would get
    with_bos    whether similarity keeps the BOS column, where an empty row belongs;
                else BOS is taken out,
                the row rescaled, and empty rows left out. The variant with the higher score is
                shown.
    """

    heads: tuple[Site, ...]
    selectors: tuple[Selector, ...]
    mass: np.ndarray
    similarity: np.ndarray
    chance: np.ndarray
    score: np.ndarray
    with_bos: np.ndarray
    inputs: int
    seed: int

    def best(self) -> tuple[Best, ...]:
        """Each selector with its own head, so that the scores' sum is largest;
        without one where heads run out."""
        return tuple(
            Best(self.selectors[j], self.heads[i], *(float(a[i, j]) for a in self._numbers()))
            for i, j in assignment(self.score)
        )

    def alike(self, j: int) -> tuple[Site, ...]:
        """Every head that looks like selector j: several may share or repeat its work."""
        return tuple(h for h, s in zip(self.heads, self.score[:, j], strict=True) if s >= ALIKE)

    def _numbers(self) -> tuple[np.ndarray, ...]:
        return self.score, self.similarity, self.chance, self.mass

    def to_json(self) -> dict:
        """Everything, as plain values."""
        arrays = {
            name: getattr(self, name).tolist()
            for name in ("mass", "similarity", "chance", "score", "with_bos")
        }
        return arrays | {
            "heads": [str(h) for h in self.heads],
            "selectors": [str(s) for s in self.selectors],
            "best": {str(b.selector): str(b.head) for b in self.best()},
            "inputs": self.inputs,
            "seed": self.seed,
        }

    def __str__(self) -> str:
        rows = [["head", *map(str, self.selectors)]]
        for i, head in enumerate(self.heads):
            rows.append([str(head), *(self._cell(i, j) for j in range(len(self.selectors)))])
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
        lines.append(
            f"score (similarity, chance); * without BOS; {self.inputs} inputs, seed {self.seed}"
        )
        for b in self.best():
            lines.append(f"{b.selector}: {b.head}  score {b.score:.2f}  mass {b.mass:.2f}")
        return "\n".join(lines)

    def _cell(self, i: int, j: int) -> str:
        star = "" if self.with_bos[i, j] else "*"
        return (
            f"{self.score[i, j]:.2f} ({self.similarity[i, j]:.2f}, {self.chance[i, j]:.2f}){star}"
        )


def match(model: LensModel, program: Program, n: int = 512, seed: int = 0) -> MatchTable:
    """Compare every head of `model` with every selector that `program` reads,
    on about `n` random inputs.

    Lengths from 2 to the model's longest come alike often.
    Raises RaspValueError for a program that reads no selector,
    and what the interpreter raises on the inputs.
    """
    require_numbers(model)
    wanted = effective_selectors(program)
    if not wanted:
        raise RaspValueError(
            "the program reads no selector, so there is nothing to match heads with"
        )
    sums = [_Sums(model.n_layers * model.n_heads, len(wanted)) for _ in range(2)]
    mass, selecting, inputs, positional = 0.0, np.zeros(len(wanted)), 0, np.ones(len(wanted), bool)
    for trace, patterns in _groups(model, program, n, seed):
        inputs += len(patterns)
        selectors = [trace.selector(i) for i in wanted]
        positional &= np.array([len(s) == 1 for s in selectors])
        telling = [unambiguous(trace, i) for i in wanted]
        for kept, which in zip(sums, (True, False), strict=True):
            kept.add(patterns, selectors, telling, with_bos=which)
        on, rows = masses(patterns, selectors)
        mass, selecting = mass + on, selecting + rows
    return _table(
        model, program, wanted, positional, sums, mass / np.maximum(selecting, 1), inputs, seed
    )


def effective_selectors(program: Program) -> list[int]:
    """The selectors that an aggregate or a selector_width reads, in program order."""
    return sorted(
        {node.selector for node in program.nodes if isinstance(node, (Aggregate, SelectorWidth))}
    )


def _groups(
    model: LensModel, program: Program, n: int, seed: int
) -> Iterator[tuple[BatchTrace, np.ndarray]]:
    """Per length: the trace, and the patterns [batch, head, query, key] without BOS's query row."""
    domain, rng = model.domain, np.random.default_rng((seed, 3))
    count = -(-n * domain.max_len // max(1, domain.max_len - 1))
    for ids in even_ids(domain, count, rng):
        if ids.shape[1] == 1 and domain.max_len > 1:
            continue
        trace = evaluate_batch(program, ids, domain.vocab, domain.causal)
        trace.raise_first_fault()
        patterns = model.patterns_of(ids)[..., 1:, :]
        yield trace, patterns.reshape(len(ids), -1, *patterns.shape[-2:])


class _Sums:
    """Similarities summed over queries: with the selector itself and with controls, each [head,
    selector]."""

    def __init__(self, heads: int, selectors: int):
        self.own, self.control = np.zeros((heads, selectors)), np.zeros((heads, selectors))
        self.n_own, self.n_control = np.zeros(selectors), np.zeros(selectors)

    def add(
        self,
        patterns: np.ndarray,
        selectors: list[np.ndarray],
        telling: list[np.ndarray],
        with_bos: bool,
    ) -> None:
        """Count patterns [batch, head, query, key] in, at the `telling` rows of each selector."""
        shown = patterns if with_bos else without_bos(patterns)
        for j, (selector, rows) in enumerate(zip(selectors, telling, strict=True)):
            wrong = list(controls(selector))
            # every length weighs the same in both sums, however many controls it has
            for control in wrong:
                total, count = similarity(shown, control, with_bos, rows)
                self.control[:, j] += total / len(wrong)
                self.n_control[j] += count / len(wrong)
            if wrong:
                total, count = similarity(shown, selector, with_bos, rows)
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

    An aggregate cannot where a key that is not selected holds the value of one that is: attention
    there does as well. Where no row of the batch is clear, all of them count.
    """
    chosen = np.broadcast_to(trace.selector(selector), (*trace.ids.shape, trace.ids.shape[1]))
    clear = np.zeros(trace.ids.shape, bool)
    for node in trace.program.nodes:
        match node:
            case SelectorWidth(read) if read == selector:
                clear[:] = True
            case Aggregate(read, values, _) if read == selector:
                codes = trace[values].codes
                equal = codes[:, :, None] == codes[:, None, :]
                clear |= ~((chosen.astype(np.float32) @ equal > 0) & ~chosen).any(-1)
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


def masses(patterns: np.ndarray, selectors: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Attention on selected keys, summed over batch and query [head, selector];
    rows that select anything [selector]."""
    keys = patterns[..., 1:]
    total = np.stack([(keys * s[:, None]).sum((0, 2, 3)) for s in selectors], -1)
    rows = [np.broadcast_to(s.any(-1), (len(patterns), s.shape[1])).sum() for s in selectors]
    return total, np.array(rows, float)


def _table(model, program, wanted, positional, sums, mass, inputs, seed) -> MatchTable:
    kept, bare = (s.result() for s in sums)
    # the higher score; of equal ones the higher similarity
    with_bos = (kept[2] > bare[2] + 1e-9) | (np.isclose(kept[2], bare[2]) & (kept[0] >= bare[0]))
    similar, chance, score = (np.where(with_bos, a, b) for a, b in zip(kept, bare, strict=True))
    heads = tuple(
        Site("head", layer, h) for layer in range(model.n_layers) for h in range(model.n_heads)
    )
    selectors = tuple(
        Selector(i, program.labels[i], bool(p)) for i, p in zip(wanted, positional, strict=True)
    )
    return MatchTable(heads, selectors, mass, similar, chance, score, with_bos, inputs, seed)


def assignment(score: np.ndarray) -> list[tuple[int, int]]:
    """(head, selector) pairs, each at most once, as many as there can be, of the largest total;
    by selector."""
    import networkx

    graph = networkx.Graph()
    for i, j in np.ndindex(*score.shape):
        graph.add_edge(("head", i), ("selector", j), weight=float(score[i, j]))
    pairs = networkx.max_weight_matching(graph, maxcardinality=True)
    ordered = [sorted(pair) for pair in pairs]
    return sorted(((i, j) for (_, i), (_, j) in ordered), key=lambda pair: pair[1])

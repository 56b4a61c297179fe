"""Swaps: for a batch of inputs, where the rows of a selector are taken from instead, and what the
interpreter then says.

The interpreter is the high-level model of interchange interventions (Geiger et al. 2021,
arXiv:2106.02997): a selector's value is taken from another run, everything after it is computed
anew. There are several kinds of swap, so that selectors of content, of positions, of one fixed
position, and of the length alone are each moved by some.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from rasplab.base.errors import RaspValueError
from rasplab.base.rng import stream
from rasplab.model.verify import same_values
from rasplab.program.batch.evaluate import BatchTrace, Column, evaluate_batch
from rasplab.program.domain import Domain
from rasplab.program.graph import Aggregate, Program, SelectorWidth
from rasplab.program.inputs import Drawing, random_rows
from rasplab.transformer.decode import CodeTable
from rasplab.transformer.readout import Readout

FAMILIES = ("input", "rows", "keys", "length")
"""Where a swapped row comes from.

input   the same row of another input of the same length
rows    about half of the rows are other rows of the same input: what depends on a selector moves
        with them, what it depends on does not, so that neighbours in a chain are told apart
keys    the row itself, its keys in another order
length  a row of a shorter input
"""

LENGTHS = 4
"""Input lengths used, the longest among them."""

CANDIDATES = 2000
"""Pairs drawn for each family and length; of these the ones with changed predictions are used."""

MANY_READS = 3
"""A selector with more readers than this is swapped in each alone and in all, not in all sets."""


@dataclass(frozen=True, eq=False)
class Swap:
    """Inputs of one length with the places that rows are taken from.

    ids      [pair, pos], from 0
    sources  [pair, source pos]
    rows     the source's row for each position [pair, pos]
    keys     the row's key for each key [pair, pos, source pos]
    """

    family: str
    ids: np.ndarray
    sources: np.ndarray
    rows: np.ndarray
    keys: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, pairs: np.ndarray) -> Swap:
        """Some of the pairs."""
        parts = (a[pairs] for a in (self.ids, self.sources, self.rows, self.keys))
        return Swap(self.family, *parts)

    def moved(self, selector: np.ndarray) -> np.ndarray:
        """A selector of the sources, bool [pair or 1, source pos, source pos], at the inputs:
        [pair, pos, pos]. Keys beyond the source's end are not selected."""
        n, m = self.ids.shape[1], self.sources.shape[1]
        full = np.broadcast_to(selector, (len(self), m, m))
        taken = np.take_along_axis(full, self.rows[:, :, None], 1)
        taken = np.take_along_axis(taken, self.keys, 2)
        return np.pad(taken, ((0, 0), (0, 0), (0, n - m)))

    def moved_patterns(self, patterns: np.ndarray) -> np.ndarray:
        """Patterns of the sources [pair, head, source pos + 1, source pos + 1], BOS first, at the
        inputs: [pair, head, pos, pos + 1], without BOS's row."""
        n, m = self.ids.shape[1], self.sources.shape[1]
        taken = np.take_along_axis(patterns, self.rows[:, None, :, None] + 1, 2)
        keys = np.pad(self.keys + 1, ((0, 0), (0, 0), (1, 0)))
        taken = np.take_along_axis(taken, keys[:, None], 3)
        return np.pad(taken, ((0, 0), (0, 0), (0, 0), (0, n - m)))


def candidates(domain: Domain, seed: int, draw: Drawing = random_rows) -> Iterator[Swap]:
    """Swaps of every family at several lengths, CANDIDATES pairs each; equal seeds draw equally."""
    rng = stream(seed, "counterfactuals")
    spread = np.linspace(min(3, domain.max_len), domain.max_len, LENGTHS)
    for n in sorted({round(n) for n in spread}):
        for family in FAMILIES:
            if family != "length" or n > 1:
                yield _drawn(domain, family, n, CANDIDATES, rng, draw)


def _drawn(
    domain: Domain, family: str, n: int, count: int, rng: np.random.Generator, draw: Drawing
) -> Swap:
    m = int(rng.integers(1, n)) if family == "length" else n
    ids = draw(len(domain.vocab), count, n, rng)
    own = family in ("rows", "keys")
    sources = ids if own else draw(len(domain.vocab), count, m, rng)
    rows = np.broadcast_to(np.arange(n), (count, n))
    keys = np.broadcast_to(np.arange(m), (count, n, m))
    match family:
        case "length":
            last = np.minimum(np.arange(n), m - 1) if domain.causal else m - 1
            rows = rng.integers(0, last + 1, (count, n))
        case "rows":
            rows = _replaced(count, n, domain.causal, rng)
        case "keys":
            keys = _reordered(count, n, domain.causal, rng)
    return Swap(family, ids, sources, rows, keys)


def _replaced(count: int, n: int, causal: bool, rng: np.random.Generator) -> np.ndarray:
    """Row numbers [count, n], about half of them another row's; when causal, an earlier one's,
    since a later row would look to the right."""
    places = np.arange(n)
    other = rng.integers(0, places + 1 if causal else n, (count, n))
    return np.where(rng.random((count, n)) < 0.5, other, places)


def _reordered(count: int, n: int, causal: bool, rng: np.random.Generator) -> np.ndarray:
    """For each row its keys in a random order [count, n, n]; when causal, of those up to it."""
    drawn = rng.random((count, n, n))
    if causal:
        drawn = np.where(np.tri(n, dtype=bool), drawn, 2 + np.arange(n))
    return drawn.argsort(-1)


@dataclass(frozen=True, slots=True)
class Reading:
    """A selector and the nodes (Aggregate, SelectorWidth) whose reading of it is swapped."""

    selector: int
    readers: tuple[int, ...]


def readings(program: Program) -> list[Reading]:
    """Every selector that is read, in each set of its readers (of many: each alone, and all)."""
    readers: dict[int, list[int]] = {}
    for i, node in enumerate(program.nodes):
        if isinstance(node, (Aggregate, SelectorWidth)):
            readers.setdefault(node.selector, []).append(i)
    return [
        Reading(selector, group)
        for selector, nodes in sorted(readers.items())
        for group in _groups(nodes)
    ]


def _groups(nodes: list[int]) -> Iterator[tuple[int, ...]]:
    """All of them first, then the smaller sets."""
    sizes = range(len(nodes), 0, -1) if len(nodes) <= MANY_READS else (len(nodes), 1)
    for size in sizes:
        yield from combinations(nodes, size)


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the interpreter says under a swap.

    output   the program's output, full batch
    changed  positions whose value is another than without the swap, bool [pair, pos]
    kept     positions whose value is the same
    What cannot be computed, and values that the model cannot say, are in neither.
    """

    output: Column
    changed: np.ndarray
    kept: np.ndarray

    def take(self, pairs: np.ndarray) -> Prediction:
        """Some of the pairs."""
        return Prediction(rows_of(self.output, pairs), self.changed[pairs], self.kept[pairs])

    def where(self, pairs: np.ndarray) -> Prediction:
        """Nothing said of the other pairs; `pairs` is bool [pair]."""
        return Prediction(self.output, self.changed & pairs[:, None], self.kept & pairs[:, None])

    def right(self, got: CodeTable) -> np.ndarray:
        """bool [pair, pos]: where `got` says the same."""
        return same_values(self.output.values, got.values)(self.output.codes, got.codes)

    def rolled(self, clean: Column) -> Prediction:
        """The prediction of the next pair, where it is another: an arbitrary target."""
        codes, known = np.roll(self.output.codes, 1, 0), self.changed | self.kept
        known = known & np.roll(known, 1, 0) & (codes != self.output.codes)
        output = Column(codes, self.output.values)
        return Prediction(output, *_sides(output, clean, known))


def clean_output(
    program: Program, domain: Domain, readout: Readout, ids: np.ndarray, everywhere: bool = True
) -> Column:
    """What the program says to inputs, unswapped; `everywhere` if the model answers everywhere, as
    a language model, which some positions tell nothing, does not.

    Raises what the interpreter raises, and RaspValueError for a value that the model cannot say.
    """
    trace = evaluate_batch(program, ids, domain.vocab, domain.causal)
    trace.raise_first_fault()
    said = representable(readout, trace.output)
    if not said.all() if everywhere else not said.any():
        wrong = trace.output.values[trace.output.codes[~said][0]]
        raise RaspValueError(
            f"the program says {wrong!r}, which is no output of this model",
            hint="compare the model with the program of its own task",
        )
    return trace.output


def predict(
    program: Program, domain: Domain, readout: Readout, swap: Swap, clean: Column
) -> list[Prediction]:
    """What the interpreter says when each reading of `readings(program)` is swapped."""
    source = evaluate_batch(program, swap.sources, domain.vocab, domain.causal)
    found = []
    for reading in readings(program):
        moved = swap.moved(source.selector(reading.selector))
        reads = dict.fromkeys(reading.readers, moved)
        trace = evaluate_batch(program, swap.ids, domain.vocab, domain.causal, reads)
        found.append(predicted(trace, readout, clean))
    return found


def predicted(trace: BatchTrace, readout: Readout, clean: Column) -> Prediction:
    """What a run says whose nodes read other selectors; `clean` is what it says otherwise."""
    known = (
        representable(readout, trace.output)
        & representable(readout, clean)
        & ~trace.faults[:, None]
    )
    return Prediction(trace.output, *_sides(trace.output, clean, known))


def informative_pairs(
    predictions: list[Prediction], count: int, rng: np.random.Generator
) -> np.ndarray:
    """About `count` pairs on which predictions change, those of rare changes first [pair].

    Every reading gets an equal share of the chances; only the interpreter decides.
    """
    changed = np.stack([p.changed.any(1) for p in predictions], -1)
    weight = (changed / np.maximum(changed.sum(0), 1)).sum(1)
    if not weight.any():
        return np.arange(min(count, len(weight)))
    n = min(count, int((weight > 0).sum()))
    return np.sort(rng.choice(len(weight), n, replace=False, p=weight / weight.sum()))


def rows_of(column: Column, rows: np.ndarray) -> Column:
    """A column of the full batch at some inputs."""
    return Column(column.codes[rows], column.values)


def _sides(output: Column, clean: Column, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    same = same_values(output.values, clean.values)(output.codes, clean.codes)
    return known & ~same, known & same


def representable(readout: Readout, column: Column) -> np.ndarray:
    """bool [batch, pos]: whether the model has a logit, or a number, for the value there."""
    if readout.values is None:
        return np.ones(column.codes.shape, bool)
    same = same_values(column.values, readout.values)
    codes, every = np.arange(len(column.values)), np.arange(len(readout.values))
    return same(codes[:, None], every[None]).any(1)[column.codes]

"""Counterfactual inputs: what replaces a selector, and what the interpreter then predicts.

The program is the high-level model of interchange interventions (Geiger et al. 2021,
arXiv:2106.02997): the value of a selector is taken from a run on another input, the source, and
everything that depends on it is computed anew. From a domain and a seed come batches of pairs
(`SwapBatch`); from those and the program, a `Prediction` for each way that a selector is read
(`SelectorReading`). The families of swaps differ in what they move, so that selectors of content,
of positions, of one fixed position and of the length alone each change under some of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool, Int, Num

from rasplab.base.errors import RaspValueError
from rasplab.base.rng import stream
from rasplab.program.batch.compare import equal_cells
from rasplab.program.batch.evaluate import BatchTrace, Column
from rasplab.program.domain import Domain
from rasplab.program.graph import Aggregate, Program, SelectorWidth
from rasplab.program.inputs import Drawing, random_rows
from rasplab.program.semantics import Semantics
from rasplab.transformer.readout import Readout

Family = Literal["input", "rows", "keys", "length"]
FAMILIES: tuple[Family, ...] = get_args(Family)
"""Where a swapped row comes from.

input   the same row of another input of the same length
rows    about half of the rows are other rows of the same input: what depends on the selector moves
        with them, what the selector depends on does not, which tells neighbours in a chain apart
keys    the row itself, its keys in another order
length  a row of a shorter input
"""

MAX_LENGTHS = 32
"""Different input lengths drawn at most: every length of a domain with no more, else evenly spread
ones, the shortest and the longest among them."""

FULL_LENGTH_SHARE = 0.25
"""The share of the longest inputs in the distribution, beyond their part of the rest: lengths are
equally frequent there, as in `Domain.sample`."""

PAIRS_DRAWN = 8000
"""Pairs drawn for each family over all lengths; `informative_pairs` chooses among them."""

MIN_DRAWN = 250
"""Pairs drawn for each family and length, at least."""

MAX_SUBSET_READERS = 3
"""Up to this many readers of a selector, every subset of them is a reading of its own; of more
readers only all together and each alone, since the number of subsets doubles with each."""


@dataclass(frozen=True, eq=False)
class SwapBatch:
    """Pairs of an input and a source of equal lengths each, and what goes where.

    ids      the inputs, as ids from 0
    sources  the inputs that rows are taken from
    rows     for each position, the row of the source that it takes
    keys     for each position, the key of that row that stands at each key
    """

    family: Family
    ids: Int[np.ndarray, "pair pos"]
    sources: Int[np.ndarray, "pair source_pos"]
    rows: Int[np.ndarray, "pair pos"]
    keys: Int[np.ndarray, "pair pos source_pos"]

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, pairs: Int[np.ndarray, " chosen"]) -> SwapBatch:
        """The pairs with these numbers."""
        arrays = (a[pairs] for a in (self.ids, self.sources, self.rows, self.keys))
        return SwapBatch(self.family, *arrays)

    def moved(
        self, selector: Bool[np.ndarray, "#pair source_pos source_pos"]
    ) -> Bool[np.ndarray, "pair pos pos"]:
        """A selector of the sources, carried to the inputs.

        Keys beyond the end of the source are not selected.
        """
        n, m = self.ids.shape[1], self.sources.shape[1]
        full = np.broadcast_to(selector, (len(self), m, m))
        # first the row of each position, then the keys within that row
        taken = np.take_along_axis(full, self.rows[:, :, None], 1)
        taken = np.take_along_axis(taken, self.keys, 2)
        return np.pad(taken, ((0, 0), (0, 0), (0, n - m)))

    def moved_patterns(
        self, patterns: Num[np.ndarray, "pair head source_bos source_bos"]
    ) -> Num[np.ndarray, "pair head pos key_bos"]:
        """Patterns of the sources, carried to the inputs as `moved` carries a selector.

        patterns  with BOS as query 0 and key 0; the result has BOS as key 0, and no query for it
        """
        n, m = self.ids.shape[1], self.sources.shape[1]
        # position p of the tokens is query and key p + 1 of the patterns
        taken = np.take_along_axis(patterns, self.rows[:, None, :, None] + 1, 2)
        keys = np.pad(self.keys + 1, ((0, 0), (0, 0), (1, 0)))  # BOS stays at key 0
        taken = np.take_along_axis(taken, keys[:, None], 3)
        return np.pad(taken, ((0, 0), (0, 0), (0, 0), (0, n - m)))


def drawn_swaps(domain: Domain, seed: int, draw: Drawing = random_rows) -> Iterator[SwapBatch]:
    """Some PAIRS_DRAWN pairs of every family, at every length; equal seeds draw equally."""
    rng = stream(seed, "counterfactuals")
    lengths = swap_lengths(domain)
    count = max(MIN_DRAWN, PAIRS_DRAWN // len(lengths))
    for n in lengths:
        for family in FAMILIES:
            if family != "length" or n > 1:
                yield _drawn(domain, family, n, count, rng, draw)


def swap_lengths(domain: Domain) -> list[int]:
    """The lengths at which swaps are drawn: see MAX_LENGTHS.

    Length 1 is left out where there are others: it has one row and one key, and no swap of them.
    """
    count = min(MAX_LENGTHS, domain.max_len)
    spread = np.linspace(min(2, domain.max_len), domain.max_len, count)
    return sorted({round(n) for n in spread})


def _drawn(
    domain: Domain, family: Family, n: int, count: int, rng: np.random.Generator, draw: Drawing
) -> SwapBatch:
    m = int(rng.integers(1, n)) if family == "length" else n
    ids = draw(len(domain.vocab), count, n, rng)
    same_input = family in ("rows", "keys")  # the source is the input itself
    sources = ids if same_input else draw(len(domain.vocab), count, m, rng)
    rows = np.broadcast_to(np.arange(n), (count, n))
    keys = np.broadcast_to(np.arange(m), (count, n, m))
    match family:
        case "length":
            # a causal row selects keys up to its own: at position p, no row after p may stand
            last = np.minimum(np.arange(n), m - 1) if domain.causal else m - 1
            rows = rng.integers(0, last + 1, (count, n))
        case "rows":
            rows = _replaced_rows(count, n, domain.causal, rng)
        case "keys":
            keys = _shuffled_keys(count, n, domain.causal, rng)
    return SwapBatch(family, ids, sources, rows, keys)


def _replaced_rows(count: int, n: int, causal: bool, rng: np.random.Generator) -> np.ndarray:
    """Row numbers [pair, pos], about half of them another row's.

    When causal, only an earlier row's: a later one could select keys that the position cannot see.
    """
    places = np.arange(n)
    # half of them draw another row, which may be their own again: somewhat more than half stay
    other = rng.integers(0, places + 1 if causal else n, (count, n))
    return np.where(rng.random((count, n)) < 0.5, other, places)


def _shuffled_keys(count: int, n: int, causal: bool, rng: np.random.Generator) -> np.ndarray:
    """For each row its keys in a random order [pair, pos, key]; when causal, the visible ones."""
    order = rng.random((count, n, n))
    if causal:
        order = np.where(np.tri(n, dtype=bool), order, 2 + np.arange(n))  # later keys stay in place
    return order.argsort(-1)


@dataclass(frozen=True, slots=True)
class SelectorReading:
    """A selector, and those of its readers (Aggregate, SelectorWidth) for which it is swapped."""

    selector: int
    readers: tuple[int, ...]


def selector_readings(program: Program) -> list[SelectorReading]:
    """Every selector that is read, with each subset of its readers, larger subsets first."""
    readers: dict[int, list[int]] = {}
    for i, node in enumerate(program.nodes):
        if isinstance(node, (Aggregate, SelectorWidth)):
            readers.setdefault(node.selector, []).append(i)
    return [
        SelectorReading(selector, subset)
        for selector, nodes in sorted(readers.items())
        for subset in _subsets(nodes)
    ]


def _subsets(nodes: list[int]) -> Iterator[tuple[int, ...]]:
    sizes = range(len(nodes), 0, -1) if len(nodes) <= MAX_SUBSET_READERS else (len(nodes), 1)
    for size in sizes:
        yield from combinations(nodes, size)


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the interpreter predicts under a swap.

    output     the program's output on the full batch
    changed    positions whose value differs from the one without the swap
    unchanged  positions whose value is the same
    Positions that cannot be computed, or whose value the model cannot output, are in neither.
    """

    output: Column
    changed: Bool[np.ndarray, "pair pos"]
    unchanged: Bool[np.ndarray, "pair pos"]

    def take(self, pairs: Int[np.ndarray, " chosen"]) -> Prediction:
        """The pairs with these numbers."""
        output = rows_of(self.output, pairs)
        return Prediction(output, self.changed[pairs], self.unchanged[pairs])

    def where(self, pairs: Bool[np.ndarray, " pair"]) -> Prediction:
        """The same for these pairs; no prediction for the others."""
        mask = pairs[:, None]
        return Prediction(self.output, self.changed & mask, self.unchanged & mask)

    def right(self, answers: Column) -> Bool[np.ndarray, "pair pos"]:
        """Where the model's answers equal the prediction."""
        return equal_cells(self.output, answers)

    def arbitrary(self, clean: Column) -> Prediction:
        """The prediction of the next pair where it differs from this one's: an arbitrary target."""
        # both predictions must be known, this pair's and the next one's
        codes, known = np.roll(self.output.codes, 1, 0), self.changed | self.unchanged
        known = known & np.roll(known, 1, 0) & (codes != self.output.codes)
        return _against(Column(codes, self.output.values), clean, known)


def clean_output(
    semantics: Semantics,
    readout: Readout,
    ids: Int[np.ndarray, "batch pos"],
    everywhere: bool = True,
) -> Column:
    """What the program outputs on inputs without a swap.

    everywhere  whether the model answers at every position; a language model does not where
                nothing before determines the next token
    Raises RaspValueError where the model has no output for a value of the program, and what the
    interpreter raises.
    """
    output = semantics.checked(ids).output
    known = semantics.representable(output, readout.values)
    if not known.all() if everywhere else not known.any():
        value = output.values[output.codes[~known][0]]
        raise RaspValueError(
            f"the program outputs {value!r}, which is no output of this model",
            hint="compare the model with the program of its own task",
        )
    return output


def predict(
    semantics: Semantics, readout: Readout, batch: SwapBatch, clean: Column
) -> tuple[Prediction, ...]:
    """One prediction for each of `selector_readings`; `clean` is the output without a swap."""
    source = semantics.evaluate(batch.sources)  # once for all readings
    predictions = []
    for reading in selector_readings(semantics.program):
        moved = batch.moved(source.selector(reading.selector))
        trace = semantics.evaluate(batch.ids, dict.fromkeys(reading.readers, moved))
        predictions.append(prediction_of(trace, readout, clean))
    return tuple(predictions)


def prediction_of(trace: BatchTrace, readout: Readout, clean: Column) -> Prediction:
    """The prediction of a run with replaced selectors; `clean` is the output without a swap."""
    known = Semantics.representable(trace.output, readout.values)
    known = known & Semantics.representable(clean, readout.values)
    return _against(trace.output, clean, known & ~trace.faults[:, None])


def _against(output: Column, clean: Column, known: np.ndarray) -> Prediction:
    """`output` as a prediction at the positions `known`, bool [pair, pos]."""
    same = equal_cells(output, clean)
    return Prediction(output, known & ~same, known & same)


def informative_pairs(
    predictions: Sequence[Prediction], count: int, rng: np.random.Generator
) -> Int[np.ndarray, " chosen"]:
    """The numbers of about `count` pairs whose predictions the swaps change, in order.

    Pairs are drawn without replacement. Each reading has the same total probability, shared equally
    by the pairs that it changes, so that readings which change few pairs are met as well. The model
    has no part in the choice. Where no prediction changes, the first pairs are taken.
    """
    changed = np.stack([p.changed.any(1) for p in predictions], -1)  # [pair, reading]
    weight = (changed / np.maximum(changed.sum(0), 1)).sum(1)
    if not weight.any():
        return np.arange(min(count, len(weight)))
    n = min(count, int((weight > 0).sum()))
    return np.sort(rng.choice(len(weight), n, replace=False, p=weight / weight.sum()))


def rows_of(column: Column, rows: Int[np.ndarray, " chosen"]) -> Column:
    """A column of the full batch, at the inputs with these numbers."""
    return Column(column.codes[rows], column.values)

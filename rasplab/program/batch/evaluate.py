"""The batched interpreter: program, ids [batch, pos] -> BatchTrace, by value codes.

An s-op is a column: integer codes, and the table of the distinct values they stand for. A function
runs once per distinct tuple of values, a predicate once per distinct pair, so that Python's own
arithmetic decides every value and numpy only moves codes. What no input influences (indices,
constants, selectors over them) has a batch of 1. Read columns and selectors first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Integer

from rasplab.base.limits import deep_nodes
from rasplab.program.batch.cells import (
    FAULT,
    ILLEGAL,
    NUMBER,
    STRING,
    applied,
    elementwise,
    kind_of,
)
from rasplab.program.batch.columns import Column, mapped, stacked
from rasplab.program.batch.selectors import (
    Failed,
    aggregated,
    combined,
    selected,
    width_of,
    without_rows,
)
from rasplab.program.functions import CASTS
from rasplab.program.graph import (
    Aggregate,
    Combine,
    Constant,
    Indices,
    Map,
    Node,
    Program,
    Select,
    SelectorWidth,
    Tokens,
)
from rasplab.program.interpret.exact import check_length, evaluate
from rasplab.program.values import Atom

__all__ = ["FAULT", "BatchTrace", "Column", "evaluate_batch"]

CHUNK_CELLS = 1 << 22
"""Selector cells (one byte each) worked on at once: 4 MB stays near the caches."""


@dataclass(frozen=True, eq=False)
class BatchTrace:
    """The value of every s-op of a program on every input of a batch.

    ids      the inputs, as ids into vocab
    columns  by node id, for the s-ops; FAULT where a value cannot be computed
    faults   inputs on which the interpreter raises, as an output holds FAULT or an s-op mixes
             strings and numbers
    """

    program: Program
    ids: Integer[np.ndarray, "batch pos"]
    vocab: tuple[Atom, ...]
    causal: bool
    columns: dict[int, Column]
    faults: Bool[np.ndarray, " batch"]

    @property
    def output(self) -> Column:
        """The output of the program; its codes have the full batch."""
        return self[self.program.output]

    def __getitem__(self, node: int | str) -> Column:
        """The column of an s-op, by id or by name, with the full batch."""
        column = self.columns[self.program.id_of(node) if isinstance(node, str) else node]
        return Column(np.broadcast_to(column.codes, self.ids.shape), column.values)

    def selector(self, node: int | str) -> Bool[np.ndarray, "batch query key"]:
        """A selector, by id or by name; a batch of 1 where every input has the same."""
        i = self.program.id_of(node) if isinstance(node, str) else node
        again = _Evaluation(self.program, self.ids, self.vocab, self.causal, self.columns)
        with deep_nodes(len(self.program.nodes)):
            return again.selector(i)

    def raise_first_fault(self) -> None:
        """Raise what the interpreter raises on the first input in `faults`, if there is one."""
        if not self.faults.any():
            return
        first = self.ids[self.faults.argmax()]
        evaluate(self.program, [self.vocab[t] for t in first], causal=self.causal)


def evaluate_batch(
    program: Program,
    ids: Integer[np.ndarray, "batch pos"],
    vocab: Sequence[Atom],
    causal: bool = False,
    reads: Mapping[int, Bool[np.ndarray, "_ query key"]] | None = None,
) -> BatchTrace:
    """`evaluate` on every row of `ids`, in chunks of bounded memory.

    ids     ids into vocab
    causal  every selector is masked to keys up to its query
    reads   by the id of an Aggregate or SelectorWidth: the selector that it reads instead of its
            own, taken without the causal mask; then kinds may mix, and a value that cannot be
            computed is FAULT
    Inputs on which `evaluate` raises are marked in `faults`; nothing is raised for them here.
    Raises ValueError for reads of a node that reads no selector, or of another shape;
    RaspValueError for inputs beyond the limit.
    """
    n_pos = ids.shape[1]
    check_length(range(n_pos))
    reads = reads or {}
    for node, selector in reads.items():
        if not isinstance(program.nodes[node], Aggregate | SelectorWidth):
            raise ValueError(f"node {node} reads no selector: it is {program.nodes[node]}")
        if selector.shape != (*ids.shape, n_pos):
            shape = (*ids.shape, n_pos)
            raise ValueError(f"node {node} reads shape {selector.shape}; it needs shape {shape}")
    # chunks have at least two rows, so that a batch of 1 always means: not influenced by the input
    rows = max(2, CHUNK_CELLS // (n_pos * n_pos))
    parts = []
    for start in range(0, max(1, len(ids)), rows):
        chunk = slice(start, start + rows)
        cut = {node: selector[chunk] for node, selector in reads.items()}
        evaluation = _Evaluation(program, ids[chunk], tuple(vocab), causal, {}, cut)
        with deep_nodes(len(program.nodes)):
            evaluation.run()
        parts.append(evaluation)
    # a column's values differ from chunk to chunk; stacking renames the codes
    columns = {i: stacked([p.columns[i] for p in parts]) for i in parts[0].columns}
    faults = np.concatenate([p.faults for p in parts])
    return BatchTrace(program, ids, tuple(vocab), causal, columns, faults)


class _Evaluation:
    """One chunk: columns by node id, selectors on demand; `reads` as in evaluate_batch."""

    def __init__(
        self,
        program: Program,
        ids: np.ndarray,
        vocab: tuple[Atom, ...],
        causal: bool,
        columns: dict[int, Column],
        reads: Mapping[int, np.ndarray] | None = None,
    ):
        self.program, self.ids, self.vocab, self.causal = program, ids, vocab, causal
        self.reads = reads or {}
        self.columns: dict[int, Column] = columns
        self.faults = np.zeros(len(ids), bool)
        self._selectors: dict[int, tuple[np.ndarray, Failed]] = {}

    def run(self) -> None:
        """Fill in every column, in order, and mark the inputs on which an output has no value."""
        for i, node in enumerate(self.program.nodes):
            if not self.program.is_selector(i):
                self.columns[i] = self._column(i, node)
        if not self.reads:  # else FAULT stays in the columns, at its positions only
            for i in self.program.outputs:
                self._mark_output(i)

    def _mark_output(self, i: int) -> None:
        """Inputs on which output i has a value that cannot be computed go to `faults`."""
        if self.program.is_selector(i):
            failed = self._selector(i)[1]
            if failed is not None:
                self.faults |= failed.any((1, 2))
        elif any(v is FAULT for v in self.columns[i].values):
            column = self.columns[i]
            self.faults |= np.array([v is FAULT for v in column.values])[column.codes].any(-1)

    def _read(self, i: int, selector: int) -> tuple[np.ndarray, Failed]:
        """What node i reads as its selector, and its failed cells."""
        return (self.reads[i], None) if i in self.reads else self._selector(selector)

    def _column(self, i: int, node: Node) -> Column:
        match node:
            case Tokens(cast):
                return self._marked(mapped(_cast(cast), [Column(self.ids, self.vocab)]))
            case Indices():
                n_pos = self.ids.shape[1]
                return Column(np.arange(n_pos)[None], tuple(range(n_pos)))
            case Constant(value):
                return Column(np.zeros((1, self.ids.shape[1]), np.int64), (value,))
            case Map(fn, args):
                return self._marked(mapped(elementwise(fn), [self.columns[a] for a in args]))
            case SelectorWidth(selector):
                widths = tuple(range(self.ids.shape[1] + 1))  # a width is its own code
                read, failed = self._read(i, selector)
                return without_rows(Column(width_of(read), widths), failed)
            case Aggregate(selector, values, default):
                read, failed = self._read(i, selector)
                column = aggregated(read, self.columns[values], default)
                return self._marked(without_rows(column, failed))
        raise AssertionError(node)

    def _marked(self, column: Column) -> Column:
        """The column; inputs where it mixes strings and numbers go to `faults`."""
        if self.reads:  # then kinds may mix
            return column
        kinds = np.array([kind_of(v) for v in column.values])
        present = set(kinds.tolist())
        if ILLEGAL in present or {STRING, NUMBER} <= present:
            held = kinds[column.codes]
            mixed = (held == STRING).any(-1) & (held == NUMBER).any(-1)
            self.faults |= mixed | (held == ILLEGAL).any(-1)
        return column

    def selector(self, i: int) -> np.ndarray:
        """A selector [batch, query, key], with the causal mask."""
        return self._selector(i)[0]

    def _selector(self, i: int) -> tuple[np.ndarray, Failed]:
        """A selector and its failed cells, both with the causal mask."""
        if i not in self._selectors:
            matrix, failed = self._matrix(self.program.nodes[i])
            if self.causal:  # masked after every operation: `not` would bring later keys back
                early = np.tri(self.ids.shape[1], dtype=bool)
                matrix, failed = matrix & early, None if failed is None else failed & early
            self._selectors[i] = matrix, failed
        return self._selectors[i]

    def _matrix(self, node: Node) -> tuple[np.ndarray, Failed]:
        match node:
            case Select(keys, queries, predicate):
                return selected(self.columns[keys], self.columns[queries], predicate)
            case Combine(fn, selectors):
                return combined(fn, [self._selector(s) for s in selectors])
        raise AssertionError(node)


def _cast(cast: str) -> Callable[[Any], Any]:
    """CASTS[cast], FAULT for a token that it cannot read."""
    return lambda token: applied(CASTS[cast], (token,))

"""Joints: the combinations of leaf values that share a cell, from the values allowed in each cell.

Cells that allow the same values of all leaves are one *pattern* and give the same combinations. A
pattern that allows all that a neighbour's does, and more, lists only what it adds to it: the counts
of brackets before a position are a triangle of pairs, of which each position adds one edge.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Int

from rasplab.base.limits import current
from rasplab.compiler.infer.columns import Cells, Joint, ValueSet

BYTES_A_PAIR = 800
"""Bytes per pair (combination, pattern of cells) while a joint is made: ten arrays of 8 numbers."""


class TooLarge(Exception):
    """A joint table of more combinations than it may hold."""


def build_joint(
    leaves: tuple[int, ...], sets: Sequence[ValueSet], cells: Cells, most: int
) -> Joint:
    """The combinations of the values of `sets`, one for each leaf.

    Raises TooLarge beyond `most` combinations, or where the pairs take more than the memory limit.
    """
    # The product is taken leaf by leaf; equal combinations are merged after each leaf, which keeps
    # the table at the size of its result.
    first, cell_pattern = _patterns(sets, cells)
    tables = [known.allowed[known.kind[first]] for known in sets]
    volume = np.ones(len(first))
    for table in tables:
        volume = volume * table.sum(1)
    parents = _parents(tables, volume, cell_pattern, cells, first)
    codes = np.zeros((1, 0), int)
    rows, patterns = np.zeros(len(first), int), np.arange(len(first))
    inside = parents >= 0  # whether the parent has the pair's combination so far
    nested = bool(inside.any())
    for at, (table, known) in enumerate(zip(tables, sets, strict=True)):
        in_parent, lists, which = table, table, patterns
        if nested:
            in_parent = table[parents]
            new = table & ~in_parent if at == len(tables) - 1 else table
            lists = np.concatenate([table, new])
            which = patterns + len(table) * inside
        pairs = int(lists.sum(1)[which].sum())
        if pairs > current().memory // BYTES_A_PAIR:
            raise TooLarge
        # Listing many pairs takes long: first see how many combinations they come to.
        kinds = known.kind[first][patterns]
        if pairs > most and _combination_count(rows, kinds, known.allowed) > most:
            raise TooLarge
        pair, value = _listed(lists, which)
        met, rows = np.unique(rows[pair] * table.shape[1] + value, return_inverse=True)
        if len(met) > most:
            raise TooLarge
        rows, patterns = rows.reshape(-1), patterns[pair]
        inside = inside[pair] & in_parent[patterns, value]
        codes = np.column_stack([codes[met // table.shape[1]], met % table.shape[1]])
    return Joint(leaves, codes, rows, patterns, cell_pattern, parents, np.argsort(volume))


def _patterns(sets: Sequence[ValueSet], cells: Cells) -> tuple[np.ndarray, np.ndarray]:
    """The first cell of each pattern of allowed leaf values, and the pattern of each cell."""
    pattern = np.zeros(cells.count, int)
    for known in sets:
        pattern = pattern * len(known.allowed) + known.kind
        pattern = np.unique(pattern, return_inverse=True)[1].reshape(-1)
    return np.unique(pattern, return_index=True)[1], pattern


def _parents(
    tables: list[np.ndarray],
    volume: np.ndarray,
    cell_pattern: np.ndarray,
    cells: Cells,
    first: np.ndarray,
) -> Int[np.ndarray, " pattern"]:
    """For each pattern the largest pattern of a neighbouring cell that it contains, or -1.

    volume  how many combinations a pattern has: more than any that it contains, if that has some
    """
    n, i = cells.length[first], cells.position[first]
    count = len(first)
    parents, largest = np.full(count, -1), np.zeros(count)
    for length, position in ((n, i - 1), (n, i + 1), (n - 1, i), (n - 1, i - 1)):
        exists = (position >= 0) & (position < length)
        near = cell_pattern[np.where(exists, cells.first(length) + position, 0)]
        # most often no neighbour has fewer combinations: then no rows need to be compared
        at = np.flatnonzero(exists & (volume[near] < volume) & (volume[near] > largest))
        for table in tables:
            at = at[~(table[near[at]] & ~table[at]).any(1)]
        parents[at], largest[at] = near[at], volume[near[at]]
    return parents


def _combination_count(rows: np.ndarray, kinds: np.ndarray, allowed: np.ndarray) -> int:
    """How many (row, value) occur where each row, at each place, allows the values of a kind.

    rows, kinds  by place; allowed: bool [kind, value]
    """
    row, kind = np.divmod(np.unique(rows * len(allowed) + kinds), len(allowed))
    starts = np.flatnonzero(np.diff(row, prepend=-1))
    return int(np.logical_or.reduceat(allowed[kind], starts, axis=0).sum())


def _listed(
    lists: Bool[np.ndarray, "list value"], which: Int[np.ndarray, " k"]
) -> tuple[Int[np.ndarray, " pair"], Int[np.ndarray, " pair"]]:
    """All pairs of a k and a value of list `which[k]`, as two arrays."""
    row, values = np.nonzero(lists)
    starts = np.searchsorted(row, np.arange(len(lists) + 1))
    counts = np.diff(starts)[which]
    k = np.repeat(np.arange(len(which)), counts)
    within = np.arange(len(k)) - np.repeat(np.cumsum(counts) - counts, counts)
    return k, values[starts[which][k] + within]

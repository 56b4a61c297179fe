"""Where the boxes and lines of a layered drawing go: rows, their order, and the x of every item.

`layers_of` makes rows and lanes from a graph whose nodes have a row; `ordered` reorders each row by
the barycentre heuristic (Sugiyama, Tagawa and Toda 1981) to have fewer crossings; `spread` gives
every item its x by relaxation. A value that is read further up runs in a lane: one slot per row it
passes, shared by all its readers, so that lines pass between boxes and not through them.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from rasplab.base.errors import RaspValueError

SWEEPS = 10
"""Barycentre sweeps; the order with the fewest crossings among them is taken."""
MAX_ITEMS = 30_000
"""Slots of a drawing: laying out and writing so many takes some 5 s, and the picture 8 MB."""
RELAXATIONS = 24
"""Steps that pull each item towards the mean of its neighbours."""


Key = TypeVar("Key", bound=Hashable)
"""A node of the graph that is drawn."""


@dataclass(frozen=True, slots=True)
class Item(Generic[Key]):
    """A slot in a row: a node, or the lane of node `key` passing through."""

    key: Key
    row: int
    lane: bool = False


Rows = tuple[tuple[Item[Key], ...], ...]
Link = tuple[Item[Key], Item[Key]]
Neighbours = Mapping[Item[Key], Sequence[Item[Key]]]


@dataclass(frozen=True)
class Layers(Generic[Key]):
    """Rows of items from the bottom up, in order; and links (lower, upper) to the row above."""

    rows: Rows[Key]
    links: tuple[Link[Key], ...]


def layers_of(row_of: Mapping[Key, int], edges: Sequence[tuple[Key, Key]]) -> Layers[Key]:
    """Rows and links of a graph; lanes are added where edges skip rows.

    row_of  the row of each node, from 0
    edges   (source, reader) pairs; a reader stands in a higher row than its source
    Raises RaspValueError for more than MAX_ITEMS items.
    """
    n_rows = max(row_of.values(), default=-1) + 1
    rows: list[list[Item[Key]]] = [[] for _ in range(n_rows)]
    for key, row in row_of.items():
        rows[row].append(Item(key, row))
    last: dict[Key, int] = defaultdict(int)  # the row of each source's highest reader
    for src, dst in edges:
        last[src] = max(last[src], row_of[dst])
    _check_size(len(row_of) + sum(last[src] - row_of[src] - 1 for src in last))
    # one lane per source and row, up to below its highest reader: the readers share it
    for src in last:
        for row in range(row_of[src] + 1, last[src]):
            rows[row].append(Item(src, row, lane=True))
    return Layers(tuple(map(tuple, rows)), tuple(_links(row_of, edges, last)))


def _check_size(items: int) -> None:
    if items > MAX_ITEMS:
        raise RaspValueError(
            f"the drawing would have {items:,} boxes and pieces of lines; "
            f"at most {MAX_ITEMS:,} are drawn",
            hint="draw a part of it: an s-op that is computed earlier",
        )


def _links(
    row_of: Mapping[Key, int], edges: Sequence[tuple[Key, Key]], last: Mapping[Key, int]
) -> list[Link[Key]]:
    links: dict[Link[Key], None] = {}
    for src in last:
        for row in range(row_of[src] + 1, last[src]):
            links[before(src, row, row_of), Item(src, row, lane=True)] = None
    for src, dst in edges:
        links[before(src, row_of[dst], row_of), Item(dst, row_of[dst])] = None
    return list(links)


def before(src: Key, row: int, row_of: Mapping[Key, int]) -> Item[Key]:
    """The item in the row below `row` that carries what `src` writes."""
    below = row - 1
    return Item(src, below, lane=below != row_of[src])


def ordered(layers: Layers[Key]) -> Layers[Key]:
    """The same layers, rows reordered by barycentre sweeps to have fewer crossings.

    Sweeps go up and down in turn. A sweep may also add crossings, so the best rows are returned.
    """
    up, down = _neighbours(layers.links)
    best, fewest = layers.rows, crossings(layers.rows, layers.links)
    rows = [list(row) for row in layers.rows]
    for sweep in range(SWEEPS):
        # upwards a row follows the row below, downwards the row above
        forward = sweep % 2 == 0
        for r in range(len(rows)) if forward else reversed(range(len(rows))):
            _sort_row(rows, r, down if forward else up)
        count = crossings(rows, layers.links)
        if count < fewest:
            best, fewest = tuple(map(tuple, rows)), count
    return Layers(best, layers.links)


def _neighbours(links: Iterable[Link[Key]]) -> tuple[Neighbours[Key], Neighbours[Key]]:
    """The items linked in the row above, and in the row below."""
    up: dict[Item[Key], list[Item[Key]]] = defaultdict(list)
    down: dict[Item[Key], list[Item[Key]]] = defaultdict(list)
    for low, high in links:
        up[low].append(high)
        down[high].append(low)
    return up, down


def _sort_row(rows: list[list[Item[Key]]], r: int, neighbours: Neighbours[Key]) -> None:
    """Sort a row by the mean place of each item's neighbours, as a share of their row."""
    # an item's neighbours stand in the row below and the row above
    near_rows = rows[max(0, r - 1) : r + 2]
    place = {item: (i + 0.5) / len(row) for row in near_rows for i, item in enumerate(row)}

    def centre(item: Item[Key]) -> float:
        near = neighbours.get(item)
        return sum(place[n] for n in near) / len(near) if near else place[item]

    rows[r].sort(key=centre)


def crossings(rows: Sequence[Sequence[Item[Key]]], links: Iterable[Link[Key]]) -> int:
    """How many pairs of links cross."""
    place = {item: i for row in rows for i, item in enumerate(row)}
    by_row: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for low, high in links:
        by_row[low.row].append((place[low], place[high]))
    # sorted by their lower ends, two links cross where their upper ends are inverted
    return sum(_inversions([high for _, high in sorted(pairs)]) for pairs in by_row.values())


def _inversions(values: Sequence[int]) -> int:
    """How many pairs of values stand in the wrong order."""
    earlier: list[int] = []  # sorted
    count = 0
    for v in values:
        count += len(earlier) - bisect_right(earlier, v)
        insort(earlier, v)
    return count


def spread(
    layers: Layers[Key], width_of: Callable[[Item[Key]], float], gap: float
) -> dict[Item[Key], float]:
    """The x of every item's centre: near its neighbours, in the row's order.

    gap  least room between two items; the leftmost edge is at 0
    """
    up, down = _neighbours(layers.links)
    x: dict[Item[Key], float] = {}
    for row in layers.rows:
        x.update(_packed(row, width_of, gap))
    # a row is placed by its neighbours as they are now, so directions alternate to favour neither
    for step in range(RELAXATIONS):
        for row in layers.rows if step % 2 == 0 else reversed(layers.rows):
            targets = [_pull(item, x, up, down) for item in row]
            x.update(zip(row, _apart(targets, [width_of(i) for i in row], gap), strict=True))
    left = min((x[i] - width_of(i) / 2 for i in x), default=0)
    return {item: value - left for item, value in x.items()}


def _packed(
    row: Sequence[Item[Key]], width_of: Callable[[Item[Key]], float], gap: float
) -> dict[Item[Key], float]:
    """A row's items side by side, centred on 0: where relaxation starts."""
    total = sum(width_of(i) for i in row) + gap * (len(row) - 1)
    x: dict[Item[Key], float] = {}
    at = -total / 2
    for item in row:
        x[item] = at + width_of(item) / 2
        at += width_of(item) + gap
    return x


def _pull(
    item: Item[Key],
    x: Mapping[Item[Key], float],
    up: Neighbours[Key],
    down: Neighbours[Key],
) -> float:
    """The mean x of an item's neighbours."""
    near = [x[n] for n in (*up.get(item, ()), *down.get(item, ()))]
    return sum(near) / len(near) if near else x[item]


def _apart(targets: Sequence[float], widths: Sequence[float], gap: float) -> list[float]:
    """Positions near `targets`, in order and not overlapping.

    Pushing every overlap to the right keeps the distances, and so does pushing it to the left; the
    mean of both keeps them too, and leans to neither side.
    """
    # least distances between the centres of neighbours
    need = [(a + b) / 2 + gap for a, b in zip(widths, widths[1:], strict=False)]
    right, left = list(targets), list(targets)
    for i, distance in enumerate(need):
        right[i + 1] = max(right[i + 1], right[i] + distance)
    for i in reversed(range(len(need))):
        left[i] = min(left[i], left[i + 1] - need[i])
    return [(a + b) / 2 for a, b in zip(right, left, strict=True)]

"""Where the boxes and lines of a layered drawing go: rows, order by barycentre, x by relaxation.

A value that is read further up runs in a lane: one slot per row it passes, shared by all its
readers, so that lines pass between boxes and not through them.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

SWEEPS = 10
"""Barycentre sweeps; the order with the fewest crossings among them is kept."""
RELAXATIONS = 24
"""Steps that pull each item towards the mean of what it is joined to."""


@dataclass(frozen=True, slots=True)
class Item:
    """A slot in a row: a node, or the lane of node `key` passing through."""

    key: Hashable
    row: int
    lane: bool = False


@dataclass(frozen=True)
class Layers:
    """Rows of items from the bottom up, in order; and which joins which in the row above."""

    rows: tuple[tuple[Item, ...], ...]
    links: tuple[tuple[Item, Item], ...]


def layers_of(row_of: dict[Hashable, int], edges: Sequence[tuple[Hashable, Hashable]]) -> Layers:
    """Rows and links of a graph whose nodes stand in the rows `row_of`; lanes are added where edges
    skip rows.
    """
    n_rows = max(row_of.values(), default=-1) + 1
    rows: list[list[Item]] = [[] for _ in range(n_rows)]
    for key, row in row_of.items():
        rows[row].append(Item(key, row))
    last = defaultdict(int)
    for src, dst in edges:
        last[src] = max(last[src], row_of[dst])
    for src in last:
        for row in range(row_of[src] + 1, last[src]):
            rows[row].append(Item(src, row, lane=True))
    return Layers(tuple(map(tuple, rows)), tuple(_links(row_of, edges, last)))


def _links(row_of, edges, last) -> list[tuple[Item, Item]]:
    links = {}
    for src in last:
        for row in range(row_of[src] + 1, last[src]):
            links[before(src, row, row_of), Item(src, row, lane=True)] = None
    for src, dst in edges:
        links[before(src, row_of[dst], row_of), Item(dst, row_of[dst])] = None
    return list(links)


def before(src: Hashable, row: int, row_of: dict[Hashable, int]) -> Item:
    """The item in the row below `row` that carries what `src` writes."""
    below = row - 1
    return Item(src, below, lane=below != row_of[src])


def ordered(layers: Layers) -> Layers:
    """The same layers, rows reordered by barycentre sweeps to have fewer crossings."""
    up, down = _neighbours(layers.links)
    best, fewest = layers.rows, crossings(layers.rows, layers.links)
    rows = [list(row) for row in layers.rows]
    for sweep in range(SWEEPS):
        forward = sweep % 2 == 0
        for r in range(len(rows)) if forward else reversed(range(len(rows))):
            _sort_row(rows, r, down if forward else up)
        found = crossings(rows, layers.links)
        if found < fewest:
            best, fewest = tuple(map(tuple, rows)), found
    return Layers(best, layers.links)


def _neighbours(links) -> tuple[dict, dict]:
    up, down = defaultdict(list), defaultdict(list)
    for low, high in links:
        up[low].append(high)
        down[high].append(low)
    return up, down


def _sort_row(rows: list[list[Item]], r: int, joined: dict) -> None:
    place = {item: (i + 0.5) / len(row) for row in rows for i, item in enumerate(row)}

    def centre(item: Item) -> float:
        near = joined.get(item)
        return sum(place[n] for n in near) / len(near) if near else place[item]

    rows[r].sort(key=centre)


def crossings(rows, links) -> int:
    """How many pairs of links cross."""
    place = {item: i for row in rows for i, item in enumerate(row)}
    by_row = defaultdict(list)
    for low, high in links:
        by_row[low.row].append((place[low], place[high]))
    return sum(_inversions([high for _, high in sorted(pairs)]) for pairs in by_row.values())


def _inversions(values: list[int]) -> int:
    seen: list[int] = []
    count = 0
    for v in values:
        count += len(seen) - bisect_right(seen, v)
        insort(seen, v)
    return count


def spread(layers: Layers, width_of: Callable[[Item], float], gap: float) -> dict[Item, float]:
    """The x of every item's centre: near what it is joined to, in the row's order, `gap` apart;
    least edge at 0.
    """
    up, down = _neighbours(layers.links)
    x = {}
    for row in layers.rows:
        x.update(_packed(row, width_of, gap))
    for step in range(RELAXATIONS):
        for row in layers.rows if step % 2 == 0 else reversed(layers.rows):
            wanted = [_pull(item, x, up, down) for item in row]
            x.update(zip(row, _apart(wanted, [width_of(i) for i in row], gap), strict=True))
    left = min((x[i] - width_of(i) / 2 for i in x), default=0)
    return {item: value - left for item, value in x.items()}


def _packed(row, width_of, gap) -> dict[Item, float]:
    total = sum(width_of(i) for i in row) + gap * (len(row) - 1)
    x, at = {}, -total / 2
    for item in row:
        x[item] = at + width_of(item) / 2
        at += width_of(item) + gap
    return x


def _pull(item: Item, x: dict[Item, float], up: dict, down: dict) -> float:
    near = [x[n] for n in (*up.get(item, ()), *down.get(item, ()))]
    return sum(near) / len(near) if near else x[item]


def _apart(wanted: list[float], widths: list[float], gap: float) -> list[float]:
    """Positions near `wanted`, in order and not overlapping: the mean of pushing right and pushing
    left.
    """
    need = [(a + b) / 2 + gap for a, b in zip(widths, widths[1:], strict=False)]
    right, left = list(wanted), list(wanted)
    for i, distance in enumerate(need):
        right[i + 1] = max(right[i + 1], right[i] + distance)
    for i in reversed(range(len(need))):
        left[i] = min(left[i], left[i + 1] - need[i])
    return [(a + b) / 2 for a, b in zip(right, left, strict=True)]

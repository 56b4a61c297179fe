"""Functions given as tables, [row] or [value]: split into parts, compared, put in order.

NaN stands where any value will do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from rasplab.compiler.lower.residual import LinearForm

EPSILON = 2.0**-52
"""Spacing of float64 at 1."""

MAX_CANCELLED = 1000.0
"""A multiple of a feature may be so many times larger than what remains of it after a shift."""

SHAPE_DIGITS = 6
"""Decimals of tables scaled to 0 .. 1 that decide whether two are compared at all."""

ROUNDINGS = 64
"""Roundings of float64, at the scale of a table, by which its equal numbers may differ."""


def tolerance(numbers: Float[np.ndarray, "*any"], scale: float = 0.0) -> float:
    """The difference up to which numbers of one table are one that was rounded differently.

    scale  of numbers that these are sums of, where it exceeds their own
    Whatever is accepted by it is measured, and part of the error of what is made of the table.
    """
    return ROUNDINGS * EPSILON * max(scale, float(np.nanmax(np.abs(numbers), initial=0.0)))


@dataclass(frozen=True)
class Split:
    """A target as constant + one table by code for each of `leaves`, missed by `missed` at most.

    leaves  positions of the leaves, for each a table; NaN at codes where any value will do
    """

    const: float
    leaves: tuple[int, ...]
    tables: tuple[Float[np.ndarray, "*_"], ...]
    missed: float = 0.0


def single_leaf(
    codes: Int[np.ndarray, "row leaf"], target: Float[np.ndarray, " row"]
) -> Split | None:
    """The target as a constant or as a function of one leaf, or None."""
    care = ~np.isnan(target)
    if not care.any():
        return Split(0.0, (), ())
    known, limit = target[care], tolerance(target)
    if np.ptp(known) <= limit:
        return Split(float(known[0]), (), (), float(np.ptp(known)))
    for at in range(codes.shape[1]):
        table = np.full(codes[:, at].max() + 1, np.nan)
        # of rows with one code the last one stays; whether
        # the others agree with it is measured next
        table[codes[care, at]] = known
        missed = float(np.abs(table[codes[care, at]] - known).max())
        if missed <= limit:
            return Split(0.0, (at,), (table,), missed)
    return None


def additive(codes: Int[np.ndarray, "row leaf"], target: Float[np.ndarray, " row"]) -> Split | None:
    """The target as a constant plus one table by code per leaf, or None.

    Two rows that differ in one leaf alone give a difference of that leaf's table. Where such pairs
    link all codes of every leaf, the tables follow from the differences, and the sum is checked on
    every row. Where they do not, None is returned even if a sum exists.
    """
    care = ~np.isnan(target)
    codes, target = codes[care], target[care]
    linked = [linked_table(codes, target, at) for at in range(codes.shape[1])]
    limit = tolerance(target)
    tables = [t if np.ptp(t) > limit else 0 * t for t in linked if t is not None]
    if len(tables) < len(linked):
        return None
    rest = target - sum(table[codes[:, at]] for at, table in enumerate(tables))
    # What the tables leave must be one constant on every row, or the target is not such a sum.
    const = float(rest[0])
    missed = float(np.abs(rest - const).max())
    if missed > limit:
        return None
    needed = [at for at, table in enumerate(tables) if table.any()]
    return Split(const, tuple(needed), tuple(tables[at] for at in needed), missed)


def linked_table(
    codes: Int[np.ndarray, "row leaf"], target: Float[np.ndarray, " row"], at: int
) -> Float[np.ndarray, " value"] | None:
    """The table of leaf `at`, 0 at its smallest code; None if its codes are not all linked."""
    # Sorted by the values of the other leaves, rows that differ in leaf `at` alone are neighbours;
    # each pair of codes is linked by the first such pair of rows.
    context = np.unique(np.delete(codes, at, axis=1), axis=0, return_inverse=True)[1].reshape(-1)
    order = np.lexsort((codes[:, at], context))
    same = np.diff(context[order]) == 0
    low, high = codes[order[:-1][same], at], codes[order[1:][same], at]
    size = int(codes[:, at].max()) + 1
    _, first = np.unique(low * size + high, return_index=True)
    steps = np.diff(target[order])[same][first]
    links: dict[int, list[tuple[int, float]]] = {}
    for a, b, step in zip(low[first].tolist(), high[first].tolist(), steps.tolist(), strict=True):
        links.setdefault(a, []).append((b, step))
        links.setdefault(b, []).append((a, -step))
    start = int(codes[:, at].min())
    numbers, waiting = {start: 0.0}, [start]
    while waiting:
        a = waiting.pop()
        for b, step in links.get(a, []):
            if b not in numbers:
                numbers[b] = numbers[a] + step
                waiting.append(b)
    if len(numbers) < len(np.unique(codes[:, at])):
        return None
    table = np.zeros(size)
    table[list(numbers)] = list(numbers.values())
    return table


def affine_map(
    feature: Float[np.ndarray, " value"], target: Float[np.ndarray, " other"]
) -> tuple[float, float, float] | None:
    """(a, b, missed): target = a * feature + b wherever the target is not NaN, up to `missed`.

    None where there is none, or only one whose terms cancel so far that rounding them shows.
    None also where the feature is constant, NaN where the target is not, or of another length.
    """
    if feature.shape != target.shape:
        return None
    care = ~np.isnan(target)
    feature, target = feature[care], target[care]
    if np.isnan(feature).any():
        return None
    # the line through both ends of the feature: the widest
    # spread, and so the least rounding of the slope
    low, high = int(feature.argmin()), int(feature.argmax())
    spread = feature[high] - feature[low]
    size = float(np.abs(feature).max())
    if spread <= tolerance(feature):
        return None
    a = (target[high] - target[low]) / spread
    b = target[low] - a * feature[low]
    missed = float(np.abs(a * feature + b - target).max())
    cancels = abs(a) * size > MAX_CANCELLED * float(np.abs(target).max())
    if cancels or missed > tolerance(target, float(abs(a)) * size):
        return None
    return float(a), float(b), missed


class Features:
    """Tables that a leaf has forms of, by shape: `affine_map` maps none to one of another shape."""

    def __init__(self) -> None:
        self._all: list[tuple[np.ndarray, LinearForm]] = []
        self._by_shape: dict[bytes, list[tuple[np.ndarray, LinearForm]]] = {}

    def add(self, tables: Float[np.ndarray, "value table"], forms: list[LinearForm]) -> None:
        """Tables, and the forms that give their numbers."""
        for table, form in zip(tables.T, forms, strict=True):
            self._all.append((table, form))
            self._by_shape.setdefault(normalised_bytes(table), []).append((table, form))

    def similar(
        self, table: Float[np.ndarray, " value"]
    ) -> list[tuple[Float[np.ndarray, " value"], LinearForm]]:
        """The tables of its shape, as they came; all of them, where any value will do somewhere."""
        shape = normalised_bytes(table)
        return self._by_shape.get(shape, []) if shape else self._all


def distinct_up_to_scale(tables: Float[np.ndarray, "value target"]) -> list[int]:
    """Positions of the targets that no earlier one gives by scaling and shifting."""
    distinct: list[int] = []
    by_shape: dict[bytes, list[int]] = {}
    for t in range(tables.shape[1]):
        table = tables[:, t]
        shape = normalised_bytes(table)
        # Tables with NaN have no shape, and may be a multiple of any.
        candidates = by_shape.get(shape, []) if shape else distinct
        if any(affine_map(tables[:, d], table) for d in candidates):
            continue
        distinct.append(t)
        by_shape.setdefault(shape, []).append(t)
    return distinct


def normalised_bytes(table: Float[np.ndarray, " value"]) -> bytes:
    """Bytes equal for tables that are a * x + b of each other; empty where the table has NaN.

    The table is scaled to 0 .. 1; of the two ways round, the one that leaves 1/2 downwards first.
    It is rounded: tables of equal bytes may still differ, which `affine_map` tells.
    """
    if np.isnan(table).any():
        return b""
    unit = np.round((table - table.min()) / (np.ptp(table) or 1.0), SHAPE_DIGITS)
    off = unit[np.abs(unit - 0.5) > 10.0**-SHAPE_DIGITS]
    # 1 - 0.7 is not 0.3, so what is turned round is rounded again
    return (np.round(1 - unit, SHAPE_DIGITS) if len(off) and off[0] > 0.5 else unit).tobytes()


def padded(table: Float[np.ndarray, " given"], size: int) -> Float[np.ndarray, " value"]:
    """The table with NaN added at its end, up to `size` values."""
    return np.concatenate([table, np.full(size - len(table), np.nan)])


@dataclass(frozen=True)
class Groups:
    """Rows with equal points, up to rounding.

    points   distinct, ascending
    targets  NaN only where every row's is
    spread   how far a row's point may be from that of its group
    missed   how far a row's target may be from that of its group
    """

    points: Float[np.ndarray, " point"]
    targets: Float[np.ndarray, "point target"]
    spread: float
    missed: Float[np.ndarray, " target"]


def grouped(
    points: Float[np.ndarray, " row"], targets: Float[np.ndarray, "row target"], scale: float = 0.0
) -> Groups | None:
    """Distinct points ascending with the targets of each.

    scale  of the terms that points are sums of, where it exceeds their own
    None where points that are equal up to rounding have different targets.
    """
    unique, rows = np.unique(points, return_inverse=True)
    starts = np.concatenate([[True], np.diff(unique) > tolerance(unique, scale)])
    group_of = np.cumsum(starts) - 1
    rows, representatives = group_of[rows.reshape(-1)], unique[starts]
    spread = float((unique - representatives[group_of]).max(initial=0))
    merged = np.full((len(representatives), targets.shape[1]), np.nan)
    free = np.isnan(targets).any(0)
    merged[np.ix_(rows, ~free)] = targets[:, ~free]
    for t in np.flatnonzero(free):
        care = ~np.isnan(targets[:, t])
        merged[rows[care], t] = targets[care, t]
    missed = np.nan_to_num(np.abs(merged[rows] - targets)).max(0, initial=0)
    if any(m > tolerance(t) for m, t in zip(missed, targets.T, strict=True) if m):
        return None
    return Groups(representatives, merged, spread, missed)

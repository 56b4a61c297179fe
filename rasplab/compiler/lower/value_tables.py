"""Functions given as tables, [row] or [value]: split into parts, compared, put in order.

NaN stands where any value will do.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

EXACT = 1e-9
"""Two numbers of a table closer than this are equal: tables come from exact values."""


def single_leaf(
    codes: Int[np.ndarray, "row leaf"], target: Float[np.ndarray, " row"]
) -> tuple[int, Float[np.ndarray, " value"]] | None:
    """Whether one leaf alone decides: (its position, table by code), (-1, [constant]), or None."""
    care = ~np.isnan(target)
    if not care.any() or np.ptp(target[care]) < EXACT:
        return -1, target[care][:1] if care.any() else np.zeros(1)
    for at in range(codes.shape[1]):
        table = np.full(codes[:, at].max() + 1, np.nan)
        table[codes[care, at]] = target[care]
        if (np.abs(table[codes[care, at]] - target[care]) < EXACT).all():
            return at, table
    return None


def additive(
    codes: Int[np.ndarray, "row leaf"], target: Float[np.ndarray, " row"]
) -> tuple[float, list[Float[np.ndarray, ...]]] | None:
    """The target as a constant plus one table by code per leaf, or None.

    Two rows that differ in one leaf alone give a difference of that leaf's table. Where such pairs
    link all codes of every leaf, the tables follow from the differences, and the sum is checked on
    every row. Where they do not, None is returned even if a sum exists.
    """
    care = ~np.isnan(target)
    codes, target = codes[care], target[care]
    linked = [linked_table(codes, target, at) for at in range(codes.shape[1])]
    tables = [table for table in linked if table is not None]
    if len(tables) < len(linked):
        return None
    rest = target - sum(table[codes[:, at]] for at, table in enumerate(tables))
    # What the tables leave must be one constant on every row, or the target is not such a sum.
    const = float(rest[0])
    exact = np.abs(rest - const).max() < EXACT * max(1.0, float(np.abs(target).max()))
    return (const, tables) if exact else None


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
) -> tuple[float, float] | None:
    """(a, b) with target = a * feature + b wherever the target is not NaN, or None.

    None also where the feature is constant, NaN where the target is not, or of another length.
    """
    if feature.shape != target.shape:
        return None
    care = ~np.isnan(target)
    feature, target = feature[care], target[care]
    if np.isnan(feature).any():
        return None
    low, high = int(feature.argmin()), int(feature.argmax())
    spread = feature[high] - feature[low]
    if spread < EXACT:
        return None
    a = (target[high] - target[low]) / spread
    b = target[low] - a * feature[low]
    tolerance = EXACT * max(1.0, float(np.abs(target).max()))
    return (float(a), float(b)) if np.abs(a * feature + b - target).max() < tolerance else None


def distinct_up_to_scale(tables: Float[np.ndarray, "value target"]) -> list[int]:
    """Positions of the targets that no earlier one gives by scaling and shifting."""
    distinct: list[int] = []
    shapes: set[bytes] = set()
    for t in range(tables.shape[1]):
        table = tables[:, t]
        shape = normalised_bytes(table)
        if shape in shapes:
            continue
        if not shape and any(affine_map(tables[:, d], table) for d in distinct):
            continue
        distinct.append(t)
        shapes |= {shape} if shape else set()
    return distinct


def normalised_bytes(table: Float[np.ndarray, " value"]) -> bytes:
    """Bytes equal for tables that are a * x + b of each other; empty where the table has NaN.

    The table is scaled to 0 .. 1; of the two ways round, the one that leaves 1/2 downwards first.
    """
    if np.isnan(table).any():
        return b""
    unit = np.round((table - table.min()) / (np.ptp(table) or 1.0), 9)
    off = unit[np.abs(unit - 0.5) > EXACT]
    return (1 - unit if len(off) and off[0] > 0.5 else unit).tobytes()


def padded(table: Float[np.ndarray, " given"], size: int) -> Float[np.ndarray, " value"]:
    """The table with NaN added at its end, up to `size` values."""
    return np.concatenate([table, np.full(size - len(table), np.nan)])


def grouped(
    points: Float[np.ndarray, " row"], targets: Float[np.ndarray, "row target"]
) -> tuple[Float[np.ndarray, " point"], Float[np.ndarray, "point target"]] | None:
    """Distinct points ascending with the targets of each, NaN only where every row's is.

    None where points that are equal up to rounding have different targets.
    """
    rounded = np.round(points, 10)
    unique, inverse = np.unique(rounded, return_inverse=True)
    rows = inverse.reshape(-1)
    merged = np.full((len(unique), targets.shape[1]), np.nan)
    for t in range(targets.shape[1]):
        care = ~np.isnan(targets[:, t])
        merged[rows[care], t] = targets[care, t]
    off = np.abs(merged[rows] - targets)
    if np.nanmax(off, initial=0.0) > EXACT * max(1.0, np.nanmax(np.abs(targets), initial=0.0)):
        return None
    return unique, merged

"""Functions given by tables, [row] or [value]: taken apart, compared, put in order.

NaN stands where any value does.
"""

from __future__ import annotations

import numpy as np

EXACT = 1e-9
"""Two numbers of a table closer than this are equal: tables come from exact values."""


def single_leaf(codes: np.ndarray, target: np.ndarray) -> tuple[int, np.ndarray] | None:
    """(-1, [constant]), or (leaf position, table by code) where one leaf alone decides."""
    care = ~np.isnan(target)
    if not care.any() or np.ptp(target[care]) < EXACT:
        return -1, target[care][:1] if care.any() else np.zeros(1)
    for at in range(codes.shape[1]):
        table = np.full(codes[:, at].max() + 1, np.nan)
        table[codes[care, at]] = target[care]
        if (np.abs(table[codes[care, at]] - target[care]) < EXACT).all():
            return at, table
    return None


def additive(codes: np.ndarray, target: np.ndarray) -> tuple[float, list[np.ndarray]] | None:
    """target = const + sum over leaves of a table by code, or None.

    Two rows that differ in one leaf alone give a difference of that leaf's table; where such pairs
    link all codes of every leaf, the tables follow. Where they do not, neurons have to do.
    """
    care = ~np.isnan(target)
    codes, target = codes[care], target[care]
    tables = [linked_table(codes, target, at) for at in range(codes.shape[1])]
    if any(table is None for table in tables):
        return None
    rest = target - sum(table[codes[:, at]] for at, table in enumerate(tables))
    const = float(rest[0])
    exact = np.abs(rest - const).max() < EXACT * max(1.0, float(np.abs(target).max()))
    return (const, tables) if exact else None


def linked_table(codes: np.ndarray, target: np.ndarray, at: int) -> np.ndarray | None:
    """The table of leaf `at`, 0 at the first code seen; None if its codes are not all linked."""
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
    found, waiting = {start: 0.0}, [start]
    while waiting:
        a = waiting.pop()
        for b, step in links.get(a, []):
            if b not in found:
                found[b] = found[a] + step
                waiting.append(b)
    if len(found) < len(np.unique(codes[:, at])):
        return None
    table = np.zeros(size)
    table[list(found)] = list(found.values())
    return table


def multiple(have: np.ndarray, want: np.ndarray) -> tuple[float, float] | None:
    """(a, b) with want = a * have + b wherever want is known, if there are such."""
    if have.shape != want.shape:
        return None
    care = ~np.isnan(want)
    have, want = have[care], want[care]
    if np.isnan(have).any():
        return None
    low, high = int(have.argmin()), int(have.argmax())
    spread = have[high] - have[low]
    if spread < EXACT:
        return None
    a = (want[high] - want[low]) / spread
    b = want[low] - a * have[low]
    good = np.abs(a * have + b - want).max() < EXACT * max(1.0, float(np.abs(want).max()))
    return (float(a), float(b)) if good else None


def up_to_scale(tables: np.ndarray) -> list[int]:
    """Positions of the targets that no earlier one gives by scaling."""
    kept: list[int] = []
    shapes: set[bytes] = set()
    for t in range(tables.shape[1]):
        shape = outline(tables[:, t])
        if shape in shapes or not shape and any(multiple(tables[:, k], tables[:, t]) for k in kept):
            continue
        kept.append(t)
        shapes |= {shape} if shape else set()
    return kept


def outline(table: np.ndarray) -> bytes:
    """Equal for tables that are a * x + b of each other; empty where some value is open."""
    if np.isnan(table).any():
        return b""
    unit = np.round((table - table.min()) / (np.ptp(table) or 1.0), 9)
    off = unit[np.abs(unit - 0.5) > EXACT]
    return (1 - unit if len(off) and off[0] > 0.5 else unit).tobytes()


def padded(table: np.ndarray, size: int) -> np.ndarray:
    return np.concatenate([table, np.full(size - len(table), np.nan)])


def grouped(points: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Distinct points ascending, and the target of each (NaN only where every row of it is); None
    where points that are one up to rounding have different targets.
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

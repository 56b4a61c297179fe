"""How far the interpreter's floats may be from the exact numbers that value sets hold.

The interpreter computes in float64 and rounds after every operation. Value sets hold exact numbers
for means that only continuous functions read, for sums over keys, and for what is too much to list;
heads and linear forms give these. `rounding_of` bounds the difference of a node from the bounds of
its operands, and the certificate of what is read out counts it.
"""

from __future__ import annotations

from rasplab.compiler.infer.leaf_tables import LeafTables
from rasplab.compiler.infer.ranges import EXACT, Rounding, as_float, recovered
from rasplab.compiler.infer.sums import Sums
from rasplab.program.graph import Aggregate, Map
from rasplab.program.values import MAX_WHOLE, is_number

UNIT = 2.0**-53
"""Relative rounding of one operation of float64."""

RECOVERED = 8 * UNIT
"""Relative distance of a listed number from the fraction that stands for it: 4 ulp (ranges.py)."""


def rounding_of(tables: LeafTables, sums: Sums, i: int) -> Rounding:
    """The bound for node i, whose operands have theirs in `tables.roundings`."""
    if i in sums.aggregates and tables.leaf_sets[i] == (i,):
        return rounding_of_sum(tables, sums.aggregates[i])
    match tables.program.nodes[i]:
        case Aggregate(_, values, _) if i in tables.ranges or (
            i in sums.smooth and not tables.shows_kinds
        ):
            listed = i in tables.sets and _is_as_listed(tables, values)
            return EXACT if listed else _of_mean(tables, values, UNIT)
        case Map("neg" | "pos", (a,)):
            return tables.rounding(a)
        case Map("round", (a,)):
            inner = tables.rounding(a)
            return EXACT if inner.absolute < 0.5 else Rounding(inner.absolute + 0.5)
        case Map("+" | "-" | "*" | "/" as fn, args) if _is_inexact(tables, i, args):
            if fn in "+-":
                return _of_addition(tables, i, args, -1 if fn == "-" else 1)
            return _of_multiple(tables, i, args)
    return EXACT  # the same function of the same values


def rounding_of_sum(tables: LeafTables, aggregate: int) -> Rounding:
    """The bound for the width of a selector times the mean that `aggregate` takes over it."""
    node = tables.program.nodes[aggregate]
    assert isinstance(node, Aggregate)
    mean = _of_mean(tables, node.values, 2 * UNIT)
    return Rounding(tables.domain.max_len * mean.absolute, mean.relative)


def _of_mean(tables: LeafTables, values: int, rounded: float) -> Rounding:
    """The bound for a mean, or sum, of numbers; `rounded` is what it adds itself."""
    inner, (low, high) = tables.rounding(values), _bounds(tables, values)
    if not _is_as_listed(tables, values):
        rounded += RECOVERED
        if low < 0 < high:
            return Rounding(inner.absolute + rounded * max(-low, high))
    # the interpreter adds up exactly, so terms of different sign cancel only where they are off
    return Rounding(inner.absolute + rounded * max(-low, high), inner.relative + rounded)


def _of_addition(tables: LeafTables, i: int, args: tuple[int, ...], sign: int) -> Rounding:
    """The bound for a + sign * b: the operands' own, and one rounding of the result."""
    a, b = (tables.rounding(arg) for arg in args)
    (low, high), (low_b, high_b) = (_bounds(tables, arg) for arg in args)
    low_b, high_b = (low_b, high_b) if sign > 0 else (-high_b, -low_b)
    # an int of more than 53 bits is rounded before it meets a float
    sizes = [max(abs(low), abs(high)), max(abs(low_b), abs(high_b))]
    large = sum(size for size in sizes if size > MAX_WHOLE)
    is_exact = a == b == EXACT and not large
    if is_exact and tables.range(i).is_whole and sum(sizes) <= MAX_WHOLE:
        return EXACT
    absolute = a.absolute + b.absolute + UNIT * (sum(sizes) + large)
    if is_exact or min(low, low_b) >= 0 or max(high, high_b) <= 0:
        return Rounding(absolute, max(a.relative, b.relative) + 2 * UNIT)
    return Rounding(absolute)


def _of_multiple(tables: LeafTables, i: int, args: tuple[int, ...]) -> Rounding:
    """The bound for a product with a constant, or a quotient by one."""
    inexact = next((arg for arg in args if tables.rounding(arg) != EXACT), args[0])
    inner, size = tables.rounding(inexact), _size(tables, inexact)
    relative = inner.relative + 3 * UNIT  # of both operands, where ints are large, and the result
    share = inner.absolute / size if size else 0.0
    return Rounding((share + 3 * UNIT) * _size(tables, i), relative)


def _is_inexact(tables: LeafTables, i: int, args: tuple[int, ...]) -> bool:
    return i in tables.ranges or any(tables.rounding(arg) != EXACT for arg in args)


def _is_as_listed(tables: LeafTables, i: int) -> bool:
    """Whether a node takes the very numbers that stand for its values."""
    if tables.rounding(i) != EXACT:
        return False
    if i in tables.ranges:
        return True
    return all(recovered(v) == v for v in tables.sets[i].values if is_number(v))


def _bounds(tables: LeafTables, i: int) -> tuple[float, float]:
    """The least and the largest number of a node."""
    held = tables.range(i)
    return as_float(held.low), as_float(held.high)


def _size(tables: LeafTables, i: int) -> float:
    return max(map(abs, _bounds(tables, i)))

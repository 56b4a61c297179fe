"""Steps: functions of numbers that are too many to list, which take few values in turn.

A comparison of a mean with a constant needs no list of the means: it is constant but at one place,
and the means nearest to it on either side are known. Two kinds of functions are such steps. What
reads one range alone is computed for every number that the range holds, and only the ends of its
runs are kept. A comparison of two sums of ranges is decided by the sign of their difference, which
is 0 or at least the distance of two fractions from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import gcd

import numpy as np
from jaxtyping import Float, Int

from rasplab.compiler.infer.kinds import has_large_int
from rasplab.compiler.infer.leaf_tables import Affine, LeafTables
from rasplab.compiler.infer.ranges import (
    EXACT,
    MAX_DENOMINATOR,
    Range,
    as_value,
    common_unit,
    decimal,
)
from rasplab.compiler.infer.values import Fault, Result, as_number, elementwise_or_fault
from rasplab.program.functions import PREDICATES
from rasplab.program.graph import Aggregate, Constant, Map, Program
from rasplab.program.values import Value, typed_key

MAX_NUMBERS = 500_000
"""Numbers of a range for each of which a function is computed."""

MAX_RUNS = 2000
"""Runs of equal values that a function of a range may have: two points of a neuron's fit each."""

MIN_DISTANCE = 1e-9
"""Differences that are nearer to 0 than this share of the largest are not told from it."""


@dataclass(frozen=True)
class Step:
    """A function of an affine form over leaves that takes few values.

    terms   the form
    values  what the function gives, each once
    points  numbers of the form, ascending: the first and last of every run of one value
    codes   the value at each point, a position in `values`; -1 where the function fails
    fault   why it fails where it does, or None
    """

    terms: Affine
    values: tuple[Value, ...]
    points: Float[np.ndarray, " point"]
    codes: Int[np.ndarray, " point"]
    fault: Fault | None = None


def step_of(tables: LeafTables, i: int, leaves: tuple[int, ...]) -> Step | None:
    """Node i, a function of `leaves`, as a step; None where it is none, or too costly to find."""
    if len(leaves) == 1 and leaves[0] in tables.ranges:
        return _of_one_range(tables, i, leaves[0])
    return _of_difference(tables, i)


# --- of one range ---------------------------------------------------------------------------------


def _of_one_range(tables: LeafTables, i: int, leaf: int) -> Step | None:
    numbers = _numbers(tables.ranges[leaf]) if _is_exact(tables, leaf) else None
    if numbers is None or (tables.shows_kinds and _reads_kinds(tables.program, i)):
        return None
    inputs = [as_value(n) for n in numbers]
    results = _evaluated(tables.program, i, leaf, inputs)
    if results is None:
        return None
    keys = [typed_key(r) for r in results]
    starts = [k for k in range(len(keys)) if k == 0 or keys[k] != keys[k - 1]]
    if len(starts) > MAX_RUNS:
        return None
    ends = [*(start - 1 for start in starts[1:]), len(keys) - 1]
    edges = sorted({*starts, *ends})
    points = np.array([as_number(inputs[k]) for k in edges])
    return _step(({leaf: Fraction(1)}, Fraction(0)), points, [results[k] for k in edges])


def _reads_kinds(program: Program, i: int) -> bool:
    """Whether a part of an expression may tell 2 from 2.0 (kinds.py)."""
    visited, pending = {i}, [i]
    while pending:
        node = program.nodes[pending.pop()]
        if not isinstance(node, Map):
            continue
        if node.fn in ("%", "index"):
            return True
        pending += {*node.args} - visited
        visited.update(node.args)
    return False


def _step(terms: Affine, points: np.ndarray, results: Sequence[Result]) -> Step | None:
    fault = next((r for r in results if isinstance(r, Fault)), None)
    codes: dict[tuple, int] = {}
    values: list[Value] = []
    for r in results:
        if not isinstance(r, Fault) and typed_key(r) not in codes:
            codes[typed_key(r)] = len(values)
            values.append(r)
    if not values:
        return None
    at = [-1 if isinstance(r, Fault) else codes[typed_key(r)] for r in results]
    return Step(terms, tuple(values), points, np.array(at), fault)


def _numbers(held: Range) -> list[Fraction] | None:
    """Every number that a range may hold, ascending; None where they are too many."""
    span = (held.high - held.low) / held.unit
    # Of the pairs (numerator, denominator) about 6 / pi^2 are in lowest terms.
    if span * held.denominator * (held.denominator + 1) / 2 > MAX_NUMBERS / 0.6:
        return None
    numbers: list[Fraction] = []
    for k in range(1, held.denominator + 1):
        low, high = held.low * k / held.unit, held.high * k / held.unit
        whole = range(-int(-low // 1), int(high // 1) + 1)
        numbers += [held.unit * Fraction(j, k) for j in whole if gcd(j, k) == 1]
    return sorted(numbers)


def _evaluated(program: Program, i: int, leaf: int, inputs: list[Value]) -> list[Result] | None:
    """Node i for each number of its one leaf; None where floats would round what ints hold."""
    known: dict[int, list[Result]] = {leaf: list(inputs)}

    def column(node_id: int) -> list[Result]:
        if node_id not in known:
            node = program.nodes[node_id]
            if isinstance(node, Constant):
                return [node.value] * len(inputs)
            assert isinstance(node, Map), f"node {node_id} is not a function of leaf {leaf}"
            columns = [column(a) for a in node.args]
            rows = zip(*columns, strict=True)
            known[node_id] = [elementwise_or_fault(node.fn, row) for row in rows]
        return known[node_id]

    results = column(i)
    return None if any(map(has_large_int, known.values())) else results


# --- differences ----------------------------------------------------------------------------------


def _of_difference(tables: LeafTables, i: int) -> Step | None:
    """A comparison of linear expressions, where floats give the sign of the exact difference."""
    node = tables.program.nodes[i]
    if not (isinstance(node, Map) and node.fn in PREDICATES and _is_faithful(tables, *node.args)):
        return None
    left, right = tables.linear(node.args[0]), tables.linear(node.args[1])
    if left is None or right is None or left[1] or right[1]:
        return None
    coefficients = dict(left[0])
    for leaf, c in right[0].items():
        coefficients[leaf] = coefficients.get(leaf, Fraction(0)) - c
    bounds = [_bounds(tables, leaf, c) for leaf, c in coefficients.items() if c]
    low, high = (float(sum(b[k] for b in bounds)) for k in (0, 1))
    distance = _distance(tables, {leaf: c for leaf, c in coefficients.items() if c})
    if distance is None or distance < MIN_DISTANCE * max(high, -low, 1.0):
        return None
    near = [p for p in (low, -distance, 0.0, distance, high) if low <= p <= high]
    points = np.unique(near)
    results = [bool(PREDICATES[node.fn](float(p), 0.0)) for p in points]
    return _step((coefficients, Fraction(0)), points, results)


def _is_faithful(tables: LeafTables, a: int, b: int) -> bool:
    """Whether floats decide a comparison as exact numbers do.

    Means are rounded once, so equal fractions are equal floats, and a single sum or difference of
    two of them is 0 exactly where they are opposite or equal.
    """
    node = tables.program.nodes[a]
    if _is_exact(tables, a) and _is_exact(tables, b):
        return True
    if isinstance(node, Map) and node.fn in ("+", "-"):
        return _is_zero(tables, b) and all(_is_exact(tables, arg) for arg in node.args)
    return _is_zero(tables, a) and not _is_zero(tables, b) and _is_faithful(tables, b, a)


def _is_zero(tables: LeafTables, i: int) -> bool:
    node = tables.program.nodes[i]
    return isinstance(node, Constant) and typed_key(node.value) in (typed_key(0), typed_key(0.0))


def _is_exact(tables: LeafTables, i: int) -> bool:
    """Whether an s-op is a fraction rounded once, or its negative: a mean, or listed numbers."""
    node = tables.program.nodes[i]
    if isinstance(node, Map) and node.fn in ("neg", "pos"):
        return _is_exact(tables, node.args[0])
    if i in tables.ranges:
        whole = tables.ranges[i].is_whole and tables.rounding(i) == EXACT
        return whole or (isinstance(node, Aggregate) and _averages(tables, node))
    return i in tables.sets and _fractions(tables.sets[i].values) is not None


def _averages(tables: LeafTables, node: Aggregate) -> bool:
    """Whether an aggregate averages listed numbers that floats hold as they are written."""
    if node.values not in tables.sets:
        return False
    numbers = [v for v in tables.sets[node.values].values if isinstance(v, int | float)]
    return all(Fraction(v) == decimal(v) for v in numbers)


def _fractions(values: Sequence[Value]) -> list[Fraction] | None:
    """The simple fractions that numbers are the roundings of; None where they are none."""
    result = []
    for v in values:
        if not isinstance(v, int | float):
            return None
        simple = Fraction(v).limit_denominator(MAX_DENOMINATOR)
        if float(simple) != v:
            return None
        result.append(simple)
    return result


def _bounds(tables: LeafTables, leaf: int, factor: Fraction) -> tuple[Fraction, Fraction]:
    if leaf in tables.ranges:
        ends = [tables.ranges[leaf].low * factor, tables.ranges[leaf].high * factor]
    else:
        ends = [f * factor for f in _fractions(tables.sets[leaf].values) or []]
    return min(ends), max(ends)


def _distance(tables: LeafTables, coefficients: dict[int, Fraction]) -> float | None:
    """A bound on how near the sum of coefficient x leaf comes to 0 without being 0.

    Every term is a multiple of a unit over a denominator; so is the sum, over their product. Means
    over one selector have one denominator.
    """
    units: list[Fraction] = []
    denominators: dict[tuple, int] = {}
    for leaf, c in coefficients.items():
        held, node = tables.ranges.get(leaf), tables.program.nodes[leaf] if leaf >= 0 else None
        if held is None:
            listed = _fractions(tables.sets[leaf].values)
            if listed is None:
                return None
            units.append(common_unit([abs(c)]))
            denominators["listed", leaf] = max(f.denominator for f in listed)
            continue
        units.append(held.unit * abs(c))
        key = ("mean", node.selector) if isinstance(node, Aggregate) else ("leaf", leaf)
        denominators[key] = max(denominators.get(key, 1), held.denominator)
    return float(common_unit(units)) / float(np.prod([float(d) for d in denominators.values()]))

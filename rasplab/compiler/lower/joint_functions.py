"""Functions of several leaves: find one linear form on which few neurons compute them.

Candidates differ in what is added up (leaves, or expressions over them) and how each part is
scaled: numbers as they are with coefficients 1 and -1 (so `a == b`, `a < b`, sums of flags fold
together), or mixed radix over classes of values that behave alike. The best is taken: first those
whose gaps are wide enough for the errors, then fewest half layers, then neurons.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import permutations, product

import numpy as np

from rasplab.compiler.infer.values import Column, Fault, is_number, value_key
from rasplab.compiler.lower import piecewise_linear as hinges
from rasplab.compiler.lower.residual import LinearForm
from rasplab.program.graph import Aggregate, Map, SelectorWidth

MAX_NEURONS = 3000
"""A function that needs more neurons than this is refused."""

MAX_SHOWN = 4
"""Arguments that were not taken and are still reported."""

MANY_NEURONS = 300
"""From here on another half layer is the lesser evil."""


RISK = 1e-3
"""Rounding of a step of height 1, where steep pieces add up, that is still harmless to what reads
it.
"""


@dataclass(frozen=True)
class Scalar:
    """One number per value of a variable.

    late: half layers it comes after the earliest; form: makes it; error: bound on its numerical
    error
    """

    table: np.ndarray
    late: int
    form: Callable[[], LinearForm]
    error: float = 0.0


@dataclass(frozen=True)
class Variable:
    """A part of a joint function: a code per row, and the scalars that can stand for it."""

    codes: np.ndarray
    numeric: tuple[Scalar, ...]
    classes: Scalar


@dataclass(frozen=True)
class Argument:
    """The linear form: parts (form maker, coefficient), its value on every row, its cost."""

    parts: tuple[tuple[Callable[[], LinearForm], float], ...]
    points: np.ndarray
    cost: tuple
    others: tuple[str, ...] = ()

    def described(self) -> str:
        """The cost in words."""
        risky, _, late, neurons, gap = self.cost
        factors = " ".join(f"{c:+.6g}" for _, c in self.parts)
        text = f"coefficients {factors}: {neurons} neurons, {late} half layers later"
        return text + (f", gap {-gap:.2g} too small for errors" if risky else "")


def best_argument(
    lowering, leaves: tuple[int, ...], targets: np.ndarray, node: int | None
) -> Argument | None:
    """The cheapest linear form that determines every target; None if all need more than
    MAX_NEURONS.
    """
    found = []
    for frontier in _frontiers(lowering, leaves, node):
        variables = [_variable(lowering, item, leaves, frontier, targets) for item in frontier]
        found += _candidates(variables, targets, lowering.stream.ulp)
    if not found:
        return None
    best, *others = sorted(found, key=lambda argument: argument.cost)
    shown = list(dict.fromkeys(other.described() for other in others))
    return replace(best, others=tuple(shown[:MAX_SHOWN]))


def _frontiers(lowering, leaves: tuple[int, ...], node: int | None) -> list[tuple[int, ...]]:
    """Sets of nodes (or leaves) that determine the function: the leaves, and cuts through its
    expression.
    """
    found = [leaves]
    if node is None or node < 0 or not isinstance(lowering.program.nodes[node], Map):
        return found
    waiting = [_needed(lowering, lowering.program.nodes[node].args)]
    while waiting and len(found) < 8:
        frontier = waiting.pop(0)
        if frontier in found or not frontier:
            continue
        found.append(frontier)
        for item in frontier:
            if item in leaves or not isinstance(lowering.program.nodes[item], Map):
                continue
            rest = [other for other in frontier if other != item]
            waiting.append(_needed(lowering, (*rest, *lowering.program.nodes[item].args)))
    return found


def _needed(lowering, items) -> tuple[int, ...]:
    return tuple(sorted({i for i in items if i < 0 or lowering.value_sets.leaf_sets.get(i)}))


def _variable(lowering, item: int, leaves, frontier, targets: np.ndarray) -> Variable:
    column = lowering.value_sets.column(item, leaves)
    others = [lowering.value_sets.column(i, leaves).codes for i in frontier if i != item]
    table = _classes(column, others, targets)
    late = 0 if item < 0 else _lateness(lowering, item)
    classes = Scalar(table, late, partial(_make, lowering, item, column, table))
    early = min(late, _sum_lateness(lowering, item))
    return Variable(column.codes, tuple(_numeric(lowering, item, column, early)), classes)


def _sum_lateness(lowering, item: int) -> int:
    """Half layers that the number itself waits: none for a sum of tokens, positions and what heads
    carry.
    """
    if item < 0 or lowering.value_sets.leaf_sets[item] == (item,):
        return 2
    terms = lowering.value_sets.linear(item)
    if terms is None:
        return 2
    return max((_lateness(lowering, i) if i >= 0 else 0 for i in terms[0]), default=0)


def _lateness(lowering, item: int) -> int:
    """Half layers that a nonlinear feature of the item waits beyond the item's own attention."""
    node = lowering.program.nodes[item]
    if isinstance(node, SelectorWidth):
        return 2
    if isinstance(node, Aggregate):
        return 0 if lowering.attention.at_most_one(item) else 2
    leaves = lowering.value_sets.leaf_sets[item]
    if len(leaves) == 1 and leaves[0] != item:
        return 0 if leaves[0] < 0 else _lateness(lowering, leaves[0])
    return 2


def _numeric(lowering, item: int, column: Column, late: int):
    """The numbers themselves, and what attention gives before neurons: 1/(1+width), or a mean."""
    if not all(
        is_number(v) or isinstance(v, bool) for v in column.values if not isinstance(v, Fault)
    ):
        return
    numbers = np.array([np.nan if isinstance(v, Fault) else float(v) for v in column.values])
    node = lowering.program.nodes[item] if item >= 0 else None
    if isinstance(node, SelectorWidth):
        counted = lowering.attention.counted(item)
        table = numbers if counted.linear else 1 / (1 + numbers)
        yield Scalar(table, 0, lambda: counted.form, lowering.stream.error(counted.form))
        if counted.linear:
            return
    if isinstance(node, Aggregate) and not lowering.attention.at_most_one(item):
        mean = lowering.mean(item)
        yield Scalar(numbers, 0, lambda: mean, lowering.stream.error(mean))
        return
    yield Scalar(numbers, late, partial(_make, lowering, item, column, numbers))


def _make(lowering, item: int, column: Column, table: np.ndarray) -> LinearForm:
    """The form of a table by code of the item's column."""
    value_sets = lowering.value_sets
    complete = item in value_sets.sets and len(column.values) == len(value_sets.sets[item].values)
    if complete and (item < 0 or value_sets.leaf_sets[item] == (item,)):
        return lowering.leaf_forms(item, table[:, None])[0]
    leaves = value_sets.leaf_sets[item]
    own = lowering.value_sets.column(item, leaves)
    return lowering.forms(leaves, _by_value(column, own, table)[own.codes][:, None], item)[0]


def _by_value(column: Column, own: Column, table: np.ndarray) -> np.ndarray:
    """The table reordered from one column's values to another's."""

    ids = {value_key(v): k for k, v in enumerate(column.values)}
    rows = np.array([ids.get(value_key(v), -1) for v in own.values])
    return np.where(rows >= 0, table[rows], np.nan)


def _classes(column: Column, others: list[np.ndarray], targets: np.ndarray) -> np.ndarray:
    """A class number per value: values that give the same targets in every context share one."""
    context = np.zeros(len(column.codes), int)
    for codes in others:
        context = np.unique(context * (int(codes.max()) + 1) + codes, return_inverse=True)[
            1
        ].reshape(-1)
    behaviour = np.full((len(column.values), int(context.max()) + 1, targets.shape[1]), np.nan)
    behaviour[column.codes, context] = targets
    classes, kept = np.zeros(len(column.values)), []
    for value in _value_order(column):
        number = next(
            (k for k, other in enumerate(kept) if _agree(behaviour[value], other)), len(kept)
        )
        if number == len(kept):
            kept.append(behaviour[value].copy())
        else:
            kept[number] = np.where(np.isnan(kept[number]), behaviour[value], kept[number])
        classes[value] = number
    return classes


def _value_order(column: Column) -> list[int]:
    if all(is_number(v) for v in column.values):
        return sorted(range(len(column.values)), key=lambda k: column.values[k])
    return list(range(len(column.values)))


def _agree(a: np.ndarray, b: np.ndarray) -> bool:
    both = ~(np.isnan(a) | np.isnan(b))
    return bool((np.abs(a[both] - b[both]) < 1e-9).all())


def _candidates(variables: list[Variable], targets: np.ndarray, ulp: float):
    yield from _signed_sums(variables, targets, ulp)
    yield from _mixed_radix(variables, targets, ulp)


def _signed_sums(variables: list[Variable], targets: np.ndarray, ulp: float):
    """Coefficients 1 and -1 on numbers, or on the classes as numbers."""
    if len(variables) > 6:
        return
    for chosen in _choices(variables):
        for signs in product((1.0, -1.0), repeat=len(variables) - 1):
            argument = _argument(variables, chosen, (1.0, *signs), targets, ulp)
            if argument:
                yield argument


def _choices(variables: list[Variable]):
    if all(v.numeric for v in variables):
        yield tuple(v.numeric[0] for v in variables)
        if any(len(v.numeric) > 1 for v in variables):
            yield tuple(v.numeric[-1] for v in variables)
    yield tuple(v.classes for v in variables)


def _mixed_radix(variables: list[Variable], targets: np.ndarray, ulp: float):
    """Variables as digits of one number, in several orders; digits are classes, or numbers that
    come earlier.
    """
    orders = (
        permutations(range(len(variables)))
        if len(variables) <= 3
        else [tuple(range(len(variables)))]
    )
    for order in orders:
        for early in (False, True):
            chosen = [v.numeric[0] if early and _earlier(v) else v.classes for v in variables]
            argument = _argument(variables, chosen, _digit_weights(chosen, order), targets, ulp)
            if argument:
                yield argument


def _earlier(variable: Variable) -> bool:
    return bool(variable.numeric) and variable.numeric[0].late < variable.classes.late


def _digit_weights(chosen: list[Scalar], order: tuple[int, ...]) -> list[float]:
    """Weights that keep every combination apart: a digit's smallest step exceeds all that later
    digits add.
    """
    weights, reach, gap = [0.0] * len(chosen), 0.0, 0.0
    for at in reversed(order):
        table = np.unique(chosen[at].table[~np.isnan(chosen[at].table)])
        step = float(np.diff(table).min(initial=np.inf))
        if not np.isfinite(step):
            continue
        weights[at] = (reach + (gap or step)) / step
        gap = gap or step
        reach += weights[at] * float(table[-1] - table[0])
    return weights


def _argument(variables, chosen, coefficients, targets, ulp) -> Argument | None:
    """The candidate with its cost, if it determines the targets with neurons enough and gaps wide
    enough.
    """
    points = np.zeros(len(targets))
    for variable, scalar, coefficient in zip(variables, chosen, coefficients, strict=True):
        points = points + coefficient * scalar.table[variable.codes]
    if np.isnan(points).any():
        targets = np.where(np.isnan(points)[:, None], np.nan, targets)
        if np.isnan(targets).all():
            return None
        points = np.where(np.isnan(points), np.nanmin(points), points)
    unique, inverse = np.unique(np.round(points, 10), return_inverse=True)
    low = np.full((len(unique), targets.shape[1]), np.inf)
    high = np.full((len(unique), targets.shape[1]), -np.inf)
    care = ~np.isnan(targets)
    for t in range(targets.shape[1]):
        np.minimum.at(low[:, t], inverse.reshape(-1)[care[:, t]], targets[care[:, t], t])
        np.maximum.at(high[:, t], inverse.reshape(-1)[care[:, t]], targets[care[:, t], t])
    if (high - low > 1e-9).any():
        return None
    neurons = hinges.count(unique, np.where(np.isinf(low), np.nan, low))
    size = max(1.0, float(np.abs(unique).max()))
    gap = float(np.diff(unique).min(initial=np.inf))
    if neurons > MAX_NEURONS or gap < 1e-9 * size:
        return None
    error = (
        sum(abs(c) * s.error for c, s in zip(coefficients, chosen, strict=True)) + 8 * ulp * size
    )
    risky = 4 * error > gap or 4 * ulp * size * neurons > RISK * gap
    late = max(s.late for s in chosen)
    parts = tuple((s.form, float(c)) for s, c in zip(chosen, coefficients, strict=True))
    return Argument(parts, points, (risky, neurons > MANY_NEURONS, late, neurons, -gap))

"""Functions of several leaves: find one linear form on which few neurons compute them.

Candidates differ in what is added up (leaves, or expressions over them: a *frontier*) and in how
each part is scaled: numbers as they are with coefficients 1 and -1 (so `a == b`, `a < b` and sums
of flags fold together), or mixed radix over classes of values that behave alike. The best candidate
is taken: first those whose gaps are wide enough for the errors, then fewest half layers, then
fewest neurons.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import permutations, product

import numpy as np
from jaxtyping import Float, Int

from rasplab.compiler.infer.columns import Column
from rasplab.compiler.infer.values import Fault, as_number, code_of_key
from rasplab.compiler.lower import piecewise_linear
from rasplab.compiler.lower.form_source import FormSource
from rasplab.compiler.lower.residual import LinearForm, after
from rasplab.compiler.lower.value_classes import merged_classes
from rasplab.compiler.lower.value_tables import additive, grouped, single_leaf
from rasplab.program.graph import Aggregate, Map, SelectorWidth
from rasplab.program.values import is_number, typed_key

MIN_GAP = 1e-13
"""Points closer than this, relative to the largest, are not told apart in any dtype."""

MANY_NEURONS = 300
"""Above this many neurons, an argument that costs half a layer more is preferred."""

MAX_OTHERS = 4
"""Arguments that were not taken and are still reported."""

MAX_FRONTIERS = 8
"""Cuts through an expression that are tried."""

MAX_SIGNED = 6
"""Variables of a sum with signs: 2 ** (MAX_SIGNED - 1) choices of signs are tried."""

RISK = 2e-3
"""Rounding of a step of height 1, summed over steep pieces, that is harmless to what reads it."""


@dataclass(frozen=True)
class Scalar:
    """One number per value of a variable.

    column  its values, and their codes by row
    item   the s-op or leaf
    table  the number of each value
    time   the half layer in which its form is expected to be written
    form   makes the form
    error  bound on its numerical error
    """

    item: int
    column: Column
    table: Float[np.ndarray, " value"]
    time: int
    form: Callable[[], LinearForm]
    error: float = 0.0


@dataclass(frozen=True)
class Variable:
    """A part of a joint function: a code per row, and the scalars that can stand for it.

    numeric  the numbers that the values are, or that attention gives for them; may be empty
    classes  a class number per value; values of one class behave alike
    """

    codes: Int[np.ndarray, " row"]
    numeric: tuple[Scalar, ...]
    classes: Scalar


@dataclass(frozen=True, order=True)
class Cost:
    """What an argument costs; smaller is better, compared field by field.

    risky    its points are too close for the errors at run time
    many     it takes more than MANY_NEURONS neurons
    time     the half layer of its neurons
    neurons  its own and those of its parts, where nothing else needs these
    minus_gap  the negative distance of its closest points: wide gaps are better
    """

    risky: bool
    many: bool
    time: int
    neurons: int
    minus_gap: float


@dataclass(frozen=True)
class Argument:
    """A linear form that determines the function.

    parts   (scalar, its coefficient)
    points  the value of the sum on every row
    others  what was not taken, in words
    """

    parts: tuple[tuple[Scalar, float], ...]
    points: Float[np.ndarray, " row"]
    cost: Cost
    others: tuple[str, ...] = ()

    def described(self) -> str:
        """Coefficients and cost in words."""
        factors = " ".join(f"{c:+.6g}" for _, c in self.parts)
        cost = self.cost
        text = f"coefficients {factors}: {cost.neurons} neurons in half layer {cost.time}"
        return text + (f", gap {-cost.minus_gap:.2g} too small for errors" if cost.risky else "")


def best_argument(
    source: FormSource,
    leaves: tuple[int, ...],
    targets: Float[np.ndarray, "row target"],
    node: int | None,
) -> Argument:
    """The cheapest linear form that determines every target.

    targets  on the rows of joint(leaves); NaN where any value will do
    node     the s-op that they are functions of, if one
    There always is one: mixed radix over the leaves, which takes a neuron per row at worst.
    """
    arguments: list[Argument] = []
    for frontier in _frontiers(source, leaves, node):
        arguments += _arguments(source, leaves, frontier, targets)
    # An argument costs at least its own neurons, so later ones need no look at their parts.
    best: Argument | None = None
    arguments.sort(key=lambda argument: argument.cost)
    for argument in arguments:
        if best is not None and argument.cost >= best.cost:
            break
        whole = _with_parts(source, argument)
        best = min(best, whole, key=lambda a: a.cost) if best else whole
    assert best is not None, f"no linear form determines a function of {leaves}"
    texts = dict.fromkeys(a.described() for a in arguments)
    texts.pop(best.described(), None)
    return replace(best, others=tuple(texts)[:MAX_OTHERS])


def _arguments(
    source: FormSource, leaves: tuple[int, ...], frontier: tuple[int, ...], targets: np.ndarray
) -> list[Argument]:
    """Candidates over one frontier, with the cost of their own neurons."""
    variables = _variables(source, frontier, leaves, targets)
    ulp = source.stream.ulp
    return [*_signed_sums(variables, targets, ulp), *_mixed_radix(variables, targets, ulp)]


def _with_parts(source: FormSource, argument: Argument) -> Argument:
    """The argument with the neurons of parts that nothing else needs in its cost."""
    extra = sum(_part_neurons(source, scalar) for scalar, c in argument.parts if c)
    cost = argument.cost
    neurons = cost.neurons + extra
    cost = replace(cost, neurons=neurons, many=neurons > MANY_NEURONS)
    return replace(argument, cost=cost)


def _part_neurons(source: FormSource, scalar: Scalar) -> int:
    """Neurons for a part, computed on its leaves; 0 for a single leaf, or what is made anyway."""
    value_sets, item = source.value_sets, scalar.item
    leaves = value_sets.leaf_sets.get(item, (item,))
    if len(leaves) == 1 or source.part_costs.is_made_anyway(item):
        return 0
    known, key = source.part_costs.plain_neurons, (item, scalar.table.tobytes())
    if key not in known:
        target = _over_leaves(source, item, scalar.column, scalar.table)
        codes = value_sets.joint(leaves).codes
        if single_leaf(codes, target) or additive(codes, target):
            known[key] = 0
        else:
            plain = _arguments(source, leaves, leaves, target[:, None])
            known[key] = min(argument.cost.neurons for argument in plain)
    return known[key]


# --- what is added up -----------------------------------------------------------------------------


def _frontiers(
    source: FormSource, leaves: tuple[int, ...], node: int | None
) -> list[tuple[int, ...]]:
    """Sets of s-ops that determine the function: the leaves, and cuts through its expression."""
    frontiers, nodes = [leaves], source.value_sets.program.nodes
    expression = nodes[node] if node is not None and node >= 0 else None
    if not isinstance(expression, Map):
        return frontiers
    waiting = [_varying(source, expression.args)]
    while waiting and len(frontiers) < MAX_FRONTIERS:
        frontier = waiting.pop(0)
        if frontier in frontiers or not frontier:
            continue
        frontiers.append(frontier)
        for item in frontier:
            inner = nodes[item] if item not in leaves else None
            if isinstance(inner, Map):
                rest = [other for other in frontier if other != item]
                waiting.append(_varying(source, (*rest, *inner.args)))
    return frontiers


def _varying(source: FormSource, items: Sequence[int]) -> tuple[int, ...]:
    """Those that are not constant, each once."""
    return tuple(sorted({i for i in items if i < 0 or source.value_sets.leaf_sets.get(i)}))


def _variables(
    source: FormSource, frontier: tuple[int, ...], leaves: tuple[int, ...], targets: np.ndarray
) -> list[Variable]:
    columns = [source.value_sets.column(item, leaves) for item in frontier]
    orders = [_value_order(column) for column in columns]
    tables = merged_classes([column.codes for column in columns], orders, targets)
    return [
        _variable(source, item, column, table)
        for item, column, table in zip(frontier, columns, tables, strict=True)
    ]


def _variable(source: FormSource, item: int, column: Column, table: np.ndarray) -> Variable:
    form = partial(_table_form, source, item, column, table)
    classes = Scalar(item, column, table, source.part_costs.feature_time(item), form)
    return Variable(column.codes, tuple(_numeric(source, item, column)), classes)


def _numeric(source: FormSource, item: int, column: Column) -> Iterator[Scalar]:
    """The numbers themselves, and what attention gives before neurons: 1/(1+width), or a mean."""
    listed = [v for v in column.values if not isinstance(v, Fault)]
    if not all(is_number(v) or isinstance(v, bool) for v in listed):
        return
    numbers = np.array([np.nan if isinstance(v, Fault) else as_number(v) for v in column.values])
    node = source.value_sets.program.nodes[item] if item >= 0 else None
    if isinstance(node, SelectorWidth):
        counted = source.width(item)
        table = numbers if counted.linear else 1 / (1 + numbers)
        time, error = source.part_costs.head_time(item), source.stream.error(counted.form)
        yield Scalar(item, column, table, time, lambda: counted.form, error)
        if counted.linear:
            return
    if isinstance(node, Aggregate) and not source.takes_no_mean(item):
        mean = source.mean(item)
        time, error = source.part_costs.head_time(item), source.stream.error(mean)
        yield Scalar(item, column, numbers, time, lambda: mean, error)
        return
    time = source.part_costs.number_time(item)
    yield Scalar(item, column, numbers, time, partial(_table_form, source, item, column, numbers))


def _table_form(source: FormSource, item: int, column: Column, table: np.ndarray) -> LinearForm:
    """The form of a table by code of the item's column."""
    value_sets = source.value_sets
    complete = item in value_sets.sets and len(column.values) == len(value_sets.sets[item].values)
    if complete and (item < 0 or value_sets.leaf_sets[item] == (item,)):
        return source.leaf_forms(item, table[:, None])[0]
    target = _over_leaves(source, item, column, table)
    return source.forms(value_sets.leaf_sets[item], target[:, None], item)[0]


def _over_leaves(
    source: FormSource, item: int, column: Column, table: np.ndarray
) -> Float[np.ndarray, " row"]:
    """A table by code of the item's column, as targets on the rows of its own leaves."""
    over_leaves = source.value_sets.column(item, source.value_sets.leaf_sets[item])
    # The column over the item's own leaves lists values in another order, and may list more.
    codes = code_of_key(column.values)
    rows = np.array([codes.get(typed_key(v), -1) for v in over_leaves.values])
    reordered = np.where(rows >= 0, table[rows], np.nan)
    return reordered[over_leaves.codes]


def _value_order(column: Column) -> list[int]:
    """Codes by ascending number, where all values are numbers; else as they stand."""
    numbers = [v for v in column.values if is_number(v)]
    if len(numbers) == len(column.values):
        return sorted(range(len(numbers)), key=lambda code: numbers[code])
    return list(range(len(column.values)))


def _largest(table: np.ndarray) -> float:
    return float(np.nanmax(np.abs(table), initial=0.0))


# --- how it is scaled -----------------------------------------------------------------------------


def _signed_sums(variables: list[Variable], targets: np.ndarray, ulp: float) -> Iterator[Argument]:
    """Coefficients 1 and -1 on numbers, or on the classes as numbers."""
    if len(variables) > MAX_SIGNED:
        return
    for scalars in _representations(variables):
        # the first sign stays: reversing all of them only mirrors the points
        for signs in product((1.0, -1.0), repeat=len(variables) - 1):
            argument = _argument(variables, scalars, (1.0, *signs), targets, ulp)
            if argument:
                yield argument


def _representations(variables: list[Variable]) -> Iterator[tuple[Scalar, ...]]:
    if all(v.numeric for v in variables):
        # first what attention gives, which is there early; then the numbers that neurons make of it
        yield tuple(v.numeric[0] for v in variables)
        if any(len(v.numeric) > 1 for v in variables):
            yield tuple(v.numeric[-1] for v in variables)
    yield tuple(v.classes for v in variables)


def _mixed_radix(variables: list[Variable], targets: np.ndarray, ulp: float) -> Iterator[Argument]:
    """Variables as digits of one number, in several orders.

    Digits are classes, or the numbers where these come earlier. Every combination has a point of
    its own, so this always determines the targets; the order decides how often they change.
    """
    places = range(len(variables))
    # all 6 orders of three variables; of more, only the one given
    orders = permutations(places) if len(variables) <= 3 else [tuple(places)]
    for order in orders:
        for early in (False, True):
            digits = [v.numeric[0] if early and _is_earlier(v) else v.classes for v in variables]
            argument = _argument(variables, digits, _digit_weights(digits, order), targets, ulp)
            if argument:
                yield argument


def _is_earlier(variable: Variable) -> bool:
    return bool(variable.numeric) and variable.numeric[0].time < variable.classes.time


def _digit_weights(digits: list[Scalar], order: tuple[int, ...]) -> list[float]:
    """Weights that give every combination of digits a point of its own.

    From the last digit of `order` to the first: a digit's smallest step must exceed all that the
    later digits can add (`reach`) by the gap of the last one.
    """
    weights, reach, gap = [0.0] * len(digits), 0.0, 0.0
    for at in reversed(order):
        table = np.unique(digits[at].table[~np.isnan(digits[at].table)])
        step = float(np.diff(table).min(initial=np.inf))
        if not np.isfinite(step):
            continue  # one value only: nothing to tell apart
        weights[at] = (reach + (gap or step)) / step
        gap = gap or step
        reach += weights[at] * float(table[-1] - table[0])
    return weights


def _argument(
    variables: list[Variable],
    scalars: Sequence[Scalar],
    coefficients: Sequence[float],
    targets: np.ndarray,
    ulp: float,
) -> Argument | None:
    """The candidate with its cost; None if it does not determine the targets, or costs too much."""
    points = np.zeros(len(targets))
    for variable, scalar, coefficient in zip(variables, scalars, coefficients, strict=True):
        points = points + coefficient * scalar.table[variable.codes]
    if np.isnan(points).any():
        # Rows of a Fault: they do not occur in a legal program, so any point and target will do.
        targets = np.where(np.isnan(points)[:, None], np.nan, targets)
        if np.isnan(targets).all():
            return None
        points = np.where(np.isnan(points), np.nanmin(points), points)
    terms = zip(coefficients, scalars, strict=True)
    size = sum(abs(c) * _largest(s.table) for c, s in terms)
    groups = grouped(points, targets, size)
    if groups is None:
        return None
    distinct = groups.points
    neurons = piecewise_linear.neuron_count(distinct, groups.targets)
    gap = float(np.diff(distinct).min(initial=np.inf))
    if gap < MIN_GAP * size:
        return None
    error = sum(abs(c) * s.error for c, s in zip(coefficients, scalars, strict=True))
    error += 8 * ulp * size
    # Risky: errors reach a quarter of the gap, where plateaus end; or steep pieces, of slope
    # 1 / gap each, add up to more rounding than a reader bears.
    risky = 4 * error > gap or 4 * ulp * size * neurons > RISK * gap
    time = after(max(s.time for s in scalars), 0)
    parts = tuple((s, float(c)) for s, c in zip(scalars, coefficients, strict=True))
    return Argument(parts, points, Cost(risky, neurons > MANY_NEURONS, time, neurons, -gap))

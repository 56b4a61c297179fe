"""Classes of a variable's values: values that a function never has to tell apart share a class.

A function is given by rows: a code per variable, and targets, NaN where any value will do. Fewer
classes mean fewer points of a joint argument, and so fewer neurons (joint_functions.py).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

SAME_TARGET = 4
"""Two targets at most this many last places apart are one number, rounded differently."""

MAX_MEMBERS = 1 << 25
"""Entries of the table [class, context, target] up to which free values join other classes."""


def merged_classes(
    codes: Sequence[Int[np.ndarray, " row"]],
    orders: Sequence[Sequence[int]],
    targets: Float[np.ndarray, "row target"],
) -> list[Float[np.ndarray, " value"]]:
    """A class number per value of each variable, such that the classes determine the targets.

    codes   the value of each variable, by row
    orders  the values of each variable, all of them, in the order in which classes are numbered
    Each variable is merged beside the values of the others. Where targets are free, two mergings
    may each use a freedom that the other needs; then the variables are merged one after the other,
    each beside the classes of those before it, which never contradicts itself.
    """
    numbers = _numbered(targets)
    variables = range(len(codes))
    tables = [_classes(at, codes, orders[at], numbers) for at in variables]
    merged = [table[c] for table, c in zip(tables, codes, strict=True)]
    if _determines(merged, numbers):
        return [table.astype(float) for table in tables]
    current = list(codes)
    for at in variables:
        tables[at] = _classes(at, current, orders[at], numbers)
        current[at] = tables[at][codes[at]]
    return [table.astype(float) for table in tables]


def _numbered(targets: np.ndarray) -> np.ndarray:
    """A whole number per target, equal for equal targets of a column; -1 where any will do."""
    numbers = np.full(targets.shape, -1)
    for t in range(targets.shape[1]):
        care = ~np.isnan(targets[:, t])
        distinct, inverse = np.unique(targets[care, t], return_inverse=True)
        apart = np.diff(distinct) > SAME_TARGET * np.spacing(np.abs(distinct[1:]))
        if np.array_equal(distinct, np.round(distinct)):
            apart[:] = True  # whole numbers are exact
        numbers[care, t] = np.concatenate([[0], np.cumsum(apart)])[inverse.reshape(-1)]
    return numbers


def _combined(codes: Sequence[np.ndarray], count: int) -> np.ndarray:
    """A number from 0 per row, equal for rows of equal codes."""
    # numbered anew after each code, so that the numbers stay below the count of rows
    context = np.zeros(count, int)
    for code in codes:
        _, context = np.unique(context * (int(code.max()) + 1) + code, return_inverse=True)
        context = context.reshape(-1)
    return context


def _determines(codes: Sequence[np.ndarray], numbers: np.ndarray) -> bool:
    """Whether rows of equal codes have equal targets."""
    context = _combined(codes, len(numbers))
    for t in range(numbers.shape[1]):
        care = numbers[:, t] >= 0
        if not care.any():
            continue
        listed = np.full(int(context.max()) + 1, -1)
        listed[context[care]] = numbers[care, t]
        if not np.array_equal(listed[context[care]], numbers[care, t]):
            return False
    return True


def _classes(
    at: int, codes: Sequence[np.ndarray], order: Sequence[int], numbers: np.ndarray
) -> np.ndarray:
    """A class per value of variable `at`: int [value].

    Two values share a class if they have the same targets wherever both have one; a value joins the
    first class that it agrees with, and fills in what is free there.
    """
    care = (numbers >= 0).any(1)
    others = [c[care] for k, c in enumerate(codes) if k != at]
    context, numbers = _combined(others, int(care.sum())), numbers[care]
    value = codes[at][care]
    # The rows of each value: a slice of `rows`.
    rows = np.argsort(value, kind="stable")
    ends = np.searchsorted(value[rows], np.arange(len(order) + 1))
    shape = (int(context.max(initial=-1)) + 1, numbers.shape[1])
    most = max(1, MAX_MEMBERS // max(1, shape[0] * shape[1]))
    if len(rows) == len(np.unique(value)) * shape[0] and (numbers >= 0).all():
        most = 0  # nothing is free: only equal behaviours share a class
    members = np.full((min(8, most), *shape), -1, np.int32)
    known: dict[bytes, int] = {}  # what a value does in its contexts -> its class
    classes, count = np.zeros(len(order), int), 0
    for code in order:
        mine = rows[ends[code] : ends[code + 1]]
        if not len(mine):
            continue  # free in every context: any class will do
        mine = mine[np.argsort(context[mine], kind="stable")]
        where, what = context[mine], numbers[mine]
        behaviour = where.tobytes() + what.tobytes()
        if behaviour not in known:
            number = _first_agreeing(members[: min(count, most)], where, what, count)
            known[behaviour] = number
            count = max(count, number + 1)
            if len(members) < min(count, most):
                grown = min(most, 2 * len(members)) - len(members)
                members = np.concatenate([members, np.full((grown, *shape), -1, np.int32)])
            if number < most:
                # free is -1, below every number, so the maximum fills it in
                np.maximum.at(members[number], where, what)
        classes[code] = known[behaviour]
    return classes


def _first_agreeing(members: np.ndarray, where: np.ndarray, what: np.ndarray, new: int) -> int:
    """The first class whose members differ from `what` in no context of `where`, or `new`."""
    theirs = members[:, where]
    clash = ((theirs != what) & (theirs >= 0) & (what >= 0)).any((1, 2))
    agreeing = np.flatnonzero(~clash)
    return int(agreeing[0]) if len(agreeing) else new

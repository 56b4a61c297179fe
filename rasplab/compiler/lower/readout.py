"""From an output s-op to logits, what they mean, and a certificate that they are read out right."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from rasplab.base.errors import CompileError
from rasplab.compiler.infer.ranges import as_float
from rasplab.compiler.infer.values import as_number
from rasplab.compiler.lower.residual import LinearForm
from rasplab.compiler.lower.sop_forms import MAX_ONE_HOT, Lowering
from rasplab.program.values import (
    MIN_SCALE,
    ROUNDING,
    Value,
    integer_rank,
    is_number,
    value_key,
)
from rasplab.transformer.readout import Readout

FINE = 1 / 400
"""Numbers closer than this share of their range are read out as a number, not as classes."""

SAME_NUMBER = 1e-12
"""Relative difference up to which two floats are one number that was rounded differently.

Relative to MIN_SCALE at least, as where values are compared, a thousand times coarser.
"""

WIDE = 1e12
"""Codes larger than this are scaled down before they are squared, where they are far apart."""

MAX_RANKS = {"float32": 128, "float64": 2000}
"""More values than this are not read out by their ranks, by dtype.

In float32 ranks save the dtype, and with many values they cost more than that.
"""


@dataclass(frozen=True)
class Certificate:
    """Why the read-out tells values apart: bounds propagated through every head and neuron.

    error   bound on the numerical error of what is read out, in `dtype`
    gap     distance of the two closest values there
    merged  how many values are read out as others, from which rounding alone parts them
    """

    error: float
    gap: float
    dtype: str
    merged: int = 0

    @property
    def share(self) -> float:
        """Error / tolerance (half the gap); the certificate holds below 1."""
        return 2 * self.error / self.gap if self.gap else np.inf

    @property
    def holds(self) -> bool:
        """Whether the nearest value is always the right one."""
        return 2 * self.error < self.gap

    def __str__(self) -> str:
        text = f"error {self.error:.2g} at most, values {self.gap:.2g} apart"
        return text + (f", {self.merged} equal up to rounding" if self.merged else "")


@dataclass(frozen=True)
class OutputLogits:
    """The logits of one output, one form each, with their meaning and certificate."""

    logits: list[LinearForm]
    readout: Readout
    certificate: Certificate


@dataclass(frozen=True)
class _Classes:
    """The values that a read-out tells apart.

    values   one of each class
    codes    a number per class: the value itself, or its rank
    members  which class each value of the s-op is of: float [value, class], 1 or 0
    spread   how far the number of a value may be from that of its class
    """

    values: tuple[Value, ...]
    codes: Float[np.ndarray, " class_"]
    members: Float[np.ndarray, "value class_"]
    spread: float

    @property
    def gap(self) -> float:
        """The distance of the two closest codes; 0 where float64 does not tell them apart."""
        return float(np.diff(np.sort(self.codes)).min(initial=np.inf))

    @property
    def merged(self) -> int:
        """How many values are not the one that stands for their class."""
        return self.members.shape[0] - self.members.shape[1]

    def ranked(self) -> _Classes:
        """The same classes with their ranks as codes."""
        # the order of the order: where each code stands among all
        ranks = np.argsort(np.argsort(self.codes, kind="stable"), kind="stable").astype(float)
        return _Classes(self.values, ranks, self.members, 0.0)


def read_out(lowering: Lowering, output: int) -> OutputLogits:
    """The logits of an output s-op, certified for the dtype of `lowering`.

    A range is read out as a number on its lattice, listed values as in `_read_out_listed`.
    """
    _check_rounding(lowering, output)
    if output not in lowering.value_sets.ranges:
        return _read_out_listed(lowering, output)
    numbers = lowering.value_sets.ranges[output]
    form = lowering.scalar(output)
    # Multiples of unit / k and unit / l, for k, l <= denominator, differ by unit / (k l) at least.
    gap = float(numbers.unit) / max(1, numbers.denominator * (numbers.denominator - 1))
    readout = Readout(None, True, numbers.unit, numbers.denominator)
    return OutputLogits([form], readout, _certificate(lowering, output, [form], gap))


def _check_rounding(lowering: Lowering, output: int) -> None:
    """Refuse an output whose terms cancel so far that the interpreter's rounding is left."""
    value_sets, bound = lowering.value_sets, lowering.value_sets.rounding(output)
    if bound.relative <= ROUNDING:
        return
    held = value_sets.range(output)
    # how near to 0 the numbers come; 0 or less where both signs occur
    least = max(MIN_SCALE, as_float(max(held.low, -held.high)))
    if bound.absolute > ROUNDING * least:
        raise CompileError(
            f"{value_sets.program.labels[output]!r} is a small difference of large numbers: the "
            f"interpreter's rounding may reach {bound.absolute:.2g} there, too much for one value",
            value_sets.program.span(output),
            "keep the numbers smaller, or round the result",
        )


def _read_out_listed(lowering: Lowering, output: int) -> OutputLogits:
    """Listed values: as a number where they are fine, as one-hot logits, or by the nearest code.

    Numbers whose certificate does not hold in this dtype are read out by their ranks.
    """
    all_values = lowering.value_sets.sets[output].values
    numeric = all(is_number(v) for v in all_values)
    classes = _number_classes(all_values) if numeric else _classes_of(all_values)
    one_hot = lowering.basis == "one_hot" and 2 < len(classes.values) <= MAX_ONE_HOT
    if numeric and _is_fine(classes):
        result = _as_number(lowering, output, classes)
    elif one_hot:
        return _by_class(lowering, output, classes)
    else:
        result = _by_nearest_code(lowering, output, classes)
    if result.certificate.holds or not numeric or len(classes.values) > MAX_RANKS[lowering.dtype]:
        return result
    few = len(classes.values) <= MAX_RANKS["float32"]
    read_ranks = _by_class if one_hot and few else _by_nearest_code
    ranks = read_ranks(lowering, output, classes.ranked())
    better = ranks.certificate.share < result.certificate.share
    return ranks if better else result


def _as_number(lowering: Lowering, output: int, classes: _Classes) -> OutputLogits:
    form = lowering.scalar(output)
    certificate = _certificate(
        lowering, output, [form], classes.gap, classes.spread, classes.merged
    )
    return OutputLogits([form], Readout(classes.values, True), certificate)


def _by_class(lowering: Lowering, output: int, classes: _Classes) -> OutputLogits:
    forms = lowering.node_forms(output, classes.members)
    certificate = _certificate(lowering, output, forms, 1.0, 0.0, classes.merged)
    return OutputLogits(forms, Readout(classes.values), certificate)


def _by_nearest_code(lowering: Lowering, output: int, classes: _Classes) -> OutputLogits:
    """Logits 2xc - c^2 for each code c, largest for the code nearest to x.

    They are x^2 - (x-c)^2 without the term x^2, which all share. Codes are taken from a code in
    their middle, which keeps the squares small, and scaled so that neighbours are at least 1 apart,
    or just 1 where the squares of larger codes might overflow.
    """
    form = lowering.node_forms(output, (classes.members @ classes.codes)[:, None])[0]
    codes, gap = classes.codes, classes.gap
    wide = float(np.abs(codes).max(initial=0)) > WIDE and np.isfinite(gap)  # inf: one code alone
    scale = 1.0 / (gap if wide else min(gap, 1.0)) if gap else 1.0
    middle = codes[np.abs(codes - (codes.min() / 2 + codes.max() / 2)).argmin()]
    centred = form.plus(-float(middle)).scaled(scale)
    codes = (codes - middle) * scale
    logits = _nearest_code(centred, codes)
    # A logit is off by 2|c| times the error of x, and by rounding of its own terms. The logits of
    # the codes c and d are apart by (c - d)^2 - 2 |c - d| (error of x) - (rounding of both); both
    # are c^2 in size at most, and |c - d| is at least scale * gap.
    largest = float(np.abs(codes).max(initial=0))
    size = 2 * largest * lowering.stream.size(centred) + largest**2
    rounding = lowering.stream.ulp * size / scale / (scale * gap) if gap else 0.0
    certificate = _certificate(
        lowering, output, [form], gap, classes.spread + rounding, classes.merged
    )
    return OutputLogits(logits, Readout(classes.values), certificate)


def _certificate(
    lowering: Lowering,
    output: int,
    forms: list[LinearForm],
    gap: float,
    more: float = 0.0,
    merged: int = 0,
) -> Certificate:
    stream = lowering.stream
    more += lowering.value_sets.rounding(output).absolute
    error = max(stream.error(f) + 8 * stream.ulp * stream.size(f) for f in forms)
    return Certificate(error + more, gap, lowering.dtype, merged)


def _is_fine(classes: _Classes) -> bool:
    if len(classes.values) < 2:
        return False
    return classes.gap < FINE * max(1.0, float(np.abs(classes.codes).max()))


def _classes_of(values: tuple[Value, ...]) -> _Classes:
    """Every value a class of its own."""
    count = len(values)
    return _Classes(values, np.arange(count, dtype=float), np.eye(count), 0.0)


def _number_classes(values: tuple[Value, ...]) -> _Classes:
    """Numbers, one class for all that are equal, or floats whose last digits alone differ."""
    order = sorted(range(len(values)), key=lambda k: (values[k], k))
    members: list[list[int]] = []
    integers: set[Value] = set()  # of the last class: one at most, or a float would merge two
    for k in order:
        integer = {values[k]} if isinstance(values[k], int) else set()
        joins = members and _is_same(values[members[-1][0]], values[k])
        if joins and len(integers | integer) < 2:
            members[-1].append(k)
            integers |= integer
        else:
            members.append([k])
            integers = integer
    members.sort(key=min)  # as they stand among the values
    firsts = [values[min(group)] for group in members]
    codes = np.array([as_number(v) for v in firsts])
    table = np.zeros((len(values), len(members)))
    for at, group in enumerate(members):
        table[group, at] = 1.0
    spread = max(abs(as_number(v) - codes[table[k].argmax()]) for k, v in enumerate(values))
    return _Classes(tuple(firsts), codes, table, float(spread))


def _is_same(a: Value, b: Value) -> bool:
    """Whether two numbers are equal, or may be one that was rounded differently."""
    if value_key(a) == value_key(b):
        return True
    close = abs(as_number(a) - as_number(b)) <= SAME_NUMBER * max(MIN_SCALE, abs(as_number(a)))
    return close and integer_rank(a) + integer_rank(b) <= 2


def _nearest_code(form: LinearForm, codes: Float[np.ndarray, " value"]) -> list[LinearForm]:
    return [form.scaled(2 * c).plus(-c * c) for c in codes.tolist()]

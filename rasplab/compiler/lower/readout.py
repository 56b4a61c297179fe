"""From an output s-op to logits, what they mean, and a certificate that they are read out right."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from rasplab.compiler.infer.values import as_number
from rasplab.compiler.lower.residual import LinearForm
from rasplab.compiler.lower.sop_forms import Lowering
from rasplab.program.values import Value, is_number
from rasplab.transformer.readout import Readout

FINE = 1 / 400
"""Numbers closer than this share of their range are read out as a number, not as classes."""

SAME_NUMBER = 1e-12
"""Relative difference up to which two floats are one number that was rounded differently."""


@dataclass(frozen=True)
class Certificate:
    """Why the read-out tells values apart: bounds propagated through every head and neuron.

    error  bound on the numerical error of what is read out, in `dtype`
    gap    distance of the two closest values there
    """

    error: float
    gap: float
    dtype: str

    @property
    def share(self) -> float:
        """Error / tolerance (half the gap); the certificate holds below 1."""
        return 2 * self.error / self.gap

    @property
    def holds(self) -> bool:
        """Whether the nearest value is always the right one."""
        return 2 * self.error < self.gap

    def __str__(self) -> str:
        return f"error {self.error:.2g} at most, values {self.gap:.2g} apart"


@dataclass(frozen=True)
class OutputLogits:
    """The logits of one output, one form each, with their meaning and certificate."""

    logits: list[LinearForm]
    readout: Readout
    certificate: Certificate


def read_out(lowering: Lowering, output: int) -> OutputLogits:
    """The logits of an output s-op, certified for the dtype of `lowering`.

    A range is read out as a number on its lattice, listed values as in `_read_out_listed`.
    """
    if output not in lowering.value_sets.ranges:
        return _read_out_listed(lowering, output)
    numbers = lowering.value_sets.ranges[output]
    form = lowering.scalar(output)
    # Multiples of unit / k and unit / l, for k, l <= denominator, differ by unit / (k l) at least.
    gap = float(numbers.unit) / max(1, numbers.denominator * (numbers.denominator - 1))
    readout = Readout(None, True, numbers.unit, numbers.denominator)
    return OutputLogits([form], readout, _certificate(lowering, [form], gap))


def _read_out_listed(lowering: Lowering, output: int) -> OutputLogits:
    """Listed values: as a number where they are fine, as one-hot logits, or by the nearest code."""
    all_values = lowering.value_sets.sets[output].values
    numeric = all(is_number(v) for v in all_values)
    values = _merged(all_values) if numeric else all_values
    codes = np.array([as_number(v) for v in values] if numeric else range(len(values)), float)
    gap = _gap(codes)
    if numeric and _is_fine(codes):
        form = lowering.scalar(output)
        return OutputLogits([form], Readout(values, True), _certificate(lowering, [form], gap))
    one_hot = _one_hot(all_values, values)
    if lowering.basis == "one_hot" and len(values) > 2:
        forms = lowering.node_forms(output, one_hot)
        return OutputLogits(forms, Readout(values), _certificate(lowering, forms, 1.0))
    form = lowering.node_forms(output, (one_hot @ codes)[:, None])[0]
    certificate = _certificate(lowering, [form], gap)
    return OutputLogits(_nearest_code(form, codes, gap), Readout(values), certificate)


def _certificate(lowering: Lowering, forms: list[LinearForm], gap: float) -> Certificate:
    stream = lowering.stream
    error = max(stream.error(f) + 8 * stream.ulp * stream.size(f) for f in forms)
    return Certificate(error, gap, lowering.dtype)


def _is_fine(numbers: np.ndarray) -> bool:
    if len(numbers) < 2:
        return False
    return _gap(numbers) < FINE * max(1.0, float(np.abs(numbers).max()))


def _one_hot(values: tuple[Value, ...], merged: tuple[Value, ...]) -> np.ndarray:
    """Which merged value each value is: float [value, merged value], 1 or 0."""
    if len(values) == len(merged):
        return np.eye(len(values))
    rounded = [_rounded(v) for v in merged]
    return np.array([[_rounded(v) == r for r in rounded] for v in values], float)


def _merged(values: tuple[Value, ...]) -> tuple[Value, ...]:
    """The values, one for all numbers that differ in their last digits only."""
    first: dict[float, Value] = {}
    for value in values:
        first.setdefault(_rounded(value), value)
    return tuple(first.values())


def _rounded(value: Value) -> float:
    return float(f"{as_number(value):.12g}")


def _gap(numbers: np.ndarray) -> float:
    """The smallest distance of two numbers that are not one up to rounding."""
    steps = np.diff(np.unique(numbers))
    distinct = steps > SAME_NUMBER * np.abs(numbers).max(initial=0)
    return float(steps[distinct].min(initial=np.inf))


def _nearest_code(
    form: LinearForm, codes: Float[np.ndarray, " value"], gap: float
) -> list[LinearForm]:
    """Logits 2xc - c^2 for each code c, largest for the code nearest to x.

    They are x^2 - (x-c)^2 without the term x^2, which all share. Forms and codes are scaled so that
    neighbouring codes are at least 1 apart.
    """
    scale = 1.0 / min(gap, 1.0)
    form = form.scaled(scale)
    return [form.scaled(2 * c).plus(-c * c) for c in codes * scale]

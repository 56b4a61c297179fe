"""From the output s-op to logits, and back to values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rasplab.compiler.infer.values import is_number
from rasplab.compiler.lower.lower import Lowering
from rasplab.compiler.lower.residual import LinearForm
from rasplab.program.values import Value
from rasplab.transformer.readout import Readout

FINE = 1 / 400
"""Numbers closer together than this share of their range are read out as a number, not as classes.
"""


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
        """The error as a share of what it may be: below 1 it holds."""
        return 2 * self.error / self.gap

    @property
    def holds(self) -> bool:
        """Whether the nearest value is always the right one."""
        return 2 * self.error < self.gap

    def __str__(self) -> str:
        return f"error {self.error:.2g} at most, values {self.gap:.2g} apart"


def read_out(lowering: Lowering, output: int) -> tuple[list[LinearForm], Readout, Certificate]:
    """One form per logit, what the logits mean, and the certificate for the dtype of `lowering`."""
    if output in lowering.value_sets.ranges:
        spread = lowering.value_sets.ranges[output]
        form = lowering.scalar(output)
        gap = float(spread.unit) / max(1, spread.denominator * (spread.denominator - 1))
        certificate = _certificate(lowering, [form], gap)
        return [form], Readout(None, True, spread.unit, spread.denominator), certificate
    return _listed(lowering, output, lowering.value_sets.sets[output].values)


def _listed(lowering: Lowering, output: int, values: tuple):
    numeric = all(is_number(v) for v in values)
    all_values, values = values, _merged(values) if numeric else values
    codes = np.array([float(v) for v in values]) if numeric else np.arange(len(values), dtype=float)
    gap = _gap(codes)
    if _fine(values):
        form = lowering.scalar(output)
        return [form], Readout(values, True), _certificate(lowering, [form], gap)
    if lowering.basis == "one_hot" and len(values) > 2:
        forms = lowering.node_forms(output, _one_hot(all_values, values))
        return forms, Readout(values), _certificate(lowering, forms, 1.0)
    form = lowering.node_forms(output, (_one_hot(all_values, values) @ codes)[:, None])[0]
    return _nearest(form, codes, gap), Readout(values), _certificate(lowering, [form], gap)


def _certificate(lowering: Lowering, forms: list[LinearForm], gap: float) -> Certificate:
    stream = lowering.stream
    error = max(stream.error(f) + 8 * stream.ulp * stream.size(f) for f in forms)
    return Certificate(error, gap, lowering.dtype)


def _fine(values: tuple) -> bool:
    if len(values) < 2 or not all(is_number(v) for v in values):
        return False
    numbers = np.array([float(v) for v in values])
    return _gap(numbers) < FINE * max(1.0, float(np.abs(numbers).max()))


def _one_hot(values: tuple, merged: tuple) -> np.ndarray:
    """[value, merged value]: 1 where they are the same."""
    if len(values) == len(merged):
        return np.eye(len(values))
    rounded = [float(f"{float(v):.12g}") for v in merged]
    return np.array([[float(f"{float(v):.12g}") == r for r in rounded] for v in values], float)


def _merged(values: tuple) -> tuple:
    """Numbers that differ in their last digits only (rounding of one and the same) are read out as
    one.
    """
    kept: dict[float, Value] = {}
    for value in values:
        kept.setdefault(float(f"{float(value):.12g}"), value)
    return tuple(kept.values())


def _gap(numbers: np.ndarray) -> float:
    """The smallest distance of two values; floats that only rounding of the same number tells apart
    are one.
    """
    steps = np.diff(np.unique(numbers))
    return float(steps[steps > 1e-12 * np.abs(numbers).max(initial=0)].min(initial=np.inf))


def _nearest(form: LinearForm, codes: np.ndarray, gap: float) -> list[LinearForm]:
    """Logits 2xc - c^2, largest for the code c nearest to x; scaled so that neighbours are at least
    1 apart.
    """
    scale = 1.0 / min(gap, 1.0)
    form = form.scaled(scale)
    return [form.scaled(2 * c).plus(-c * c) for c in codes * scale]

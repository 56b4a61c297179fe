"""From the output s-op to logits, and back to values (floor 3)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rasplab.compiler.forms import Form
from rasplab.compiler.hinges import FLOAT32
from rasplab.compiler.infer import is_number
from rasplab.compiler.lower import Lowering
from rasplab.domain import Readout
from rasplab.errors import CompileError

FINE = 1 / 400
"""Numbers closer together than this share of their range are read out as a number, not as classes."""


DOUBLE = 1e-8
"""How much smaller errors are in float64, with a margin (its rounding is 2e-9 of float32's)."""


@dataclass(frozen=True)
class Certificate:
    """Why the read-out tells values apart: bounds propagated through every head and neuron.

    error  bound on the numerical error of what is read out, in `dtype`
    gap    distance of the two closest values there; exact while error < gap / 2
    """

    error: float
    gap: float
    dtype: str


def read_out(lowering: Lowering, output: int) -> tuple[list[Form], Readout, Certificate]:
    """One form per logit, what the logits mean, and the certificate.

    Raises CompileError where values lie too close together even for float64.
    """
    if output in lowering.inferred.ranges:
        spread = lowering.inferred.ranges[output]
        form = lowering.scalar(output)
        gap = float(spread.unit) / max(1, spread.denominator * (spread.denominator - 1))
        certificate = _certificate(lowering, output, [form], gap)
        return [form], Readout(None, True, spread.unit, spread.denominator), certificate
    return _listed(lowering, output, lowering.inferred.sets[output].values)


def _listed(lowering: Lowering, output: int, values: tuple):
    numeric = all(is_number(v) for v in values)
    codes = np.array([float(v) for v in values]) if numeric else np.arange(len(values), dtype=float)
    gap = _gap(codes)
    if _fine(values):
        form = lowering.scalar(output)
        return [form], Readout(values, True), _certificate(lowering, output, [form], gap)
    if lowering.basis == "one_hot" and len(values) > 2:
        forms = lowering.node_forms(output, np.eye(len(values)))
        return forms, Readout(values), _certificate(lowering, output, forms, 1.0)
    form = lowering.node_forms(output, codes[:, None])[0]
    return _nearest(form, codes, gap), Readout(values), _certificate(lowering, output, [form], gap)


def _certificate(lowering: Lowering, output: int, forms: list[Form], gap: float) -> Certificate:
    stream, program = lowering.stream, lowering.program
    error = max(stream.error(f) + 8 * FLOAT32 * stream.size(f) for f in forms)
    if 2 * error < gap:
        return Certificate(error, gap, "float32")
    if 2 * error * DOUBLE < gap:
        return Certificate(error * DOUBLE, gap, "float64")
    raise CompileError(
        f"values of {program.labels[output]!r} lie {gap:.1g} apart, closer than the model is exact to "
        f"({error * DOUBLE:.1g} in float64)",
        program.span(output),
        "use a smaller max_len or fewer different numbers",
    )


def _fine(values: tuple) -> bool:
    if len(values) < 2 or not all(is_number(v) for v in values):
        return False
    numbers = np.array([float(v) for v in values])
    return _gap(numbers) < FINE * max(1.0, float(np.abs(numbers).max()))


def _gap(numbers: np.ndarray) -> float:
    """The smallest distance of two values; floats that only rounding of the same number tells apart are one."""
    steps = np.diff(np.unique(numbers))
    return float(steps[steps > 1e-12 * np.abs(numbers).max(initial=0)].min(initial=np.inf))


def _nearest(form: Form, codes: np.ndarray, gap: float) -> list[Form]:
    """Logits 2xc - c^2, largest for the code c nearest to x; scaled so that neighbours are at least 1 apart."""
    scale = 1.0 / min(gap, 1.0)
    form = form.scaled(scale)
    return [form.scaled(2 * c).plus(-c * c) for c in codes * scale]

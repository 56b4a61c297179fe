"""From the output s-op to logits, and back to values (floor 3)."""

from __future__ import annotations

import numpy as np

from rasplab.compiler.forms import REAL, Form
from rasplab.compiler.infer import is_number
from rasplab.compiler.lower import Lowering
from rasplab.domain import Readout

FINE = 1 / 400
"""Numbers closer together than this share of their range are read out as a number, not as classes."""


def read_out(lowering: Lowering, output: int) -> tuple[list[Form], Readout]:
    """One form per logit, and what the logits mean."""
    inferred = lowering.inferred
    if output in inferred.ranges:
        spread = inferred.ranges[output]
        return [lowering.scalar(output)], Readout(None, True, spread.unit, spread.denominator)
    values = inferred.sets[output].values
    if lowering.basis == "one_hot" and len(values) > 2 and not _fine(values):
        return lowering.node_forms(output, np.eye(len(values))), Readout(values)
    if all(is_number(v) for v in values):
        if _fine(values):
            return [lowering.scalar(output)], Readout(values, True)
        return _nearest(lowering, output, np.array([float(v) for v in values])), Readout(values)
    return _nearest(lowering, output, np.arange(len(values), dtype=float)), Readout(values)


def _fine(values: tuple) -> bool:
    if len(values) < 2 or not all(is_number(v) for v in values):
        return False
    numbers = np.sort(np.array([float(v) for v in values]))
    return float(np.diff(numbers).min()) < FINE * max(1.0, float(np.abs(numbers).max()))


def _nearest(lowering: Lowering, output: int, codes: np.ndarray) -> list[Form]:
    """Logits 2xc - c^2, largest for the code c nearest to x; scaled so that neighbours are about 1 apart."""
    step = float(np.diff(np.unique(codes)).min(initial=np.inf))
    scale = 1.0 / min(step, 1.0)
    form = lowering.node_forms(output, codes[:, None])[0].scaled(scale)
    return [form.scaled(2 * c).plus(-c * c) if c else Form(((REAL, 0.0),)) for c in codes * scale]

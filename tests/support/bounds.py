"""Measured errors of a compiled model's read-out against its certificate, in exact rationals.

The certificate is of the output that is nearest to losing it, so outputs are compared by share: the
error over half the distance of the two closest values, as `Certificate.share` has it.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from rasplab.compiler.lower.readout import WIDE
from rasplab.program.values import is_number
from rasplab.transformer.readout import Readout


def exceeded(compiled: Any, output: int, logits: np.ndarray, expected: Sequence[Any]) -> str:
    """How the error on one input exceeds the certificate; empty where it does not.

    logits  [pos, logit] of that output
    """
    share = measured_share(compiled, output, logits, expected)
    bound = Fraction(compiled.certificate.share)
    if share <= bound:
        return ""
    return (
        f"the error is {float(share / bound):.3g} times the certificate's, {compiled.certificate}"
    )


def measured_share(
    compiled: Any, output: int, logits: np.ndarray, expected: Sequence[Any]
) -> Fraction:
    """The largest error on one input, over half the distance of the closest values."""
    readouts: list[Readout] = [compiled.readout, *compiled.further]
    readout, start = readouts[output], sum(r.width for r in readouts[:output])
    rows = [[Fraction(float(x)) for x in row] for row in logits]
    if readout.number:
        gap = _gap_of_numbers(readout)
        if gap is None:
            return Fraction(0)
        errors = [abs(row[0] - Fraction(v)) for row, v in zip(rows, expected, strict=True)]
        return 2 * max(errors) / gap
    if readout.width < 2:
        return Fraction(0)
    # The class that is read out; whether it is right, merged or not, is compared elsewhere.
    pairs = [(row, row.index(max(row))) for row in rows]
    shares = [
        max(2 * _code_error(row, codes, c) / _smallest_gap(codes) for row, c in pairs)
        for codes in nearest_codes(compiled, readout, start)
    ]
    if not shares:
        return 2 * max(abs(x - (k == c)) for row, c in pairs for k, x in enumerate(row))
    return min(shares)


def _smallest_gap(codes: list[Fraction]) -> Fraction:
    ordered = sorted(codes)
    return min(b - a for a, b in zip(ordered, ordered[1:], strict=False))


def _code_error(row: list[Fraction], codes: list[Fraction], c: int) -> Fraction:
    """How far the read number is off: logits are 2xc - c^2 for each code c.

    For the right code c and another d they differ by (c - d)^2 + 2 (c - d) (x - c).
    """
    errors = [
        ((row[c] - row[d]) - (codes[c] - codes[d]) ** 2) / (2 * (codes[c] - codes[d]))
        for d in range(len(codes))
        if d != c
    ]
    return max(map(abs, errors))


def _gap_of_numbers(readout: Readout) -> Fraction | None:
    """The distance of the two closest numbers; None where there is but one."""
    if readout.values is None:
        return readout.unit / max(1, readout.denominator * (readout.denominator - 1))
    numbers = sorted({Fraction(float(v)) for v in readout.classes if is_number(v)})
    return min((b - a for a, b in zip(numbers, numbers[1:], strict=False)), default=None)


def nearest_codes(compiled: Any, readout: Readout, start: int) -> list[list[Fraction]]:
    """The codes c that logits 2xc - c^2 may have; none where a logit is 1 for its class, else 0.

    Codes are the numbers themselves, or ranks, centred and scaled as the compiler does it; the
    weights are multiples of the codes. Two codes are multiples of any other two: then both remain.
    """
    forms = compiled.read_out[start : start + readout.width]
    table = _coefficients(forms)
    values = readout.classes
    options = [list(map(Fraction, range(len(values))))]
    if all(map(is_number, values)):
        numbers = [Fraction(float(v)) for v in values if is_number(v)]
        order = sorted(range(len(values)), key=lambda k: numbers[k])  # as listed, where one float
        options = [numbers, [Fraction(order.index(k)) for k in range(len(values))]]
    centred = [codes for option in options if (codes := _centred(option))]
    return [c for c in centred if _is_multiple(table, np.array(list(map(float, c))))]


def _coefficients(forms: Sequence[Any]) -> np.ndarray:
    """The coefficients [form, direction] of all directions but that of constants, which is 0."""
    places = {d: k for k, d in enumerate(sorted({d for form in forms for d, _ in form.terms if d}))}
    table = np.zeros((len(forms), len(places)))
    for row, form in enumerate(forms):
        for d, c in form.terms:
            if d:
                table[row, places[d]] = c
    return table


def _centred(codes: list[Fraction]) -> list[Fraction] | None:
    gap = _smallest_gap(codes)
    if not gap:
        return None
    floats = np.array(list(map(float, codes)))  # a tie between two is decided by rounding
    middle = codes[np.abs(floats - (floats.min() + floats.max()) / 2).argmin()]
    wide = np.abs(floats).max() > WIDE
    scale = 1 / (gap if wide else min(gap, Fraction(1)))
    return [(c - middle) * scale for c in codes]


def _is_multiple(table: np.ndarray, codes: np.ndarray) -> bool:
    """Whether every column of the table is a multiple of the codes."""
    factors = codes @ table / (codes @ codes)
    size = float(np.abs(table).max(initial=0))
    return bool(np.abs(table - np.outer(codes, factors)).max(initial=0) <= 1e-9 * size)

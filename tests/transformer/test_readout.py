"""Logits become the nearest values that can occur."""

from fractions import Fraction

import numpy as np
import pytest
import torch

from rasplab.transformer.readout import Readout


def nearest(readout: Readout, x: float) -> int | float:
    """The definition, in exact arithmetic where the values are too many to list."""
    if readout.values is not None:
        return min(sorted(readout.values), key=lambda value: abs(x - float(value)))
    value = Fraction(x / float(readout.unit)).limit_denominator(readout.denominator) * readout.unit
    return int(value) if value.denominator == 1 else float(value)


@pytest.mark.parametrize(
    "readout",
    [
        Readout((0, 0.5, 1 / 3, 4), number=True),
        Readout((7,), number=True),
        Readout(None, number=True, unit=Fraction(1), denominator=9),
        Readout(None, number=True, unit=Fraction(1, 2), denominator=30),
    ],
    ids=["listed", "one", "ninths", "halves"],
)
def test_numbers_decode_to_the_nearest(readout):
    """The vectorised decoding is that of the definition, near fractions and between them."""
    rng = np.random.default_rng(0)
    near = (
        rng.integers(-30, 30, 500)
        / rng.integers(1, readout.denominator + 1, 500)
        * float(readout.unit)
    )
    numbers = np.concatenate(
        [near + rng.normal(size=500) * 1e-6, rng.normal(size=500) * 3]
    ).reshape(10, 100)
    table = readout.table([numbers[:4, :, None], numbers[4:, :, None]])
    for row, codes in zip(numbers, table.codes, strict=True):
        assert [table.values[c] for c in codes] == [nearest(readout, x) for x in row]
        assert readout.decode(row[:, None]) == [nearest(readout, x) for x in row]


def test_classes_decode_to_the_largest_logit():
    """Arrays of numpy and tensors of torch give the same codes."""
    logits = np.random.default_rng(0).normal(size=(3, 4, 2))
    readout = Readout(("x", True))
    assert (readout.table([logits]).codes == logits.argmax(-1)).all()
    assert (readout.table([torch.tensor(logits)]).codes == logits.argmax(-1)).all()
    assert readout.decode(logits[0]) == [readout.classes[c] for c in logits[0].argmax(-1)]

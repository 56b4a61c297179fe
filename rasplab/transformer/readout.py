"""Readout: what the logits of a finite model mean."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING

from rasplab.program.values import Value

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Readout:
    """How logits [..., d_vocab_out] become values.

    values  class c means values[c]: the largest logit wins; or, with `number`, the values that can
            occur
    number  the single logit is the number itself, decoded to the nearest that can occur: of
            `values`, or, where those are too many to list (values is None), of the multiples of
            unit/k for k <= denominator
    """

    values: tuple[Value, ...] | None
    number: bool = False
    unit: Fraction = Fraction(1)
    denominator: int = 1

    @property
    def width(self) -> int:
        """How many logits it reads."""
        return 1 if self.number else len(self.values)

    def decode(self, logits: np.ndarray) -> list:
        """The values of a [pos, d_vocab_out] array, one per position."""
        if not self.number:
            return [self.values[c] for c in logits.argmax(axis=-1)]
        return [self._nearest(float(x)) for x in logits[..., 0]]

    @cached_property
    def _sorted(self) -> tuple[list[float], list]:
        ordered = sorted(self.values, key=float)
        return [float(v) for v in ordered], ordered

    def _nearest(self, x: float) -> Value:
        if self.values is not None:
            numbers, ordered = self._sorted
            i = min(bisect_left(numbers, x), len(numbers) - 1)
            return ordered[i - 1] if i and x - numbers[i - 1] <= numbers[i] - x else ordered[i]
        value = Fraction(x / float(self.unit)).limit_denominator(self.denominator) * self.unit
        return int(value) if value.denominator == 1 else float(value)

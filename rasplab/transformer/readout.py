"""Readout: what the logits of a finite model mean; logits -> values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from jaxtyping import Float

from rasplab.program.batch.columns import Column
from rasplab.program.values import Value
from rasplab.transformer.decode import nearest_fraction, nearest_listed, row_values
from rasplab.transformer.weights import Array


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
    def classes(self) -> tuple[Value, ...]:
        """The listed values; a readout has them unless it is of numbers too many to list."""
        assert self.values is not None, "the values of this readout are not listed"
        return self.values

    @property
    def width(self) -> int:
        """How many logits it reads."""
        return 1 if self.number else len(self.classes)

    def decode(self, logits: Float[np.ndarray, "pos d_vocab_out"]) -> list[Value]:
        """The value at each position of one input."""
        return row_values(self.table([logits[None]]), 0)

    def table(self, parts: Iterable[Float[Array, "_ pos d_vocab_out"]]) -> Column:
        """The values at all positions of many inputs.

        parts  logits in pieces along the batch, of numpy or of torch on any device
        Raises ValueError where there are none.
        """
        if not self.number:
            codes = _joined([_numpy(part.argmax(-1)) for part in parts])
            return Column(codes, self.classes)
        numbers = _joined([_numpy(part[..., 0]).astype(np.float64) for part in parts])
        if self.values is not None:
            return nearest_listed(self.values, numbers)
        return nearest_fraction(self.unit, self.denominator, numbers)


def _joined(pieces: list[np.ndarray]) -> np.ndarray:
    """The pieces of a batch as one; ValueError where there are none."""
    if not pieces:
        raise ValueError("there are no logits to read out")
    return np.concatenate(pieces)


def _numpy(array: Any) -> np.ndarray:
    """An array of numpy, or a tensor of torch, as an array of numpy."""
    return array if isinstance(array, np.ndarray) else array.detach().cpu().numpy()

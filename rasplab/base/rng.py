"""Named random streams: one seed of the user gives every part of the package its own generator.

A stream is a salt mixed into the seed, so that two parts that draw from the same seed are
independent. The salts are part of the results: changing one changes what is drawn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numpy.random import Generator

STREAMS: dict[str, int] = {
    "training examples": 0,
    "held-out examples": 1,
    "training batches": 2,
    "second rounds": 15,
    "longer pairs": 16,
    "interchange bootstrap": 6,
    "shuffled positions": 7,
    "substitution controls": 8,
    "atlas": 9,
    "qk interchange": 10,
    "rotation": 11,
    "weight noise": 12,
    "head order": 13,
    "decoy heads": 14,
    "screen": 3,
    "counterfactuals": 5,
    "interchange pairs": 17,
    "coverage": 18,
    "domain accuracy": 22,
    "superposition": 21,
}
"""The salt of every stream; no two are equal. Salt 0 gives the generator of the bare seed."""


def stream(seed: int, name: str) -> Generator:
    """A generator for the stream `name` of STREAMS under `seed`.

    seed  an int of at least 0; equal seeds give equal draws
    Raises KeyError for a name that STREAMS lacks.
    """
    import numpy as np

    return np.random.default_rng((seed, STREAMS[name]))

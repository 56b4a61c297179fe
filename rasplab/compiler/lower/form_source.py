"""FormSource: what heads and joint functions ask of the lowering that they are part of.

Lowering an s-op makes heads (heads.py) and neurons on joint arguments (joint_functions.py); both
need the forms of further s-ops. They call back through this interface; sop_forms.py implements it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from rasplab.compiler.infer.value_sets import ValueSets
from rasplab.compiler.lower.part_costs import PartCosts
from rasplab.compiler.lower.residual import LinearForm, ResidualStream


@dataclass(frozen=True)
class CountedWidth:
    """A selector width w as its heads give it.

    form    1/(1+w) of a single head; or w itself, with `linear`: a signed sum over heads
    error   bound on the numerical error, at the width where it matters most
    """

    form: LinearForm
    error: float
    linear: bool


class FormSource(ABC):
    """Makes linear forms that hold s-ops and functions of them, on demand."""

    value_sets: ValueSets
    stream: ResidualStream
    basis: str
    allow_shares: bool

    @property
    @abstractmethod
    def part_costs(self) -> PartCosts:
        """When s-ops are expected to be written, and what they take."""

    @abstractmethod
    def forms(
        self,
        leaves: tuple[int, ...],
        targets: Float[np.ndarray, "row target"],
        node: int | None = None,
    ) -> list[LinearForm]:
        """Forms that take targets on the rows of joint(leaves)."""

    @abstractmethod
    def direct_forms(
        self,
        leaves: tuple[int, ...],
        targets: Float[np.ndarray, "row target"],
        node: int | None = None,
    ) -> list[LinearForm] | None:
        """Forms of functions of one leaf by neurons on the number of its head, if it has one."""

    @abstractmethod
    def leaf_forms(
        self, leaf: int, tables: Float[np.ndarray, "value target"], node: int | None = None
    ) -> Sequence[LinearForm]:
        """Forms of functions of one leaf."""

    @abstractmethod
    def mean(self, leaf: int) -> LinearForm:
        """The number that an aggregate's head gives."""

    @abstractmethod
    def width(self, leaf: int) -> CountedWidth:
        """The width of a selector as its heads give it."""

    @abstractmethod
    def takes_no_mean(self, leaf: int) -> bool:
        """Whether an aggregate never averages several keys."""

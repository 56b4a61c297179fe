"""The meaning of a program on a domain: built once, and passed to whatever compares with it.

Inputs are ids [batch, pos] into the domain's vocabulary, all of one length, or tokens; results are
a BatchTrace of value codes, or the exact Trace of one input.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Integer

from rasplab.program.batch.columns import Column
from rasplab.program.batch.compare import cells_among, equal_cells
from rasplab.program.batch.evaluate import BatchTrace, evaluate_batch
from rasplab.program.domain import Domain
from rasplab.program.graph import Program
from rasplab.program.interpret.exact import Trace, evaluate
from rasplab.program.values import Atom, Value


@dataclass(frozen=True)
class Semantics:
    """What a program computes on the inputs of a domain."""

    program: Program
    domain: Domain

    def evaluate(
        self,
        ids: Integer[np.ndarray, "batch pos"],
        reads: Mapping[int, Bool[np.ndarray, "batch query key"]] | None = None,
    ) -> BatchTrace:
        """Every s-op on every input; inputs on which the interpreter raises are in `faults`.

        reads  what nodes read instead of their selectors, as in `evaluate_batch`
        """
        return evaluate_batch(self.program, ids, self.domain.vocab, self.domain.causal, reads)

    def checked(self, ids: Integer[np.ndarray, "batch pos"]) -> BatchTrace:
        """The same. Raises what the interpreter raises on the first input that it refuses."""
        trace = self.evaluate(ids)
        trace.raise_first_fault()
        return trace

    def interpret(self, tokens: Sequence[Atom]) -> Trace:
        """One input, by the exact interpreter. Raises RaspError where it refuses the input."""
        return evaluate(self.program, tokens, causal=self.domain.causal)

    @staticmethod
    def compare(
        trace: BatchTrace, given: Column, output: int | None = None
    ) -> Bool[np.ndarray, "batch pos"]:
        """Where `given` equals an output of the trace; nowhere on inputs that are in its faults.

        output  the node to compare with, by default the program's output
        """
        expected = trace.output if output is None else trace[output]
        return equal_cells(expected, given) & ~trace.faults[:, None]

    @staticmethod
    def representable(
        column: Column, values: Sequence[Value] | None
    ) -> Bool[np.ndarray, "batch pos"]:
        """Where the value of a column is one of `values`, those a model can give.

        values  None for a model that gives any number: then True everywhere
        """
        if values is None:
            return np.ones(column.codes.shape, bool)
        return cells_among(column, values)

"""Functions of one linear form as neurons.

piecewise_linear.py fits a function through given points; here its ReLUs become neurons of a layer
that write one direction per function, with bounds on size and error.
"""

from __future__ import annotations

from typing import NoReturn

import numpy as np
from jaxtyping import Float

from rasplab.base.errors import CompileError
from rasplab.compiler.infer.value_sets import ValueSets
from rasplab.compiler.lower import piecewise_linear
from rasplab.compiler.lower.piecewise_linear import PiecewiseLinear
from rasplab.compiler.lower.residual import Direction, LinearForm, ResidualStream, after
from rasplab.compiler.lower.value_tables import EXACT, grouped


class Neurons:
    """Makes the neurons of a lowering in its residual stream."""

    def __init__(self, stream: ResidualStream, value_sets: ValueSets):
        self.stream, self.value_sets = stream, value_sets

    def forms(
        self,
        form: LinearForm,
        points: Float[np.ndarray, " row"],
        targets: Float[np.ndarray, "row target"],
        node: int | None,
        error: float | None = None,
    ) -> list[LinearForm]:
        """Functions of one linear form, by neurons.

        points   the values of the form, one per row; targets: what to take there
        error    bound on the error of the form, if not that of its directions
        Raises CompileError where points that differ by rounding only have different targets.
        """
        merged = grouped(points, targets)
        if merged is None:
            self._refuse_close(node)
        distinct, targets = merged
        s_error = self.stream.error(form) if error is None else error
        ulp = self.stream.ulp
        # The argument is off by the errors of its directions, and by rounding of the sum itself.
        fit = piecewise_linear.fit(distinct, targets, s_error + ulp * self.stream.size(form), ulp)
        time = after(self.stream.time(form), 0)
        others = (fit.other,) if fit.other else ()
        self.stream.choose(node, "neurons", fit.described(s_error), *others)
        at_bos = self._at_bos(form, fit)
        outs = [
            self._neuron_direction(node, target, float(const), fit.error(s_error), time, bos)
            for target, const, bos in zip(targets.T, fit.const, at_bos, strict=True)
        ]
        for knot, weights in zip(fit.breaks, fit.weights, strict=True):
            neuron = self.stream.neuron(form.plus(-float(knot)).scaled(fit.side), time, node)
            for d, w in zip(outs, weights, strict=True):
                if abs(w) > EXACT:
                    neuron.outs[d] = neuron.outs.get(d, 0.0) + float(w)
        return [LinearForm(((d, 1.0),), float(c)) for d, c in zip(outs, fit.const, strict=True)]

    def _refuse_close(self, node: int | None) -> NoReturn:
        label = (
            self.value_sets.program.labels[node] if node is not None and node >= 0 else "a selector"
        )
        raise CompileError(
            f"the program tells apart values of {label!r} that differ by rounding only; "
            "no neuron can do that",
            self.value_sets.program.span(node) if node is not None and node >= 0 else None,
            "round the means that it compares, as in round(mean * 1000)",
        )

    def _at_bos(self, form: LinearForm, fit: PiecewiseLinear) -> list[float]:
        """What the neurons give at BOS, by target: known, because the form is known there."""
        active = np.maximum(fit.side * (self.stream.bos(form) - fit.breaks), 0)
        return [float(active @ fit.weights[:, t]) for t in range(len(fit.const))]

    def _neuron_direction(
        self,
        node: int | None,
        target: np.ndarray,
        const: float,
        error: float,
        time: int,
        bos: float,
    ) -> int:
        known = target[~np.isnan(target)]
        size = float(np.abs(known - const).max(initial=0))
        label = self.value_sets.program.labels[node] if node is not None and node >= 0 else "f"
        if node in self.value_sets.sets and self.value_sets.leaf_sets.get(node) == (node,):
            label = f"{label}" if len(np.unique(known)) > 2 else f"f({label})"
        return self.stream.add(Direction(label, node, "mlp", time, bos, size, error))

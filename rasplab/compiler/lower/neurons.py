"""Functions of one linear form as neurons.

piecewise_linear.py fits a function through given points; here its ReLUs become neurons of a layer
that write one direction per function, with bounds on size and error.
"""

from __future__ import annotations

from typing import NoReturn

import numpy as np
from jaxtyping import Float

from rasplab.base.errors import CompileError
from rasplab.base.limits import current, way_out
from rasplab.base.text import size_text
from rasplab.compiler.infer.value_sets import ValueSets
from rasplab.compiler.lower import piecewise_linear
from rasplab.compiler.lower.piecewise_linear import PiecewiseLinear, active_sums
from rasplab.compiler.lower.residual import Direction, LinearForm, ResidualStream, after
from rasplab.compiler.lower.value_tables import Groups, grouped

BYTES_A_NEURON = 4000
"""Bytes per neuron while a model is made: the neuron itself, and its weights."""


class Neurons:
    """Makes the neurons of a lowering in its residual stream.

    silent_at_bos  while set, new neurons are inactive at BOS: what they give is exactly 0 there
    """

    def __init__(self, stream: ResidualStream, value_sets: ValueSets):
        self.stream, self.value_sets = stream, value_sets
        self.silent_at_bos = False

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
        stream = self.stream
        groups, fit, s_error = self._fit(form, points, targets, node, error)
        time = after(stream.time(form), 0)
        others = (fit.other,) if fit.other else ()
        stream.choose(node, "neurons", fit.described(s_error), *others)
        if self.silent_at_bos and len(fit.breaks):
            # outside of all breaks on the side where no
            # neuron is active, by more than any error there
            margin = 1 + 2 * stream.bos_error(form)
            outside = fit.breaks.min() - margin if fit.side == 1 else fit.breaks.max() + margin
            form = stream.at_bos(form, float(outside))
        made = [
            stream.neuron(form.plus(-float(knot)).scaled(float(fit.side)), time, node)
            for knot in fit.breaks
        ]
        off = np.array([difference for _, difference in made])
        fit_error = fit.error(s_error)
        fit_error += float((off @ np.abs(fit.weights)).max(initial=0))
        outs = [
            self._neuron_direction(node, t, float(fit.const[k]), fit_error, time, *bos)
            for k, (t, bos) in enumerate(
                zip(groups.targets.T, self._at_bos(form, fit), strict=True)
            )
        ]
        for (neuron, _), weights in zip(made, fit.weights, strict=True):
            for d, w in zip(outs, weights, strict=True):
                if w:
                    neuron.outs[d] = neuron.outs.get(d, 0.0) + float(w)
        return [
            LinearForm(((d, 1.0),), float(c), float(missed))
            for d, c, missed in zip(outs, fit.const, groups.missed, strict=True)
        ]

    def check_memory(self, label: str, node: int | None, count: int) -> None:
        """Refuse an s-op, or a selector's operands, that would take too many neurons."""
        size = count * BYTES_A_NEURON
        if size > current().memory:
            raise CompileError(
                f"{label!r} joins too many values: {count:,} neurons, {size_text(size)}",
                self.value_sets.program.span(node) if node is not None else None,
                f"use a smaller vocabulary or max_len; {way_out('memory')}",
            )

    def _fit(
        self,
        form: LinearForm,
        points: np.ndarray,
        targets: np.ndarray,
        node: int | None,
        error: float | None,
    ) -> tuple[Groups, PiecewiseLinear, float]:
        """The rows by point, the fit, and the error of the form at the points."""
        size = self.stream.size(form)
        groups = grouped(points, targets, size)
        if groups is None:
            self._refuse_close(node)
        s_error = (self.stream.error(form) if error is None else error) + groups.spread
        # The argument is off by the errors of its directions; rounding of its sum is in the fit's.
        fit = piecewise_linear.fit(groups.points, groups.targets, s_error, self.stream.ulp, size)
        return groups, fit, s_error

    def _refuse_close(self, node: int | None) -> NoReturn:
        label = (
            self.value_sets.program.labels[node] if node is not None and node >= 0 else "a selector"
        )
        raise CompileError(
            f"the program tells apart values of {label!r} that differ by rounding only, "
            "or as an int and a float; no neuron can do that",
            self.value_sets.program.span(node) if node is not None and node >= 0 else None,
            "round the means that it compares or shows, as in round(mean * 1000)",
        )

    def _at_bos(self, form: LinearForm, fit: PiecewiseLinear) -> list[tuple[float, float]]:
        """What the neurons give at BOS, and its error: by target. The form is known there."""
        stream, s = self.stream, self.stream.bos(form)
        at = np.array([s])
        given = active_sums(fit, at, fit.weights * (fit.side * (s - fit.breaks))[:, None])[0]
        # A break within the error of s may or may not be active: count it.
        off = stream.bos_error(form) + stream.ulp * abs(s)
        active = fit.side * (s - fit.breaks) > -off
        reach = np.abs(fit.weights[active]).sum(0) * (stream.ulp * abs(s) + off)
        return [(float(g), float(r)) for g, r in zip(given, reach, strict=True)]

    def _neuron_direction(
        self,
        node: int | None,
        target: np.ndarray,
        const: float,
        error: float,
        time: int,
        bos: float,
        bos_error: float,
    ) -> int:
        known = target[~np.isnan(target)]
        size = float(np.abs(known - const).max(initial=0))
        label = self.value_sets.program.labels[node] if node is not None and node >= 0 else "f"
        if node in self.value_sets.sets and self.value_sets.leaf_sets.get(node) == (node,):
            label = f"{label}" if len(np.unique(known)) > 2 else f"f({label})"
        return self.stream.add(Direction(label, node, "mlp", time, bos, size, error, bos_error))

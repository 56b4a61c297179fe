"""Piecewise-linear functions as ReLU neurons, exact at given points.

Two fits are possible. *Lines* through the points take a neuron per change of slope, and pass on an
error of the argument times the steepest slope. *Plateaus* are flat around every point, with ramps
in the middle half of each gap: two neurons per step, and an error of the argument below a quarter
of the smallest gap disappears.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

ROUNDING = {"float32": 1.2e-7, "float64": 2.3e-16}
"""Relative rounding of a short sum of products, by dtype: one unit in the last place."""

RESOLUTION = 1e4
"""Roundings that an error may amount to before plateaus are worth their neurons."""

NEGLIGIBLE = 1e-12
"""A change of a target below this is none."""


@dataclass(frozen=True)
class PiecewiseLinear:
    """f(s) = const + sum_j weights[j] * relu(side * (s - breaks[j])), for every target at once.

    side      1: neurons are active to the right of their breaks; -1: to the left
    slope     the steepest piece: how much an error of s grows
    slack     an error of s below this is absorbed altogether (0: none is)
    rounding  rounding error of the sum at the points
    other     the fit that was not taken, in words; empty where there was no other
    """

    side: int
    breaks: Float[np.ndarray, " neuron"]
    weights: Float[np.ndarray, "neuron target"]
    const: Float[np.ndarray, " target"]
    slope: float
    slack: float
    rounding: float
    other: str = ""

    @property
    def kind(self) -> str:
        """Lines through the points, or plateaus around them."""
        return "plateaus" if self.slack else "lines"

    def described(self, s_error: float) -> str:
        """Kind, neurons and error in words."""
        return f"{self.kind}, {len(self.breaks)} neurons, error {self.error(s_error):.2g}"

    def error(self, s_error: float) -> float:
        """Bound on the error of f where s is off by at most `s_error`."""
        passed_on = 0.0 if s_error < self.slack else self.slope * s_error
        return passed_on + self.rounding


def fit(
    points: Float[np.ndarray, " point"],
    targets: Float[np.ndarray, "point target"],
    s_error: float,
    ulp: float,
) -> PiecewiseLinear:
    """The cheapest exact fit: lines through the points, or plateaus around them.

    points   ascending, distinct
    targets  NaN where any value will do
    s_error  bound on the error of the argument at run time
    ulp      relative rounding of the arithmetic
    Plateaus are taken where they cost no more neurons, or where lines would pass on more than
    RESOLUTION roundings of the smallest step of a target.
    """
    targets = np.column_stack([_interpolated(points, t) for t in targets.T])
    lines = _best_side(points, targets, 0.0, ulp)
    plateaus = _plateaus(points, targets, ulp)
    if plateaus is None:
        return lines
    coarse = lines.error(s_error) > RESOLUTION * ulp * _smallest_step(targets)
    if coarse or len(plateaus.breaks) <= len(lines.breaks):
        return replace(plateaus, other=lines.described(s_error))
    return replace(lines, other=plateaus.described(s_error))


def neuron_count(
    points: Float[np.ndarray, " point"], targets: Float[np.ndarray, "point target"]
) -> int:
    """How many neurons lines would need: slope changes, plus one for the first slope."""
    targets = np.column_stack([_interpolated(points, t) for t in targets.T])
    return len(_facing(points, targets, 1, 0.0, 0.0).breaks)


def _interpolated(points: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The target with free values on the line between their neighbours, where no slope changes."""
    known = ~np.isnan(target)
    if not known.any():
        return np.zeros_like(target)
    return np.interp(points, points[known], target[known])


def _smallest_step(targets: np.ndarray) -> float:
    steps = [np.diff(np.unique(np.round(t, 9))) for t in targets.T]
    return min((float(s.min()) for s in steps if len(s)), default=1.0)


def _plateaus(points: np.ndarray, targets: np.ndarray, ulp: float) -> PiecewiseLinear | None:
    """Constant around each point, ramps in the middle half of the gaps where a target changes."""
    changes = np.nonzero((np.abs(np.diff(targets, axis=0)) > NEGLIGIBLE).any(1))[0]
    if not len(changes):
        return None
    # A step is a ramp over half a gap, so of twice the slope of a line; a quarter of the gap on
    # either side is flat.
    gaps = points[changes + 1] - points[changes]
    knots = np.column_stack([points[changes] + gaps / 4, points[changes + 1] - gaps / 4])
    values = np.stack([targets[changes], targets[changes + 1]], 1).reshape(-1, targets.shape[1])
    slack = float(gaps.min()) / 4
    return _best_side(knots.reshape(-1), values, slack, ulp, flat_ends=True, at=points)


def _best_side(
    points: np.ndarray,
    targets: np.ndarray,
    slack: float,
    ulp: float,
    flat_ends: bool = False,
    at: np.ndarray | None = None,
) -> PiecewiseLinear:
    """Neurons facing right or left, whichever sums up with less rounding."""
    sides = [_facing(points, targets, side, slack, ulp, flat_ends, at) for side in (1, -1)]
    return min(sides, key=lambda candidate: candidate.rounding)


def _facing(
    points: np.ndarray,
    targets: np.ndarray,
    side: int,
    slack: float,
    ulp: float,
    flat_ends: bool = False,
    at: np.ndarray | None = None,
) -> PiecewiseLinear:
    """Neurons on one side: a knot's weight is the change of slope there, `after - before`.

    flat_ends  constant outside the points; else the first (or last) piece goes on, for free
    at         the points where rounding is bounded, if not `points`
    """
    # For side 1: left of all breaks no neuron is active and f is the first target; each break then
    # adds its change of slope. Side -1 is the mirror image, from the last target.
    flat = np.zeros((1, targets.shape[1]))
    slopes = np.diff(targets, axis=0) / np.diff(points)[:, None]
    left, right = (flat, flat) if flat_ends or not len(slopes) else (slopes[:1], slopes[-1:])
    before = np.concatenate([flat if side == 1 else left, slopes])
    after = np.concatenate([slopes, right if side == 1 else flat])
    weights, const = after - before, targets[0 if side == 1 else -1]
    bends = (np.abs(weights) > 1e-9 * max(1.0, float(np.abs(weights).max()))).any(1)
    weights, breaks = weights[bends], points[bends]
    at = points if at is None else at
    # Every active neuron's product rounds relative to |s| * |weight|, and they cancel in the sum.
    # Most are active at the outermost point: what is active at any other point is active there.
    active = float((side * at).max()) - side * breaks > 0
    reach = float(np.abs(at).max()) * float(np.abs(weights[active]).sum(0).max(initial=0))
    rounding = ulp * (reach + float(np.abs(const).max()))
    steepest = float(np.abs(slopes).max(initial=0))
    return PiecewiseLinear(side, breaks, weights, const, steepest, slack, rounding)

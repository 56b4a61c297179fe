"""Piecewise-linear functions as ReLU neurons, exact at given points."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

ROUNDING = {"float32": 1.2e-7, "float64": 2.3e-16}
"""Relative rounding of a short sum of products, by dtype: one unit in the last place."""


RESOLUTION = 1e4
"""How many roundings an error may be before plateaus are worth their neurons."""


@dataclass(frozen=True)
class PiecewiseLinear:
    """f(s) = const + sum_j weights[j] * relu(side * (s - breaks[j])), for every target at once.

    breaks [neuron], weights [neuron, target], const [target]
    slope     the steepest piece: how much an error of s grows
    slack     an error of s below this is absorbed altogether (0: none is)
    rounding  rounding error of the sum at the points
    other     what was not taken: its neurons, and its error; empty where there was no other way
    """

    side: int
    breaks: np.ndarray
    weights: np.ndarray
    const: np.ndarray
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
        through = 0.0 if s_error < self.slack else self.slope * s_error
        return through + self.rounding


def fit(points: np.ndarray, targets: np.ndarray, s_error: float, ulp: float) -> PiecewiseLinear:
    """The cheapest exact fit: lines through the points, or plateaus around them.

    points   [point] ascending, distinct
    targets  [point, target]; NaN where any value does
    s_error  bound on the error of the argument at run time
    ulp      relative rounding of the arithmetic
    Plateaus (two neurons a step, errors of s die) are taken where they cost no more, or where lines
    would let through more than RESOLUTION roundings of the smallest step of a target.
    """
    targets = np.column_stack([_filled(points, t) for t in targets.T])
    lines = _best_side(points, targets, 0.0, ulp)
    steps = _plateaus(points, targets, ulp)
    if steps is None:
        return lines
    small = _smallest_step(targets)
    coarse = lines.error(s_error) > RESOLUTION * ulp * small
    chosen, other = (
        (steps, lines) if len(steps.breaks) <= len(lines.breaks) or coarse else (lines, steps)
    )
    return replace(chosen, other=other.described(s_error))


def count(points: np.ndarray, targets: np.ndarray) -> int:
    """How many neurons `lines` would need: slope changes, plus one for the first slope."""
    targets = np.column_stack([_filled(points, t) for t in targets.T])
    return len(_side(points, targets, 1, 0.0, 0.0).breaks)


def _filled(points: np.ndarray, target: np.ndarray) -> np.ndarray:
    known = ~np.isnan(target)
    if not known.any():
        return np.zeros_like(target)
    return np.interp(points, points[known], target[known])


def _smallest_step(targets: np.ndarray) -> float:
    steps = [np.diff(np.unique(np.round(t, 9))) for t in targets.T]
    return min((float(s.min()) for s in steps if len(s)), default=1.0)


def _plateaus(points: np.ndarray, targets: np.ndarray, ulp: float) -> PiecewiseLinear | None:
    """Constant around each point, ramps in the middle half of the gaps where a target changes."""
    changes = np.nonzero((np.abs(np.diff(targets, axis=0)) > 1e-12).any(1))[0]
    if not len(changes):
        return None
    gaps = points[changes + 1] - points[changes]
    knots = np.column_stack([points[changes] + gaps / 4, points[changes + 1] - gaps / 4]).reshape(
        -1
    )
    values = np.stack([targets[changes], targets[changes + 1]], 1).reshape(-1, targets.shape[1])
    return _best_side(knots, values, float(gaps.min()) / 4, ulp, flat_ends=True, at=points)


def _best_side(points, targets, slack, ulp, flat_ends=False, at=None) -> PiecewiseLinear:
    """Neurons facing right or left, whichever sums up with less rounding."""
    sides = [_side(points, targets, side, slack, ulp, flat_ends, at) for side in (1, -1)]
    return min(sides, key=lambda h: h.rounding)


def _side(points, targets, side, slack, ulp, flat_ends=False, at=None) -> PiecewiseLinear:
    """Neurons on one side: a point's weight is how much the slope changes there."""
    flat = np.zeros((1, targets.shape[1]))
    slopes = np.diff(targets, axis=0) / np.diff(points)[:, None]
    left, right = (flat, flat) if flat_ends or not len(slopes) else (slopes[:1], slopes[-1:])
    before = np.concatenate([flat if side == 1 else left, slopes])
    after = np.concatenate([slopes, right if side == 1 else flat])
    weights, const = after - before, targets[0 if side == 1 else -1]
    keep = (np.abs(weights) > 1e-9 * max(1.0, float(np.abs(weights).max()))).any(1)
    weights, breaks = weights[keep], points[keep]
    at = points if at is None else at
    active = side * (at[:, None] - breaks[None]) > 0
    reach = float(np.abs(at).max()) * float((active @ np.abs(weights)).max(initial=0))
    rounding = ulp * (reach + float(np.abs(const).max()))
    steep = float(np.abs(slopes).max(initial=0))
    return PiecewiseLinear(side, breaks, weights, const, steep, slack, rounding)

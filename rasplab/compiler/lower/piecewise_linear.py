"""Piecewise-linear functions as ReLU neurons, exact at given points.

Two fits are possible. *Lines* through the points take a neuron per change of slope, and pass on an
error of the argument times the steepest slope. *Plateaus* are flat around every point, with ramps
in the middle half of each gap: two neurons per step, and an error of the argument below a quarter
of the smallest gap disappears.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Shaped

ROUNDING = {"float32": 1.2e-7, "float64": 2.3e-16}
"""Relative rounding of a short sum of products, by dtype: one unit in the last place."""

RESOLUTION = 1.6e4
"""Roundings that an error may amount to before plateaus are worth their neurons."""

CLEARLY = 0.999
"""Rounding of neurons on one side, as a share of the other's, that decides for the first."""

EPSILON = 2.0**-52
"""Spacing of float64 at 1; targets and slopes that differ by a few of these are equal."""

FEW = 8
"""Roundings of float64 that make no difference to a fit, other than to its error."""


@dataclass(frozen=True)
class PiecewiseLinear:
    """f(s) = const + sum_j weights[j] * relu(side * (s - breaks[j])), for every target at once.

    side      1: neurons are active to the right of their breaks; -1: to the left
    slope     the steepest piece: how much an error of s grows
    slack     an error of s below this is absorbed altogether (0: none is)
    rounding  rounding error of the sum at the points, and what the fit misses there
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
        return "plateaus" if self.slack > 0 else "lines"

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
    size: float = 0.0,
) -> PiecewiseLinear:
    """The cheapest exact fit: lines through the points, or plateaus around them.

    points   ascending, distinct
    targets  NaN where any value will do
    s_error  bound on the error of the argument at run time
    ulp      relative rounding of the arithmetic
    size     bound on the terms that the argument is a sum of, where they exceed it
    Plateaus are taken where they cost no more neurons, or where lines would pass on more than
    RESOLUTION roundings of the smallest step of a target, and more than plateaus add: their ramps
    are steep, and what many of them round may exceed the error that they take away.
    """
    targets = np.column_stack([_interpolated(points, t) for t in targets.T])
    at = _Points(points, targets, max(size, float(np.abs(points).max())), ulp)
    lines = _best_side(points, targets, 0.0, at)
    plateaus = _plateaus(at)
    if plateaus is None:
        return lines
    passed_on, added = lines.error(s_error), plateaus.error(s_error)
    coarse = passed_on > max(RESOLUTION * ulp * _smallest_step(at), added)
    if coarse or len(plateaus.breaks) <= len(lines.breaks):
        return replace(plateaus, other=lines.described(s_error))
    return replace(lines, other=plateaus.described(s_error))


@dataclass(frozen=True)
class _Points:
    """Where a fit must be right: points with the targets there.

    size  bound on what is rounded in the argument; ulp  how much, relative
    """

    points: np.ndarray
    targets: np.ndarray
    size: float
    ulp: float

    @property
    def noise(self) -> np.ndarray:
        """Differences of each target that are rounding of its numbers in float64."""
        return FEW * EPSILON * np.abs(self.targets).max(0, initial=0)


def neuron_count(
    points: Float[np.ndarray, " point"], targets: Float[np.ndarray, "point target"]
) -> int:
    """How many neurons lines would need: slope changes, plus one for the first slope."""
    targets = np.column_stack([_interpolated(points, t) for t in targets.T])
    at = _Points(points, targets, 0.0, 0.0)
    return int(_bends(points, targets, 1, at.noise)[0].any(1).sum())


def _interpolated(points: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The target with free values on the line between their neighbours, where no slope changes."""
    known = ~np.isnan(target)
    if not known.any():
        return np.zeros_like(target)
    return np.interp(points, points[known], target[known])


def _smallest_step(at: _Points) -> float:
    steps = [np.diff(np.unique(t)) for t in at.targets.T]
    distinct = [s[s > noise] for s, noise in zip(steps, at.noise, strict=True)]
    return min((float(s.min()) for s in distinct if len(s)), default=1.0)


def _plateaus(at: _Points) -> PiecewiseLinear | None:
    """Constant around each point, ramps in the middle half of the gaps where a target changes."""
    points, targets = at.points, at.targets
    changes = np.nonzero((np.abs(np.diff(targets, axis=0)) > at.noise).any(1))[0]
    if not len(changes):
        return None
    # A step is a ramp over half a gap, so of twice the slope of a line; a quarter of the gap on
    # either side is flat.
    gaps = points[changes + 1] - points[changes]
    knots = np.column_stack([points[changes] + gaps / 4, points[changes + 1] - gaps / 4])
    values = np.stack([targets[changes], targets[changes + 1]], 1).reshape(-1, targets.shape[1])
    slack = float(gaps.min()) / 4 - at.ulp * at.size
    return _best_side(knots.reshape(-1), values, slack, at, flat_ends=True)


def _best_side(
    knots: np.ndarray, values: np.ndarray, slack: float, at: _Points, flat_ends: bool = False
) -> PiecewiseLinear:
    """Neurons facing right or left, whichever sums up with less rounding."""
    right, left = (_facing(knots, values, side, slack, at, flat_ends) for side in (1, -1))
    return left if left.rounding < CLEARLY * right.rounding else right


def _facing(
    knots: np.ndarray,
    values: np.ndarray,
    side: int,
    slack: float,
    at: _Points,
    flat_ends: bool = False,
) -> PiecewiseLinear:
    """Neurons on one side: a knot's weight is the change of slope there, `after - before`.

    flat_ends  constant outside the knots; else the first (or last) piece goes on, for free
    """
    weights, steepest = _bends(knots, values, side, at.noise, flat_ends)
    bends = weights.any(1)
    weights, breaks, const = weights[bends], knots[bends], values[0 if side == 1 else -1]
    fit = PiecewiseLinear(side, breaks, weights, const, steepest, slack, 0.0)
    # Every active neuron's product rounds relative to the argument's size * |weight|, and they
    # cancel in the sum.
    reach = at.size * float(active_sums(fit, at.points, np.abs(weights)).max(initial=0))
    rounding = at.ulp * (reach + float(np.abs(const).max(initial=0)))
    missed = float(np.abs(values_at(fit, at.points) - at.targets).max(initial=0))
    return replace(fit, rounding=rounding + missed)


def _bends(
    knots: np.ndarray,
    values: np.ndarray,
    side: int,
    noise: np.ndarray,
    flat_ends: bool = False,
) -> tuple[np.ndarray, float]:
    """The change of slope at every knot, 0 where it is rounding only; and the steepest slope."""
    # For side 1: left of all breaks no neuron is active and f is the first target; each break then
    # adds its change of slope. Side -1 is the mirror image, from the last target.
    flat = np.zeros((1, values.shape[1]))
    gaps = np.diff(knots)[:, None]
    slopes = np.diff(values, axis=0) / gaps
    left, right = (flat, flat) if flat_ends or not len(slopes) else (slopes[:1], slopes[-1:])
    before = np.concatenate([flat if side == 1 else left, slopes])
    after = np.concatenate([slopes, right if side == 1 else flat])
    weights = after - before
    if len(gaps):
        # Noise of the values, and of the knots times the slope, is noise / gap of a slope; the
        # narrower gap of the two decides.
        widths = np.concatenate([gaps[:1], np.minimum(gaps[:-1], gaps[1:]), gaps[-1:]])
        of_knots = FEW * EPSILON * np.abs(knots).max() * np.maximum(np.abs(before), np.abs(after))
        weights[np.abs(weights) * widths <= noise + of_knots] = 0.0
    return weights, float(np.abs(slopes).max(initial=0))


def active_sums(
    fit: PiecewiseLinear,
    at: Float[np.ndarray, " point"],
    weights: Float[np.ndarray, "neuron target"],
) -> Shaped[np.ndarray, "point target"]:
    """The sum of `weights` over the neurons of a fit that are active at each point."""
    zero = np.zeros((1, weights.shape[1]), np.longdouble)
    sums = np.concatenate([zero, np.cumsum(weights, axis=0, dtype=np.longdouble)])
    if fit.side == 1:
        return sums[np.searchsorted(fit.breaks, at, "left")]
    return sums[-1] - sums[np.searchsorted(fit.breaks, at, "right")]


def values_at(
    fit: PiecewiseLinear, at: Float[np.ndarray, " point"]
) -> Shaped[np.ndarray, "point target"]:
    """The function itself, in long doubles: s * (sum of active weights) - (their breaks' sum)."""
    factors = active_sums(fit, at, fit.weights)
    offsets = active_sums(fit, at, fit.weights * fit.breaks[:, None])
    return fit.const + fit.side * (at[:, None] * factors - offsets)

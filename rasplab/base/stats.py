"""Confidence intervals: of a share (Wilson), of a mean (Student's t), and by the bootstrap.

Every interval is two-sided at `level`, 0.95 unless told otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float, Int


def wilson(share: float, n: int, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a share of `n` independent trials.

    share  successes / n, in [0, 1]
    Source: Wilson 1927, J. Am. Stat. Assoc. 22; it does not shrink to a point at shares 0 and 1.
    """
    z = NormalDist().inv_cdf((1 + level) / 2)
    center = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * (share * (1 - share) / n + z * z / (4 * n * n)) ** 0.5 / (1 + z * z / n)
    return max(0.0, center - half), min(1.0, center + half)


def student_t(values: Sequence[float], level: float = 0.95) -> tuple[float, float, float]:
    """The mean of `values`, and the low and high end of its interval by Student's t.

    One value has the whole line as its interval; none has a mean of nan as well.
    """
    import numpy as np
    from scipy.special import stdtrit

    n = len(values)
    if n < 2:
        return (float(values[0]) if n else float("nan")), float("-inf"), float("inf")
    mean, spread = float(np.mean(values)), float(np.std(values, ddof=1))
    half = float(stdtrit(n - 1, (1 + level) / 2)) * spread / n**0.5
    return mean, mean - half, mean + half


def bootstrap_counts(
    n: int, resamples: int, rng: np.random.Generator
) -> Int[np.ndarray, "resample unit"]:
    """How often each of `n` units is drawn in each resample of `n` draws with replacement.

    A statistic that is a ratio of sums over units is `(counts @ top) / (counts @ bottom)`.
    """
    return rng.multinomial(n, [1 / n] * n, resamples)


def bootstrap_mean(
    values: Float[np.ndarray, " unit"],
    resamples: int,
    rng: np.random.Generator,
    level: float = 0.95,
) -> tuple[float, float]:
    """The percentile bootstrap interval of the mean of `values`."""
    low, high = percentiles(rng.choice(values, (resamples, len(values))).mean(1), level)
    return float(low), float(high)


def percentiles(
    draws: Float[np.ndarray, "resample ..."], level: float = 0.95
) -> tuple[Float[np.ndarray, "*_"], Float[np.ndarray, "*_"]]:
    """The central interval that holds `level` of the draws, along the first axis."""
    import numpy as np

    tail = round((1 - level) / 2, 12)  # 0.025 exactly for 0.95, so that equal draws stay equal
    low, high = np.quantile(draws, (tail, 1 - tail), axis=0)
    return low, high

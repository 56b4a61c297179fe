"""Estimates: shares over pairs of inputs, with intervals by the bootstrap over whole pairs.

`PairBootstrap` makes an `Estimate` from counts per pair; intervals of the same pairs agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int, Real

from rasplab.base.rng import stream
from rasplab.base.stats import bootstrap_counts, percentiles, wilson
from rasplab.study.heads.counterfactuals import FAMILIES

BOOTSTRAP_SAMPLES = 400
"""Bootstrap samples of an interval."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A share in [0, 1] with its 95% interval, and how many pairs of inputs it rests on."""

    value: float
    low: float
    high: float
    pairs: int

    def __str__(self) -> str:
        return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"


NO_ESTIMATE = Estimate(float("nan"), 0.0, 1.0, 0)
"""The estimate that rests on no pair."""


@dataclass(frozen=True, eq=False)
class PairBootstrap:
    """The bootstrap over pairs of inputs, stratified by family; intervals of the same pairs agree.

    families  of each pair, as an index into FAMILIES
    """

    families: Int[np.ndarray, " pair"]
    seed: int

    @cached_property
    def draws(self) -> Float[np.ndarray, "resample pair"]:
        """How often each bootstrap sample contains each pair."""
        rng = stream(self.seed, "interchange bootstrap")
        draws = np.zeros((BOOTSTRAP_SAMPLES, len(self.families)))
        for family in range(len(FAMILIES)):
            # stratified: each sample has as many pairs of a family as there are
            members = np.flatnonzero(self.families == family)
            if len(members):
                draws[:, members] = bootstrap_counts(len(members), BOOTSTRAP_SAMPLES, rng)
        return draws

    def estimate(
        self,
        hits: Real[np.ndarray, " pair"],
        trials: Real[np.ndarray, " pair"],
        mask: Bool[np.ndarray, " pair"] | None = None,
    ) -> Estimate:
        """sum(hits) / sum(trials) over the pairs of `mask` (by default all) that have trials.

        Trials of one pair are not independent, so whole pairs are resampled. The percentile
        interval is widened to Wilson's for as many trials as pairs: where all pairs agree, every
        bootstrap sample has the same share, and the percentiles alone would claim certainty.
        """
        used = trials > 0 if mask is None else (trials > 0) & mask
        n = int(used.sum())
        if not n:
            return NO_ESTIMATE
        draws, hits, trials = self.draws[:, used], hits[used], trials[used]
        shares = (draws @ hits) / np.maximum(draws @ trials, 1)
        value = float(hits.sum() / trials.sum())
        # a sample that contains none of the pairs used has no share
        low, high = percentiles(shares[draws.sum(1) > 0])
        wilson_low, wilson_high = wilson(value, n)
        return Estimate(value, float(min(low, wilson_low)), float(max(high, wilson_high)), n)

    def surely_more(self, more: Real[np.ndarray, " pair"], less: Real[np.ndarray, " pair"]) -> bool:
        """Whether sum(more) > sum(less) in 97.5% of bootstrap samples."""
        return bool(np.quantile(self.draws @ (more - less), 0.025) > 0)

"""Score: how well EdgeScores rank the units of a true circuit above the others.

Read `truth_of`, then `score`: areas under curves, a null of random orders, a bootstrap interval.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Bool, Float

from rasplab.base.arguments import FLAG, SCORES, SEED, TRUTH, takes, whole
from rasplab.base.errors import RaspValueError
from rasplab.base.stats import bootstrap_counts, percentiles
from rasplab.circuit.discovery.edge_scores import EdgeScores
from rasplab.circuit.effective import effective_units
from rasplab.circuit.graph import Circuit, true_units
from rasplab.circuit.structural import circuit_of, position_units
from rasplab.model.bridge import LensModel

STRUCTURAL = "structural"
"""The `ablation` of the truth that is read off the weights and needs none."""

RESAMPLES = 1000
"""Resamples of the bootstrap, and random orders of the null."""

NULL_AP_SHARE = 5
"""One in so many random orders has its average precision taken too.

Only the mean of those is reported, and each needs the units sorted anew."""


@dataclass(frozen=True, slots=True)
class Truth:
    """The units in the true circuit, and the ablation that decided it (or `structural`)."""

    units: frozenset[str]
    ablation: str
    granularity: str


@dataclass(frozen=True, slots=True)
class Score:
    """How well one EdgeScores ranks the units of a truth above the others.

    auc          area under the ROC curve, ties at their average rank: 1 perfect, 0.5 chance
    pessimistic  auc with every tie counted as an error
    low, high    95% bootstrap interval of auc; true and other units are resampled apart
    null_high    the 97.5% quantile of auc under random orders
    p            the share of random orders whose auc is at least that of the scores
    ap           average precision (area under precision over recall), ties entering together
    ap_pessimistic, ap_null   ap with every tie counted as an error; its mean under random orders
    n_true, n_units   sizes of the truth and of the model
    """

    method: str
    ablation: str
    truth: str
    granularity: str
    auc: float
    pessimistic: float
    low: float
    high: float
    null_high: float
    p: float
    ap: float
    ap_pessimistic: float
    ap_null: float
    n_true: int
    n_units: int

    def to_json(self) -> dict:
        """Every field."""
        return asdict(self)

    def __str__(self) -> str:
        return (
            f"{self.method} ({self.ablation}) against {self.truth} truth, {self.n_true} of "
            f"{self.n_units} {self.granularity}s\n"
            f"ROC AUC {self.auc:.3f} [{self.low:.3f}, {self.high:.3f}], pessimistic "
            f"{self.pessimistic:.3f}; random below {self.null_high:.3f}, p {self.p:.3f}\n"
            f"average precision {self.ap:.3f}, pessimistic {self.ap_pessimistic:.3f}; random "
            f"{self.ap_null:.3f}"
        )


def truth_of(
    model: LensModel, ablation: str = STRUCTURAL, granularity: str = "edge", seed: int = 0
) -> Truth:
    """The true units of a model, structural or effective.

    ablation  "structural": read off the layout of a compiled model; else one of ABLATIONS: the
              units whose single exact patch moves an output (`effective_units`)
    seed      of the pairs of an effective truth

    Raises RaspValueError for structural truth of a model that was not compiled.
    """
    if ablation != STRUCTURAL:
        units = effective_units(model, None, ablation, granularity, seed)
        return Truth(units, ablation, granularity)
    if model.compiled is None:
        raise RaspValueError(
            "this model was not compiled: it has no structural truth",
            hint="use an effective truth: name an ablation",
        )
    if granularity == "position":
        return Truth(position_units(model.compiled), ablation, granularity)
    return as_truth(circuit_of(model.compiled), STRUCTURAL, granularity)


def as_truth(circuit: Circuit, ablation: str = STRUCTURAL, granularity: str = "edge") -> Truth:
    """The units of a circuit, as the truth that `ablation` decided."""
    return Truth(true_units(circuit, granularity), ablation, granularity)


@takes(scores=SCORES, truth=TRUTH, mixed=FLAG, seed=SEED, resamples=whole(1))
def score(
    scores: EdgeScores, truth: Truth, mixed: bool = False, seed: int = 0, resamples: int = RESAMPLES
) -> Score:
    """Compare scores with a truth of the same granularity.

    mixed      allow scores of one ablation with the effective truth of another
    seed       of the bootstrap and of the random orders
    resamples  of the bootstrap, and number of random orders

    Raises RaspValueError for mixed ablations or granularities, a truth with units that the scores
    do not have, or one that is empty or everything: then there is nothing to rank.
    """
    inside = _inside(scores, truth, mixed)
    strength, rng = scores.strength, np.random.default_rng(seed)
    wins = _wins(strength[inside], strength[~inside])
    # the Mann-Whitney statistic divided by the number of (true, other) pairs
    auc = float(wins.mean())
    low, high = _interval(wins, rng, resamples)
    # under the null the truth is any set of its size: the scores, ties included, are dealt out anew
    null = np.array(
        [_wins(*_split(strength, rng, int(inside.sum()))).mean() for _ in range(resamples)]
    )
    orders = (rng.permutation(inside) for _ in range(resamples // NULL_AP_SHARE))
    ap_null = [average_precision(strength, order) for order in orders]
    return Score(
        method=scores.method,
        ablation=scores.ablation,
        truth=truth.ablation,
        granularity=truth.granularity,
        auc=auc,
        pessimistic=float((wins == 1).mean()),
        low=low,
        high=high,
        null_high=float(np.quantile(null, 0.975)),
        p=float((null >= auc).mean()),
        ap=average_precision(strength, inside),
        ap_pessimistic=average_precision(strength, inside, pessimistic=True),
        ap_null=float(np.mean(ap_null)),
        n_true=int(inside.sum()),
        n_units=len(inside),
    )


def _inside(scores: EdgeScores, truth: Truth, mixed: bool) -> np.ndarray:
    """bool [unit]: those in the truth."""
    if scores.granularity != truth.granularity:
        raise RaspValueError(
            f"the scores are of {scores.granularity}s, the truth of {truth.granularity}s",
            hint="use one granularity for both",
        )
    if truth.ablation not in (STRUCTURAL, scores.ablation) and not mixed:
        raise RaspValueError(
            f"the scores are by {scores.ablation} ablation, the truth by {truth.ablation}: they "
            "measure different things",
            hint="score against the truth of that ablation, or pass mixed=True (--mixed)",
        )
    missing = sorted(truth.units - set(scores.names))
    if missing:
        raise RaspValueError(f"the scores do not have {missing[0]}: they are of another model")
    inside = np.array([name in truth.units for name in scores.names])
    if inside.all() or not inside.any():
        size = "no unit" if not inside.any() else "every unit"
        raise RaspValueError(
            f"{size} is in the {truth.ablation} truth: there is nothing to rank",
            hint="use structural truth, or an ablation under which some edges matter",
        )
    return inside


def _wins(inside: np.ndarray, outside: np.ndarray) -> np.ndarray:
    """[inside, outside]: 1 where the unit inside scores higher, a half where they tie."""
    a, b = inside[:, None], outside[None]
    return (a > b) + 0.5 * (a == b)


def _split(strength: np.ndarray, rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """The scores of `n` random units, and of the others."""
    order = rng.permutation(len(strength))
    return strength[order[:n]], strength[order[n:]]


def _interval(wins: np.ndarray, rng: np.random.Generator, resamples: int) -> tuple[float, float]:
    """The percentile bootstrap interval of the mean of `wins`, its rows and columns resampled."""
    n, m = wins.shape
    rows = bootstrap_counts(n, resamples, rng) / n
    columns = bootstrap_counts(m, resamples, rng) / m
    # a resample's AUC is the mean of `wins` over the drawn rows and columns, each as often as drawn
    means = np.einsum("ri,ij,rj->r", rows, wins, columns)
    low, high = percentiles(means)
    return float(low), float(high)


def average_precision(
    strength: Float[np.ndarray, " unit"],
    inside: Bool[np.ndarray, " unit"],
    pessimistic: bool = False,
) -> float:
    """The mean, over the units inside, of the precision when each is reached, strongest first.

    pessimistic  among units that tie, those outside come first; else all are reached together
    """
    # by strength, strongest first; among equals False sorts before True: those outside come first
    order = np.lexsort((inside, -strength))
    hits, ranked = inside[order], strength[order]
    true, reached = np.cumsum(hits), np.arange(1, len(hits) + 1)
    if not pessimistic:
        # for each unit the last one that ties with it: a tie is reached as a whole
        last = np.searchsorted(-ranked, -ranked, side="right") - 1
        true, reached = true[last], reached[last]
    return float((true / reached)[hits].mean())


def roc(
    scores: EdgeScores, truth: Truth, mixed: bool = False
) -> tuple[Float[np.ndarray, " threshold"], Float[np.ndarray, " threshold"]]:
    """The ROC curve: false and true positive rates, from (0, 0) to (1, 1).

    One point per distinct strength, so that ties are straight lines.
    """
    inside = _inside(scores, truth, mixed)
    # every distinct strength as a threshold, from none above it to all
    levels = np.unique(scores.strength)[::-1]
    above = scores.strength[None] >= levels[:, None]
    true = np.concatenate([[0], (above & inside).sum(1) / inside.sum()])
    false = np.concatenate([[0], (above & ~inside).sum(1) / (~inside).sum()])
    return false, true

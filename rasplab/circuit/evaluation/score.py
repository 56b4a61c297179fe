"""How well scores find a true circuit: areas, a random null, intervals."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from rasplab.base.errors import RaspValueError
from rasplab.base.stats import bootstrap_counts, percentiles
from rasplab.circuit.discovery.edge_scores import EdgeScores
from rasplab.circuit.graph import Circuit, true_units

if TYPE_CHECKING:
    from rasplab.model.bridge import LensModel

STRUCTURAL = "structural"
"""The truth that needs no ablation."""

RESAMPLES = 1000
"""Of the bootstrap, and random orders of the null."""


@dataclass(frozen=True, slots=True)
class Truth:
    """The units that are in the circuit, and by which ablation that is so (or `structural`)."""

    units: frozenset[str]
    ablation: str
    granularity: str


@dataclass(frozen=True, slots=True)
class Score:
    """How well one EdgeScores ranks the units of a truth above the others.

    auc          area under the ROC curve, ties at their average rank: 1 perfect, 0.5 chance
    pessimistic  the same with every tie counted against
    low, high    95% bootstrap interval of auc: units in and out of the truth, resampled apart
    null_high    what 97.5% of random orders do not reach; p: the share that reach auc
    ap           average precision (area under precision and recall), ties entering together
    ap_pessimistic, ap_null   with every tie counted against; the mean of random orders
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
    """The truth of a model: `structural` (compiled models only), or effective under an ablation.

    Raises RaspValueError for structural truth of a model that was not compiled.
    """
    from rasplab.circuit.effective import effective_units
    from rasplab.circuit.structural import circuit_of, position_units

    if ablation != STRUCTURAL:
        found = effective_units(model, None, ablation, granularity, seed)
        return Truth(found, ablation, granularity)
    if model.compiled is None:
        raise RaspValueError(
            "this model was not compiled: no structural truth is known",
            hint="take an effective truth, by an ablation",
        )
    if granularity == "position":
        return Truth(position_units(model.compiled), ablation, granularity)
    return as_truth(circuit_of(model.compiled), STRUCTURAL, granularity)


def as_truth(circuit: Circuit, ablation: str = STRUCTURAL, granularity: str = "edge") -> Truth:
    """A circuit as a truth."""
    return Truth(true_units(circuit, granularity), ablation, granularity)


def score(
    scores: EdgeScores, truth: Truth, mixed: bool = False, seed: int = 0, resamples: int = RESAMPLES
) -> Score:
    """Hold scores against a truth of the same granularity.

    mixed  compare scores of one ablation with an effective truth of another all the same
    Raises RaspValueError for mixed ablations or granularities, a truth with units that the scores
    do not have, or one that is empty or everything: then there is nothing to rank.
    """
    inside = _inside(scores, truth, mixed)
    strength, rng = scores.strength, np.random.default_rng(seed)
    wins = _wins(strength[inside], strength[~inside])
    auc = float(wins.mean())
    low, high = _interval(wins, rng, resamples)
    null = np.array([_wins(*_split(strength, rng, inside.sum())).mean() for _ in range(resamples)])
    return Score(
        scores.method, scores.ablation, truth.ablation, truth.granularity, auc,
        float((wins == 1).mean()), low, high, float(np.quantile(null, 0.975)),
        float((null >= auc).mean()), average_precision(strength, inside),
        average_precision(strength, inside, pessimistic=True),
        float(np.mean([average_precision(strength, rng.permutation(inside))
                       for _ in range(resamples // 5)])),
        int(inside.sum()), len(inside),
    )  # fmt: skip


def _inside(scores: EdgeScores, truth: Truth, mixed: bool) -> np.ndarray:
    """bool [unit]: those in the truth."""
    if scores.granularity != truth.granularity:
        raise RaspValueError(f"the scores are of {scores.granularity}s, the truth of "
                             f"{truth.granularity}s", hint="ask for one granularity")  # fmt: skip
    if truth.ablation not in (STRUCTURAL, scores.ablation) and not mixed:
        raise RaspValueError(
            f"the scores are by {scores.ablation} ablation, the truth by {truth.ablation}: they "
            "ask different questions",
            hint="score against that ablation's truth, or say mixed (--mixed)",
        )
    strange = sorted(truth.units - set(scores.names))
    if strange:
        raise RaspValueError(f"the scores know no {strange[0]}: they are of another model")
    inside = np.array([name in truth.units for name in scores.names])
    if inside.all() or not inside.any():
        size = "no unit" if not inside.any() else "every unit"
        raise RaspValueError(
            f"{size} is in the {truth.ablation} truth: there is nothing to rank",
            hint="take structural truth, or an ablation under which some edges matter",
        )
    return inside


def _wins(inside: np.ndarray, outside: np.ndarray) -> np.ndarray:
    """[inside, outside]: 1 where the unit inside scores higher, a half where they tie."""
    a, b = inside[:, None], outside[None]
    return (a > b) + 0.5 * (a == b)


def _split(strength: np.ndarray, rng, n: int) -> tuple[np.ndarray, np.ndarray]:
    """The scores of `n` random units, and of the others."""
    order = rng.permutation(len(strength))
    return strength[order[:n]], strength[order[n:]]


def _interval(wins: np.ndarray, rng, resamples: int) -> tuple[float, float]:
    """The middle 95% of the mean over resampled rows and columns."""
    n, m = wins.shape
    rows = bootstrap_counts(n, resamples, rng) / n
    columns = bootstrap_counts(m, resamples, rng) / m
    means = np.einsum("ri,ij,rj->r", rows, wins, columns)
    low, high = percentiles(means)
    return float(low), float(high)


def average_precision(strength: np.ndarray, inside: np.ndarray, pessimistic: bool = False) -> float:
    """Mean over the units inside of the precision when each is reached, strongest first.

    Units that tie are reached together; with `pessimistic`, those outside first.
    """
    order = np.lexsort((inside, -strength))
    hits, ranked = inside[order], strength[order]
    found, reached = np.cumsum(hits), np.arange(1, len(hits) + 1)
    if not pessimistic:
        last = np.searchsorted(-ranked, -ranked, side="right") - 1
        found, reached = found[last], reached[last]
    return float((found / reached)[hits].mean())


def roc(scores: EdgeScores, truth: Truth, mixed: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """The ROC curve: false and true positive rates, from (0, 0) to (1, 1); ties are straight
    lines.
    """
    inside = _inside(scores, truth, mixed)
    levels = np.unique(scores.strength)[::-1]
    taken = scores.strength[None] >= levels[:, None]
    true = np.concatenate([[0], (taken & inside).sum(1) / inside.sum()])
    false = np.concatenate([[0], (taken & ~inside).sum(1) / (~inside).sum()])
    return false, true

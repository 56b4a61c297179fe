"""discover: a model, a method, an ablation, a metric -> EdgeScores.

Read METHODS, then `discover`: `experiment_for` draws pairs and sets a PatchExperiment up, the
method scores its units, and the scores are returned with their cost and with warnings.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from rasplab.base.arguments import FUNCTION, PAIRS, SEED, TEXT, optional, real, takes
from rasplab.base.errors import RaspValueError
from rasplab.circuit.discovery import attribution, pruning
from rasplab.circuit.discovery import exact_path_acdc as patching
from rasplab.circuit.discovery.edge_scores import EdgeScores
from rasplab.circuit.graph import unknown
from rasplab.circuit.patching.experiment import NO_DAMAGE, PatchExperiment, patch_experiment
from rasplab.circuit.patching.from_bridge import check_edge_model, edge_model_of
from rasplab.circuit.patching.metrics import FLAT
from rasplab.circuit.patching.pairs import Pairs, draw_pairs

MAX_SECONDS = 900.0
"""A run whose estimate is longer is refused before it starts; `max_seconds` of `discover`."""

RESOLUTION = 2.0**-24
"""Scores below this share of the clean run's largest logit count as 0.

It is the rounding error of float32. In float64 a saturated softmax leaves slopes such as 1e-17,
which are rounding errors too."""

EXACT_PARAMETERS = 5_000_000
"""Models of up to this many parameters run in float64, larger ones in float32."""

ZERO_SLOPE = 1e-12
"""Gradients below this share of the largest count as 0: float64 rounds at 1e-16 of each term."""

SATURATED = 1 - 1e-6
"""An attention row with more on one key passes a gradient of at most 1e-6 to its scores."""


ScoreFunction = Callable[..., Tensor]
"""A PatchExperiment and settings to scores [unit]."""


@dataclass(frozen=True, slots=True)
class Method:
    """A discovery method.

    scores       takes a PatchExperiment and the method's settings, returns a score per unit
    passes       the number of forward passes for so many units; a backward pass counts as two
    metric       the default for class logits; for a single number it is mse instead of kl
    granularity  the only one it can score, or empty
    gradient     where it takes gradients: "clean" (at the clean run only), "path", or empty
    """

    scores: ScoreFunction
    passes: Callable[[int], float]
    metric: str = "kl"
    granularity: str = ""
    gradient: str = ""


METHODS = {
    "exact": Method(patching.exact, lambda units: units),
    "activation": Method(patching.exact, lambda units: units, granularity="node"),
    "path": Method(patching.path, lambda units: units, granularity="edge"),
    "acdc": Method(patching.acdc, lambda units: units * patching.THRESHOLDS),
    # one forward pass, and one backward pass that counts as two, for all units together
    "eap": Method(attribution.eap, lambda units: 3, "logit", gradient="clean"),
    "eap_ig": Method(
        attribution.eap_ig, lambda units: 3 * attribution.POINTS, "logit", gradient="path"
    ),
    "eap_ig_activations": Method(
        attribution.eap_ig_activations,
        # an integral per half layer, and at most sqrt(edges) of those: L
        # layers of one head have 2 L half layers and 4 L^2 + 7 L + 2 edges
        lambda units: 3 * attribution.POINTS * math.sqrt(units),
        "logit",
        gradient="path",
    ),
    "mask_ig": Method(attribution.mask_ig, lambda units: 3 * attribution.POINTS, gradient="path"),
    "pruning": Method(
        pruning.pruning, lambda units: 3 * pruning.STEPS * len(pruning.PRICES), gradient="path"
    ),
    # a backward pass for each of about 48 pairs, vectorised
    "hisp": Method(attribution.hisp, lambda units: 50, "logit", gradient="clean"),
}


@takes(
    method=TEXT,
    pairs=optional(PAIRS),
    ablation=TEXT,
    metric=optional(TEXT),
    granularity=optional(TEXT),
    seed=SEED,
    progress=optional(FUNCTION),
    max_seconds=optional(real(0)),
)
def discover(
    model: Any,
    method: str = "acdc",
    pairs: Pairs | None = None,
    ablation: str = "resample",
    metric: str | None = None,
    granularity: str | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
    max_seconds: float | None = MAX_SECONDS,
    **settings: Any,
) -> EdgeScores:
    """How important each unit of a model is, by one method.

    model        a LensModel, or any TransformerBridge together with `pairs`
    method       a key of METHODS; `settings` are its own (thresholds, points, steps)
    pairs        by default about 48 of all lengths, drawn with `seed`
    metric       label, logit, kl or mse; by default the method's
    granularity  node, component, edge (the default) or position
    progress     called with (done, total)
    max_seconds  the longest run that is started, in seconds; None for any

    Raises RaspValueError for an unknown name, a metric that does not fit, a model whose edges
    cannot be patched, or a cost beyond `max_seconds`.
    """
    if method not in METHODS:
        raise unknown("method", method, METHODS)
    chosen = METHODS[method]
    experiment = experiment_for(model, chosen, pairs, ablation, metric, granularity, seed, progress)
    _refuse_long(experiment, chosen, max_seconds)
    # the only method that draws at random beside the pairs
    if method == "pruning":
        settings = {"seed": seed} | settings
    raw = _called(chosen, experiment, method, settings)
    scores = without_rounding_errors(experiment, raw.detach())
    health, gradient_warnings = _health(experiment, chosen)
    return EdgeScores(
        method=method,
        metric=experiment.metric.name,
        ablation=ablation,
        granularity=experiment.units.granularity,
        seed=seed,
        model=experiment.edge_model.digest,
        names=experiment.units.names,
        scores=tuple(scores.tolist()),
        pairs=len(experiment.pairs),
        forwards=experiment.meter.forwards,
        backwards=experiment.meter.backwards,
        seconds=round(experiment.meter.seconds, 4),
        health=health,
        notes=(*experiment.pairs.notes, *_warnings(experiment, scores), *gradient_warnings),
    )


def experiment_for(
    model: Any,
    chosen: Method,
    pairs: Pairs | None = None,
    ablation: str = "resample",
    metric: str | None = None,
    granularity: str | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> PatchExperiment:
    """The experiment that `discover` scores; the arguments are those of `discover`.

    Raises RaspValueError as `discover` does.
    """
    lens = getattr(model, "lens", model)
    if pairs is None:
        if lens is model:
            raise RaspValueError(
                "a bare TransformerBridge has no domain to draw pairs from", hint="pass pairs="
            )
        pairs = draw_pairs(model.domain, seed=seed, device=model.device)
    if chosen.granularity and granularity not in (None, chosen.granularity):
        raise RaspValueError(
            f"this method scores {chosen.granularity}s, not {granularity}s",
            hint=f"leave granularity out, or use {chosen.granularity}",
        )
    # float64 keeps what patching and rounding do apart
    # (see RESOLUTION); large models cannot afford it
    small = sum(p.numel() for p in lens.parameters()) <= EXACT_PARAMETERS
    edge_model = edge_model_of(lens, torch.float64 if small else torch.float32)
    check_edge_model(edge_model, lens, pairs.clean, pairs.counted)
    number = edge_model.weights.W_U.shape[1] == 1
    if metric is None:
        metric = "mse" if number and chosen.metric == "kl" else chosen.metric
    granularity = granularity or chosen.granularity or "edge"
    return patch_experiment(edge_model, pairs, ablation, metric, granularity, progress)


def _refuse_long(experiment: PatchExperiment, chosen: Method, max_seconds: float | None) -> None:
    """Raise RaspValueError where one timed pass, times their number, exceeds `max_seconds`."""
    if max_seconds is None:
        return
    start = time.perf_counter()
    with torch.no_grad():
        experiment.edge_model.run(experiment.pairs.clean)
    passes = chosen.passes(len(experiment.units))
    estimate = passes * (time.perf_counter() - start)
    if estimate > max_seconds:
        raise RaspValueError(
            f"this would take about {estimate / 60:.0f} min here: {passes:.0f} forward passes over "
            f"{len(experiment.pairs)} pairs for {len(experiment.units)} units",
            hint="take fewer pairs, another method or granularity, or pass max_seconds=None",
        )


def _called(
    chosen: Method, experiment: PatchExperiment, method: str, settings: dict[str, Any]
) -> Tensor:
    """The method's scores [unit]; RaspValueError for a setting that it does not have."""
    try:
        return chosen.scores(experiment, **settings)
    except TypeError as error:
        if "unexpected keyword" not in str(error):
            raise
        raise RaspValueError(f"{method} has no setting {', '.join(settings)}") from None


def without_rounding_errors(
    experiment: PatchExperiment, scores: Float[Tensor, " unit"]
) -> Float[Tensor, " unit"]:
    """The scores in float64 on the CPU, 0 where they are below RESOLUTION."""
    size = float(experiment.base.logits[0][experiment.pairs.counted].abs().max())
    return torch.where(scores.abs() > RESOLUTION * max(1.0, size), scores, 0.0).cpu().double()


def _warnings(experiment: PatchExperiment, scores: Tensor) -> list[str]:
    """Warnings about patches that change nothing, and scores that are all equal."""
    notes = []
    if abs(experiment.full_damage) < NO_DAMAGE:
        notes.append("patching every edge changes nothing: no edge can be found on these pairs")
    if len(scores) and bool((scores == scores[0]).all()):
        notes.append(f"every score is {float(scores[0]):.3g}: they rank nothing")
    return notes


def _health(experiment: PatchExperiment, chosen: Method) -> tuple[str, list[str]]:
    """The shares of zero gradients and saturated attention rows, and warnings about them."""
    if not chosen.gradient:
        return "", []
    flat = experiment.metric.name in FLAT
    slopes = experiment.gradient(experiment.none)[0].abs()
    zero = float((slopes < ZERO_SLOPE * max(1.0, float(slopes.max()))).float().mean())
    largest = torch.cat([p[0].amax(-1) for p in experiment.base.patterns], 1)  # [batch, head, pos]
    counted = experiment.pairs.counted[:, None].expand_as(largest)
    saturated = float((largest[counted] > SATURATED).float().mean())
    health = (
        f"gradients at the clean run: {zero:.0%} of {len(slopes)} are 0; "
        f"softmax: {saturated:.0%} of attention rows saturated"
    )
    if flat and chosen.gradient == "path":
        return health, []
    if flat:
        return health, [
            f"{experiment.metric.name} has its minimum at the clean run, so every gradient and "
            "score there is 0; use label or logit, or an integrated method"
        ]
    return health, ["no gradient reaches any edge at the clean run"] if zero == 1 else []

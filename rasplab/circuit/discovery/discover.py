"""discover: a model, a method, an ablation, a metric -> EdgeScores."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from rasplab.base.errors import RaspValueError
from rasplab.circuit.discovery import attribution, pruning
from rasplab.circuit.discovery import exact_path_acdc as patching
from rasplab.circuit.discovery.edge_scores import EdgeScores
from rasplab.circuit.patching.experiment import PatchExperiment, patch_experiment
from rasplab.circuit.patching.from_bridge import check_edge_model, edge_model_of
from rasplab.circuit.patching.metrics import FLAT
from rasplab.circuit.patching.pairs import Pairs, draw_pairs

MAX_SECONDS = 900.0
"""A run that would take longer on this machine is refused before it starts, unless asked for."""

RESOLUTION = 2.0**-24
"""Of the clean run's largest logit: a change that float32 would round away counts as none. In
float64, saturated softmax leaves slopes such as 1e-17, which nobody could measure."""

EXACT_PARAMETERS = 5_000_000
"""Up to so many parameters everything is computed in float64."""


@dataclass(frozen=True, slots=True)
class Method:
    """A discovery method.

    scores       of a Problem [unit]
    passes       how many forward passes for `units`, a backward one counted as two
    metric       the one taken for class logits when none is asked; a number's is mse or logit
    granularity  the only one it has, or empty
    gradient     what it needs gradients for: "clean" (at the clean run), "path", or nothing
    """

    scores: Callable[..., torch.Tensor]
    passes: Callable[[int], float]
    metric: str = "kl"
    granularity: str = ""
    gradient: str = ""


METHODS = {
    "exact": Method(patching.exact, lambda units: units),
    "activation": Method(patching.exact, lambda units: units, granularity="node"),
    "path": Method(patching.path, lambda units: units, granularity="edge"),
    "acdc": Method(patching.acdc, lambda units: units * patching.THRESHOLDS),
    "eap": Method(attribution.eap, lambda units: 3, "logit", gradient="clean"),
    "eap_ig": Method(
        attribution.eap_ig, lambda units: 3 * attribution.POINTS, "logit", gradient="path"
    ),
    "eap_ig_activations": Method(
        attribution.eap_ig_activations,
        lambda units: 3 * attribution.POINTS * math.sqrt(units),
        "logit",
        gradient="path",
    ),
    "mask_ig": Method(attribution.mask_ig, lambda units: 3 * attribution.POINTS, gradient="path"),
    "pruning": Method(
        pruning.pruning, lambda units: 3 * pruning.STEPS * len(pruning.PRICES), gradient="path"
    ),
    "hisp": Method(attribution.hisp, lambda units: 50, "logit", gradient="clean"),
}


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
    method       a key of METHODS; settings are its own (thresholds, points, steps)
    pairs        by default some 48 of all lengths, drawn with `seed`
    granularity  node, component, edge (the default) or position
    progress     called with (done, total)
    Raises RaspValueError for an unknown name, a metric that does not fit, a model whose edges
    cannot be patched, or a cost beyond `max_seconds` (None: any).
    """
    chosen = method_of(method)
    found = set_up(model, chosen, pairs, ablation, metric, granularity, seed, progress)
    _refuse_long(found, chosen, max_seconds)
    if method == "pruning":
        settings = {"seed": seed} | settings
    scores = resolved(found, _called(chosen, found, method, settings).detach())
    notes = (*found.pairs.notes, *_doubts(found, scores))
    health, more = _health(found, chosen)
    meter = found.meter
    return EdgeScores(
        method, found.metric.name, ablation, found.units.granularity, seed, found.edge_model.digest,
        found.units.names, tuple(scores.tolist()), len(found.pairs),
        meter.forwards, meter.backwards, round(meter.seconds, 4), health, (*notes, *more),
    )  # fmt: skip


def method_of(name: str) -> Method:
    """The method called `name`. Raises RaspValueError, with those there are."""
    if name not in METHODS:
        raise RaspValueError(f"{name!r} is no method", hint=f"it can be {', '.join(METHODS)}")
    return METHODS[name]


def set_up(
    model: Any,
    chosen: Method,
    pairs: Pairs | None = None,
    ablation: str = "resample",
    metric: str | None = None,
    granularity: str | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> PatchExperiment:
    """The problem that `discover` solves; its arguments."""
    lens = getattr(model, "lens", model)
    if pairs is None:
        if lens is model:
            raise RaspValueError("a bare bridge has no domain to draw from", hint="pass pairs=")
        pairs = draw_pairs(model.domain, seed=seed, device=model.device)
    if chosen.granularity and granularity not in (None, chosen.granularity):
        raise RaspValueError(
            f"this method scores {chosen.granularity}s, not {granularity}s",
            hint=f"leave granularity out, or ask for {chosen.granularity}",
        )
    small = sum(p.numel() for p in lens.parameters()) <= EXACT_PARAMETERS
    edge_model = edge_model_of(lens, torch.float64 if small else torch.float32)
    check_edge_model(edge_model, lens, pairs.clean, pairs.counted)
    number = edge_model.weights.W_U.shape[1] == 1
    if metric is None:
        metric = "mse" if number and chosen.metric == "kl" else chosen.metric
    granularity = granularity or chosen.granularity or "edge"
    return patch_experiment(edge_model, pairs, ablation, metric, granularity, progress)


def _refuse_long(found: PatchExperiment, chosen: Method, max_seconds: float | None) -> None:
    """Raise where one timed pass says that the whole would take too long."""
    if max_seconds is None:
        return
    start = time.perf_counter()
    with torch.no_grad():
        found.edge_model.run(found.pairs.clean)
    passes = chosen.passes(len(found.units))
    estimate = passes * (time.perf_counter() - start)
    if estimate > max_seconds:
        raise RaspValueError(
            f"this would take about {estimate / 60:.0f} min here: {passes:.0f} forward passes over "
            f"{len(found.pairs)} pairs for {len(found.units)} units",
            hint="take fewer pairs, another method or granularity, or pass max_seconds=None",
        )


def _called(chosen: Method, found: PatchExperiment, method: str, settings: dict) -> torch.Tensor:
    try:
        return chosen.scores(found, **settings)
    except TypeError as error:
        if "unexpected keyword" not in str(error):
            raise
        raise RaspValueError(f"{method} has no setting {', '.join(settings)}") from None


def resolved(found: PatchExperiment, scores: torch.Tensor) -> torch.Tensor:
    """The scores as float64, 0 where they are below RESOLUTION."""
    size = float(found.base.logits[0][found.pairs.counted].abs().max())
    return torch.where(scores.abs() > RESOLUTION * max(1.0, size), scores, 0.0).cpu().double()


def _doubts(found: PatchExperiment, scores: torch.Tensor) -> list[str]:
    """Scores that tell nothing apart, patches that change nothing."""
    notes = []
    if abs(found.full_damage) < 1e-12:
        notes.append("patching every edge changes nothing: no edge can be found on these pairs")
    if len(scores) and bool((scores == scores[0]).all()):
        notes.append(f"every score is {float(scores[0]):.3g}: they rank nothing")
    return notes


def _health(found: PatchExperiment, chosen: Method) -> tuple[str, list[str]]:
    """How far gradients reach at the clean run, and a warning where they cannot."""
    if not chosen.gradient:
        return "", []
    flat = found.metric.name in FLAT
    slopes = found.gradient(found.none)[0].abs()
    zero = float((slopes < 1e-12 * max(1.0, float(slopes.max()))).float().mean())
    largest = torch.cat([p[0].amax(-1) for p in found.base.patterns], 1)  # [batch, head, pos]
    counted = found.pairs.counted[:, None].expand_as(largest)
    saturated = float((largest[counted] > 1 - 1e-6).float().mean())
    health = (
        f"gradients at the clean run: {zero:.0%} of {len(slopes)} are 0; "
        f"softmax: {saturated:.0%} of attention rows saturated"
    )
    if flat and chosen.gradient == "path":
        return health, []
    if flat:
        return health, [
            f"{found.metric.name} is least at the clean run, so its gradient there is 0: every "
            "score is; take label or logit, or an integrated method"
        ]
    return health, ["no gradient reaches any edge at the clean run"] if zero == 1 else []

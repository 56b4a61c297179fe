"""How far a patched run is from the clean one: damage per input, larger is worse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from rasplab.base.errors import RaspValueError

METRICS = ("label", "logit", "kl", "mse")
FLAT = ("kl", "mse")
"""Distances to the clean run: least there, so that they have no gradient at it."""


@dataclass(frozen=True, eq=False)
class Metric:
    """Damage [variant, batch] of logits [variant, batch, pos, class]: the mean over counted
    positions.

    at  damage [variant, batch, pos] at each position
    """

    name: str
    at: Callable[[Tensor], Tensor]
    counted: Tensor

    def __call__(self, logits: Tensor) -> Tensor:
        kept = torch.where(self.counted, self.at(logits), 0.0)
        return kept.sum(-1) / self.counted.sum(-1).clamp(min=1)


def metric_of(name: str, clean: Tensor, ablated: Tensor, counted: Tensor) -> Metric:
    """The metric called `name`.

    label  cross-entropy with the clean run's own answer
    logit  minus the margin of that answer over what the wholly ablated run answers (over the
           runner-up where it answers the same); of a single number: how far it moves towards the
           ablated run's
    kl     divergence from the clean run's distribution
    mse    mean squared difference of the logits
    clean, ablated  logits [batch, pos, class] with no edge and with every edge patched
    Raises RaspValueError for a metric that does not fit: label and kl want more than one class.
    """
    if name not in METRICS:
        raise RaspValueError(f"{name!r} is no metric", hint=f"it can be {', '.join(METRICS)}")
    if clean.shape[-1] == 1 and name in ("label", "kl"):
        raise RaspValueError(
            f"the metric {name} does not fit: the model's output is one number, not classes",
            hint="use mse or logit",
        )
    makers = {"label": _label, "logit": _logit, "kl": _kl, "mse": _mse}
    return Metric(name, makers[name](clean, ablated), counted)


def _label(clean: Tensor, ablated: Tensor):
    answer = clean.argmax(-1)
    return lambda logits: -_at(logits.log_softmax(-1), answer)


def _logit(clean: Tensor, ablated: Tensor):
    if clean.shape[-1] == 1:
        way = torch.sign(ablated - clean)[..., 0]
        way = torch.where(way == 0, torch.ones_like(way), way)
        return lambda logits: way * logits[..., 0]
    answer, other = clean.argmax(-1), ablated.argmax(-1)
    runner_up = clean.topk(2, -1).indices[..., 1]
    foil = torch.where(other == answer, runner_up, other)
    return lambda logits: _at(logits, foil) - _at(logits, answer)


def _kl(clean: Tensor, ablated: Tensor):
    log_p = clean.log_softmax(-1)
    return lambda logits: (log_p.exp() * (log_p - logits.log_softmax(-1))).sum(-1)


def _mse(clean: Tensor, ablated: Tensor):
    return lambda logits: (logits - clean).square().mean(-1)


def _at(logits: Tensor, index: Tensor) -> Tensor:
    """logits [variant, batch, pos, class] at `index` [batch, pos]."""
    return logits.gather(-1, index.expand(logits.shape[:-1])[..., None])[..., 0]

"""Damage: how far the logits of a patched run are from the clean ones; larger is worse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rasplab.base.errors import RaspValueError
from rasplab.circuit.graph import unknown

LogitFunction = Callable[[Tensor], Tensor]
"""Logits [variant, batch, pos, d_vocab_out] to damage [variant, batch, pos]."""

METRICS = ("label", "logit", "kl", "mse")
FLAT = ("kl", "mse")
"""Distances to the clean run: they have a minimum there, and so a gradient of 0."""


@dataclass(frozen=True, eq=False)
class Metric:
    """A function of logits: the damage on each input, as a mean over counted positions."""

    name: str
    damage_at: LogitFunction
    counted: Bool[Tensor, "batch pos"]

    def __call__(
        self, logits: Float[Tensor, "variant batch pos d_vocab_out"]
    ) -> Float[Tensor, "variant batch"]:
        """The damage of each variant on each input."""
        damage = torch.where(self.counted, self.damage_at(logits), 0.0)
        return damage.sum(-1) / self.counted.sum(-1).clamp(min=1)


def metric_of(
    name: str,
    clean: Float[Tensor, "batch pos d_vocab_out"],
    ablated: Float[Tensor, "batch pos d_vocab_out"],
    counted: Bool[Tensor, "batch pos"],
) -> Metric:
    """The metric called `name`, for logits z with the clean answer y = argmax of `clean`.

    label  cross-entropy with the clean answer: -log softmax(z)[y]
    logit  z[y'] - z[y], where y' is the answer of the wholly ablated run (the clean runner-up where
           that answers y too); of a single number: how far z moves towards the ablated run's
    kl     KL(softmax(clean) || softmax(z))
    mse    mean over classes of (z - clean)^2

    clean, ablated  the logits with no edge and with every edge patched

    Raises RaspValueError for an unknown name, and for label and kl of a single logit.
    """
    if name not in METRICS:
        raise unknown("metric", name, METRICS)
    if clean.shape[-1] == 1 and name in ("label", "kl"):
        raise RaspValueError(
            f"the metric {name} does not fit: the model's output is one number, not classes",
            hint="use mse or logit",
        )
    makers = {"label": _label, "logit": _logit, "kl": _kl, "mse": _mse}
    return Metric(name, makers[name](clean, ablated), counted)


def _label(clean: Tensor, ablated: Tensor) -> LogitFunction:
    answer = clean.argmax(-1)
    return lambda logits: -_at(logits.log_softmax(-1), answer)


def _logit(clean: Tensor, ablated: Tensor) -> LogitFunction:
    if clean.shape[-1] == 1:
        direction = torch.sign(ablated - clean)[..., 0]
        # where ablating everything moves nothing there is no
        # direction: either sign shows a patch, and 0 would hide it
        direction = torch.where(direction == 0, torch.ones_like(direction), direction)
        return lambda logits: direction * logits[..., 0]
    answer, other = clean.argmax(-1), ablated.argmax(-1)
    runner_up = clean.topk(2, -1).indices[..., 1]
    # z[y] - z[y] would be 0 whatever is patched
    foil = torch.where(other == answer, runner_up, other)
    return lambda logits: _at(logits, foil) - _at(logits, answer)


def _kl(clean: Tensor, ablated: Tensor) -> LogitFunction:
    log_p = clean.log_softmax(-1)
    return lambda logits: (log_p.exp() * (log_p - logits.log_softmax(-1))).sum(-1)


def _mse(clean: Tensor, ablated: Tensor) -> LogitFunction:
    return lambda logits: (logits - clean).square().mean(-1)


def _at(logits: Tensor, index: Tensor) -> Tensor:
    """logits [variant, batch, pos, class] at `index` [batch, pos]."""
    return logits.gather(-1, index.expand(logits.shape[:-1])[..., None])[..., 0]

"""Edge pruning: masks learned by gradient descent on damage + price x size."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from rasplab.circuit.patching.experiment import NO_DAMAGE, PatchExperiment
from rasplab.model.threads import few_threads

STEPS, RATE = 100, 0.3
"""Steps of Adam and its learning rate."""

PRICES = (0.01, 0.05, 0.25)
"""The price of keeping all units, as a share of the damage of patching everything."""

LOW, HIGH, TEMPERATURE = -0.1, 1.1, 2 / 3
"""Stretch (gamma, zeta) and temperature (beta) of the hard-concrete distribution."""

START = 2.0
"""The logit of every gate at first: open with probability 0.97, so that descent starts with all."""

EDGE = 1e-6
"""Noise stays this far from 0 and 1, where its logarithms are infinite."""


def pruning(
    experiment: PatchExperiment, steps: int = STEPS, seed: int = 0
) -> Float[Tensor, " unit"]:
    """The probability that a unit is kept, summed over the three PRICES.

    Every unit has a hard-concrete gate (Louizos, Welling & Kingma 2018, arXiv:1712.01312); Adam
    minimises damage + price x expected share of open gates, for all prices side by side.

    steps  of Adam
    seed   of the noise of the gates

    Source: Bhaskar et al. 2024 (arXiv:2406.16778), with our own schedule.
    """
    generator = torch.Generator().manual_seed(seed)
    scale = max(experiment.full_damage, NO_DAMAGE)
    price = torch.tensor(PRICES).to(experiment.values)[:, None] * scale
    logits = torch.full((len(PRICES), len(experiment.units)), START).to(experiment.values)
    logits.requires_grad_()
    optimizer = torch.optim.Adam([logits], lr=RATE)
    for step in range(1, steps + 1):
        # drawn on the CPU in float64, so that a seed gives the same gates on every device and dtype
        noise = torch.rand(logits.shape, generator=generator, dtype=torch.float64).to(logits)
        # a gate that is open keeps the unit, a mask of 1 patches it
        damage = experiment.differentiable(1 - gates(logits, noise)).mean(1)
        loss = damage.sum() + (price * open_probability(logits)).mean(1).sum()
        optimizer.zero_grad()
        with few_threads(experiment.values.shape[-1]):
            loss.backward()
        optimizer.step()
        experiment.meter.report(step, steps)
    return open_probability(logits.detach()).sum(0)


def gates(
    logits: Float[Tensor, "*#draw unit"], noise: Float[Tensor, "*draw unit"]
) -> Float[Tensor, "*draw unit"]:
    """Samples of the gates, in [0, 1], from uniform noise; many are exactly 0 or 1.

    s = sigmoid((log u - log(1 - u) + logit) / beta), stretched to (gamma, zeta) and clamped.
    """
    noise = noise.clamp(EDGE, 1 - EDGE)
    soft = torch.sigmoid((noise.log() - (1 - noise).log() + logits) / TEMPERATURE)
    return (soft * (HIGH - LOW) + LOW).clamp(0, 1)


def open_probability(logits: Float[Tensor, "*price unit"]) -> Float[Tensor, "*price unit"]:
    """P(gate > 0) = sigmoid(logit - beta * log(-gamma / zeta))."""
    return torch.sigmoid(logits - TEMPERATURE * math.log(-LOW / HIGH))

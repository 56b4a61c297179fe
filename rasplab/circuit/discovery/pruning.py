"""Edge pruning: masks learned by gradient descent, for damage against size."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from rasplab.circuit.patching.experiment import PatchExperiment
from rasplab.model.threads import few_threads

STEPS, RATE = 100, 0.3
PRICES = (0.01, 0.05, 0.25)
"""What keeping every unit costs, as a share of the damage of patching everything."""
LOW, HIGH, TEMPERATURE = -0.1, 1.1, 2 / 3
"""The hard-concrete distribution's stretch and temperature, as in its source."""


def pruning(experiment: PatchExperiment, steps: int = STEPS, seed: int = 0) -> Tensor:
    """The probability that a unit is kept, summed over three prices of keeping.

    Hard-concrete gates (Louizos, Welling & Kingma 2018, arXiv:1712.01312), one per unit, learned by
    Adam on damage + price x expected size; the prices are learned side by side.
    Source: Bhaskar et al. 2024 (arXiv:2406.16778), with our own schedule.
    """
    generator = torch.Generator().manual_seed(seed)
    scale = max(experiment.full_damage, 1e-12)
    price = torch.tensor(PRICES).to(experiment.values)[:, None] * scale
    logits = (
        torch.full((len(PRICES), len(experiment.units)), 2.0).to(experiment.values).requires_grad_()
    )
    optimizer = torch.optim.Adam([logits], lr=RATE)
    for step in range(1, steps + 1):
        noise = torch.rand(logits.shape, generator=generator, dtype=torch.float64).to(logits)
        damage = experiment.differentiable(1 - gates(logits, noise)).mean(1)
        loss = damage.sum() + (price * kept(logits)).mean(1).sum()
        optimizer.zero_grad()
        with few_threads(experiment.values.shape[-1]):
            loss.backward()
        optimizer.step()
        experiment.meter.report(step, steps)
    return kept(logits.detach()).sum(0)


def gates(logits: Tensor, noise: Tensor) -> Tensor:
    """Gates in [0, 1] from uniform noise: many are exactly 0 or 1."""
    noise = noise.clamp(1e-6, 1 - 1e-6)
    soft = torch.sigmoid((noise.log() - (1 - noise).log() + logits) / TEMPERATURE)
    return (soft * (HIGH - LOW) + LOW).clamp(0, 1)


def kept(logits: Tensor) -> Tensor:
    """The probability that a gate is not 0."""
    return torch.sigmoid(logits - TEMPERATURE * math.log(-LOW / HIGH))

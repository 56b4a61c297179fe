"""How often a model outputs what a program does, on inputs of every length of its domain.

The swaps of `interchange` are drawn where predictions change; these inputs are not: they have the
distribution of `Domain.sample`, and where a length has few inputs, all of them are run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from rasplab.base.rng import stream
from rasplab.base.stats import wilson
from rasplab.model.bridge import LensModel
from rasplab.program.batch.compare import equal_cells
from rasplab.program.semantics import Semantics
from rasplab.program.values import Atom
from rasplab.study.heads.counterfactuals import FULL_LENGTH_SHARE
from rasplab.study.heads.estimates import NO_ESTIMATE, Estimate
from rasplab.study.tasks.tasks import DRAWINGS, inputs_of

INPUTS = 4096
"""Inputs that are run, at most: shared equally by the lengths."""

MAX_DIGITS = 10**9
"""Numbers of inputs from which only the magnitude is printed."""

TOKEN_MARGIN = 0.2
"""By how much fewer inputs must come out right with a token than without it for it to be named."""


@dataclass(frozen=True, slots=True)
class DomainAccuracy:
    """The share of positions right, over a domain.

    total    over the distribution of `Domain.sample`; its interval has no width where every input
             was run
    lengths  the same by length; lengths where the model answers nowhere are left out
    tokens   those of the vocabulary with which inputs come out wrong: see `failing_tokens`
    inputs   how many were run
    size     how many the domain has
    """

    total: Estimate
    lengths: tuple[tuple[int, Estimate], ...]
    tokens: tuple[Atom, ...]
    inputs: int
    size: int

    def __str__(self) -> str:
        if self.inputs == self.size:
            return f"all {self.size:,} inputs"
        size = f"{self.size:,}" if self.size < MAX_DIGITS else f"{self.size:.1e}"
        return f"{self.inputs:,} of {size} inputs, of every length"


def domain_accuracy(model: LensModel, semantics: Semantics, seed: int = 0) -> DomainAccuracy:
    """Run a model on inputs of every length, and compare it with the program.

    A value that the model has no output for counts as wrong, except for language models, which
    answer only where something before determines the next token.
    """
    domain, lengths, inputs = semantics.domain, [], 0
    present, all_right = [], []
    for ids, exhaustive in _inputs(model, semantics, seed):
        right, compared = _right(model, semantics, ids)
        inputs += len(ids)
        present.append((ids[:, :, None] == np.arange(len(domain.vocab))).any(1))
        all_right.append((right == compared).all(1))
        if compared.any():
            value = float(right.sum() / compared.sum())
            low, high = (value, value) if exhaustive else wilson(value, len(ids))
            lengths.append((ids.shape[1], Estimate(value, low, high, len(ids))))
    even = (1 - FULL_LENGTH_SHARE) / domain.max_len
    weights = [even + FULL_LENGTH_SHARE * (n == domain.max_len) for n, _ in lengths]
    tokens = failing_tokens(domain.vocab, np.concatenate(present), np.concatenate(all_right))
    total = _mean([e for _, e in lengths], weights)
    return DomainAccuracy(total, tuple(lengths), tokens, inputs, domain.size)


def failing_tokens(
    vocab: Sequence[Atom], present: Bool[np.ndarray, "row token"], right: Bool[np.ndarray, " row"]
) -> tuple[Atom, ...]:
    """The tokens with which rows come out wrong that come out right without them.

    By TOKEN_MARGIN and more, between the ends of the intervals of both shares.

    present  which tokens occur in each row
    right    whether the row is right at every position: one wrong position of many would hardly
             lower a share of positions
    """
    failing = []
    for token, column in zip(vocab, present.T, strict=True):
        n, rest = int(column.sum()), int((~column).sum())
        if n and rest:
            _, high = wilson(float(right[column].mean()), n)
            low, _ = wilson(float(right[~column].mean()), rest)
            if high < low - TOKEN_MARGIN:
                failing.append(token)
    return tuple(failing)


def _inputs(model: LensModel, semantics: Semantics, seed: int) -> Iterator[tuple[np.ndarray, bool]]:
    """For each length ids [batch, pos], and whether these are all of that length."""
    domain, rng = semantics.domain, stream(seed, "domain accuracy")
    kind, base = inputs_of(model), len(domain.vocab)
    share = max(1, INPUTS // domain.max_len)
    for n in range(1, domain.max_len + 1):
        # all of a small domain, else all of the lengths that have no more than their share
        if kind == "random" and base**n <= (INPUTS if domain.size <= INPUTS else share):
            places = base ** np.arange(n - 1, -1, -1, dtype=np.int64)
            yield np.arange(base**n, dtype=np.int64)[:, None] // places % base, True
        else:
            yield DRAWINGS[kind](base, share, n, rng), False


def _right(
    model: LensModel, semantics: Semantics, ids: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """bool [input, pos] each: positions right, and positions compared."""
    output = semantics.checked(ids).output
    equal, compared = equal_cells(output, model.codes(ids)), np.ones(ids.shape, bool)
    if inputs_of(model) != "random":
        compared = semantics.representable(output, model.readout.values)
    return equal & compared, compared


def _mean(estimates: list[Estimate], weights: list[float]) -> Estimate:
    """The weighted mean of independent estimates; its interval from theirs, by their variances."""
    if not estimates:
        return NO_ESTIMATE
    w = np.array(weights) / sum(weights)
    values = np.array([e.value for e in estimates])
    below = values - [e.low for e in estimates]
    above = [e.high for e in estimates] - values
    value = float(w @ values)
    low, high = value - np.sqrt(w**2 @ below**2), value + np.sqrt(w**2 @ above**2)
    pairs = sum(e.pairs for e in estimates)
    return Estimate(value, max(0.0, float(low)), min(1.0, float(high)), pairs)

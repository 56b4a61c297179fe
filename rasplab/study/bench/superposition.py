"""A compiled model's residual stream squeezed into fewer dimensions.

Source: the superposition experiment of Lindner et al. 2023 (Tracr). One linear map W [d_model, k]
is learned; whatever writes to the stream goes through W, whatever reads goes through its transpose.
The compiled weights stay as they are. Directions of very different sizes are first scaled to one
size, which changes nothing, so that one map can serve them all.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn.functional import mse_loss

from rasplab.base.rng import stream
from rasplab.model.threads import few_threads
from rasplab.model.verify import same_values
from rasplab.program.batch.evaluate import evaluate_batch
from rasplab.program.inputs import even_ids
from rasplab.transformer.forward import activations
from rasplab.transformer.weights import Weights

if TYPE_CHECKING:
    from rasplab.compiler.compiled import Compiled

STEPS, BATCH, RATE = 1000, 256, 0.01
"""Steps of Adam, inputs a step, learning rate (falling to 0 along a half cosine)."""

EVAL_INTERVAL = 50
"""Steps between two looks at the loss on inputs that stay the same; the best map seen is kept."""

MEASURED = 2000
"""Inputs, each length alike often, on which the accuracy is measured."""

READS = ("W_Q", "W_K", "W_V", "W_in", "W_U")
WRITES = ("W_E", "W_pos", "W_O", "b_O", "W_out", "b_out")


@dataclass(frozen=True, eq=False)
class Superposed:
    """A compiled model in `d_model` residual dimensions.

    compiled    the same program with squeezed weights: to_model, verify and the rest work on it
    projection  W [d_model of the original, d_model]
    accuracy    share of positions with the interpreter's value, on MEASURED sampled inputs
    loss        the last training loss; seed: of the start and of the batches
    """

    compiled: Compiled
    projection: np.ndarray
    labels: tuple[str, ...]
    accuracy: float
    loss: float
    seed: int

    @property
    def d_model(self) -> int:
        """How many dimensions are left."""
        return self.projection.shape[1]

    @property
    def overlap(self) -> np.ndarray:
        """W W^T [direction, direction]: 1 on the diagonal where a direction keeps its own room, off
        it what two directions share.
        """
        return self.projection @ self.projection.T

    def __str__(self) -> str:
        return (
            f"{len(self.labels)} directions in {self.d_model} dimensions: "
            f"{self.accuracy:.2%} of positions right (loss {self.loss:.3g}, seed {self.seed})"
        )


def superpose(
    compiled: Compiled,
    d_model: int,
    seed: int = 0,
    steps: int = STEPS,
    progress: bool = True,
) -> Superposed:
    """Learn the map into `d_model` dimensions: the squeezed stream, read back, shall be what the
    compiled one is before every layer, and so shall the logits.

    Raises ValueError where d_model is not from 1 to the compiled model's.
    """
    full = compiled.weights.W_E.shape[1]
    if isinstance(d_model, bool) or not isinstance(d_model, int) or not 1 <= d_model <= full:
        raise ValueError(f"d_model is {d_model!r}; it can be 1 to {full}, what the model has")
    rng = stream(seed, "superposition")
    weights, scale = _even(compiled, rng)
    projection, loss = _learned(weights, d_model, compiled, rng, steps, progress)
    squeezed = _squeezed(compiled, projection, scale)
    labels = tuple(d.label for d in compiled.layout.directions)
    accuracy = _accuracy(squeezed, rng)
    return Superposed(squeezed, projection, labels, accuracy, loss, seed)


def superpose_curve(
    compiled: Compiled, sizes: Iterable[int] | None = None, seed: int = 0, steps: int = STEPS
) -> list[Superposed]:
    """`superpose` for several sizes, by default all from d_model down to 1."""
    full = compiled.weights.W_E.shape[1]
    return [superpose(compiled, k, seed, steps) for k in sizes or range(full, 0, -1)]


def _even(compiled: Compiled, rng) -> tuple[Weights, np.ndarray]:
    """The weights over directions of one size, and the sizes: the largest value each takes."""
    largest = np.zeros(compiled.weights.W_E.shape[1])
    for ids in even_ids(compiled.domain, MEASURED, rng):
        stream = activations(compiled.weights, ids, compiled.domain.causal).stream
        largest = np.maximum(largest, np.abs(np.stack(stream)).max((0, 1, 2)))
    scale = np.where(largest > 0, largest, 1.0)
    arrays = compiled.weights.arrays()
    for name in READS:
        arrays[name] = scale[:, None] * arrays[name]
    for name in WRITES:
        arrays[name] = arrays[name] / scale
    return Weights(**arrays).map(lambda a: torch.tensor(a, dtype=torch.float32)), scale


def _learned(weights, size: int, compiled: Compiled, rng, steps: int, progress: bool):
    """W and its loss: the best seen from the principal directions of the stream onwards."""
    from rich.console import Console
    from rich.progress import Progress

    vocab, lengths = len(compiled.domain.vocab), compiled.domain.max_len
    kept = [torch.tensor(ids) for ids in even_ids(compiled.domain, BATCH, rng)]
    projection = _principal(weights, kept, compiled)[:, :size].clone().requires_grad_()
    adam = torch.optim.Adam([projection], lr=RATE)
    fall = torch.optim.lr_scheduler.CosineAnnealingLR(adam, max(1, steps))
    console = Console(file=sys.stderr)
    best, least = projection.detach().clone(), _mean_loss(weights, kept, compiled, projection)
    shown = progress and console.is_terminal
    with few_threads(size), Progress(console=console, disable=not shown) as bar:
        for step in bar.track(range(1, steps + 1), description=f"superpose into {size}"):
            ids = torch.tensor(rng.integers(0, vocab, (BATCH, int(rng.integers(1, lengths + 1)))))
            adam.zero_grad()
            _loss(weights, ids, compiled, projection).backward()
            torch.nn.utils.clip_grad_norm_([projection], 1.0)
            adam.step()
            fall.step()
            if step % EVAL_INTERVAL == 0:
                loss = _mean_loss(weights, kept, compiled, projection)
                if loss < least:
                    best, least = projection.detach().clone(), loss
    return best.double().numpy(), least


def _loss(weights, ids, compiled: Compiled, projection) -> torch.Tensor:
    """Squared distance of the squeezed states to the compiled ones, each relative to its size."""
    with torch.no_grad():
        wanted = _states(weights, ids, compiled, None)
    pairs = zip(_states(weights, ids, compiled, projection), wanted, strict=True)
    return sum(mse_loss(a, b) / (1e-6 + b.square().mean()) for a, b in pairs)


def _mean_loss(weights, batches, compiled: Compiled, projection) -> float:
    with torch.no_grad():
        losses = [float(_loss(weights, ids, compiled, projection)) for ids in batches]
    return sum(losses) / len(losses)


def _principal(weights, batches, compiled: Compiled) -> torch.Tensor:
    """Orthonormal [d_model, d_model]: the directions in which the stream is largest come first."""
    with torch.no_grad():
        states = [s for ids in batches for s in _states(weights, ids, compiled, None)[:-1]]
    points = torch.cat([s.flatten(0, 1) for s in states]).double()
    return torch.linalg.eigh(points.T @ points)[1].flip(1).float()


def _states(w: Weights, ids, compiled: Compiled, projection) -> list:
    """The stream before each layer and after the last, then the logits, over the original
    directions; squeezed through `projection` at every write where there is one.
    """
    squeeze = None if projection is None else (lambda x: x @ projection @ projection.T)
    states = activations(w, ids, compiled.domain.causal, squeeze)
    return [*states.stream, states.logits]


def _squeezed(compiled: Compiled, projection: np.ndarray, scale: np.ndarray) -> Compiled:
    """The compiled model over the squeezed stream, its scales undone."""
    read, write = projection * scale[:, None], projection / scale[:, None]
    arrays = {name: read.T @ getattr(compiled.weights, name) for name in READS}
    arrays |= {name: getattr(compiled.weights, name) @ write for name in WRITES}
    return replace(compiled, weights=replace(compiled.weights, **arrays))


def _accuracy(compiled: Compiled, rng) -> float:
    """Share of positions with the interpreter's value."""
    model, right, seen = compiled.to_model("cpu"), 0, 0
    for ids in even_ids(compiled.domain, MEASURED, rng):
        trace = evaluate_batch(compiled.program, ids, compiled.domain.vocab, compiled.domain.causal)
        got = model.codes(ids)
        same = same_values(trace.output.values, got.values)(trace.output.codes, got.codes)
        right, seen = right + int(same.sum()), seen + same.size
    return right / seen

"""A compiled model's residual stream squeezed into fewer dimensions.

A compiled model and a number of dimensions -> `superpose` -> Superposed: the same program with
squeezed weights, and how often it is right. One linear map W [direction, d_model] is learned:
whatever writes to the stream goes through W, whatever reads goes through W^T. The compiled weights
stay as they are. Directions of very different sizes are first scaled to one size, so that one map
can serve them all; the scales are undone in the squeezed weights.

Source: the superposition experiment of Lindner et al. 2023 (Tracr, arXiv:2301.05062).
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import mse_loss

from rasplab.base.arguments import COMPILED, FLAG, SEED, takes, whole
from rasplab.base.rng import stream
from rasplab.compiler.compiled import Compiled
from rasplab.compiler.transforms import READS, WRITES
from rasplab.model.threads import few_threads
from rasplab.program.inputs import even_ids
from rasplab.program.semantics import Semantics
from rasplab.transformer.forward import activations
from rasplab.transformer.weights import Weights

STEPS, BATCH, LEARNING_RATE = 1000, 256, 0.01
"""Steps of Adam, inputs per step, and the learning rate, which falls to 0 along a half cosine."""

EVAL_INTERVAL = 50
"""Steps between measurements of the loss on a fixed set of inputs; the best map is returned."""

ACCURACY_INPUTS = 2000
"""Inputs, each length alike often, on which scales and accuracy are measured."""

EPSILON = 1e-6
"""Added to the mean square of a state before dividing by it."""


@dataclass(frozen=True, eq=False)
class Superposed:
    """A compiled model in `d_model` residual dimensions.

    compiled    the same program with squeezed weights: to_model, verify and the rest work on it
    projection  W
    labels      what each direction of the original stream means
    accuracy    share of positions with the interpreter's value, on ACCURACY_INPUTS sampled inputs
    loss        the least that was measured: see `superpose`
    seed        of the batches
    """

    compiled: Compiled
    projection: Float[np.ndarray, "direction d_model"]
    labels: tuple[str, ...]
    accuracy: float
    loss: float
    seed: int

    @property
    def d_model(self) -> int:
        """How many dimensions are left."""
        return self.projection.shape[1]

    @property
    def overlap(self) -> Float[np.ndarray, "direction direction"]:
        """W W^T: off the diagonal what two directions share; on it 1 where one shares nothing."""
        return self.projection @ self.projection.T

    def __str__(self) -> str:
        return (
            f"{len(self.labels)} directions in {self.d_model} dimensions: "
            f"{self.accuracy:.2%} of positions right (loss {self.loss:.3g}, seed {self.seed})"
        )


@takes(compiled=COMPILED, d_model=whole(1), seed=SEED, steps=whole(0), progress=FLAG)
def superpose(
    compiled: Compiled,
    d_model: int,
    seed: int = 0,
    steps: int = STEPS,
    progress: bool = True,
) -> Superposed:
    """Learn the map into `d_model` dimensions that loses least of the stream and the logits.

    The loss is the mean square error of the squeezed states, read back over the original
    directions, against the compiled ones, relative to the mean square of those; summed over the
    stream before every layer, the stream after the last, and the logits.

    steps     of training, from the principal directions of the stream onwards
    progress  a bar on stderr where that is a terminal

    Raises ValueError where d_model is not from 1 to the compiled model's.
    """
    full = compiled.weights.W_E.shape[1]
    if isinstance(d_model, bool) or not isinstance(d_model, int) or not 1 <= d_model <= full:
        raise ValueError(f"d_model is {d_model!r}; it can be 1 to {full}, what the model has")
    rng = stream(seed, "superposition")
    scale = _scale(compiled, rng)
    even = _EvenModel(_even_weights(compiled, scale), compiled.domain.causal)
    projection, loss = _learned(even, d_model, compiled, rng, steps, progress)
    squeezed = _squeezed(compiled, projection, scale)
    labels = tuple(direction.label for direction in compiled.layout.directions)
    accuracy = _accuracy(squeezed, rng)
    return Superposed(squeezed, projection, labels, accuracy, loss, seed)


def superpose_curve(
    compiled: Compiled, sizes: Iterable[int] | None = None, seed: int = 0, steps: int = STEPS
) -> list[Superposed]:
    """`superpose` for several sizes, by default all from d_model down to 1."""
    full = compiled.weights.W_E.shape[1]
    return [superpose(compiled, k, seed, steps) for k in sizes or range(full, 0, -1)]


def _scale(compiled: Compiled, rng: np.random.Generator) -> np.ndarray:
    """The largest absolute value of each direction on sampled inputs [direction]; 1 for 0."""
    largest = np.zeros(compiled.weights.W_E.shape[1])
    for ids in even_ids(compiled.domain, ACCURACY_INPUTS, rng):
        states = activations(compiled.weights, ids, compiled.domain.causal).stream
        # [state, batch, pos, direction]
        largest = np.maximum(largest, np.abs(np.stack(states)).max((0, 1, 2)))
    return np.where(largest > 0, largest, 1.0)


def _even_weights(compiled: Compiled, scale: np.ndarray) -> Weights[Tensor]:
    """The weights over directions that all have size 1, in float32."""
    # x = scale * even: what reads x reads even through scale * W, what writes x writes W / scale,
    # so every activation but the stream itself is unchanged.
    arrays = compiled.weights.arrays()
    for name in READS:
        arrays[name] = scale[:, None] * arrays[name]
    for name in WRITES:
        arrays[name] = arrays[name] / scale
    return Weights(**arrays).map(lambda array: torch.tensor(array, dtype=torch.float32))


@dataclass(frozen=True, eq=False)
class _EvenModel:
    """Weights over directions of one size, which a projection squeezes."""

    weights: Weights[Tensor]
    causal: bool

    def states(self, ids: Tensor, projection: Tensor | None = None) -> list[Tensor]:
        """The stream before each layer and after the last, then the logits.

        projection  [direction, d_model]; what is written goes through it and back, so that states
                    are over the original directions. None: as compiled
        """

        def squeeze(written: Tensor) -> Tensor:
            assert projection is not None
            return written @ projection @ projection.T

        write = None if projection is None else squeeze
        run = activations(self.weights, ids, self.causal, write)
        return [*run.stream, run.logits]

    def loss(self, ids: Tensor, projection: Tensor) -> Tensor:
        """The loss of `superpose` on inputs of one length."""
        with torch.no_grad():
            expected = self.states(ids)
        pairs = zip(self.states(ids, projection), expected, strict=True)
        errors = [mse_loss(a, b) / (EPSILON + b.square().mean()) for a, b in pairs]
        return sum(errors[1:], errors[0])

    @torch.no_grad()
    def mean_loss(self, batches: Sequence[Tensor], projection: Tensor) -> float:
        """The mean of the losses of the batches."""
        return sum(float(self.loss(ids, projection)) for ids in batches) / len(batches)

    @torch.no_grad()
    def principal(self, batches: Sequence[Tensor]) -> Tensor:
        """Orthonormal [direction, direction]: columns in which the stream is largest come first."""
        states = [state for ids in batches for state in self.states(ids)[:-1]]
        # eigh sorts eigenvalues upwards; in float64, as small ones decide the last columns
        points = torch.cat([state.flatten(0, 1) for state in states]).double()
        return torch.linalg.eigh(points.T @ points)[1].flip(1).float()


def _learned(
    even: _EvenModel,
    d_model: int,
    compiled: Compiled,
    rng: np.random.Generator,
    steps: int,
    progress: bool,
) -> tuple[np.ndarray, float]:
    """The map with the least loss on a fixed set of inputs, and that loss."""
    from rich.console import Console
    from rich.progress import Progress

    vocab, longest = len(compiled.domain.vocab), compiled.domain.max_len
    fixed = [torch.tensor(ids) for ids in even_ids(compiled.domain, BATCH, rng)]
    projection = even.principal(fixed)[:, :d_model].clone().requires_grad_()
    adam = torch.optim.Adam([projection], lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, max(1, steps))
    console = Console(file=sys.stderr)
    # The start is a candidate too: a map that training makes worse is never returned.
    best, least = projection.detach().clone(), even.mean_loss(fixed, projection)
    hidden = not (progress and console.is_terminal)
    with few_threads(d_model), Progress(console=console, disable=hidden) as bar:
        for step in bar.track(range(1, steps + 1), description=f"superpose into {d_model}"):
            ids = torch.tensor(rng.integers(0, vocab, (BATCH, int(rng.integers(1, longest + 1)))))
            adam.zero_grad()
            even.loss(ids, projection).backward()
            torch.nn.utils.clip_grad_norm_([projection], 1.0)
            adam.step()
            schedule.step()
            if step % EVAL_INTERVAL:
                continue
            loss = even.mean_loss(fixed, projection)
            if loss < least:
                best, least = projection.detach().clone(), loss
    return best.double().numpy(), least


def _squeezed(compiled: Compiled, projection: np.ndarray, scale: np.ndarray) -> Compiled:
    """The compiled model over the squeezed stream, its scales undone."""
    # stream x, squeezed s: s = (x / scale) @ W, and x is read back as scale * (W @ s)
    read, write = projection * scale[:, None], projection / scale[:, None]
    arrays = {name: read.T @ getattr(compiled.weights, name) for name in READS}
    arrays |= {name: getattr(compiled.weights, name) @ write for name in WRITES}
    return replace(compiled, weights=replace(compiled.weights, **arrays))


def _accuracy(compiled: Compiled, rng: np.random.Generator) -> float:
    """The share of positions with the interpreter's value, on sampled inputs."""
    model, semantics = compiled.to_model("cpu"), Semantics(compiled.program, compiled.domain)
    right = total = 0
    for ids in even_ids(compiled.domain, ACCURACY_INPUTS, rng):
        equal = Semantics.compare(semantics.evaluate(ids), model.codes(ids))
        right, total = right + int(equal.sum()), total + equal.size
    return right / total

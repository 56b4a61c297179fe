"""Training: a recipe in, a small transformer out that gives the interpreter's answers.

`train` (by name) -> `trained` (a Recipe) -> `fit` (a Recipe and its Task) -> `TrainingRun`, which
takes one AdamW step at a time, measures and writes checkpoints. Losses and accuracies are means
over positions that exist; accuracies are shares from 0 to 1.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import cross_entropy

from rasplab.base.arguments import FLAG, PATH, TEXT, optional, takes
from rasplab.base.atomic import writable
from rasplab.base.errors import RaspError, RaspValueError
from rasplab.base.rng import stream
from rasplab.model.bridge import LensModel, plain_parameters, require_numbers
from rasplab.model.checkpoint import require_place, save_model
from rasplab.model.native import fresh_model
from rasplab.model.recipe import Recipe, Trained
from rasplab.model.recipe import recipe as recipe_of
from rasplab.model.threads import few_threads
from rasplab.model.training_state import drop_state, load_state, save_state
from rasplab.study.tasks.tasks import Examples, Task
from rasplab.study.tasks.tasks import task as task_of
from rasplab.study.training.supervise import (
    attention_loss,
    expected_patterns,
    recorded_patterns,
    targets_of,
)
from rasplab.transformer.readout import Readout

TRAINING_INPUTS = 60_000
"""Training examples drawn once; batches are drawn from them."""

HELD_OUT_INPUTS = 3_000
"""Held-out inputs to measure on, before equal ones are dropped."""

MAX_LOSS = 5.0
"""In nats: a loss above this plus twice that of a uniform guess has diverged."""

EVAL_INTERVAL = 100
"""Steps between measurements; each also writes a checkpoint."""


@takes(name=TEXT, out=optional(PATH), device=TEXT, progress=FLAG, force=FLAG)
def train(
    name: str,
    seed: int = 0,
    out: str | Path | None = None,
    device: str = "auto",
    progress: bool = True,
    force: bool = False,
    **changes: object,
) -> LensModel:
    """Train a model on the zoo program `name` until it reaches the recipe's held-out accuracy.

    out       a folder for checkpoints: written at each measurement, whole or not at all; a stopped
              run of the same recipe goes on from there and ends as if it had not been stopped
    progress  a bar on stderr with loss and accuracy
    force     begin anew, and replace a model of another task or kind that `out` holds
    changes   fields of Recipe: layers, heads, d_model, d_mlp, norm, act, steps, vocab, max_len,
              train_len, supervise, inputs, lr, ...

    Raises RaspNameError for an unknown task or selector, RaspValueError for sizes that do not
    fit together, FileError for a folder that cannot be written or holds another model or run,
    RaspError when training diverges.
    """
    try:
        recipe = recipe_of(name, seed=seed, **changes)
    except ValueError as error:
        raise RaspValueError(str(error)) from None
    return trained(recipe, out, device, progress, force)


def trained(
    recipe: Recipe,
    out: str | Path | None = None,
    device: str = "auto",
    progress: bool = True,
    force: bool = False,
) -> LensModel:
    """`train` for a recipe at hand."""
    task = task_of(recipe.program(), recipe.domain, recipe.inputs)
    name = f"{recipe.task} seed {recipe.seed}" if recipe.seed else recipe.task
    with Bar(recipe.steps, name, progress) as bar, few_threads(recipe.d_model):
        return fit(recipe, task, out, device, bar.update, force)


def fit(
    recipe: Recipe,
    task: Task,
    out: str | Path | None = None,
    device: str = "auto",
    report: Callable[[int, float, float], None] = lambda step, loss, accuracy: None,
    force: bool = False,
) -> LensModel:
    """`train` for a task at hand.

    report  called after every step with step, loss and held-out accuracy, which is nan before the
            first measurement
    """
    if out is not None:
        require_place(Path(out), recipe, force)
    examples = task.sample(TRAINING_INPUTS, recipe.seed, lengths=recipe.trained_lengths)
    held_out = task.sample(HELD_OUT_INPUTS, recipe.seed, True, recipe.trained_lengths)
    run = TrainingRun(blank(recipe, task, device), recipe, task, examples, out)
    if out is not None:
        writable(Path(out))  # only now: a recipe that is refused leaves no folder
        if force:
            drop_state(Path(out))
    start = time.perf_counter() - run.resume()  # the seconds of earlier parts count
    while run.step < recipe.steps and not run.accuracy >= recipe.target:  # also true of nan
        loss = run.advance()
        if run.step % EVAL_INTERVAL == 0 or run.step == recipe.steps:
            run.measure(held_out, time.perf_counter() - start)
            run.save(force)
        report(run.step, loss, run.accuracy)
    if out is not None:
        drop_state(Path(out))
    run.model.lens.eval()
    return run.model


def blank(recipe: Recipe, task: Task, device: str = "auto") -> LensModel:
    """The untrained model of a recipe, its weights drawn with the recipe's seed."""
    model = fresh_model(
        recipe.domain,
        Readout(task.classes),
        recipe.layers,
        recipe.heads,
        recipe.d_model,
        recipe.d_mlp,
        recipe.seed,
        recipe.norm,
        recipe.act,
        device,
    )
    return replace(model, recipe=recipe)


class TrainingRun:
    """AdamW on random batches, one step at a time.

    A function of the recipe alone, however often it is stopped and resumed: batches are drawn in
    order from one random stream, which `resume` advances to the step of the checkpoint.

    out  a folder for checkpoints, or None for none
    """

    def __init__(
        self,
        model: LensModel,
        recipe: Recipe,
        task: Task,
        examples: Examples,
        out: str | Path | None = None,
    ):
        self._out = None if out is None else Path(out)
        self.model, self.recipe, self.task, self.examples = model, recipe, task, examples
        self.step = 0
        self._losses: list[float] = []
        self._targets = targets_of(model, task.program, recipe.supervise)
        self._parameters = list(plain_parameters(model.lens).values())
        # beta2 = 0.98 as in Vaswani et al. 2017: the
        # second moment follows the gradients of 50 steps
        self._optimizer = torch.optim.AdamW(
            self._parameters, lr=recipe.lr, weight_decay=recipe.weight_decay, betas=(0.9, 0.98)
        )
        self._rng = stream(recipe.seed, "training batches")
        model.lens.train()

    @property
    def accuracy(self) -> float:
        """Held-out accuracy at the last measurement; nan before the first."""
        return self.model.trained.held_out if self.model.trained else math.nan

    def advance(self) -> float:
        """Take one step; the loss before it, in nats.

        Raises RaspError when the loss is nan, or far above that of an untrained model.
        """
        factor = lr_schedule(self.step, self.recipe.steps, self.recipe.warmup)
        for group in self._optimizer.param_groups:
            group["lr"] = self.recipe.lr * factor
        self.step += 1
        loss = self._loss(self._batch())
        self._optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._parameters, self.recipe.clip)
        self._optimizer.step()
        self._losses.append(loss.item())
        # log(classes) is the loss of a uniform guess; `not <` also catches nan
        if not loss.item() < MAX_LOSS + 2 * math.log(len(self.task.classes)):
            raise self._diverged(f"the loss is {loss.item():.3g}")
        return loss.item()

    def _batch(self) -> Examples:
        return self.examples.take(self._rng.integers(0, len(self.examples), self.recipe.batch))

    def _loss(self, batch: Examples) -> Tensor:
        if not self._targets:
            return loss_on(self.model, batch)
        with recorded_patterns(self.model, self._targets) as patterns:
            loss = loss_on(self.model, batch)
        expected = expected_patterns(self.task, batch, self._targets).to(self.model.device)
        return loss + attention_loss(patterns, expected, self._targets)

    def _diverged(self, why: str) -> RaspError:
        saved = self.model.trained if self._out else None
        return RaspError(
            f"training of {self.recipe.task} diverged at step {self.step}: {why}",
            hint="lower lr, or lengthen warmup"
            + (f"; the model of step {saved.step} is kept in {self._out}" if saved else ""),
        )

    def measure(self, held_out: Examples, seconds: float) -> None:
        """Note the accuracy on held-out examples, and the mean loss since the last measurement.

        seconds  trained so far, in all

        Raises RaspError where a weight is nan or infinite.
        """
        try:
            require_numbers(self.model)
        except RaspValueError as error:
            raise self._diverged(error.message) from None
        accuracy = accuracy_on(self.model, held_out)
        # models are frozen: every measurement makes a new one over the same parameters
        earlier = self.model.trained.curve if self.model.trained else ()
        curve = (*earlier, (self.step, float(np.mean(self._losses)), accuracy))
        self.model = replace(self.model, trained=Trained(self.step, accuracy, seconds, curve))
        self._losses = []

    def save(self, force: bool = False) -> None:
        """Write a checkpoint, and the state that it takes to go on from it.

        force  as in `train`
        """
        if self._out is not None:
            save_model(self.model, self._out, force)
            save_state(self._out, self.model, self._optimizer, self.recipe)

    def resume(self) -> float:
        """Go on from the state in the folder, if there is one; the seconds trained so far."""
        if self._out is None:
            return 0.0
        progress = load_state(self._out, self.model, self._optimizer, self.recipe)
        if progress is None:
            return 0.0
        for _ in range(progress.step):  # the batches of the steps that are done
            self._rng.integers(0, len(self.examples), self.recipe.batch)
        self.step, self.model = progress.step, replace(self.model, trained=progress)
        return progress.seconds


def lr_schedule(step: int, steps: int, warmup: int) -> float:
    """The learning rate's factor at a step (from 0): linear warm-up to 1, then a cosine to 0.1."""
    if step < warmup:
        return (step + 1) / warmup
    progress = (step - warmup) / max(1, steps - warmup)
    return 0.1 + 0.9 * (1 + math.cos(math.pi * progress)) / 2


def accuracy_by_length(
    model: LensModel, task: Task, n: int = 3000, seed: int = 0
) -> dict[int, float]:
    """Held-out accuracy on inputs of each length, also of those beyond the trained lengths.

    n  held-out inputs over all lengths, before equal ones are dropped

    A length none of whose inputs is held out is left out.
    """
    accuracies = {}
    for length in range(1, task.domain.max_len + 1):
        lengths = range(length, length + 1)
        examples = task.sample(max(1, n // task.domain.max_len), seed, True, lengths)
        if (examples.answers >= 0).any():
            accuracies[length] = accuracy_on(model, examples)
    return accuracies


def loss_on(model: LensModel, batch: Examples) -> Float[Tensor, ""]:
    """Mean cross-entropy over the positions that exist, in nats, with gradients."""
    answers = torch.from_numpy(batch.answers).to(model.device)
    return cross_entropy(logits_on(model, batch).flatten(0, 1), answers.flatten())


def logits_on(model: LensModel, batch: Examples) -> Float[Tensor, "batch pos d_vocab_out"]:
    """Logits of inputs of mixed lengths, BOS dropped: no query sees keys after its input's end."""
    exists = np.arange(batch.ids.shape[1] + 1) <= batch.lengths[:, None]  # BOS is position 0
    mask = torch.from_numpy(exists.astype(np.int64)).to(model.device)
    return model.lens(model.lens_ids(batch.ids), attention_mask=mask)[:, 1:]


@torch.no_grad()
def accuracy_on(model: LensModel, examples: Examples, rows: int = 2048) -> float:
    """The share of existing positions that the model answers right; `rows` inputs at a time."""
    right = total = 0
    for start in range(0, len(examples), rows):
        batch = examples.take(np.arange(start, min(start + rows, len(examples))))
        exists = batch.answers >= 0
        predictions = logits_on(model, batch).argmax(-1).cpu().numpy()
        right += int((predictions == batch.answers)[exists].sum())
        total += int(exists.sum())
    return right / total


class Bar:
    """A progress bar on stderr; plain lines where stderr is no terminal."""

    def __init__(self, steps: int, name: str, shown: bool):
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self._console = Console(file=sys.stderr)
        self._shown, self._steps, self._name = shown, steps, name
        columns = [
            TextColumn(f"train {name}"),
            BarColumn(),
            TextColumn("{task.fields[note]}"),
            TimeRemainingColumn(),
        ]
        self._bar = Progress(
            *columns, console=self._console, disable=not (shown and self._console.is_terminal)
        )
        self._task = self._bar.add_task(name, total=steps, note="")

    def __enter__(self) -> Bar:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def update(self, step: int, loss: float, accuracy: float) -> None:
        """Show step, loss and, once it is measured, held-out accuracy."""
        held_out = "" if math.isnan(accuracy) else f"  held-out {accuracy:.4f}"
        note = f"step {step}/{self._steps}  loss {loss:.4f}{held_out}"
        self._bar.update(self._task, completed=step, note=note)
        if self._shown and not self._console.is_terminal and step % (5 * EVAL_INTERVAL) == 0:
            print(f"train {self._name}: {note}", file=sys.stderr, flush=True)

"""Training small TransformerLens models on what the interpreter answers."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from rasplab.base.atomic import writable
from rasplab.base.errors import RaspError, RaspValueError
from rasplab.model.bridge import LensModel, fresh_model, plain_parameters, require_numbers
from rasplab.model.checkpoint import save_model
from rasplab.model.recipe import Recipe, Trained, recipe
from rasplab.model.resume import drop_state, load_state, save_state
from rasplab.model.threads import few_threads
from rasplab.study.tasks.tasks import Examples, Task, task
from rasplab.study.training.supervise import attention_loss, kept_patterns, targets, wanted_patterns
from rasplab.transformer.readout import Readout

POOL = 60_000
"""Training examples drawn once; batches are drawn from them."""

HELD_OUT_INPUTS = 3_000
"""Held-out inputs to measure on, before equal ones are dropped."""

WORST = 5.0
"""A loss beyond this, and twice that of a guess, has diverged."""

EVAL_INTERVAL = 100
"""Steps between measurements; each also writes a checkpoint."""


def train(
    name: str,
    seed: int = 0,
    out: str | Path | None = None,
    device: str = "auto",
    progress: bool = True,
    **changes: object,
) -> LensModel:
    """A model trained on the zoo program `name`, until its held-out accuracy reaches the recipe's
    target.

    out       a folder for checkpoints: written at each measurement, whole or not at all; a run of
              the same recipe that was stopped there goes on, and ends as if it had not been
    progress  a bar on stderr with loss and accuracy
    changes   fields of Recipe: layers, heads, d_model, d_mlp, norm, act, steps, vocab, max_len,
              train_len, supervise, inputs, lr, ...
    Raises RaspNameError for an unknown task or selector, RaspValueError for sizes that cannot be,
    FileError for a folder that cannot be written or holds another run that was stopped, RaspError
    when training diverges.
    """
    try:
        wanted = recipe(name, seed=seed, **changes)
    except ValueError as error:
        raise RaspValueError(str(error)) from None
    return trained(wanted, out, device, progress)


def trained(
    wanted: Recipe, out: str | Path | None = None, device: str = "auto", progress: bool = True
) -> LensModel:
    """`train` for a recipe at hand."""
    todo = task(wanted.program(), wanted.domain, wanted.inputs)
    name = f"{wanted.task} seed {wanted.seed}" if wanted.seed else wanted.task
    with Bar(wanted.steps, name, progress) as bar, few_threads(wanted.d_model):
        return fit(wanted, todo, out, device, bar.update)


def fit(
    wanted: Recipe,
    todo: Task,
    out: str | Path | None = None,
    device: str = "auto",
    report: Callable[[int, float, float], None] = lambda step, loss, accuracy: None,
) -> LensModel:
    """`train` for a task at hand; `report` is called with step,
    loss and held-out accuracy (nan before the first)."""
    examples = todo.sample(POOL, wanted.seed, lengths=wanted.trained_lengths)
    unseen = todo.sample(HELD_OUT_INPUTS, wanted.seed, True, wanted.trained_lengths)
    run = TrainingRun(blank(wanted, todo, device), wanted, todo, examples, out)
    if out is not None:
        writable(Path(out))  # made only once nothing is wrong with the recipe
    start = time.perf_counter() - run.resume()
    while run.step < wanted.steps and not run.accuracy >= wanted.target:  # nan at first
        loss = run.advance()
        if run.step % EVAL_INTERVAL == 0 or run.step == wanted.steps:
            run.measure(unseen, time.perf_counter() - start)
            run.save()
        report(run.step, loss, run.accuracy)
    if out is not None:
        drop_state(Path(out))
    run.model.lens.eval()
    return run.model


def blank(wanted: Recipe, todo: Task, device: str = "auto") -> LensModel:
    """The untrained model of a recipe."""
    model = fresh_model(
        wanted.domain, Readout(todo.classes), wanted.layers, wanted.heads,
        wanted.d_model, wanted.d_mlp, wanted.seed, wanted.norm, wanted.act, device,
    )  # fmt: skip
    return replace(model, recipe=wanted)


class TrainingRun:
    """AdamW on random batches, one step at a time; a function of the recipe alone, however often
    it is stopped and resumed. `out` is a folder for checkpoints, or None for none."""

    def __init__(
        self, model: LensModel, wanted: Recipe, todo: Task, examples: Examples,
        out: str | Path | None = None,
    ):  # fmt: skip
        self._out = None if out is None else Path(out)
        self.model, self.wanted, self.todo, self.examples = model, wanted, todo, examples
        self.step, self._losses = 0, []
        self._targets = targets(model, todo.program, wanted.supervise)
        self._parameters = list(plain_parameters(model.lens).values())
        self._optimizer = torch.optim.AdamW(
            self._parameters, lr=wanted.lr, weight_decay=wanted.weight_decay, betas=(0.9, 0.98)
        )
        self._rng = np.random.default_rng((wanted.seed, 2))
        model.lens.train()

    @property
    def accuracy(self) -> float:
        """Held-out, as last measured; nan before."""
        return self.model.trained.held_out if self.model.trained else math.nan

    def advance(self) -> float:
        """One step; the loss before it. Raises RaspError when that is no number any more, or far
        above where it began."""
        for group in self._optimizer.param_groups:
            group["lr"] = self.wanted.lr * lr_schedule(self.step, self.wanted)
        self.step += 1
        loss = self._loss(self._batch())
        self._optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._parameters, self.wanted.clip)
        self._optimizer.step()
        self._losses.append(loss.item())
        if not loss.item() < WORST + 2 * math.log(len(self.todo.classes)):
            raise self._diverged(f"the loss is {loss.item():.3g}")
        return loss.item()

    def _batch(self) -> Examples:
        return self.examples.take(self._rng.integers(0, len(self.examples), self.wanted.batch))

    def _loss(self, batch: Examples) -> torch.Tensor:
        if not self._targets:
            return loss_on(self.model, batch)
        with kept_patterns(self.model, self._targets) as patterns:
            loss = loss_on(self.model, batch)
        rows = wanted_patterns(self.todo, batch, self._targets).to(self.model.device)
        return loss + attention_loss(patterns, rows, self._targets)

    def _diverged(self, why: str) -> RaspError:
        kept = self._out and self.model.trained
        return RaspError(
            f"training of {self.wanted.task} diverged at step {self.step}: {why}",
            hint="lower lr, or lengthen warmup"
            + (f"; the model of step {kept.step} is kept in {self._out}" if kept else ""),
        )

    def measure(self, unseen: Examples, seconds: float) -> None:
        """Note the accuracy on held-out examples. Raises RaspError where a weight is no number."""
        try:
            require_numbers(self.model)
        except RaspValueError as error:
            raise self._diverged(error.message) from None
        right = accuracy_on(self.model, unseen)
        came = self.model.trained or Trained(0, right, 0.0)
        curve = (*came.curve, (self.step, float(np.mean(self._losses)), right))
        self.model = replace(self.model, trained=Trained(self.step, right, seconds, curve))
        self._losses = []

    def save(self) -> None:
        """A checkpoint, and what it takes to go on from it."""
        if self._out is not None:
            save_model(self.model, self._out)
            save_state(self._out, self.model, self._optimizer, self.wanted)

    def resume(self) -> float:
        """Go on from the state in the folder, if there is one; the seconds trained so far."""
        if self._out is None:
            return 0.0
        came = load_state(self._out, self.model, self._optimizer, self.wanted)
        if came is None:
            return 0.0
        for _ in range(came.step):
            self._rng.integers(0, len(self.examples), self.wanted.batch)
        self.step, self.model = came.step, replace(self.model, trained=came)
        return came.seconds


def lr_schedule(step: int, wanted: Recipe) -> float:
    """The learning rate's factor: up in a line over `warmup` steps,
    then down a cosine to a tenth."""
    if step < wanted.warmup:
        return (step + 1) / wanted.warmup
    gone = (step - wanted.warmup) / max(1, wanted.steps - wanted.warmup)
    return 0.1 + 0.9 * (1 + math.cos(math.pi * gone)) / 2


def accuracy_by_length(
    model: LensModel, todo: Task, n: int = 3000, seed: int = 0
) -> dict[int, float]:
    """The share of positions right on held-out inputs of each length, those beyond the trained
    lengths too. A length none of whose inputs is held out is left out."""
    found = {}
    for length in range(1, todo.domain.max_len + 1):
        lengths = range(length, length + 1)
        examples = todo.sample(max(1, n // todo.domain.max_len), seed, True, lengths)
        if (examples.answers >= 0).any():
            found[length] = accuracy_on(model, examples)
    return found


def loss_on(model: LensModel, batch: Examples) -> torch.Tensor:
    """Mean cross-entropy over the positions that exist."""
    answers = torch.from_numpy(batch.answers).to(model.device)
    return cross_entropy(logits_on(model, batch).flatten(0, 1), answers.flatten())


def logits_on(model: LensModel, batch: Examples) -> torch.Tensor:
    """Logits [batch, pos, class] of mixed lengths: what lies after an input's end is masked as a
    key."""
    mask = np.arange(batch.ids.shape[1] + 1) <= batch.lengths[:, None]
    mask = torch.from_numpy(mask.astype(np.int64)).to(model.device)
    return model.lens(model.lens_ids(batch.ids), attention_mask=mask)[:, 1:]


@torch.no_grad()
def accuracy_on(model: LensModel, examples: Examples, rows: int = 2048) -> float:
    """The share of positions that the model gets right."""
    right = total = 0
    for start in range(0, len(examples), rows):
        batch = examples.take(np.arange(start, min(start + rows, len(examples))))
        real = batch.answers >= 0
        guesses = logits_on(model, batch).argmax(-1).cpu().numpy()
        right, total = right + int((guesses == batch.answers)[real].sum()), total + int(real.sum())
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
        """Show where training stands."""
        held_out = "" if math.isnan(accuracy) else f"  held-out {accuracy:.4f}"
        note = f"step {step}/{self._steps}  loss {loss:.4f}{held_out}"
        self._bar.update(self._task, completed=step, note=note)
        if self._shown and not self._console.is_terminal and step % (5 * EVAL_INTERVAL) == 0:
            print(f"train {self._name}: {note}", file=sys.stderr, flush=True)

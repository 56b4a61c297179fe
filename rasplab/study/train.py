"""Training small TransformerLens models on what the interpreter answers (floor 6)."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from rasplab.domain import Readout
from rasplab.errors import RaspError
from rasplab.model.lens import LensModel, fresh_model
from rasplab.model.recipe import Recipe, recipe
from rasplab.model.store import Trained, save_model
from rasplab.model.threads import few_threads
from rasplab.study.tasks import Examples, Task, task

POOL = 60_000
"""Training examples drawn once; batches are drawn from them."""

HELD_OUT_INPUTS = 3_000
"""Held-out inputs to measure on, before equal ones are dropped."""

EVERY = 100
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

    out       a folder for checkpoints: written at each measurement, whole or not at all;
              an interrupt leaves the last
    progress  a bar on stderr with loss and accuracy
    changes   fields of Recipe: layers, heads, d_model, d_mlp, steps, vocab, max_len, lr, ...
    Raises RaspNameError for an unknown task, RaspError when the loss is no number any more.
    """
    wanted = recipe(name, seed=seed, **changes)
    todo = task(wanted.program(), wanted.domain)
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
    model = blank(wanted, todo, device)
    examples = todo.sample(POOL, wanted.seed)
    unseen = todo.sample(HELD_OUT_INPUTS, wanted.seed, held_out=True)
    accuracy, start = math.nan, time.perf_counter()
    for step, loss in descend(model, wanted, examples):
        if step % EVERY == 0 or step == wanted.steps:
            accuracy = accuracy_on(model, unseen)
            model = replace(model, trained=Trained(step, accuracy, time.perf_counter() - start))
            if out is not None:
                save_model(model, out)
        report(step, loss, accuracy)
        if accuracy >= wanted.target:
            break
    return model


def blank(wanted: Recipe, todo: Task, device: str = "auto") -> LensModel:
    """The untrained model of a recipe."""
    model = fresh_model(
        wanted.domain, Readout(todo.classes), wanted.layers, wanted.heads,
        wanted.d_model, wanted.d_mlp, wanted.seed, wanted.norm, wanted.act, device,
    )  # fmt: skip
    return replace(model, recipe=wanted)


def descend(model: LensModel, wanted: Recipe, examples: Examples) -> Iterator[tuple[int, float]]:
    """AdamW on random batches: (step from 1, loss), with the model updated in place at each."""
    parameters = list(model.lens.parameters())
    optimizer = torch.optim.AdamW(
        parameters, lr=wanted.lr, weight_decay=wanted.weight_decay, betas=(0.9, 0.98)
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: pace(step, wanted))
    rng = np.random.default_rng((wanted.seed, 2))
    model.lens.train()
    for step in range(1, wanted.steps + 1):
        batch = examples.take(rng.integers(0, len(examples), wanted.batch))
        loss = loss_on(model, batch)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, wanted.clip)
        optimizer.step()
        schedule.step()
        if not math.isfinite(loss.item()):
            raise RaspError(
                f"training diverged at step {step}: the loss is {loss.item()}",
                hint="lower lr, or lengthen warmup; the last checkpoint is kept",
            )
        yield step, loss.item()
    model.lens.eval()


def pace(step: int, wanted: Recipe) -> float:
    """The learning rate's factor: up in a line over `warmup` steps,
    then down a cosine to a tenth."""
    if step < wanted.warmup:
        return (step + 1) / wanted.warmup
    gone = (step - wanted.warmup) / max(1, wanted.steps - wanted.warmup)
    return 0.1 + 0.9 * (1 + math.cos(math.pi * gone)) / 2


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
        if self._shown and not self._console.is_terminal and step % (5 * EVERY) == 0:
            print(f"train {self._name}: {note}", file=sys.stderr, flush=True)

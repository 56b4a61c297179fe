"""Attention supervision: heads are trained to attend as selectors of the program.

The RASP paper (Weiss, Goldberg & Yahav 2021, section 5) trains transformers to attend as its
programs select, to see whether the selectors suffice. Here the loss is the cross-entropy of a
head's rows against the selector's, spread evenly; a selector that is read by a selector_width
counts BOS as one key more, since a head can read a width only by comparison with something fixed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from rasplab.base.errors import RaspNameError, RaspValueError
from rasplab.model.bridge import LensModel, pattern_hook
from rasplab.model.interventions import attending
from rasplab.program.batch.evaluate import evaluate_batch
from rasplab.program.graph import Program, SelectorWidth, effective_selectors
from rasplab.study.tasks.tasks import Examples, Task
from rasplab.transformer.sites import Site


@dataclass(frozen=True, slots=True)
class Target:
    """A head and the selector it is to attend as; `counts` as in `attending`."""

    head: Site
    selector: int
    counts: bool


def targets(model: LensModel, program: Program, pairs: tuple[tuple[str, str], ...]) -> list[Target]:
    """The targets of a recipe's `supervise`.

    Raises RaspNameError for a selector that the program does not read, RaspValueError for a head
    that the model does not have.
    """
    return [
        Target(_head(model, head), selector, _counted(program, selector))
        for head, name in pairs
        for selector in [_selector(program, name)]
    ]


def _head(model: LensModel, text: str) -> Site:
    try:
        head = Site.parse(text)
    except ValueError:
        head = Site("unembed")
    if head.kind != "head" or head.layer >= model.n_layers or head.head >= model.n_heads:
        raise RaspValueError(
            f"there is no head {text!r} to supervise",
            hint=f"the model has {model.n_layers} layers of {model.n_heads} heads, from L0H0 on",
        )
    return head


def _selector(program: Program, name: str) -> int:
    known = {program.labels[i]: i for i in effective_selectors(program)}
    if name not in known:
        raise RaspNameError(
            f"the program reads no selector {name!r}", hint=f"it reads: {', '.join(known)}"
        )
    return known[name]


def _counted(program: Program, selector: int) -> bool:
    return any(isinstance(n, SelectorWidth) and n.selector == selector for n in program.nodes)


def wanted_patterns(todo: Task, batch: Examples, found: list[Target]) -> torch.Tensor:
    """The rows that heads are to attend with [target, batch, pos, pos + 1], BOS as key 0; all 0
    after an input's end."""
    n = batch.ids.shape[1]
    rows = np.zeros((len(found), len(batch), n, n + 1), np.float32)
    for length in np.unique(batch.lengths):
        of = np.flatnonzero(batch.lengths == length)
        domain = todo.domain
        trace = evaluate_batch(todo.program, batch.ids[of, :length], domain.vocab, domain.causal)
        for k, target in enumerate(found):
            selector = np.broadcast_to(trace.selector(target.selector), (len(of), length, length))
            put = attending(selector, target.counts)[:, 1:]
            rows[k, of, :length, : length + 1] = put
    return torch.from_numpy(rows)


def attention_loss(
    patterns: dict[int, torch.Tensor], wanted: torch.Tensor, found: list[Target]
) -> torch.Tensor:
    """Mean cross-entropy of the heads' rows against the wanted ones, over rows that exist.

    patterns  by layer [batch, head, query, key], with gradients
    """
    total = wanted.new_zeros(())
    for target, rows in zip(found, wanted, strict=True):
        shown = patterns[target.head.layer][:, target.head.head, 1:]
        total = total - (rows * torch.log(shown + 1e-9)).sum() / rows.sum()
    return total / len(found)


@contextmanager
def kept_patterns(model: LensModel, found: list[Target]) -> Iterator[dict[int, torch.Tensor]]:
    """Inside, every run of the model leaves the patterns of the targets' layers in the dict."""
    kept: dict[int, torch.Tensor] = {}

    def keep(layer: int):
        def hook(activation: torch.Tensor, hook: Any) -> None:
            kept[layer] = activation

        return hook

    layers = {t.head.layer for t in found}
    with model.lens.hooks(fwd_hooks=[(pattern_hook(n), keep(n)) for n in sorted(layers)]):
        yield kept

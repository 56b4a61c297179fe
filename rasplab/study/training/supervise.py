"""Attention supervision: a loss that makes heads attend as selectors of the program do.

The RASP paper (Weiss, Goldberg & Yahav 2021, section 5) trains transformers to attend as its
programs select, to see whether the selectors suffice. Here the loss is the cross-entropy of a
head's rows against the selector's, spread evenly over the selected keys.

A recipe's pairs of head and selector -> `targets_of` -> `expected_patterns` of a batch, and
`recorded_patterns` of the model's run on it -> `attention_loss`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from rasplab.base.errors import RaspNameError, RaspValueError
from rasplab.model.bridge import LensModel, pattern_hook
from rasplab.model.interventions import attending
from rasplab.program.graph import Program, SelectorWidth, effective_selectors
from rasplab.program.semantics import Semantics
from rasplab.study.tasks.tasks import Examples, Task
from rasplab.transformer.sites import Site

EPSILON = 1e-9
"""Added to probabilities before the logarithm."""


@dataclass(frozen=True, slots=True)
class Target:
    """A head, and the selector that it is trained to attend as.

    selector  its node in the program
    counts    as in `attending`: BOS is one key more of every row. Set where a selector_width reads
              the selector, since a head can read a width only by comparison with a fixed key
    """

    head: Site
    selector: int
    counts: bool


def targets_of(
    model: LensModel, program: Program, pairs: tuple[tuple[str, str], ...]
) -> list[Target]:
    """The targets of a recipe's `supervise`: pairs of a head ("L1H0") and a selector's name.

    Raises RaspNameError for a selector that the program does not read, RaspValueError for a head
    that the model does not have.
    """
    heads_and_selectors = [(_head(model, head), _selector(program, name)) for head, name in pairs]
    return [Target(head, node, _counted(program, node)) for head, node in heads_and_selectors]


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


def expected_patterns(
    task: Task, batch: Examples, targets: Sequence[Target]
) -> Float[Tensor, "target batch query key"]:
    """The rows that the targets' heads are trained to attend with.

    There are pos queries and pos + 1 keys: key 0 is BOS, which has no query here. Queries and keys
    after an input's end are 0.
    """
    n, semantics = batch.ids.shape[1], Semantics(task.program, task.domain)
    patterns = np.zeros((len(targets), len(batch), n, n + 1), np.float32)
    for length in np.unique(batch.lengths):
        rows = np.flatnonzero(batch.lengths == length)
        trace = semantics.evaluate(batch.ids[rows, :length])
        for k, target in enumerate(targets):
            # a selector of positions alone has no batch axis of its own
            shape = (len(rows), length, length)
            selector = np.broadcast_to(trace.selector(target.selector), shape)
            pattern = attending(selector, target.counts)
            patterns[k, rows, :length, : length + 1] = pattern[:, 1:]
    return torch.from_numpy(patterns)


def attention_loss(
    patterns: dict[int, Float[Tensor, "batch head key key"]],
    expected: Float[Tensor, "target batch query key"],
    targets: Sequence[Target],
) -> Float[Tensor, ""]:
    """Mean over targets of the cross-entropy of heads' rows against the expected ones, in nats.

    patterns  by layer, BOS as first query and key, with gradients

    Rows after an input's end are 0 in `expected`, and so count neither above nor below the line.
    """
    total = expected.new_zeros(())
    for target, rows in zip(targets, expected, strict=True):
        # query 0 is BOS, which no selector speaks of
        attended = patterns[target.head.layer][:, target.head.head, 1:]
        # rows of queries that exist sum to 1, so the sum of all is their number: a mean over these
        total = total - (rows * torch.log(attended + EPSILON)).sum() / rows.sum()
    return total / len(targets)


@contextmanager
def recorded_patterns(
    model: LensModel, targets: Sequence[Target]
) -> Iterator[dict[int, Float[Tensor, "batch head key key"]]]:
    """Inside, every run of the model leaves the patterns of the targets' layers in the dict."""
    patterns: dict[int, Tensor] = {}

    def recorder(layer: int) -> Callable[[Tensor, Any], None]:
        def record(pattern: Tensor, hook: Any) -> None:
            patterns[layer] = pattern

        return record

    layers = sorted({target.head.layer for target in targets})
    with model.lens.hooks(fwd_hooks=[(pattern_hook(n), recorder(n)) for n in layers]):
        yield patterns

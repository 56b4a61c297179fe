"""What must hold after every stage of the compiler: checked in the tests, as it costs time.

Switched on by the environment variable RASPLAB_CHECK_STAGES, or by setting `ENABLED`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import numpy as np

from rasplab.compiler.infer.value_sets import ValueSets
from rasplab.compiler.layout.place import Layout
from rasplab.compiler.lower.lower import Lowered
from rasplab.compiler.lower.residual import Direction, Head, LinearForm, Neuron
from rasplab.transformer.weights import Weights

ENABLED = bool(os.environ.get("RASPLAB_CHECK_STAGES"))
"""Whether `checked` checks."""

Result = TypeVar("Result")


class StageError(AssertionError):
    """A stage of the compiler gave a result that breaks its guarantee: a fault of the compiler."""


def checked(result: Result, *inputs: Any) -> Result:
    """The result of a stage, checked for what the stage guarantees if ENABLED.

    inputs  what else the check reads
    Raises StageError where the guarantee is broken.
    """
    if ENABLED:
        CHECKS[type(result)](result, *inputs)
    return result


def check_value_sets(value_sets: ValueSets) -> None:
    """After infer: every s-op has a value in every cell, or a range, and leaves that have one.

    A cell may be empty where the program may be illegal there, which is then among the doubts.
    """
    for i, label in enumerate(value_sets.program.labels):
        if value_sets.program.is_selector(i):
            continue
        leaves = value_sets.leaf_sets[i]
        known = {*value_sets.sets, *value_sets.ranges}
        _require(i in known and known.issuperset(leaves), f"{label!r} has no values")
        if i in value_sets.ranges:
            _require(value_sets.ranges[i].low <= value_sets.ranges[i].high, f"{label!r} is empty")
        else:
            listed = value_sets.sets[i]
            fits = listed.allowed.shape[1] == len(listed.values)
            fits &= listed.kind.shape == (value_sets.cells.count,)
            _require(fits, f"{label!r} has a table of the wrong shape")
            covered = bool(listed.allowed.any(1).all()) or bool(value_sets.doubts)
            _require(covered, f"{label!r} has no value in some cell")


def check_lowered(lowered: Lowered) -> None:
    """After lower: whatever is read was written before, by one site; the certificate holds."""
    stream = lowered.stream
    _check_directions(stream.directions, stream.heads, stream.neurons)
    # logits read the stream after everything was written
    _check_reads(stream.directions, lowered.logits, None)
    width = sum(readout.width for readout in lowered.readouts)
    _require(len(lowered.logits) == width, f"{len(lowered.logits)} logits for {width} classes")
    _require(lowered.certificate.holds, f"the certificate does not hold: {lowered.certificate}")


def check_layout(layout: Layout) -> None:
    """After place: as after lower, and every part has a place of its own, within the sizes."""
    heads = [head for _, _, head in layout.heads]
    neurons = [neuron for _, _, neuron in layout.neurons]
    _check_directions(layout.directions, heads, neurons)
    _check_reads(layout.directions, layout.read_out, None)
    for kind, parts, width in (
        ("heads", layout.heads, layout.n_heads),
        ("neurons", layout.neurons, layout.d_mlp),
    ):
        places = [(layer, i) for layer, i, _ in parts]
        _require(len(set(places)) == len(places), f"two {kind} share a place")
        inside = all(0 <= i < width and 0 <= k < layout.n_layers for k, i in places)
        _require(inside, f"{kind} lie outside the layers")
    for layer, _, head in layout.heads:
        _require(layer == (head.time - 1) // 2, f"head {head.label!r} is not in its layer")
        fits = max(len(head.pairs), len(head.outs)) <= layout.d_head
        _require(fits, f"head {head.label!r} is wider than d_head")
    for layer, _, neuron in layout.neurons:
        _require(layer == neuron.time // 2 - 1, "a neuron is not in its layer")
    _check_writers(layout)


def check_weights(weights: Weights, layout: Layout) -> None:
    """After assemble: arrays of the layout's sizes, all finite."""
    shape = weights.shape()
    for name in ("n_layers", "n_heads", "d_head", "d_model", "d_mlp"):
        size = getattr(layout, name)
        _require(shape[name] == size, f"{name} is {shape[name]}; the layout has {size}")
    _require(shape["d_vocab_out"] == len(layout.read_out), "W_U has not one column per logit")
    for name, array in weights.arrays().items():
        _require(bool(np.isfinite(array).all()), f"{name} is not finite")


CHECKS: dict[type, Callable[..., None]] = {
    ValueSets: check_value_sets,
    Lowered: check_lowered,
    Layout: check_layout,
    Weights: check_weights,
}
"""By the type of a stage's result."""


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise StageError(message)


def _check_directions(
    directions: Sequence[Direction], heads: Iterable[Head], neurons: Iterable[Neuron]
) -> None:
    """Each direction is written by its site, at its time; each part reads what stands before."""
    # of heads only: several neurons add up to one direction
    written: set[int] = set()
    for head in heads:
        _require(head.time % 2 == 1, f"head {head.label!r} is not at a half layer of heads")
        forms = [form for pair in head.pairs for form in pair] + [value for value, _ in head.outs]
        _check_reads(directions, forms, head.time)
        outs = [d for _, d in head.outs]
        _require(written.isdisjoint(outs), f"head {head.label!r} writes what another writes")
        _check_writes(directions, outs, "head", head.time)
        written.update(outs)
    for neuron in neurons:
        _require(neuron.time % 2 == 0, "a neuron is not at a half layer of neurons")
        _check_reads(directions, [neuron.pre], neuron.time)
        _check_writes(directions, neuron.outs, "mlp", neuron.time)
    for d, direction in enumerate(directions):
        _require(direction.site != "head" or d in written, f"{direction.label!r} has no writer")


def _check_reads(
    directions: Sequence[Direction], forms: Iterable[LinearForm], time: int | None
) -> None:
    """Forms read directions that exist and are written before `time` (None: the end)."""
    for d in (d for form in forms for d, _ in form.terms):
        _require(0 <= d < len(directions), f"direction {d} is read and does not exist")
        early = time is None or directions[d].time < time
        _require(early, f"{directions[d].label!r} is read before it is written")


def _check_writes(
    directions: Sequence[Direction], written: Iterable[int], site: str, time: int
) -> None:
    for d in written:
        _require(0 <= d < len(directions), f"direction {d} is written and does not exist")
        fits = directions[d].site == site and directions[d].time == time
        _require(fits, f"{directions[d].label!r} is written elsewhere than it says")


def _check_writers(layout: Layout) -> None:
    """`writers` names the site of every direction."""
    writers = {d: f"L{layer}H{i}" for layer, i, head in layout.heads for _, d in head.outs}
    writers |= {d: f"L{layer}M" for layer, _, n in layout.neurons for d in n.outs}
    _require(len(layout.writers) == len(layout.directions), "not one writer per direction")
    for d, site in enumerate(layout.writers):
        _require(writers.get(d, str(site)) == str(site), f"direction {d} is not written by {site}")

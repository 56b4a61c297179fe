"""Checks between the stages: each guarantee, broken on purpose, is noticed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import rasplab
from rasplab.compiler import stage_checks
from rasplab.compiler.infer.ranges import Range
from rasplab.compiler.infer.value_sets import infer
from rasplab.compiler.layout.assemble import assemble
from rasplab.compiler.layout.place import place
from rasplab.compiler.lower.lower import lower
from rasplab.compiler.lower.residual import LinearForm
from rasplab.compiler.pipeline import compile_program
from rasplab.compiler.stage_checks import StageError, checked
from rasplab.program.domain import Domain
from rasplab.transformer.sites import Site

DOMAIN = Domain(tuple("abc"), 4)
PROGRAM = rasplab.parse(
    """
    opposite = length - 1 - indices;
    reverse = aggregate(select(indices, opposite, ==), tokens, "-");
    """
)


@pytest.fixture
def value_sets():
    """What infer gives, made anew, as the tests break it."""
    return infer(PROGRAM, DOMAIN)


@pytest.fixture
def lowered(value_sets):
    """What lower gives."""
    return lower(value_sets, "compact")


@pytest.fixture
def layout(lowered):
    """What place gives."""
    return place(lowered)


def broken(result, *inputs) -> str:
    """The message of the check that fails."""
    with pytest.raises(StageError) as error:
        checked(result, *inputs)
    return str(error.value)


def later(layout, layers: int):
    """The layout with its heads some layers later than they are timed."""
    return replace(layout, heads=tuple((layer + layers, i, h) for layer, i, h in layout.heads))


def test_unbroken_results_pass(value_sets, lowered, layout):
    """Every check passes on what the stages give."""
    weights = assemble(layout, DOMAIN)
    assert checked(value_sets) is value_sets and checked(lowered) is lowered
    assert checked(layout) is layout and checked(weights, layout) is weights


def test_checks_are_off_by_default(monkeypatch, layout):
    """Without the flag nothing is checked, and a broken result passes."""
    monkeypatch.setattr(stage_checks, "ENABLED", False)
    assert checked(later(layout, 5)).n_layers == layout.n_layers


def test_compilation_checks_every_stage(monkeypatch):
    """compile_program checks the four results, each once."""
    kinds = []
    checks = {
        kind: lambda result, *inputs: kinds.append(type(result)) for kind in stage_checks.CHECKS
    }
    monkeypatch.setattr(stage_checks, "CHECKS", checks)
    compile_program(PROGRAM, DOMAIN)
    assert kinds == list(checks)


def test_value_sets_cover_every_cell(value_sets):
    """A missing set, an empty cell, an empty range."""
    output, length = PROGRAM.output, PROGRAM.id_of("opposite")
    full = value_sets.sets[output]
    value_sets.sets[output] = replace(full, allowed=np.zeros_like(full.allowed))
    assert broken(value_sets) == "'reverse' has no value in some cell"
    value_sets.sets[output] = replace(full, values=full.values[1:])
    assert broken(value_sets) == "'reverse' has a table of the wrong shape"
    value_sets.ranges[length] = Range.of_value(3).__add__(Range.of_value(1)).scaled(1)
    value_sets.ranges[length] = replace(
        value_sets.ranges[length], high=value_sets.ranges[length].low - 1
    )
    assert broken(value_sets) == "'opposite' is empty"
    del value_sets.ranges[length], value_sets.sets[length]
    assert broken(value_sets) == "'opposite' has no values"


def test_lowered_parts_read_what_is_written(lowered):
    """A form over a direction that does not exist, or that is written later."""
    stream = lowered.stream
    stream.heads[0].pairs.append((LinearForm.of(len(stream.directions)), LinearForm()))
    assert "does not exist" in broken(lowered)
    stream.heads[0].pairs[-1] = (LinearForm.of(len(stream.directions) - 1), LinearForm())
    assert "is read before it is written" in broken(lowered)


def test_lowered_directions_have_one_writer(lowered):
    """A direction that two heads write, or none; one that says another time; a time of neurons."""
    first, last = lowered.stream.heads[0], lowered.stream.heads[-1]
    outs = list(last.outs)
    last.outs.extend(first.outs)
    assert "writes what another writes" in broken(lowered)
    last.outs.clear()
    assert "has no writer" in broken(lowered)
    last.outs.extend(outs)
    last.time += 2
    assert "is written elsewhere than it says" in broken(lowered)
    last.time += 1
    assert "is not at a half layer of heads" in broken(lowered)


def test_lowered_logits_are_certified(lowered):
    """A logit too few, or an error above the tolerance."""
    assert "logits for" in broken(replace(lowered, logits=lowered.logits[1:]))
    uncertain = replace(lowered.certificate, error=lowered.certificate.gap)
    assert "does not hold" in broken(replace(lowered, certificate=uncertain))


def test_parts_have_places_of_their_own(layout):
    """Two neurons in one place, heads outside, in another layer, or too wide; a wrong writer."""
    (layer, k, neuron), *rest = layout.neurons
    assert broken(replace(layout, neurons=((layer, rest[0][1], neuron), *rest))) == (
        "two neurons share a place"
    )
    assert broken(replace(layout, n_heads=0)) == "heads lie outside the layers"
    assert "is not in its layer" in broken(replace(later(layout, 1), n_layers=3))
    assert "is wider than d_head" in broken(replace(layout, d_head=1))
    writers = (*layout.writers[:-1], Site("head", 0, 7))
    assert "is not written by L0H7" in broken(replace(layout, writers=writers))
    assert broken(replace(layout, writers=layout.writers[1:])) == "not one writer per direction"
    assert "does not exist" in broken(replace(layout, read_out=(LinearForm.of(99),)))


def test_weights_are_finite_and_of_the_layout(layout):
    """Arrays of another size, and a number that is not finite."""
    weights = assemble(layout, DOMAIN)
    wide = np.repeat(weights.W_in, 2, axis=-1)
    mlp = {"W_in": wide, "b_in": wide[:, 0], "W_out": wide.transpose(0, 2, 1)}
    assert "d_mlp is" in broken(replace(weights, **mlp), layout)
    assert "one column per logit" in broken(replace(weights, W_U=weights.W_U[:, 1:]), layout)
    weights.b_V[0] = np.nan
    assert broken(weights, layout) == "b_V is not finite"

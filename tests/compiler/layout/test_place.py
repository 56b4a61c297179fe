"""Layouts: sizes, and the order of writers and readers."""

from __future__ import annotations

import pytest
from support.generate import random_program
from support.graphs import LETTERS, graph, hist, reverse

from rasplab.base.errors import CompileError
from rasplab.compiler.pipeline import compile_program
from rasplab.program.domain import Domain


@pytest.mark.parametrize(
    ("make", "dense", "nonzero", "layers"),
    [(reverse, 3000, 600, 2), (hist, 2000, 350, 1)],
    ids=["reverse", "hist"],
)
def test_compact_models_are_small(make, dense, nonzero, layers):
    """At vocabulary 32 and length 32 reverse takes 2 layers, a thousandth of Tracr's weights."""
    compiled = compile_program(graph(make), Domain(LETTERS, 32))
    assert compiled.n_params <= dense
    assert compiled.nonzero_params <= nonzero
    assert compiled.weights.shape()["n_layers"] == layers


def test_every_direction_has_one_writer_before_its_readers():
    """Over random programs, no part reads what is written at the same time or later."""
    for seed in range(60):
        program, domain = random_program(seed)
        try:
            layout = compile_program(program, domain).layout
        except CompileError:
            continue
        for _, _, head in layout.heads:
            forms = [f for pair in head.pairs for f in pair] + [v for v, _ in head.outs]
            assert all(layout.directions[d].time < head.time for f in forms for d, _ in f.terms)
        for _, _, neuron in layout.neurons:
            assert all(layout.directions[d].time < neuron.time for d, _ in neuron.pre.terms)

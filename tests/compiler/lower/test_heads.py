"""Heads of compiled selectors."""

from __future__ import annotations

import numpy as np
from support.compiled import outputs
from support.graphs import graph, reverse

from rasplab.compiler.pipeline import compile_program
from rasplab.program.domain import Domain


def test_pattern_is_the_selector_normalised():
    """The head of reverse attends to the mirrored position with all of its weight."""
    compiled = compile_program(graph(reverse), Domain(("a", "b"), 5))
    layer, head, spec = compiled.layout.heads[-1]
    w, ids = compiled.weights, np.array([[0, 1, 1, 0]])
    assert outputs(compiled, ids[0]) == ["a", "b", "b", "a"]
    assert compiled.heads[layer, head].startswith("select(indices")
    assert len(spec.pairs) <= w.W_Q.shape[-1]

"""Heads of compiled selectors."""

from __future__ import annotations

import numpy as np
import pytest
from support.compiled import every_input, mismatches, outputs
from support.graphs import graph, reverse, sort

import rasplab
from rasplab.compiler.pipeline import compile_program
from rasplab.lang.loading import load
from rasplab.program.domain import Domain
from rasplab.program.zoo import entries


def test_pattern_is_the_selector_normalised():
    """The head of reverse attends to the mirrored position with all of its weight."""
    compiled = compile_program(graph(reverse), Domain(("a", "b"), 5))
    layer, head, spec = compiled.layout.heads[-1]
    w, ids = compiled.weights, np.array([[0, 1, 1, 0]])
    assert outputs(compiled, ids[0]) == ["a", "b", "b", "a"]
    assert compiled.heads[layer, head].startswith("select(indices")
    assert len(spec.pairs) <= w.W_Q.shape[-1]


def test_a_sum_of_parts_is_as_large_as_the_whole():
    """Two heads that never count the same key, each up to 64: their sum is 64, not 128, in size.

    With 128 the error of the neurons on the sum would be too large for float32.
    """
    compiled = compile_program(graph(sort), Domain(tuple(range(64)), 64))
    assert compiled.certificate.dtype == "float32"
    assert mismatches(compiled, compiled.domain.sample(200, 1)) == []


def test_an_equality_with_exact_keys_bears_a_query_that_is_off():
    """At 512 positions the length is off by 5e-4 in float32, and the mirrored position with it.

    Keys one further are 1 - 1e-3 of a gap lower still; multiplied by codes up to 256 one by one, as
    if key and query erred apart, the error would be a quarter of the gap and more.
    """
    compiled = compile_program(graph(reverse), Domain(("a", "b"), 512))
    assert compiled.certificate.dtype == "float32"
    assert compiled.layout.heads[-1][2].error < 2
    domain = compiled.domain
    ids = np.random.default_rng(1).integers(0, 2, 512)
    assert outputs(compiled, ids) == [domain.vocab[k] for k in ids[::-1]]


def test_a_count_of_counts_is_compared_without_its_error():
    """Ranks by frequency at 128 positions: counts off by 0.008 are compared as whole numbers.

    An equality multiplies the number by 128; neurons that give its square give itself, cleaned.
    """
    frequencies = entries()["sort_by_freq"]
    compiled = compile_program(load(frequencies.path), Domain(tuple("abcdefgh"), 128))
    assert compiled.certificate.share < 1e-6
    assert mismatches(compiled, compiled.domain.sample(100, 1)) == []


SELECTORS = {
    "empty rows": "select(indices, 9, ==)",
    "empty rows by an `and`": 'select(tokens, "a", ==) and select(tokens, "b", ==)',
    "empty rows by a join": "select(tokens, tokens, <=) and "
    "(select(tokens, tokens, >) or select(indices, 9, ==))",
    "empty rows by an `or`": 'select(indices, 9, ==) or select(tokens, "z", ==)',
    "full rows": "select(1, 1, ==)",
    "full rows by an `or`": "select(tokens, tokens, ==) or select(tokens, tokens, !=)",
    "full rows by a `not`": "not select(indices, 9, ==)",
    "constant rows": "select(indices, 1, ==)",
    "constant rows by tokens": 'select(tokens, "a", ==)',
    "constant keys": "select(1, indices, ==)",
    "a term that never selects": "select(tokens, tokens, ==) or select(indices, 9, ==)",
}
READERS = {
    "width": "selector_width({})",
    "mean": "aggregate({}, indices)",
    "default": "aggregate({}, indices, 7)",
    "single key": 'aggregate({} and select(indices, 0, ==), tokens, "-")',
}


@pytest.mark.parametrize("basis", ["compact", "one_hot"])
@pytest.mark.parametrize("selector", SELECTORS)
def test_empty_full_and_constant_rows_are_exact(selector, basis):
    """Whatever reads such a selector gets what the interpreter gives, on every input."""
    for causal in (False, True):
        for reader in READERS.values():
            program = rasplab.parse(f"r = {reader.format(f'({SELECTORS[selector]})')};")
            compiled = compile_program(program, Domain(("a", "b"), 3, causal), basis)
            assert not mismatches(compiled, every_input(compiled.domain)), reader

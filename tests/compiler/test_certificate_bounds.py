"""The certificate bounds the measured error of the read-out, in exact rationals."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from support.generate import random_program

import rasplab
from rasplab.base.errors import CompileError
from rasplab.compiler.pipeline import compile_program
from rasplab.program.domain import Domain
from rasplab.program.interpret.exact import evaluate
from rasplab.program.values import is_number, same_value
from rasplab.transformer.forward import activations


def measured(compiled, ids) -> Fraction:
    """The largest error of a number's logit, or of logits that are 1 or 0, on one input."""
    dtype = np.dtype(compiled.certificate.dtype)
    weights = compiled.weights.map(lambda array: array.astype(dtype))
    logits = activations(weights, np.array(ids)[None], compiled.domain.causal).logits[0, 1:]
    tokens = [compiled.domain.vocab[i] for i in ids]
    expected = evaluate(compiled.program, tokens, causal=compiled.domain.causal).output
    errors = [Fraction(0)]
    for row, value in zip(logits, expected, strict=True):
        if compiled.readout.number and is_number(value):
            errors.append(abs(Fraction(float(row[0])) - Fraction(value)))
        elif compiled.basis == "one_hot" and compiled.readout.width > 2:
            hot = [int(same_value(value, v)) for v in compiled.readout.classes]
            errors += [
                abs(Fraction(float(x)) - h) for x, h in zip(row, hot, strict=True) if sum(hot) == 1
            ]
    return max(errors)


def test_no_measured_error_of_a_class_exceeds_its_bound():
    """Generated programs, a direction per value, on sampled inputs."""
    compared = 0
    for seed in range(60):
        program, domain = random_program(seed)
        try:
            compiled = compile_program(program, domain, "one_hot")
        except CompileError:
            continue
        errors = [measured(compiled, ids) for ids in domain.sample(8, seed)]
        compared += any(errors)
        assert max(errors) <= Fraction(compiled.certificate.error), f"seed {seed}"
    assert compared > 5


NUMBERS = {
    "a mean": "r = aggregate(select(indices, indices, <=), tokens_int);",
    "a sum of means": (
        "m = aggregate(select(indices, indices, <=), tokens_int); r = 3 * m - indices / 7;"
    ),
    "a large mean": "r = 1000000 * aggregate(select(indices, indices, >=), tokens_int) + indices;",
}


@pytest.mark.parametrize("basis", ["compact", "one_hot"])
@pytest.mark.parametrize("kind", NUMBERS)
def test_no_measured_error_of_a_number_exceeds_its_bound(kind, basis):
    """Numbers of several scales on sampled inputs, in the dtype of the certificate."""
    domain = Domain((0, 1, 3, 10, 100, 1000, 99999), 6)
    compiled = compile_program(rasplab.parse(NUMBERS[kind]), domain, basis)
    assert compiled.readout.number
    errors = [measured(compiled, ids) for ids in domain.sample(40, 0)]
    assert any(errors) and max(errors) <= Fraction(compiled.certificate.error)

"""Whether a program is legal on every input, where its value sets leave that open."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from rasplab.base.errors import CompileError, RaspError
from rasplab.compiler.infer.value_sets import ValueSets
from rasplab.program.values import Atom

DOUBTED_INPUTS = 20_000
"""Inputs that are run where legality does not follow from the value sets."""


def check_legality(value_sets: ValueSets) -> str:
    """Refuse a program that fails on an input; how it is known that none does.

    "inferred" where no value set holds an illegal combination; else inputs are run: "run on every
    input" of a domain up to DOUBTED_INPUTS, or "run on a sample" of so many.
    Raises CompileError with an input on which the program fails, and the interpreter's reason.
    """
    if not value_sets.doubts:
        return "inferred"
    from rasplab.program.batch.evaluate import evaluate_batch
    from rasplab.program.inputs import all_ids, sampled_ids

    domain = value_sets.domain
    small = domain.size <= DOUBTED_INPUTS
    for ids in all_ids(domain) if small else sampled_ids(domain, DOUBTED_INPUTS, seed=0):
        faults = evaluate_batch(value_sets.program, ids, domain.vocab, domain.causal).faults
        if faults.any():
            _refuse_input(value_sets, [domain.vocab[k] for k in ids[faults.argmax()]])
    return "run on every input" if small else "run on a sample"


def _refuse_input(value_sets: ValueSets, tokens: Sequence[Atom]) -> NoReturn:
    """Raise the interpreter's fault on an input as a CompileError."""
    from rasplab.program.interpret.exact import evaluate

    try:
        evaluate(value_sets.program, tokens, causal=value_sets.domain.causal)
    except RaspError as error:
        raise CompileError(
            f"the program fails on the input {tokens!r}: {error.message}",
            error.span or value_sets.program.span(value_sets.doubts[0][0]),
            "make every input of the vocabulary legal, or compile for another vocabulary",
        ) from error
    raise AssertionError(f"the batched interpreter alone fails on {tokens}")

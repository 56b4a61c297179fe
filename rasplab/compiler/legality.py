"""Whether a program is legal on every input, where its value sets leave that open."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from rasplab.base.errors import CompileError, RaspError
from rasplab.compiler.infer.value_sets import ValueSets
from rasplab.program.inputs import all_ids, sampled_ids
from rasplab.program.semantics import Semantics
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
    domain = value_sets.domain
    semantics = Semantics(value_sets.program, domain)
    small = domain.size <= DOUBTED_INPUTS
    for ids in all_ids(domain) if small else sampled_ids(domain, DOUBTED_INPUTS, seed=0):
        faults = semantics.evaluate(ids).faults
        if faults.any():
            tokens = [domain.vocab[k] for k in ids[faults.argmax()]]
            _refuse_input(semantics, tokens, value_sets.doubts[0][0])
    return "run on every input" if small else "run on a sample"


def _refuse_input(semantics: Semantics, tokens: Sequence[Atom], doubted: int) -> NoReturn:
    """Raise the interpreter's fault on an input as a CompileError with a place."""
    try:
        semantics.interpret(tokens)
    except RaspError as error:
        raise CompileError(
            f"the program fails on the input {tokens!r}: {error.message}",
            error.span or semantics.program.span(doubted),
            "make every input of the vocabulary legal, or compile for another vocabulary",
        ) from error
    raise AssertionError(f"the batched interpreter alone fails on {tokens}")

"""Whether a program is legal on every input, where its value sets leave that open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from rasplab.base.errors import CompileError, RaspError
from rasplab.compiler.infer.value_sets import ValueSets
from rasplab.compiler.infer.values import is_finite
from rasplab.program.batch.evaluate import FAULT, BatchTrace, Column
from rasplab.program.inputs import all_ids, sampled_ids
from rasplab.program.semantics import Semantics
from rasplab.program.values import Atom

DOUBTED_INPUTS = 20_000
"""Inputs that are run where legality does not follow from the value sets."""


@dataclass(frozen=True, slots=True)
class Legality:
    """How it is known that a program fails on no input.

    reason  "inferred" where no value set holds an illegal combination; else inputs were run: "run
            on every input" of a domain up to DOUBTED_INPUTS, or "run on a sample" of so many
    total   whether a part that no output reads may fail on an input, so that the model needs some
            value there
    """

    reason: str
    total: bool


def check_legality(value_sets: ValueSets) -> Legality:
    """Refuse a program that fails on an input, or has a part there that no model can compute.

    Raises CompileError with an input on which the program fails, and the interpreter's reason.
    """
    if not value_sets.doubts:
        return Legality("inferred", total=False)
    if _is_inferred(value_sets):
        return Legality("inferred", total=value_sets.partial)
    domain, inside = value_sets.domain, False
    semantics = Semantics(value_sets.program, domain)
    small = domain.size <= DOUBTED_INPUTS
    for ids in all_ids(domain) if small else sampled_ids(domain, DOUBTED_INPUTS, seed=0):
        trace = semantics.evaluate(ids)
        if trace.faults.any():
            # argmax of bools: the first input with a fault
            tokens = [domain.vocab[k] for k in ids[trace.faults.argmax()]]
            _refuse_input(semantics, tokens, value_sets.doubts[0][0])
        _check_parts(value_sets, trace)
        inside = inside or _fails_inside(trace)
    # where only means are in doubt, and all that were seen exist, heads need not choose a key
    may_fail = value_sets.partial or bool(value_sets.unaveraged)
    if small:
        return Legality("run on every input", total=may_fail and inside)
    return Legality("run on a sample", total=value_sets.partial or (may_fail and inside))


def _is_inferred(value_sets: ValueSets) -> bool:
    """Whether every doubt is a function that fails where no output reads it."""
    others = value_sets.infinite | value_sets.unaveraged
    may_fail = value_sets.failing & {*value_sets.program.outputs}
    return not (value_sets.ill_kinded or others or may_fail)


def _fails_inside(trace: BatchTrace) -> bool:
    """Whether a part of the program fails on an input."""
    return any(FAULT in _occurring(column) for column in trace.columns.values())


def _occurring(column: Column) -> list[Any]:
    return [column.values[c] for c in np.unique(column.codes)]


def _check_parts(value_sets: ValueSets, trace: BatchTrace) -> None:
    """Refuse parts without a value that a model could hold, also where no output reads them."""
    program = value_sets.program
    for i in value_sets.infinite:
        values = _occurring(trace.columns[i])
        infinite = [v for v in values if v is not FAULT and not is_finite(v)]
        if infinite:
            raise CompileError(
                f"{program.labels[i]!r} has numbers on an input that no float holds",
                program.span(i),
                "keep the numbers below 10^308",
            )


def _refuse_input(semantics: Semantics, tokens: Sequence[Atom], doubted: int) -> NoReturn:
    """Raise the interpreter's fault on an input as a CompileError with a place."""
    try:
        semantics.interpret(tokens)
    except RaspError as error:
        raise CompileError(
            f"the program fails on the input {tokens!r}: {error.message}",
            error.span or semantics.program.span(doubted),
            error.hint or "make every input of the vocabulary legal, or use another vocabulary",
        ) from error
    raise AssertionError(f"the batched interpreter alone fails on {tokens}")

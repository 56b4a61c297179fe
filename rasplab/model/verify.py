"""verify: a model against the interpreter, on all inputs of its domain or on a seeded sample."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Integer

from rasplab.base.arguments import FUNCTION, MODEL, PROGRAM, SEED, optional, takes, whole
from rasplab.base.errors import RaspError, RaspValueError
from rasplab.model.bridge import LensModel
from rasplab.model.threads import few_threads, in_order
from rasplab.program.batch.columns import Column
from rasplab.program.batch.evaluate import BatchTrace
from rasplab.program.graph import Program
from rasplab.program.inputs import all_ids, sampled_ids
from rasplab.program.semantics import Semantics
from rasplab.program.values import Atom, Value
from rasplab.transformer.decode import row_values

SHRINK_INPUTS = 100_000
"""How many inputs are tried, shortest first, for a shorter counterexample than a sampled one."""


@dataclass(frozen=True, slots=True)
class Counterexample:
    """A shortest input on which the model and the interpreter disagree.

    expected  the interpreter's values, or None where it raises
    reason    why there is no expected value, else empty
    """

    input: tuple[Atom, ...]
    expected: tuple[Value, ...] | None
    got: tuple[Value, ...]
    reason: str = ""

    def __str__(self) -> str:
        expected = self.reason or f"expected {list(self.expected or ())}"
        return f"input {list(self.input)}: {expected}, got {list(self.got)}"

    def to_json(self) -> dict[str, Any]:
        """The fields as plain lists; `reason` only where there is one."""
        expected = None if self.expected is None else list(self.expected)
        row: dict[str, Any] = {
            "input": list(self.input),
            "expected": expected,
            "got": list(self.got),
        }
        return row | ({"reason": self.reason} if self.reason else {})


@dataclass(frozen=True, slots=True)
class Report:
    """The result of `verify`.

    checked         number of inputs compared
    mismatches      number of those with a wrong value at any position
    exhaustive      whether these were all inputs of the domain
    counterexample  a short mismatching input, or None
    seconds         wall time
    seed            of the sample; None when exhaustive
    """

    checked: int
    mismatches: int
    exhaustive: bool
    counterexample: Counterexample | None
    seconds: float
    seed: int | None
    device: str

    @property
    def ok(self) -> bool:
        """Whether no input was wrong."""
        return self.mismatches == 0

    def to_json(self) -> dict[str, Any]:
        """The fields as plain values."""
        wrong = self.counterexample
        return {
            "checked": self.checked,
            "mismatches": self.mismatches,
            "exhaustive": self.exhaustive,
            "counterexample": wrong.to_json() if wrong else None,
            "seconds": round(self.seconds, 3),
            "seed": self.seed,
            "device": self.device,
        }

    def __str__(self) -> str:
        which = "every input" if self.exhaustive else f"a sample, seed {self.seed}"
        text = f"{self.checked} inputs ({which}), {self.mismatches} mismatches"
        text += f", {self.seconds:.1f} s on {self.device}"
        return f"{text}\n  {self.counterexample}" if self.counterexample else text


@takes(
    model=MODEL,
    max_inputs=whole(1),
    seed=SEED,
    progress=optional(FUNCTION),
    program=optional(PROGRAM),
)
def verify(
    model: LensModel,
    max_inputs: int = 200_000,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
    program: Program | None = None,
) -> Report:
    """Compare a model with the interpreter on all inputs, or on a sample where they are too many.

    An input on which the interpreter raises counts as a mismatch.

    max_inputs  the largest domain that is checked exhaustively, and the size of a sample
    seed        of the sample, of which a quarter has the full length
    progress    called with (inputs done, inputs in all) after each batch
    program     what to compare with; by default what the model was compiled from or trained on

    Raises ValueError where the program is not known, TypeError where `program` is not a Program.
    """
    program = model.program if program is None else program
    if not isinstance(program, Program | None):
        raise TypeError(f"program is a Program, not {program!r}; rasplab.load reads one")
    if program is None:
        raise ValueError("this model does not know its program: pass program=")
    _require_outputs(model, program)
    start, domain = time.perf_counter(), model.domain
    semantics = Semantics(program, domain)
    exhaustive = domain.size <= max_inputs
    total = domain.size if exhaustive else max_inputs
    checked, mismatches, first = 0, 0, None
    batches = all_ids(domain) if exhaustive else sampled_ids(domain, max_inputs, seed)
    with few_threads(model.lens.cfg.d_model) as workers:
        for batch in in_order(partial(_compared, model, semantics), batches, workers):
            # inputs come shortest first, and `in_order` keeps that: an
            # exhaustive check ends with a shortest counterexample
            first = first or batch.counterexample
            checked, mismatches = checked + batch.inputs, mismatches + batch.mismatches
            if progress:
                progress(checked, total)
    if first and not exhaustive:
        first = shrink(model, semantics, first)
    seconds = time.perf_counter() - start
    sample_seed = None if exhaustive else seed
    return Report(checked, mismatches, exhaustive, first, seconds, sample_seed, str(model.device))


def _require_outputs(model: LensModel, program: Program) -> None:
    """Raise RaspValueError where a program has another number of outputs than the model."""
    outputs = 1 + len(model.further)
    if program is not model.program and len(program.outputs) != outputs:
        raise RaspValueError(
            f"the program has {len(program.outputs)} outputs, and the model {outputs}",
            hint="name as many: rasplab.parse(text, output=[...])",
        )


def shrink(
    model: LensModel, semantics: Semantics, counterexample: Counterexample
) -> Counterexample:
    """A shorter counterexample, if there is one.

    It is a shortest one where at most SHRINK_INPUTS inputs are shorter than it; else one from which
    no single token can be left out.
    """
    tried = 0
    for ids in all_ids(model.domain):
        tried += len(ids)
        if ids.shape[1] >= len(counterexample.input) or tried > SHRINK_INPUTS:
            break
        if shorter := _compared(model, semantics, ids).counterexample:
            return shorter
    while len(counterexample.input) > 1:
        row = np.array(model.domain.encode(counterexample.input))
        # every way to leave one token out, as one batch
        without = np.array([np.delete(row, i) for i in range(len(row))])
        shorter = _compared(model, semantics, without).counterexample
        if shorter is None:
            break
        counterexample = shorter
    return counterexample


@dataclass(frozen=True, slots=True)
class _Compared:
    """One batch: how many inputs it has, how many are wrong, and the first of those."""

    inputs: int
    mismatches: int
    counterexample: Counterexample | None


def _compared(
    model: LensModel, semantics: Semantics, ids: Integer[np.ndarray, "batch pos"]
) -> _Compared:
    trace = semantics.evaluate(ids)
    tables = model.all_codes(ids) if model.further else [model.codes(ids)]
    outputs = semantics.program.outputs[: len(tables)]
    right = [semantics.compare(trace, t, i) for t, i in zip(tables, outputs, strict=True)]
    wrong = np.logical_not(np.stack(right).all(-1))  # [output, batch]
    first, rows = None, np.flatnonzero(wrong.any(0))
    if len(rows):
        # the first output that is wrong on that input
        at = int(wrong[:, rows[0]].argmax())
        first = _counterexample(semantics, trace, tables[at], int(rows[0]), outputs[at])
    return _Compared(len(ids), len(rows), first)


def _counterexample(
    semantics: Semantics, trace: BatchTrace, table: Column, row: int, output: int
) -> Counterexample:
    tokens = tuple(trace.vocab[t] for t in trace.ids[row])
    got = tuple(row_values(table, row))
    if trace.faults[row]:
        return Counterexample(tokens, None, got, _reason(semantics, tokens))
    return Counterexample(tokens, tuple(row_values(trace[output], row)), got)


def _reason(semantics: Semantics, tokens: tuple[Atom, ...]) -> str:
    """Why the interpreter refuses an input."""
    try:
        semantics.interpret(tokens)
    except RaspError as error:
        return f"the interpreter refuses this input: {error.message}"
    raise AssertionError(f"only the batched interpreter refuses {tokens}")

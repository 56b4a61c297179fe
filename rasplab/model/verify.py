"""The model against the interpreter, on every input of its domain or on a seeded sample of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from rasplab.base.errors import RaspError
from rasplab.model.bridge import LensModel
from rasplab.model.threads import few_threads, in_order
from rasplab.program.batch.evaluate import FAULT, BatchTrace, evaluate_batch
from rasplab.program.graph import Program
from rasplab.program.inputs import all_ids, sampled_ids
from rasplab.program.values import Atom, Value
from rasplab.transformer.decode import CodeTable

SHRINK_INPUTS = 100_000
"""Inputs that are tried, shortest first, for a shorter counterexample than a sampled one."""

ROUNDING = 1e-9
"""Relative: a number readout decodes to a fraction, the interpreter rounds after each operation."""


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
        expected = self.reason or f"expected {list(self.expected)}"
        return f"input {list(self.input)}: {expected}, got {list(self.got)}"

    def to_json(self) -> dict:
        """Plain lists."""
        expected = None if self.expected is None else list(self.expected)
        row = {"input": list(self.input), "expected": expected, "got": list(self.got)}
        return row | ({"reason": self.reason} if self.reason else {})


@dataclass(frozen=True, slots=True)
class Report:
    """What `verify` found.

    checked         inputs compared
    mismatches      those of them with a wrong value at any position
    exhaustive      whether these were all inputs of the domain
    counterexample  a shortest mismatching one, or None
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

    def to_json(self) -> dict:
        """Everything, as plain values."""
        wrong = self.counterexample
        return {
            "checked": self.checked, "mismatches": self.mismatches, "exhaustive": self.exhaustive,
            "counterexample": wrong.to_json() if wrong else None, "seconds": round(self.seconds, 3),
            "seed": self.seed, "device": self.device,
        }  # fmt: skip

    def __str__(self) -> str:
        which = "every input" if self.exhaustive else f"a sample, seed {self.seed}"
        text = f"{self.checked} inputs ({which}), {self.mismatches} mismatches"
        text += f", {self.seconds:.1f} s on {self.device}"
        return f"{text}\n  {self.counterexample}" if self.counterexample else text


def verify(
    model: LensModel,
    max_inputs: int = 200_000,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
    program: Program | None = None,
) -> Report:
    """Compare the model with the interpreter: on all inputs if they are at most `max_inputs`,
    else on a sample.

    seed      of the sample: max_inputs random inputs, a quarter of them of the full length
    progress  called with (inputs done, inputs in all) after each batch
    program   what to compare with; by default what the model was compiled from or trained on
    An input on which the interpreter raises counts as a mismatch.
    """
    program = program or model.program
    if program is None:
        raise ValueError("this model does not say which program it computes: pass program=")
    start, domain = time.perf_counter(), model.domain
    exhaustive = domain.size <= max_inputs
    total = domain.size if exhaustive else max_inputs
    checked, mismatches, first = 0, 0, None
    batches = all_ids(domain) if exhaustive else sampled_ids(domain, max_inputs, seed)
    with few_threads(model.lens.cfg.d_model) as workers:
        for found in in_order(partial(_compared, model, program), batches, workers):
            first = first or found.counterexample
            checked, mismatches = checked + found.inputs, mismatches + found.mismatches
            if progress:
                progress(checked, total)
    if first and not exhaustive:
        first = shrink(model, program, first)
    seconds = time.perf_counter() - start
    return Report(
        checked,
        mismatches,
        exhaustive,
        first,
        seconds,
        None if exhaustive else seed,
        str(model.device),
    )


def shrink(model: LensModel, program: Program, found: Counterexample) -> Counterexample:
    """A shorter counterexample, if there is one: the shortest where the shorter inputs can all be
    tried (SHRINK_INPUTS of them), else one from which no single token can be left out.
    """
    tried = 0
    for ids in all_ids(model.domain):
        tried += len(ids)
        if ids.shape[1] >= len(found.input) or tried > SHRINK_INPUTS:
            break
        if shorter := _compared(model, program, ids).counterexample:
            return shorter
    while len(found.input) > 1:
        row = np.array(model.domain.encode(found.input))
        without = np.array([np.delete(row, i) for i in range(len(row))])
        shorter = _compared(model, program, without).counterexample
        if shorter is None:
            break
        found = shorter
    return found


@dataclass(frozen=True, slots=True)
class _Compared:
    """One batch: how many inputs it has, how many are wrong, and the first of those."""

    inputs: int
    mismatches: int
    counterexample: Counterexample | None


def _compared(model: LensModel, program: Program, ids: np.ndarray) -> _Compared:
    trace = evaluate_batch(program, ids, model.domain.vocab, model.domain.causal)
    tables = [model.codes(ids)] if not model.further else model.all_codes(ids)
    outputs = program.outputs[: len(tables)]
    wrong = np.array([wrong_inputs(trace, t, i) for t, i in zip(tables, outputs, strict=True)])
    first, rows = None, np.flatnonzero(wrong.any(0))
    if len(rows):
        at = int(wrong[:, rows[0]].argmax())
        first = _counterexample(trace, tables[at], int(rows[0]), outputs[at])
    return _Compared(len(ids), len(rows), first)


def wrong_inputs(trace: BatchTrace, got: CodeTable, output: int | None = None) -> np.ndarray:
    """bool [batch]: the inputs with a wrong value of `output` (a node; the program's own by
    default) at any position, or on which the interpreter raises."""
    expected = trace.output if output is None else trace[output]
    same = same_values(expected.values, got.values)
    return ~same(expected.codes, got.codes).all(-1) | trace.faults


def same_values(expected: tuple, got: tuple) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """A comparison of codes into the two tables: kinds must agree (True is not 1, but 2 is 2.0).

    Numbers may differ by ROUNDING: floats that differ in their last digits are read out as one.
    """
    known: dict[tuple, int] = {}
    left, right = (
        np.array([known.setdefault(_key(v), len(known)) for v in t] or [0]) for t in (expected, got)
    )
    low, high = _numbers(expected), _numbers(got)

    def close(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        gap = np.abs(low[a] - high[b])
        return (left[a] == right[b]) | (gap <= ROUNDING * np.maximum(1e-3, np.abs(low[a])))

    return close


def _key(value: Any) -> tuple:
    """Equal for values that count as the same."""
    if isinstance(value, tuple):
        return ("tuple", *(_key(v) for v in value))
    kind = type(value)
    return ("number" if kind in (int, float) else kind.__name__, value)


def _numbers(values: tuple) -> np.ndarray:
    """Each value as a float; nan, which is near nothing, for what is no number."""
    return np.array([float(v) if type(v) in (int, float) else np.nan for v in values] or [np.nan])


def _counterexample(trace: BatchTrace, table: CodeTable, row: int, output: int) -> Counterexample:
    tokens = tuple(trace.vocab[t] for t in trace.ids[row])
    got = tuple(table.values[c] for c in table.codes[row])
    if trace.faults[row]:
        return Counterexample(tokens, None, got, _reason(trace, row))
    expected = trace[output].row(row)
    assert FAULT not in expected
    return Counterexample(tokens, tuple(expected), got)


def _reason(trace: BatchTrace, row: int) -> str:
    """What the interpreter says to input `row`."""
    from rasplab.program.interpret.exact import evaluate

    try:
        evaluate(trace.program, [trace.vocab[t] for t in trace.ids[row]], causal=trace.causal)
    except RaspError as error:
        return f"the interpreter refuses this input: {error.message}"
    raise AssertionError(f"only the batched interpreter refuses {trace.ids[row]}")

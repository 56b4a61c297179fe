"""What becomes of a random program: everything that rasplab says of it, held against its meaning.

`outcome(drawn)` runs a program of `support.grammar_kinds` and says what happened in a few words.
Its own meaning, which `support.expressions` computes without rasplab, is held against both
interpreters on up to INPUTS inputs; the batched interpreter against the compiled weights of both
bases, and `verify` and `run_all` of the model, on the whole domain. Integers, text and Booleans
must be the same; floats may differ by rounding, and no logit by more than the certificate says.
"""

from __future__ import annotations

import random
import re
import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from support.bounds import exceeded
from support.expressions import FAIL
from support.generate import random_program
from support.grammar import MOST_INPUTS, Drawn

import rasplab
from rasplab.base.errors import CompileError, RaspError
from rasplab.compiler.compiled import Compiled
from rasplab.compiler.pipeline import compile_program
from rasplab.program.batch.columns import Column
from rasplab.program.batch.evaluate import BatchTrace
from rasplab.program.domain import make_domain
from rasplab.program.graph import Program
from rasplab.program.inputs import all_ids, sampled_ids
from rasplab.program.semantics import Semantics
from rasplab.program.values import value_key
from rasplab.transformer.forward import activations

SECONDS = 20.0
"""CPU seconds that one program may take in all."""

INPUTS = 120
"""So many inputs of a domain are run one by one; the batched interpreter runs all."""

FLOATS = 1e-12
"""Relative difference up to which floats are one number that was rounded differently.

An integer may be read out as such a float only where the certificate counts it among `merged`.
"""

MEASURED = 6
"""Inputs of each length whose error is measured against the certificate, in exact rationals."""

EXACT, REFUSED, ILLEGAL = "exact", "refused", "illegal"
WRONG, RAW, SLOW = "wrong", "raw exception", "too slow"
FAILURES = (WRONG, RAW, SLOW)


Meaning = dict[tuple[Any, ...], list[list[Any]]]
"""Inputs -> the values of every output."""


@dataclass(frozen=True)
class Outcome:
    """What happened to a program.

    word    EXACT, REFUSED, ILLEGAL (every part refuses it, rightly), WRONG, RAW or SLOW
    detail  of a refusal its reason without numbers, of a failure what went wrong
    """

    word: str
    detail: str = ""


class Disagreement(Exception):
    """Two parts of rasplab, or one and the program's meaning, give different results."""


class TooSlow(BaseException):
    """Not an Exception, so that nothing on its way takes it for a fault of the program."""


def outcome(drawn: Drawn, check_verify: bool = True) -> Outcome:
    """Hold everything that rasplab says of a program against its meaning.

    check_verify  also build the model in TransformerLens and verify it, which takes most time
    """
    return caught(lambda: _checked(drawn, check_verify))


def graph_outcome(seed: int) -> Outcome:
    """The same of a graph of `support.generate`: what texts seldom hold, without a meaning."""

    def checked() -> Outcome:
        program, domain = random_program(seed)
        semantics = Semantics(program, domain)
        all_inputs = domain.size <= MOST_INPUTS
        ids = all_ids(domain) if all_inputs else sampled_ids(domain, MOST_INPUTS // 4, seed)
        batches = [semantics.evaluate(batch) for batch in ids]
        legal = not any(trace.faults.any() for trace in batches)
        refusals = []
        for basis in ("compact", "one_hot"):
            try:
                compiled = compile_program(program, domain, basis)
            except CompileError as error:
                refusals.append(reason(error))
                continue
            require(legal, f"{basis}: compiles, and fails on an input")
            check_compiled(compiled, batches)
        return Outcome(REFUSED, refusals[0]) if refusals else Outcome(EXACT)

    return caught(checked)


def caught(check: Callable[[], Outcome]) -> Outcome:
    """The outcome of a check, or the failure that it raises or runs into."""
    try:
        with cpu_limit(SECONDS):
            return check()
    except Disagreement as error:
        return Outcome(WRONG, str(error))
    except TooSlow:
        return Outcome(SLOW, f"more than {SECONDS:.0f} s of CPU time")
    except Exception as error:  # the very thing that is looked for
        file, line, name, _ = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{file.rpartition('/')[2]}:{line} in {name}"
        return Outcome(RAW, f"{type(error).__name__} at {where}: {str(error)[:120]}")


@contextmanager
def cpu_limit(seconds: float) -> Iterator[None]:
    """Raise TooSlow when the process has used so many seconds of CPU time more."""

    def too_slow(*_: Any) -> None:
        raise TooSlow

    before = signal.signal(signal.SIGPROF, too_slow)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _checked(drawn: Drawn, check_verify: bool) -> Outcome:
    try:
        program = rasplab.parse(drawn.text, output=list(drawn.outputs))
    except RaspError as error:
        return Outcome(REFUSED, "when read: " + reason(error))
    meaning = {tokens: drawn.expected(tokens) for tokens in _sampled(drawn)}
    _check_interpreter(drawn, program, meaning)
    batches = _checked_batches(drawn, program, meaning)
    legal = not any(trace.faults.any() for trace in batches)
    if legal and len(drawn.outputs) > 1:
        _check_equal(drawn, program, batches)
    refusals = []
    for basis in ("compact", "one_hot"):
        try:
            compiled = rasplab.compile(
                program, drawn.vocab, drawn.max_len, basis=basis, causal=drawn.causal
            )
        except CompileError as error:
            claims = "on the input" in error.message and legal
            require(not claims, f"refused for a legal input: {error.message[:150]}")
            refusals.append(reason(error))
            continue
        require(legal, f"{basis}: compiles, and fails on an input")
        check_compiled(compiled, batches)
        if check_verify:
            _check_model(drawn, compiled, batches)
    if not legal:
        return Outcome(ILLEGAL)
    return Outcome(REFUSED, refusals[0]) if refusals else Outcome(EXACT)


def _sampled(drawn: Drawn) -> list[tuple[Any, ...]]:
    """Every input, or INPUTS of them: the shortest and random ones."""
    inputs = drawn.inputs()
    if len(inputs) <= INPUTS:
        return inputs
    shortest = inputs[: INPUTS // 3]
    rest = random.Random(drawn.seed).sample(inputs[INPUTS // 3 :], INPUTS - INPUTS // 3)
    return shortest + rest


def require(condition: bool, message: str) -> None:
    """Raise Disagreement where the condition does not hold."""
    if not condition:
        raise Disagreement(message)


def reason(error: RaspError) -> str:
    """The message of a refusal without the numbers and names in it, to be counted."""
    text = error.message.partition(" on the input")[0]
    return re.sub(r'"[^"]*"|-?\d[\d,.e+-]*|`[^`]*`', "#", text)[:90]


# Values ------------------------------------------------------------------------------------------


def is_same(expected: Any, given: Any, kinds: bool = False) -> bool:
    """Whether two values are the same: exactly, or as floats up to rounding.

    kinds  also tell 1 and 1.0 apart
    """
    if isinstance(expected, str | bool) or isinstance(given, str | bool):
        return type(expected) is type(given) and expected == given
    if kinds and type(expected) is not type(given):
        return False
    if expected == given:
        return True
    if _integer_rank(expected) + _integer_rank(given) > 2:
        return False
    return abs(expected - given) <= FLOATS * max(1e-3, abs(expected))


def _integer_rank(number: int | float) -> int:
    """2 for an int, 1 for a float that stands for one integer alone, else 0: then it is rounded."""
    if isinstance(number, int):
        return 2
    return int(number.is_integer() and abs(number) < 2**53)


def check_values(where: str, tokens: Any, expected: Any, given: Any, kinds: bool = False) -> None:
    """Raise Disagreement where a column differs from its meaning."""
    same = len(expected) == len(given) and all(
        is_same(a, b, kinds) for a, b in zip(expected, given, strict=True)
    )
    require(same, f"{where} on {list(tokens)}: expected {expected}, got {given}")


def _check_interpreter(drawn: Drawn, program: Program, meaning: Meaning) -> None:
    for tokens, columns in meaning.items():
        valid = _is_legal(columns)
        try:
            trace = rasplab.evaluate(program, tokens, causal=drawn.causal)
        except RaspError as error:
            require(not valid, f"the interpreter refuses {list(tokens)}: {error.message[:120]}")
            continue
        require(valid, f"the interpreter takes {list(tokens)}, which fails")
        for node, expected in zip(program.outputs, columns, strict=True):
            check_values("interpreter", tokens, expected, trace.value(node), kinds=True)


def _is_legal(columns: list[list[Any]]) -> bool:
    return not any(value is FAIL for column in columns for value in column)


def _checked_batches(drawn: Drawn, program: Program, meaning: Meaning) -> list[BatchTrace]:
    """The batched interpreter on every input, checked where the meaning is known."""
    domain = make_domain(drawn.vocab, drawn.max_len, drawn.causal)
    semantics, traces = Semantics(program, domain), []
    for ids in all_ids(domain):
        trace = semantics.evaluate(ids)
        traces.append(trace)
        for row, failed in enumerate(trace.faults):
            tokens = tuple(domain.vocab[t] for t in ids[row])
            if tokens not in meaning:
                continue
            valid = _is_legal(meaning[tokens])
            require(bool(failed) != valid, f"batch on {tokens}: faults {bool(failed)}")
            if failed:
                continue
            for node, expected in zip(program.outputs, meaning[tokens], strict=True):
                check_values("batch", tokens, expected, trace[node].row(row), kinds=True)
    return traces


def _check_equal(drawn: Drawn, program: Program, batches: list[BatchTrace]) -> None:
    """`equal` sees whether the last output is the first one's double."""
    names = [*drawn.outputs[:-1], drawn.outputs[0]]
    other = rasplab.parse(drawn.text, output=names)
    first, last = program.outputs[0], program.outputs[-1]
    differ = any(_differ(trace[first], trace[last], trace) for trace in batches)
    report = rasplab.equal(
        program, other, drawn.vocab, drawn.max_len, causal=drawn.causal, seed=drawn.seed
    )
    require((report.difference is not None) == differ, f"equal says {report} of {names}")


def _differ(a: Column, b: Column, trace: BatchTrace) -> bool:
    pairs = np.broadcast_to(a.codes, trace.ids.shape) * len(b.values) + b.codes
    return any(
        value_key(a.values[pair // len(b.values)]) != value_key(b.values[pair % len(b.values)])
        for pair in np.unique(pairs).tolist()
    )


# Compiled models ---------------------------------------------------------------------------------


def check_compiled(compiled: Compiled, batches: list[BatchTrace]) -> None:
    """The weights in the dtype of the certificate give every value, within the certificate."""
    dtype = np.dtype(compiled.certificate.dtype)
    weights = compiled.weights.map(lambda array: array.astype(dtype))
    for trace in batches:
        logits = activations(weights, trace.ids, compiled.domain.causal).logits[:, 1:]
        _check_logits(compiled, trace, logits)


def _check_logits(compiled: Compiled, trace: BatchTrace, logits: np.ndarray) -> None:
    start = 0
    for k, readout in enumerate((compiled.readout, *compiled.further)):
        part = logits[..., start : start + readout.width]
        start += readout.width
        expected = trace[compiled.program.outputs[k]]
        _check_columns(compiled.basis, trace, expected, readout.table([part]))
        for row in range(0, len(trace.ids), 1 + len(trace.ids) // MEASURED):
            over = exceeded(compiled, k, part[row], expected.row(row))
            require(not over, f"{compiled.basis} on {trace.ids[row].tolist()}: {over}")


def _check_columns(where: str, trace: BatchTrace, expected: Column, given: Column) -> None:
    """Raise Disagreement where two columns differ: each pair of values is compared once."""
    pairs = expected.codes * len(given.values) + np.broadcast_to(given.codes, trace.ids.shape)
    for pair in np.unique(pairs).tolist():
        a, b = expected.values[pair // len(given.values)], given.values[pair % len(given.values)]
        if not is_same(a, b):
            row, position = np.argwhere(pairs == pair)[0].tolist()
            tokens = [trace.vocab[t] for t in trace.ids[row]]
            raise Disagreement(f"{where} on {tokens} at {position}: expected {a!r}, got {b!r}")


def _check_model(drawn: Drawn, compiled: Compiled, batches: list[BatchTrace]) -> None:
    """verify finds no mismatch, and `run_all` names every output."""
    model = compiled.to_model(device="cpu")
    report = rasplab.verify(model)
    require(report.ok, f"{compiled.basis}: verify finds what the check does not: {report}")
    trace = batches[-1]
    tokens = [trace.vocab[t] for t in trace.ids[-1]]
    outputs = model.run_all(tokens)
    require(len(outputs) == len(drawn.outputs), f"run_all gives {list(outputs)}")
    for node, given in zip(compiled.program.outputs, outputs.values(), strict=True):
        check_values("run_all", tokens, trace[node].row(-1), given)

"""Equality of two programs on a domain: two programs -> equal, or an input on which they differ."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from rasplab.base.arguments import FLAG, FUNCTION, PROGRAM, SEED, VOCAB, optional, takes, whole
from rasplab.base.errors import RaspError, RaspTypeError
from rasplab.program.batch.compare import shared_codes
from rasplab.program.batch.evaluate import BatchTrace
from rasplab.program.domain import Domain, make_domain
from rasplab.program.graph import Program
from rasplab.program.inputs import BATCH, all_ids, random_rows
from rasplab.program.interpret.exact import check_length, evaluate
from rasplab.program.semantics import Semantics
from rasplab.program.values import Atom, value_key


@dataclass(frozen=True, slots=True)
class Difference:
    """An input on which two programs differ.

    left, right  their outputs, a list or a selector's rows; or, as a text, why there is none
    shortest     whether no shorter input tells them apart
    output       which output differs, by its name in the left program; None where there is one
    """

    input: tuple[Atom, ...]
    left: list | str
    right: list | str
    shortest: bool
    output: str | None = None

    def __str__(self) -> str:
        ending = "; no shorter input does" if self.shortest else ""
        place = f" at the output {self.output!r}" if self.output is not None else ""
        return f"{list(self.input)} tells them apart{place}{ending}\n  {self.left}\n  {self.right}"


@dataclass(frozen=True, slots=True)
class Equality:
    """What `equal` found; true as a condition where it found no difference.

    same_graph  the two are one and the same program, so no input was tried
    checked     inputs compared
    failing     those of them on which both fail, which counts as the same
    covered     every input of up to so many tokens is among them
    max_len     the longest inputs of the domain; those longer than `covered` were sampled
    """

    difference: Difference | None
    same_graph: bool
    checked: int
    failing: int
    covered: int
    max_len: int
    seed: int
    seconds: float

    def __bool__(self) -> bool:
        return self.difference is None

    @property
    def exhaustive(self) -> bool:
        """Whether the answer is certain on the whole domain."""
        return self.same_graph or self.difference is not None or self.covered == self.max_len

    def __str__(self) -> str:
        if self.difference:
            return f"different: {self.difference}"
        if self.same_graph:
            return "equal: they are the same program"
        scope = f"every input of up to {self.covered} tokens"
        if self.covered < self.max_len:
            longer = f"random ones of {self.covered + 1} to {self.max_len} (seed {self.seed})"
            scope = f"{scope}, {longer}" if self.covered else longer
        fail = f"; both fail on {self.failing:,} of them" if self.failing else ""
        return f"equal on {self.checked:,} inputs: {scope}{fail}"

    def to_json(self) -> dict:
        """Everything, as plain values."""
        d = self.difference
        difference = d and {
            "input": list(d.input),
            "left": d.left,
            "right": d.right,
            "shortest": d.shortest,
            **({} if d.output is None else {"output": d.output}),
        }
        return {
            "equal": bool(self),
            "exhaustive": self.exhaustive,
            "same_graph": self.same_graph,
            "checked": self.checked,
            "failing": self.failing,
            "covered": self.covered,
            "max_len": self.max_len,
            "seed": self.seed if self.covered < self.max_len else None,
            "seconds": round(self.seconds, 3),
            "difference": difference,
        }


@takes(
    a=PROGRAM,
    b=PROGRAM,
    vocab=VOCAB,
    max_len=whole(1),
    causal=FLAG,
    max_inputs=whole(1),
    seed=SEED,
    progress=optional(FUNCTION),
)
def equal(
    a: Program,
    b: Program,
    vocab: Iterable[Atom],
    max_len: int,
    *,
    causal: bool = False,
    max_inputs: int = 200_000,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Equality:
    """Compare two programs on every input of 1 to max_len tokens of `vocab`, shortest first.

    max_inputs  beyond so many, the longer lengths are sampled
    progress    called with (inputs done, inputs in all) after each batch
    All outputs are compared, each with the one at its place. Values are equal where `value_key` is
    (1 and 1.0 are, 1 and True are not); two faults are equal.
    Raises RaspTypeError where one output is an s-op and the other a selector, or where the numbers
    of outputs differ; RaspValueError for a max_len beyond the limit; ValueError for bad arguments.
    """
    start, domain = time.perf_counter(), make_domain(vocab, max_len, causal)
    check_length(range(max_len))
    _check_outputs(a, b)
    covered = _covered(domain, max_inputs)
    checked, failing, difference, same = 0, 0, None, a.digest == b.digest
    total = min(domain.size, max_inputs)
    for ids in () if same else _inputs(domain, covered, max_inputs, seed):
        unlike, failed = _differ(a, b, ids, domain)
        differ = np.flatnonzero(unlike)
        if len(differ):
            tokens = [domain.vocab[t] for t in ids[differ[0]]]
            difference = _difference(a, b, tokens, domain, covered)
            # those before it in the batch were equal, and are counted with it
            checked += int(differ[0]) + 1
            break
        checked, failing = checked + len(ids), failing + int(failed.sum())
        if progress:
            progress(checked, total)
    seconds = time.perf_counter() - start
    return Equality(difference, same, checked, failing, covered, max_len, seed, seconds)


def _check_outputs(a: Program, b: Program) -> None:
    """Refuse programs with different numbers of outputs, or a selector against an s-op."""
    if len(a.outputs) != len(b.outputs):
        raise RaspTypeError(
            f"one program has {len(a.outputs)} outputs, the other {len(b.outputs)}: "
            "they cannot be compared"
        )
    if any(a.is_selector(i) != b.is_selector(j) for i, j in zip(a.outputs, b.outputs, strict=True)):
        raise RaspTypeError("one output is a selector, the other an s-op: they cannot be compared")


def _covered(domain: Domain, max_inputs: int) -> int:
    """The length up to which all inputs are at most max_inputs."""
    n, total = 0, 0
    while n < domain.max_len:
        total += len(domain.vocab) ** (n + 1)
        if total > max_inputs:
            break
        n += 1
    return n


def _inputs(domain: Domain, covered: int, max_inputs: int, seed: int) -> Iterator[np.ndarray]:
    """Ids [batch, pos]: all inputs of the covered lengths, then random longer ones, by length."""
    short = Domain(domain.vocab, covered, domain.causal)
    yield from all_ids(short)
    rng, longer = np.random.default_rng(seed), range(covered + 1, domain.max_len + 1)
    left = max_inputs - short.size
    for i, n in enumerate(longer):
        # shares add up to `left` and differ by one at most
        share = left * (i + 1) // len(longer) - left * i // len(longer)
        for done in range(0, share, BATCH):
            yield random_rows(len(domain.vocab), min(BATCH, share - done), n, rng)


def _differ(
    a: Program, b: Program, ids: np.ndarray, domain: Domain
) -> tuple[np.ndarray, np.ndarray]:
    """The inputs on which values differ or one program fails; those on which both fail [batch]."""
    left, right = (Semantics(p, domain).evaluate(ids) for p in (a, b))
    both_work = ~left.faults & ~right.faults
    unlike = np.zeros(len(ids), bool)
    for at in range(len(a.outputs)):
        unlike |= _values_differ(left, right, at)
    return (left.faults != right.faults) | (both_work & unlike), left.faults & right.faults


def _values_differ(left: BatchTrace, right: BatchTrace, at: int) -> np.ndarray:
    """The inputs on which the outputs number `at` differ [batch]."""
    output, other = left.program.outputs[at], right.program.outputs[at]
    if left.program.is_selector(output):
        unlike = left.selector(output) != right.selector(other)
        # a selector that no input influences has a batch of 1
        return np.broadcast_to(unlike.any((-1, -2)), len(left.ids))
    codes, others = shared_codes(left[output], right[other])
    return (codes != others).any(-1)


def _difference(a: Program, b: Program, tokens: list, domain: Domain, covered: int) -> Difference:
    """The input, shortened token by token while the two still differ."""
    dropped = 0
    # all inputs of up to `covered` tokens were compared before and are equal, so none of
    # them is tried; after each token that can go, the search starts from the first one again
    while dropped < len(tokens) and len(tokens) > covered + 1:
        shorter = tokens[:dropped] + tokens[dropped + 1 :]
        if _differ(a, b, np.array([domain.encode(shorter)]), domain)[0].any():
            tokens, dropped = shorter, 0
        else:
            dropped += 1
    at, outputs = _unlike_outputs(a, b, tokens, domain.causal)
    name = a.labels[a.outputs[at]] if len(a.outputs) > 1 else None
    return Difference(tuple(tokens), *outputs, shortest=len(tokens) <= covered + 1, output=name)


def _unlike_outputs(a: Program, b: Program, tokens: list, causal: bool) -> tuple[int, list]:
    """The place of the first output that differs on an input, and its two values."""
    left, right = (_outputs(p, tokens, causal) for p in (a, b))
    for at, pair in enumerate(zip(left, right, strict=True)):
        if value_key(tuple(pair[0])) != value_key(tuple(pair[1])):
            return at, list(pair)
    raise AssertionError(f"only the batched interpreter tells them apart on {tokens}")


def _outputs(program: Program, tokens: list, causal: bool) -> list[list | str]:
    """The exact interpreter's answers; where it refuses the input, the reason for each of them."""
    try:
        trace = evaluate(program, tokens, causal)
    except RaspError as error:
        return [f"fails: {error.message}"] * len(program.outputs)
    values = [trace.value(i) for i in program.outputs]
    return [v if isinstance(v, list) else v.tolist() for v in values]

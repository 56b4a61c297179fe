"""Coverage: which lengths, values, selections and branches of a program a batch exercises."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from rasplab.base.rng import stream
from rasplab.circuit.patching.pairs import Pairs
from rasplab.program.batch.evaluate import BatchTrace, evaluate_batch
from rasplab.program.domain import Domain
from rasplab.program.graph import Map, Program
from rasplab.program.inputs import even_ids

REFERENCE = 4000
"""How many random inputs show which values and branches occur in a domain."""


@dataclass(frozen=True, slots=True)
class Part:
    """One node of the program: how many of the domain's values occur in the batch.

    seen, known  numbers of values of an s-op in the batch and in the domain; of a selector, of the
                 classes "selects nothing", "selects one", "selects several"
    missing      the values that do not occur in the batch, as text
    """

    label: str
    place: str
    seen: int
    known: int
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Coverage:
    """What a batch exercises.

    lengths   how many inputs have each length from 1 on
    parts     the program's nodes, in order, without constants
    notes     what the batch never exercises, as sentences: scores on it say nothing about that
    """

    lengths: tuple[int, ...]
    parts: tuple[Part, ...]
    notes: tuple[str, ...]

    def __str__(self) -> str:
        lines = [f"lengths 1 to {len(self.lengths)}: {', '.join(map(str, self.lengths))} inputs"]
        lines += [f"{p.label}: {p.seen} of {p.known}" for p in self.parts]
        return "\n".join(lines + [f"silent: {note}" for note in self.notes])


def coverage(program: Program, domain: Domain, pairs: Pairs, seed: int = 0) -> Coverage:
    """What the clean inputs of `pairs` exercise, compared with about 4000 random inputs.

    seed  of the random inputs
    """
    tokens, real = pairs.clean.tokens.cpu().numpy(), pairs.clean.real.cpu().numpy()
    lengths = real.sum(1) - 1  # without BOS
    groups = [tokens[lengths == n, 1 : n + 1] - 1 for n in range(1, domain.max_len + 1)]
    counts = tuple(map(len, groups))
    seen = _seen(program, domain, [g for g in groups if len(g)])
    rng = stream(seed, "coverage")
    known = _seen(program, domain, even_ids(domain, REFERENCE, rng))
    # the reference is a sample: what only the batch has counts as known as well
    parts = tuple(_part(program, i, seen[i], known[i] | seen[i]) for i in sorted(known))
    return Coverage(counts, parts, (*_length_notes(counts), *_part_notes(program, parts, known)))


def _seen(program: Program, domain: Domain, groups: Iterable[np.ndarray]) -> dict[int, set[str]]:
    """By node: the values it takes, as text; of a selector, the classes of its rows."""
    seen: dict[int, set[str]] = {}
    for ids in groups:
        trace = evaluate_batch(program, ids, domain.vocab, domain.causal)
        for i, node in enumerate(program.nodes):
            if type(node).__name__ != "Constant":
                seen.setdefault(i, set()).update(_occurring(trace, i))
    return seen


def _occurring(trace: BatchTrace, i: int) -> set[str]:
    if trace.program.is_selector(i):
        width = trace.selector(i).sum(-1)
        names = ("selects nothing", "selects one", "selects several")
        # over all rows of all inputs, [batch, query]
        return {names[k] for k in np.unique(np.minimum(width, 2))}
    column = trace[i]
    return {repr(column.values[c]) for c in np.unique(column.codes)}


def _part(program: Program, i: int, seen: set[str], known: set[str]) -> Part:
    span = program.span(i)
    missing = tuple(sorted(known - seen))
    return Part(program.labels[i], span.place if span else "", len(seen), len(known), missing)


def _length_notes(counts: tuple[int, ...]) -> list[str]:
    absent = [n for n, count in enumerate(counts, 1) if not count]
    return [f"no input has {', '.join(map(str, absent))} tokens"] if absent else []


def _part_notes(program: Program, parts: tuple[Part, ...], known: dict[int, set]) -> list[str]:
    """Notes on nodes that vary in the domain but not in the batch, and on branches never taken."""
    conditions = {n.args[0] for n in program.nodes if isinstance(n, Map) and n.fn == "if"}
    notes = []
    for i, part in zip(sorted(known), parts, strict=True):
        if part.seen <= 1 < part.known:
            notes.append(f"{part.label} is the same on every input")
        elif i in conditions and part.missing:
            notes.append(f"{part.label} is never {', '.join(part.missing)}")
        elif program.is_selector(i) and part.missing:
            notes.append(f"{part.label} never {' nor '.join(part.missing)}")
    return notes

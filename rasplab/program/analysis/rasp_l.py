"""RASP-L, the part of RASP whose programs transformers learn with length generalisation.

H. Zhou, A. Bradley, E. Littwin, N. Razin, O. Saremi, J. Susskind, S. Bengio, P. Nakkiran: What
Algorithms can Transformers Learn? ICLR 2024, arXiv:2310.16028. The paper gives the restrictions in
words and as a library for numpy; the reading of them here:

- Attention is causal.
- A position, a count or what is moved from one (an "index") may be compared, and shifted by a small
  whole number, which is as many steps to a neighbour; no other arithmetic on it, no table over it.
- Other numbers are small whole ones, -128 to 127: no fractions, no larger constants, no `/`, and no
  mean of several numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rasplab.base.arguments import FLAG, PROGRAM, takes
from rasplab.base.errors import Span, caret_lines
from rasplab.program.analysis.kinds import Kinds
from rasplab.program.analysis.requirements import causal_nodes, position
from rasplab.program.graph import (
    Aggregate,
    Combine,
    Constant,
    Indices,
    Map,
    Node,
    Program,
    Select,
    SelectorWidth,
)

SMALL = range(-128, 128)
"""The constants of RASP-L."""

ARITHMETIC = frozenset({"+", "-", "*", "/", "//", "%", "^", "neg"})
TABLES = frozenset({"index", "lookup"})


@dataclass(frozen=True, slots=True)
class Breach:
    """One reason why a program is not in RASP-L: the node, why, and its place in the text."""

    node: int
    reason: str
    span: Span | None

    def __str__(self) -> str:
        if self.span is None:
            return self.reason
        return "\n".join([f"{self.span}: {self.reason}", *caret_lines(self.span)])


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a program is in RASP-L: true as a condition if it is; else every breach."""

    breaches: tuple[Breach, ...]

    def __bool__(self) -> bool:
        return not self.breaches

    def __str__(self) -> str:
        if not self.breaches:
            return "RASP-L: yes"
        return "\n".join(["RASP-L: no", *map(str, self.breaches)])

    def to_json(self) -> dict[str, Any]:
        """Plain values; places are without folders."""
        breaches = [
            {"reason": b.reason, "place": b.span.place if b.span else None} for b in self.breaches
        ]
        return {"is_raspl": bool(self), "breaches": breaches}


@takes(program=PROGRAM, causal=FLAG)
def is_raspl(program: Program, causal: bool = False) -> Verdict:
    """Whether a program stays within RASP-L on every input.

    causal  every selector is masked to keys up to its query when the program runs
    True is certain; False names each part that could not be shown to be within.
    """
    breaches: dict[tuple[str, Span | None], Breach] = {}
    for node, reason in sorted(_breaches(program, causal), key=lambda b: b[0]):
        span = program.span(node)
        breaches.setdefault((reason, span), Breach(node, reason, span))
    return Verdict(tuple(breaches.values()))


def _breaches(program: Program, causal: bool) -> Iterator[tuple[int, str]]:
    nodes, labels, kinds = program.nodes, program.labels, Kinds(program.nodes)
    early, indexes = causal_nodes(nodes, causal), _indexes(nodes)
    shifts = _shifts(nodes, indexes)
    used = {node.selector for node in nodes if isinstance(node, Aggregate | SelectorWidth)}
    used |= {*filter(program.is_selector, program.outputs)}
    for i in used:
        if not early[i]:
            yield i, f"{labels[i]} may look at keys after its query"
    for i, node in enumerate(nodes):
        match node:
            case Constant(value):
                yield from ((i, reason) for reason in _not_small(value))
            case Map(fn, args):
                yield from ((i, reason) for reason in _map_breach(nodes, fn, args, indexes, labels))
                if shifts[i] not in SMALL:
                    yield i, f"{labels[i]} shifts an index by {shifts[i]} in all"
            case Aggregate(selector, values, _) if kinds.of(values) not in ("str", "bool"):
                if not selects_at_most_one(nodes, selector):
                    yield i, f"{labels[i]} may be the mean of several numbers, a fraction"


def _indexes(nodes: Sequence[Node]) -> list[bool]:
    """For every node whether it is a position, a count, or a value moved or chosen from these."""
    indexes: list[bool] = []
    for node in nodes:
        match node:
            case Indices() | SelectorWidth():
                indexes.append(True)
            case Aggregate(_, values, _):
                indexes.append(indexes[values])
            case Map("if", (_, then, other)):
                indexes.append(indexes[then] or indexes[other])
            case Map("round" | "pos" | "+" | "-", args):
                indexes.append(any(indexes[a] for a in args))
            case _:
                indexes.append(False)
    return indexes


def _map_breach(
    nodes: Sequence[Node], fn: str, args: tuple, indexes: list[bool], labels: Sequence[str]
) -> Iterator[str]:
    index = next((a for a in args if indexes[a]), None)
    if fn in TABLES and index is not None:
        yield f"a table over the index {labels[index]}"
    elif fn in ARITHMETIC and index is not None and not _is_step(nodes, fn, args, indexes):
        yield f"`{fn}` on the index {labels[index]}: only small shifts and comparisons"
    elif fn == "/":
        yield "`/` makes fractions"


def _shifts(nodes: Sequence[Node], indexes: list[bool]) -> list[int]:
    """By how much each node that is an index and a number of steps is shifted, in all."""
    # (indices - 1) - 1 is the same program as indices - 2, and so are 2 x 100 steps as 200
    shifts = [0] * len(nodes)
    for i, node in enumerate(nodes):
        if isinstance(node, Map) and _is_step(nodes, node.fn, node.args, indexes):
            left, right = node.args
            index, step = (left, right) if indexes[left] else (right, left)
            steps = nodes[step]
            assert isinstance(steps, Constant) and isinstance(steps.value, int)
            shifts[i] = shifts[index] + (steps.value if node.fn == "+" else -steps.value)
    return shifts


def _is_step(nodes: Sequence[Node], fn: str, args: tuple[int, ...], indexes: list[bool]) -> bool:
    """Whether it is an index and a small whole number: that many steps by + 1 or - 1."""
    if fn not in ("+", "-"):
        return False
    left, right = args
    step = right if indexes[left] else left
    match nodes[step]:
        case Constant(int() as steps) if type(steps) is int and steps in SMALL:
            # number - index is no step: it runs against the positions
            return fn == "+" or step == right
    return False


def _not_small(value: Any) -> Iterator[str]:
    """A reason for every number of a constant that is not small and whole."""
    for part in value if isinstance(value, tuple) else (value,):
        if isinstance(part, tuple):
            yield from _not_small(part)
        elif isinstance(part, float):
            yield f"{part} is a fraction, not a whole number"
        elif isinstance(part, int) and part not in SMALL:
            yield f"{part} is not within {SMALL.start} to {SMALL.stop - 1}"


def selects_at_most_one(nodes: Sequence[Node], selector: int) -> bool:
    """Whether each query selects one key at most, as far as positions tell."""
    stack, seen = [selector], {selector}
    while stack:
        match nodes[stack.pop()]:
            case Select(keys, _, "==") if position(nodes, keys) is not None:
                # keys of the form index + c differ at every position
                return True
            case Combine("and", parts):
                stack += {*parts} - seen
                seen |= {*parts}
    return False

"""What a program needs, before it runs: program -> layers, heads, kinds, causality of its nodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from rasplab.base.text import clip, table
from rasplab.program.analysis.kinds import Kinds
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
    operands,
)

NEGATED = {"==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}
KINDS = {"str": "string", "bool": "bool", "int": "number", "float": "number", "number": "number"}
ANY = "any"
"""The kind of an s-op that may hold strings or numbers, as the input has them."""


@dataclass(frozen=True, slots=True)
class HeadNeed:
    """One head: in its layer, everything that is read through one selector.

    layer     from 1
    selector  the node that is its attention pattern
    computes  the aggregates and widths over it
    """

    layer: int
    selector: int
    computes: tuple[int, ...]


@dataclass(frozen=True)
class Explanation:
    """What `explain` finds of a program; tuples are by node id.

    depth   attention depth: the layers that have to come before the value is known
    kind    "string", "number", "bool" or "any"; "selector"
    causal  whether each position depends only on tokens up to it, on every input; False where this
            is not known. A causal selector also selects no key after its query
    heads   by layer; the aggregates and widths of one layer that share a selector share a head
    """

    program: Program
    depth: tuple[int, ...]
    kind: tuple[str, ...]
    causal: tuple[bool, ...]
    heads: tuple[HeadNeed, ...]

    @property
    def layers(self) -> int:
        """Layers needed: the attention depth of the output."""
        return self.depth[self.program.output]

    @cached_property
    def heads_per_layer(self) -> tuple[int, ...]:
        """Heads needed in each layer, with every aggregate computed as early as possible."""
        return tuple(sum(h.layer == n for h in self.heads) for n in range(1, self.layers + 1))

    def to_json(self) -> dict[str, Any]:
        """Everything, as plain values; nodes in order, heads by their labels."""
        labels = self.program.labels
        return {
            "layers": self.layers,
            "heads_per_layer": list(self.heads_per_layer),
            "causal": self.causal[self.program.output],
            "heads": [
                {
                    "layer": h.layer,
                    "selector": labels[h.selector],
                    "computes": [labels[i] for i in h.computes],
                }
                for h in self.heads
            ],
            "nodes": [self._row(i) for i in range(len(labels))],
            "output": labels[self.program.output],
        }

    def _row(self, i: int) -> dict[str, Any]:
        span = self.program.span(i)
        return {
            "label": self.program.labels[i],
            "names": [name for name, named in self.program.names if named == i],
            "kind": self.kind[i],
            "depth": self.depth[i],
            "causal": self.causal[i],
            "place": span.place if span else None,
        }

    def __str__(self) -> str:
        labels = [clip(label, 60) for label in self.program.labels]
        heads = [
            [str(h.layer), labels[h.selector], ", ".join(labels[i] for i in h.computes)]
            for h in self.heads
        ]
        shown = [i for i, n in enumerate(self.program.nodes) if not isinstance(n, Constant)]
        rows = [
            [labels[i], self.kind[i], str(self.depth[i]), "yes" if self.causal[i] else "-"]
            for i in shown
        ]
        parts = [self._summary()]
        parts += [table(["layer", "head attends by", "and computes"], heads, ">")] if heads else []
        parts.append(table(["node", "kind", "depth", "causal"], rows, "<<>"))
        return "\n\n".join(parts)

    def _summary(self) -> str:
        counts = self.heads_per_layer
        name = self.program.labels[self.program.output]
        what = f"{name}: {self.kind[self.program.output]}"
        if not counts:
            return f"{what}; no attention"
        layers = f"{len(counts)} layer{'s' * (len(counts) > 1)}"
        heads = ", ".join(map(str, counts))
        causal = "causal" if self.causal[self.program.output] else "not causal"
        return f"{what}; {layers}, heads per layer {heads}; {causal}"


def explain(program: Program, causal: bool = False) -> Explanation:
    """The layers and heads that a program needs, and what kind each of its s-ops has.

    causal  every selector is masked to keys up to its query when the program runs
    Source: Weiss et al. 2021, section 4. An aggregate is one layer after everything it reads; the
    heads of a layer are its distinct selectors, with `and`, `or`, `not` of selectors one each.
    """
    nodes = program.nodes
    depth = depths(nodes)
    groups: dict[tuple[int, int], list[int]] = {}
    for i, node in enumerate(nodes):
        if isinstance(node, Aggregate | SelectorWidth):
            # one head per layer and selector: its pattern serves all that read through it
            groups.setdefault((depth[i], node.selector), []).append(i)
    heads = tuple(HeadNeed(n, s, tuple(readers)) for (n, s), readers in sorted(groups.items()))
    known = Kinds(nodes)
    kinds = tuple(
        "selector" if program.is_selector(i) else KINDS.get(known.of(i) or "", ANY)
        for i in range(len(nodes))
    )
    return Explanation(program, tuple(depth), kinds, causal_nodes(nodes, causal), heads)


def depths(nodes: Sequence[Node]) -> list[int]:
    """The attention depth of every node."""
    depth: list[int] = []
    for node in nodes:
        attends = isinstance(node, Aggregate | SelectorWidth)
        # True counts as 1
        depth.append(attends + max([depth[a] for a in operands(node)], default=0))
    return depth


# Causality --------------------------------------------------------------------------------------


def causal_nodes(nodes: Sequence[Node], masked: bool = False) -> tuple[bool, ...]:
    """For every node whether it is known to depend only on tokens up to its position.

    masked  selectors are masked to keys up to their query
    """
    causal: list[bool] = []
    for i, node in enumerate(nodes):
        known = all(causal[a] for a in operands(node))
        if isinstance(node, Select | Combine):
            # a part of an `and` may select later keys if another excludes them, but the s-ops that
            # the parts compare have to be causal
            known = all(causal[a] for a in _compared(nodes, i))
            known = known and (masked or selects_no_later_key(nodes, i))
        causal.append(known)
    return tuple(causal)


def _compared(nodes: Sequence[Node], selector: int) -> set[int]:
    """The s-ops that a selector compares."""
    compared: set[int] = set()
    stack = [selector]
    while stack:
        match nodes[stack.pop()]:
            case Combine(_, parts):
                stack += parts
            case Select(keys, queries, _):
                compared |= {keys, queries}
    return compared


def selects_no_later_key(nodes: Sequence[Node], selector: int, negated: bool = False) -> bool:
    """Whether comparisons of positions show that no query selects a key after it."""
    match nodes[selector]:
        case Select(keys, queries, predicate):
            return _is_early(nodes, keys, queries, NEGATED[predicate] if negated else predicate)
        case Combine("not", (inner,)):
            return selects_no_later_key(nodes, inner, not negated)
        case Combine(fn, parts):
            enough = any if (fn == "and") != negated else all
            return enough([selects_no_later_key(nodes, part, negated) for part in parts])
    raise AssertionError(f"node {selector} is no selector")


def _is_early(nodes: Sequence[Node], keys: int, queries: int, predicate: str) -> bool:
    """Whether `key predicate query` can hold only for keys up to the query.

    Decided where the key is its position plus a number, and the query is that or a number.
    """
    key, query = position(nodes, keys), position(nodes, queries)
    if key is None:
        return False
    if query is not None:
        lead = query - key  # the test is: k predicate q + lead
    else:
        number = constant(nodes, queries)
        if number is None:
            return False
        lead = number - key  # the test is: k predicate lead; the least query, q = 0, decides
    return {"==": lead <= 0, "<": lead <= 1, "<=": lead < 1}.get(predicate, False)


def position(nodes: Sequence[Node], i: int) -> float | None:
    """The number c where node i is `indices + c`; None where it is not known to be that."""
    match nodes[i]:
        case Indices():
            return 0
        case Map("+" | "-" as sign, (left, right)):
            place, number = position(nodes, left), constant(nodes, right)
            if sign == "+" and place is None:
                place, number = position(nodes, right), constant(nodes, left)
            if place is not None and number is not None:
                return place + number if sign == "+" else place - number
    return None


def constant(nodes: Sequence[Node], i: int) -> float | None:
    """The number that node i is at every position; None where it is not a constant number."""
    match nodes[i]:
        case Constant(value) if isinstance(value, int | float):
            return value
    return None

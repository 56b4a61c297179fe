"""What a program needs, before it runs: program -> layers, heads, kinds, causality of its nodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from rasplab.base.arguments import FLAG, takes
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
        """Layers needed: the attention depth of the deepest output."""
        return max(self.depth[i] for i in self.program.outputs)

    @cached_property
    def heads_per_layer(self) -> tuple[int, ...]:
        """Heads needed in each layer, with every aggregate computed as early as possible."""
        return tuple(sum(h.layer == n for h in self.heads) for n in range(1, self.layers + 1))

    def to_json(self) -> dict[str, Any]:
        """Everything, as plain values; nodes in order, heads by their labels."""
        labels, outputs = self.program.labels, self.program.outputs
        further = {"outputs": [labels[i] for i in outputs]} if len(outputs) > 1 else {}
        return {
            "layers": self.layers,
            "heads_per_layer": list(self.heads_per_layer),
            "causal": all(self.causal[i] for i in outputs),
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
            **further,
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
        counts, outputs = self.heads_per_layer, self.program.outputs
        what = ", ".join(f"{self.program.labels[i]}: {self.kind[i]}" for i in outputs)
        if not counts:
            return f"{what}; no attention"
        layers = f"{len(counts)} layer{'s' * (len(counts) > 1)}"
        heads = ", ".join(map(str, counts))
        causal = "causal" if all(self.causal[i] for i in outputs) else "not causal"
        return f"{what}; {layers}, heads per layer {heads}; {causal}"


@takes(causal=FLAG)
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
    early: dict[int, Early] = {}
    for i, node in enumerate(nodes):
        match node:
            case Select():
                # a part of an `and` may select later keys if another excludes them, but the s-ops
                # that the parts compare have to be causal: `compared` is about these alone
                early[i] = _select_early(nodes, node, causal[node.keys] and causal[node.queries])
            case Combine(fn, parts):
                early[i] = _combined_early(fn, [early[part] for part in parts])
            case _:
                causal.append(all(causal[a] for a in operands(node)))
                continue
        causal.append(early[i].compared and (masked or early[i].selected))
    return tuple(causal)


@dataclass(frozen=True, slots=True)
class Early:
    """What is known of a selector.

    selected  no query selects a key after it
    negated   the same of `not` of the selector
    compared  the s-ops that its parts compare are causal
    """

    selected: bool
    negated: bool
    compared: bool


def _select_early(nodes: Sequence[Node], node: Select, compared: bool) -> Early:
    keys, queries = node.keys, node.queries
    selected = _is_early(nodes, keys, queries, node.predicate)
    return Early(selected, _is_early(nodes, keys, queries, NEGATED[node.predicate]), compared)


def _combined_early(fn: str, parts: list[Early]) -> Early:
    compared = all(part.compared for part in parts)
    if fn == "not":
        return Early(parts[0].negated, parts[0].selected, compared)
    # an `and` is early where one part is; its negation is the `or` of the negated parts
    one, every = (any, all) if fn == "and" else (all, any)
    selected = one([part.selected for part in parts])
    return Early(selected, every([part.negated for part in parts]), compared)


def _is_early(nodes: Sequence[Node], keys: int, queries: int, predicate: str) -> bool:
    """Whether `key predicate query` can hold only for keys up to the query.

    Decided where the key is its position plus a number, and the query is that or a number.
    """
    key, query = position(nodes, keys), position(nodes, queries)
    if query is None:
        query = constant(nodes, queries)
    if key is None or query is None:
        return False
    try:
        # The test is: k predicate q + lead; of a number k predicate lead, decided by q = 0.
        lead = query - key
    except OverflowError:  # of an int that no float holds and a float
        return False
    return {"==": lead <= 0, "<": lead <= 1, "<=": lead < 1}.get(predicate, False)


def position(nodes: Sequence[Node], i: int) -> float | None:
    """The number c where node i is `indices + c`; None where it is not known to be that."""
    signed: list[float] = []
    while not isinstance(nodes[i], Indices):
        match nodes[i]:
            case Map("+" | "-" as sign, (left, right)):
                number = constant(nodes, right)
                if number is None and sign == "+":
                    left, number = right, constant(nodes, left)
                if number is None:
                    return None
                signed.append(number if sign == "+" else -number)
                i = left
            case _:
                return None
    try:
        return sum(reversed(signed))  # in the order of the program, as floats round
    except OverflowError:  # of an int that no float holds and a float
        return None


def constant(nodes: Sequence[Node], i: int) -> float | None:
    """The number that node i is at every position; None where it is not a constant number."""
    match nodes[i]:
        case Constant(value) if isinstance(value, int | float):
            return value
    return None

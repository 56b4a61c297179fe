"""How one output value comes about: what each site reads and writes on one input."""

from __future__ import annotations

from math import isclose

import numpy as np

from rasplab.compiler.infer.values import is_number
from rasplab.program.graph import Aggregate, Constant, Map, Select, SelectorWidth, operands
from rasplab.transformer.forward import activations

MAX_KEYS = 4
"""Attended positions that are followed up; the rest is counted."""


def explain(compiled, tokens, position: int) -> str:
    """The tree of s-ops behind the output at `position` (from 0), each at the position where it is
    read: the interpreter's value, the sites that make it, and what the weights hold there.
    """
    ids = np.array(compiled.domain.encode(list(tokens)))
    if not 0 <= position < len(ids):
        raise ValueError(f"position is {position}; the input has positions 0 to {len(ids) - 1}")
    return _Story(compiled, list(tokens), ids).told(position)


class _Story:
    """One run of the weights and of the interpreter, told from the output back."""

    def __init__(self, compiled, tokens: list, ids: np.ndarray):
        from rasplab.program.interpret.exact import evaluate

        self.compiled, self.program, self.tokens = compiled, compiled.program, tokens
        self.trace = evaluate(self.program, tokens, causal=compiled.domain.causal)
        self.run = activations(compiled.weights, ids[None], compiled.domain.causal)
        self.sites = {}
        for site, nodes in compiled.site_nodes().items():
            for node in nodes:
                self.sites.setdefault(node, []).append(site)
        self.told_before: set[tuple[int, int]] = set()

    def told(self, position: int) -> str:
        output, readout = self.program.output, self.compiled.readout
        got = readout.decode(self.run.logits[0, 1:, : readout.width])[position]
        want = self.trace.values[output][position]
        head = f"{self.program.labels[output]} at position {position} of {self._input()} is {got!r}"
        numbers = is_number(got) and is_number(want)
        if not (isclose(got, want, rel_tol=1e-9) if numbers else got == want):
            head += f"; the interpreter says {want!r}"
        return "\n".join([head, *self._node(output, position, 1)])

    def _input(self) -> str:
        plain = all(isinstance(t, str) and len(t) == 1 for t in self.tokens)
        return repr("".join(self.tokens)) if plain else repr(self.tokens)

    def _node(self, node: int, at: int, depth: int) -> list[str]:
        value, label = self.trace.values[node][at], self.program.labels[node]
        line = f"{'  ' * depth}{label} = {value!r} at {at}{self._made(node, at)}"
        below = operands(self.program.nodes[node])
        if (node, at) in self.told_before:
            return [line + ("  (above)" if below else "")]
        self.told_before.add((node, at))
        match self.program.nodes[node]:
            case Aggregate(selector, values):
                keys = np.flatnonzero(self.trace.values[selector][at])
                return [line, *self._selected(node, selector, at, keys, depth + 1),
                        *self._followed(values, keys, depth + 1)]  # fmt: skip
            case SelectorWidth(selector):
                keys = np.flatnonzero(self.trace.values[selector][at])
                return [line, *self._selected(node, selector, at, keys, depth + 1)]
            case Map(_, args):
                read = [a for a in args if not isinstance(self.program.nodes[a], Constant)]
                return [line, *(text for a in read for text in self._node(a, at, depth + 1))]
        return [line]

    def _made(self, node: int, at: int) -> str:
        """The sites that write the s-op, and the residual directions that hold it there."""
        layout, stream = self.compiled.layout, self.run.stream[-1][0, at + 1]
        held = [
            f"{direction.label} = {_short(stream[k])} by {layout.writers[k]}"
            for k, direction in enumerate(layout.directions)
            if direction.node == node
        ]
        if not held:
            return "" if node in self.sites else "  (in the embedding, or a sum of what is there)"
        more = f", and {len(held) - 2} more" if len(held) > 2 else ""
        return f"  <- {'; '.join(held[:2])}{more}"

    def _selected(self, node: int, selector: int, at: int, keys, depth: int) -> list[str]:
        label, pad = self.program.labels[selector], "  " * depth
        lines = [f"{pad}{label} at {at} selects {_listed(keys)}"]
        for layer, i, head in self.compiled.layout.heads:
            if node in head.nodes:
                row = self.run.patterns[layer][0, i, at + 1]
                shown = ", ".join(f"{k}: {_short(row[k + 1])}" for k in keys[:MAX_KEYS])
                lines.append(
                    f"{pad}  L{layer}H{i} attends {shown or 'nothing'}; BOS: {_short(row[0])}"
                )
        for literal in self._selects(selector):
            select = self.program.nodes[literal]
            query = self.trace.values[select.queries][at]
            seen = [self.trace.values[select.keys][k] for k in keys[:MAX_KEYS]]
            names = self.program.labels[select.keys], self.program.labels[select.queries]
            lines.append(
                f"{pad}  {names[0]} {select.predicate} {names[1]}: query {query!r}, keys {seen}"
            )
        return lines

    def _selects(self, selector: int) -> list[int]:
        node = self.program.nodes[selector]
        if isinstance(node, Select):
            return [selector]
        return [found for part in operands(node) for found in self._selects(part)]

    def _followed(self, values: int, keys, depth: int) -> list[str]:
        lines = [text for k in keys[:MAX_KEYS] for text in self._node(values, int(k), depth)]
        if len(keys) > MAX_KEYS:
            lines.append(f"{'  ' * depth}... and {len(keys) - MAX_KEYS} more positions")
        return lines


def _listed(keys) -> str:
    if not len(keys):
        return "nothing"
    shown = ", ".join(str(k) for k in keys[:8]) + (", ..." if len(keys) > 8 else "")
    return f"{'position' if len(keys) == 1 else 'positions'} {shown}"


def _short(number: float) -> str:
    """Four digits; what is nothing but rounding is 0."""
    return f"{number:.4g}" if abs(number) > 1e-10 else "0"

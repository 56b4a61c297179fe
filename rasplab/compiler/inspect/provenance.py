"""How one output value comes about: what each site reads and writes on one input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from rasplab.base.arguments import INT, TOKENS, shown, takes
from rasplab.compiler.compiled import Compiled
from rasplab.program.graph import Aggregate, Constant, Map, Select, SelectorWidth, operands
from rasplab.program.semantics import Semantics
from rasplab.program.values import Atom, Value, same_value
from rasplab.transformer.forward import activations
from rasplab.transformer.sites import Site

MAX_KEYS = 4
"""Attended positions that are followed up; the rest is counted."""

MAX_POSITIONS, MAX_DIRECTIONS = 8, 2
"""Selected positions, and directions of an s-op, that a line shows."""


Part: TypeAlias = str | tuple[int, int, int]
"""A line of the text; or an s-op, a position and a depth, whose lines are yet to be made."""


@takes(tokens=TOKENS, position=INT)
def explain(compiled: Compiled, tokens: Sequence[Atom], position: int) -> str:
    """The tree of s-ops behind each output at `position`, from 0, each where it is read.

    A line gives the interpreter's value, the sites that make it, and what the weights hold there.
    Raises ValueError for a position outside the input, RaspValueError for an input outside the
    domain.
    """
    ids = np.array(compiled.domain.encode(list(tokens)))
    if not 0 <= position < len(ids):
        raise ValueError(
            f"position is {shown(position)}; the input has positions 0 to {len(ids) - 1}"
        )
    return _Explanation(compiled, list(tokens), ids).text(position)


class _Explanation:
    """One run of the weights and of the interpreter, followed from the output back."""

    def __init__(self, compiled: Compiled, tokens: list[Atom], ids: np.ndarray):
        self.compiled, self.program, self.tokens = compiled, compiled.program, tokens
        self.trace = Semantics(compiled.program, compiled.domain).interpret(tokens)
        self.run = activations(compiled.weights, ids[None], compiled.domain.causal)
        self.sites: dict[int, list[Site]] = {}
        for site, nodes in compiled.site_nodes().items():
            for node in nodes:
                self.sites.setdefault(node, []).append(site)
        self.explained: set[tuple[int, int]] = set()

    def text(self, position: int) -> str:
        """For every output the headline, and the tree below it."""
        lines, logits = [], self.run.logits[0, 1 + position]
        readouts = (self.compiled.readout, *self.compiled.further)
        for output, readout in zip(self.program.outputs, readouts, strict=True):
            result = readout.decode(logits[None, : readout.width])[0]
            logits = logits[readout.width :]  # those of the next output follow
            lines += [self._headline(output, position, result), *self._tree(output, position)]
        return "\n".join(lines)

    def _headline(self, output: int, position: int, result: Value) -> str:
        expected = self.trace.values[output][position]
        label = self.program.labels[output]
        head = f"{label} at position {position} of {self._input_text()} is {result!r}"
        if same_value(expected, result):
            return head
        return f"{head}; the interpreter says {expected!r}"

    def _input_text(self) -> str:
        letters = [t for t in self.tokens if isinstance(t, str) and len(t) == 1]
        return repr("".join(letters) if len(letters) == len(self.tokens) else self.tokens)

    def _tree(self, output: int, position: int) -> list[str]:
        """The lines of an s-op and of everything that it reads."""
        # a stack of its own: programs are deeper than Python's recursion allows
        lines: list[str] = []
        parts: list[Part] = [(output, position, 1)]
        while parts:
            part = parts.pop()
            if isinstance(part, str):
                lines.append(part)
            else:
                parts += reversed(self._node(*part))
        return lines

    def _node(self, node: int, at: int, depth: int) -> list[Part]:
        """The line of an s-op at position `at`, and what it reads; each only once."""
        value, label = self.trace.values[node][at], self.program.labels[node]
        line = f"{'  ' * depth}{label} = {value!r} at {at}{self._writers(node, at)}"
        if (node, at) in self.explained:
            return [line + ("  (above)" if operands(self.program.nodes[node]) else "")]
        self.explained.add((node, at))
        match self.program.nodes[node]:
            case Aggregate(selector, values):
                keys = np.flatnonzero(self.trace.values[selector][at])
                selected = self._selection(node, selector, at, keys, depth + 1)
                return [line, *selected, *self._values_at(values, keys, depth + 1)]
            case SelectorWidth(selector):
                keys = np.flatnonzero(self.trace.values[selector][at])
                return [line, *self._selection(node, selector, at, keys, depth + 1)]
            case Map(_, args):
                read = [a for a in args if not isinstance(self.program.nodes[a], Constant)]
                return [line, *((a, at, depth + 1) for a in read)]
        return [line]

    def _writers(self, node: int, at: int) -> str:
        """The sites that write the s-op, and the residual directions that hold it there."""
        # positions of the run count BOS: token `at` is at `at + 1`
        layout, stream = self.compiled.layout, self.run.stream[-1][0, at + 1]
        held = [
            f"{direction.label} = {_short(stream[k])} by {layout.writers[k]}"
            for k, direction in enumerate(layout.directions)
            if direction.node == node
        ]
        if not held:
            return "" if node in self.sites else "  (in the embedding, or a sum of what is there)"
        more = len(held) - MAX_DIRECTIONS
        return f"  <- {'; '.join(held[:MAX_DIRECTIONS])}" + (f", and {more} more" * (more > 0))

    def _selection(
        self, node: int, selector: int, at: int, keys: np.ndarray, depth: int
    ) -> list[str]:
        """What a selector's row selects, what the heads attend to, and the values compared."""
        labels, pad = self.program.labels, "  " * depth
        lines = [f"{pad}{labels[selector]} at {at} selects {_positions_text(keys)}"]
        for layer, i, head in self.compiled.layout.heads:
            if node in head.nodes:
                row = self.run.patterns[layer][0, i, at + 1]
                weights = ", ".join(f"{k}: {_short(row[k + 1])}" for k in keys[:MAX_KEYS])
                lines.append(
                    f"{pad}  L{layer}H{i} attends {weights or 'nothing'}; BOS: {_short(row[0])}"
                )
        for select in self._selects(selector):
            query = self.trace.values[select.queries][at]
            compared = [self.trace.values[select.keys][k] for k in keys[:MAX_KEYS]]
            test = f"{labels[select.keys]} {select.predicate} {labels[select.queries]}"
            lines.append(f"{pad}  {test}: query {query!r}, keys {compared}")
        return lines

    def _selects(self, selector: int) -> list[Select]:
        """The `select`s that a selector combines."""
        selects: list[Select] = []
        stack, seen = [selector], set[int]()
        while stack:
            i = stack.pop()
            node = self.program.nodes[i]
            if i in seen:
                continue
            seen.add(i)
            if isinstance(node, Select):
                selects.append(node)
            else:
                stack += reversed(operands(node))
        return selects

    def _values_at(self, values: int, keys: np.ndarray, depth: int) -> list[Part]:
        parts: list[Part] = [(values, int(k), depth) for k in keys[:MAX_KEYS]]
        if len(keys) > MAX_KEYS:
            parts.append(f"{'  ' * depth}... and {len(keys) - MAX_KEYS} more positions")
        return parts


def _positions_text(keys: np.ndarray) -> str:
    if not len(keys):
        return "nothing"
    shown = ", ".join(map(str, keys[:MAX_POSITIONS]))
    more = ", ..." if len(keys) > MAX_POSITIONS else ""
    return f"{'position' if len(keys) == 1 else 'positions'} {shown}{more}"


def _short(number: float) -> str:
    """Four digits; what is nothing but rounding is 0."""
    return f"{number:.4g}" if abs(number) > 1e-10 else "0"

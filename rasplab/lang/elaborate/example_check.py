"""The running example of a session: s-ops and selectors are evaluated on it as they are made.

The reference REPL refuses an s-op that fails on the example. Each node's column is computed once
per input and remembered, so that a long session costs one evaluation of each node, not one of each
text.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rasplab.base.errors import RaspError
from rasplab.lang.elaborate.values import NamedNode, Value
from rasplab.program.faults import Faulty, FaultyRows, check_column
from rasplab.program.graph import Builder, operands
from rasplab.program.interpret.exact import Column, Room, read_tokens

MAX_CACHED = 4
"""How many inputs have their columns remembered, the least recently used forgotten first."""


@dataclass(slots=True)
class CachedColumns:
    """The columns of a builder's nodes on one input, each computed when it is first needed."""

    tokens: tuple
    columns: dict[int, Column] = field(default_factory=dict)
    room: Room = field(init=False)

    def __post_init__(self):
        self.room = Room(len(self.tokens))

    def column(self, builder: Builder, node: int) -> Column:
        """The column of a node, which may hold Faults.

        Raises RaspError where it mixes strings and numbers on this input.
        """
        stack = [node]  # the graph may be deeper than Python's stack
        while stack:
            i = stack[-1]
            missing = [a for a in operands(builder.nodes[i]) if a not in self.columns]
            if i not in self.columns and missing:
                stack += reversed(missing)
                continue
            stack.pop()
            if i not in self.columns:
                self.columns[i] = self.room.column(
                    builder.nodes[i], self.columns, self.tokens, builder.spans[i]
                )
        return self.columns[node]


class ExampleCheck:
    """Evaluates nodes on the running example, or on the input that they are about to be applied to.

    tokens       the example: a string or a list
    builder      where the nodes are made; the elaborator sets it to its own
    alternative  an input on which a node may succeed instead, while `f(input)` is evaluated
    """

    def __init__(self, tokens: str | list):
        self.tokens: str | list = tokens
        self.builder: Builder = Builder()
        self.alternative: str | list | None = None
        self._cache: OrderedDict[tuple, CachedColumns] = OrderedDict()

    def length(self) -> int:
        """How many positions the example has."""
        return len(self.tokens)

    def column(self, node: NamedNode, tokens: str | list) -> Column:
        """A node on an input.

        Raises RaspError where it has no value there.
        """
        column = self._with_faults(node, tokens)
        check_column(column)
        return column

    def _with_faults(self, node: NamedNode, tokens: str | list) -> Column:
        """A node on an input; what cannot be computed is a Fault."""
        inputs = read_tokens(tokens)
        # With their types: True, 1 and 1.0 are equal to Python, and different tokens here.
        key = tuple((type(t), t) if not isinstance(t, list) else repr(t) for t in inputs)
        if key not in self._cache:
            self._cache[key] = CachedColumns(inputs)
            if len(self._cache) > MAX_CACHED:
                self._cache.popitem(last=False)
        self._cache.move_to_end(key)
        return self._cache[key].column(self.builder, node.id)

    def works(self, node: NamedNode) -> bool:
        """Whether a node has a value on the example, or on the alternative input.

        Raises RaspError where it mixes strings and numbers, that of the alternative input.
        """
        return not isinstance(self._on_either(self._with_faults, node), Faulty | FaultyRows)

    def test(self, value: Value) -> None:
        """Check that an s-op or selector, or those in a list or dict, have a value as `works` does.

        Raises RaspError, that of the alternative input where both fail.
        """
        if isinstance(value, NamedNode):
            self._on_either(self.column, value)
        elif isinstance(value, list | dict):
            for part in value.values() if isinstance(value, dict) else value:
                self.test(part)

    def _on_either(self, column: Callable[..., Column], node: NamedNode) -> Column:
        """The column on the alternative input, or where that fails on the example."""
        if self.alternative is None:
            return column(node, self.tokens)
        try:
            return column(node, self.alternative)
        except RaspError:
            try:
                return column(node, self.tokens)
            except RaspError:
                return column(node, self.alternative)  # raises again

    @contextmanager
    def also_on(self, tokens: Value) -> Iterator[None]:
        """Let nodes fail on the example if they work on `tokens`."""
        before = self.alternative
        self.alternative = tokens if isinstance(tokens, str | list) and tokens else None
        try:
            yield
        finally:
            self.alternative = before

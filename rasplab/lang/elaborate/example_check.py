"""The running example: s-ops and selectors are tried on it as they are made."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rasplab.base.errors import RaspError
from rasplab.lang.elaborate.values import Node, Value
from rasplab.program.graph import Builder, operands
from rasplab.program.interpret.exact import Column, Room, read_tokens

MAX_KEPT = 4
"""Examples whose columns are remembered."""


@dataclass(slots=True)
class Columns:
    """The columns of a builder's nodes on one input, each computed once, when first asked for."""

    tokens: tuple
    known: dict[int, Column] = field(default_factory=dict)
    room: Room = field(init=False)

    def __post_init__(self):
        self.room = Room(len(self.tokens))

    def of(self, builder: Builder, node: int) -> Column:
        """The column of a node. Raises RaspError where it fails on this input."""
        stack = [node]
        while stack:
            i = stack[-1]
            missing = (
                []
                if i in self.known
                else [a for a in operands(builder.nodes[i]) if a not in self.known]
            )
            if missing:
                stack += reversed(missing)
                continue
            stack.pop()
            if i not in self.known:
                self.known[i] = self.room.column(
                    builder.nodes[i], self.known, self.tokens, builder.spans[i]
                )
        return self.known[node]


class ExampleCheck:
    """Tries nodes on the running example, or on the input they are about to be put to.

    tokens  the example: a string or a list
    """

    def __init__(self, tokens: str | list):
        self.tokens: str | list = tokens
        self.builder: Builder = Builder()
        self.backup: str | list | None = None
        self._kept: OrderedDict[tuple, Columns] = OrderedDict()

    def length(self) -> int:
        """How many positions the example has."""
        return len(self.tokens)

    def column(self, node: Node, tokens: str | list) -> Column:
        """A node on an input."""
        inputs = read_tokens(tokens)
        key = tuple((type(t), t) if not isinstance(t, list) else repr(t) for t in inputs)
        if key not in self._kept:
            self._kept[key] = Columns(inputs)
            if len(self._kept) > MAX_KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key].of(self.builder, node.id)

    def test(self, node: Node) -> None:
        """Raises RaspError if the node fails on the example, and on the input it is about to be put
        to."""
        if self.backup is None:
            self.column(node, self.tokens)
            return
        try:
            self.column(node, self.backup)
        except RaspError:
            self._or_backup(node)

    def _or_backup(self, node: Node) -> None:
        try:
            self.column(node, self.tokens)
        except RaspError:
            self.column(node, self.backup)

    @contextmanager
    def also_on(self, tokens: Value) -> Iterator[None]:
        """Let nodes fail on the example if they work on `tokens`."""
        before = self.backup
        self.backup = tokens if isinstance(tokens, str | list) and tokens else None
        try:
            yield
        finally:
            self.backup = before

"""A RASP program as a graph: the closed set of node types, Program, and its Builder.

A node names its operands by their position in `Program.nodes`; operands come before their users.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any

from rasplab.base.arguments import shown
from rasplab.base.doors import Doors
from rasplab.base.errors import RaspNameError, RaspValueError, Span
from rasplab.base.text import near_names
from rasplab.program.functions import FUNCTIONS
from rasplab.program.values import Atom, Value, literal, typed_key

MAX_LABEL = 200
"""Characters of a node's label; longer ones, which nest without bound, are its number instead."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """The input, each token read as `cast`: "asis", "str", "int", "float" or "bool"."""

    cast: str = "str"


@dataclass(frozen=True, slots=True)
class Indices:
    """The position, from 0."""


@dataclass(frozen=True, slots=True)
class Constant:
    """The same value at every position."""

    value: Value


@dataclass(frozen=True, slots=True)
class Map:
    """FUNCTIONS[fn] of the operands, position by position."""

    fn: str
    args: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Select:
    """A selector: row = query position, column = key position, True where `key predicate query`."""

    keys: int
    queries: int
    predicate: str


@dataclass(frozen=True, slots=True)
class Combine:
    """`and`, `or` (two selectors or more), `not` (one) of selectors."""

    fn: str
    selectors: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Aggregate:
    """Per row `default` for no selected key, the value of one, the mean (a float) of several."""

    selector: int
    values: int
    default: Atom = 0


@dataclass(frozen=True, slots=True)
class SelectorWidth:
    """How many keys each row selects."""

    selector: int


Node = Tokens | Indices | Constant | Map | Select | Combine | Aggregate | SelectorWidth
SELECTORS = (Select, Combine)


def operands(node: Node) -> tuple[int, ...]:
    """The ids of the nodes that a node reads, in order."""
    match node:
        case Map(_, args):
            return args
        case Select(keys, queries, _):
            return (keys, queries)
        case Combine(_, selectors):
            return selectors
        case Aggregate(selector, values, _):
            return (selector, values)
        case SelectorWidth(selector):
            return (selector,)
    return ()


def renumbered(node: Node, ids: dict[int, int] | list[int]) -> Node:
    """The same node over operands renamed by `ids`."""
    match node:
        case Map(fn, args):
            return Map(fn, tuple(ids[a] for a in args))
        case Select(keys, queries, predicate):
            return Select(ids[keys], ids[queries], predicate)
        case Combine(fn, selectors):
            return Combine(fn, tuple(ids[s] for s in selectors))
        case Aggregate(selector, values, default):
            return Aggregate(ids[selector], ids[values], default)
        case SelectorWidth(selector):
            return SelectorWidth(ids[selector])
    return node


def node_key(node: Node) -> tuple:
    """A key that is equal for equal nodes only: constants 1, 1.0 and True differ."""
    match node:
        case Constant(value):
            return ("Constant", typed_key(value))
        case Aggregate(selector, values, default):
            return ("Aggregate", selector, values, typed_key(default))
    return (type(node).__name__, *(getattr(node, f.name) for f in fields(node)))


class ProgramDoors(
    Doors,
    homes={
        "unparse": "rasplab.lang.printing.unparse:unparse",
        "explain": "rasplab.program.analysis.requirements:explain",
    },
):
    """The methods of Program that higher rooms provide."""

    if TYPE_CHECKING:

        def unparse(self) -> str:
            """RASP text that parses into a program of the same digest and names."""
            ...

        def explain(self, causal: bool = False) -> Any:
            """Layers and heads needed: an `Explanation` (program.analysis.requirements)."""
            ...


@dataclass(frozen=True)
class Program(ProgramDoors):
    """A program: nodes in order, every one needed for the output.

    nodes   operands before users; no two equal
    output  the id of the output node; also: further outputs, in their order
    names   the names the text gives to nodes; an id may carry several (the first is shown)
    spans   where in the text each node was made, when it came from text
    """

    nodes: tuple[Node, ...]
    output: int
    names: tuple[tuple[str, int], ...] = ()
    spans: tuple[Span | None, ...] = field(default=(), compare=False)
    also: tuple[int, ...] = ()

    def __post_init__(self):
        for i, node in enumerate(self.nodes):
            assert all(a < i for a in operands(node)), f"node {i} reads a later node: {node}"
        count = len(self.nodes)
        assert all(0 <= i < count for i in self.outputs), f"outputs {self.outputs} of {count} nodes"

    @property
    def outputs(self) -> tuple[int, ...]:
        """All outputs: `output` first."""
        return (self.output, *self.also)

    def is_selector(self, i: int) -> bool:
        """Whether node i is a selector (else it is an s-op).

        Raises RaspValueError where there is no such node.
        """
        try:
            return isinstance(self.nodes[i], SELECTORS)
        except (TypeError, IndexError):
            raise self._no_node(i) from None

    def span(self, i: int) -> Span | None:
        """Where node i comes from, if known.

        Raises RaspValueError where there is no such node.
        """
        try:
            return self.spans[i] if i < len(self.spans) else None
        except (TypeError, IndexError):
            raise self._no_node(i) from None

    def _no_node(self, i: object) -> RaspValueError:
        return RaspValueError(
            f"no node {shown(i)} in this program; its nodes are 0 to {len(self.nodes) - 1}",
            hint="`program.id_of(name)` is the node of a name",
        )

    def id_of(self, name: str) -> int:
        """The node called `name`.

        Raises RaspNameError for any other name; the hint lists the names there are.
        """
        ids = dict(self.names)
        if not isinstance(name, str) or name not in ids:
            near = near_names(name, ids) if isinstance(name, str) else []
            raise RaspNameError(
                f"no {shown(name)} in this program",
                hint=f"it has: {', '.join(near or ids) or 'no names'}",
            )
        return ids[name]

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """A short text for each node: its name, or its expression over named nodes."""
        named = {i: name for name, i in reversed(self.names)}  # the first name of an id wins
        texts: list[str] = []
        for i, node in enumerate(self.nodes):
            text = named.get(i) or expression(node, texts)
            texts.append(text if len(text) <= MAX_LABEL else f"%{i}")
        return tuple(texts)

    def listing(self) -> str:
        """The graph as text, one node a line."""
        named = {i: name for name, i in reversed(self.names)}
        refs = [f"%{i}" for i in range(len(self.nodes))]
        lines = []
        for i, node in enumerate(self.nodes):
            note = f"  # {named[i]}" if i in named else ""
            lines.append(f"%{i} = {expression(node, refs)}{note}")
        return "\n".join([*lines, f"output {', '.join(refs[i] for i in self.outputs)}"])

    @cached_property
    def digest(self) -> str:
        """A sha256 of nodes and outputs, independent of names, spans and history."""
        order = canonical_order(self.nodes, *self.outputs)
        ids = {old: new for new, old in enumerate(order)}
        # digests stand in saved models: another text here would make all of those differ
        keys = [node_key(renumbered(self.nodes[old], ids)) for old in order]
        keys += [("also", ids[i]) for i in self.also]
        return hashlib.sha256(repr(keys).encode()).hexdigest()


def canonical_order(nodes: Sequence[Node], *outputs: int) -> list[int]:
    """The ids that `outputs` need, operands first, in depth-first order of operands."""
    # a stack of its own: chains of nodes are longer than Python's recursion allows
    order: list[int] = []
    seen: set[int] = set()
    stack = [(output, False) for output in reversed(outputs)]
    while stack:
        i, ready = stack.pop()
        if ready:
            order.append(i)
        elif i not in seen:
            seen.add(i)
            stack.append((i, True))
            stack += [(a, False) for a in reversed(operands(nodes[i])) if a not in seen]
    return order


def expression(node: Node, texts: list[str]) -> str:
    """A node written as RASP over the texts of its operands."""
    match node:
        case Tokens(cast):
            return "tokens" if cast == "str" else f"tokens_{cast}"
        case Indices():
            return "indices"
        case Constant(value):
            return literal(value)
        case Map(fn, args):
            return FUNCTIONS[fn].form.format(*(_atom(texts[a]) for a in args))
        case Select(keys, queries, predicate):
            return f"select({texts[keys]}, {texts[queries]}, {predicate})"
        case Combine("not", (selector,)):
            return f"not {_atom(texts[selector])}"
        case Combine(fn, selectors):
            return f" {fn} ".join(_atom(texts[s]) for s in selectors)
        case Aggregate(selector, values, default):
            tail = "" if default == 0 and type(default) is int else f", {literal(default)}"
            return f"aggregate({texts[selector]}, {texts[values]}{tail})"
        case SelectorWidth(selector):
            return f"selector_width({texts[selector]})"
    raise AssertionError(node)


def _atom(text: str) -> str:
    """A text, in brackets unless it binds tighter than every operator."""
    simple = text.replace("_", "").replace(".", "").replace("%", "").isalnum()
    opened = text.startswith(("select(", "aggregate(", "selector_width(", '"', "["))
    return text if simple or (opened and text.count("(") <= 1) else f"({text})"


class Builder:
    """Makes programs node by node, and shares equal nodes.

    The only way to make a Program: the elaborator of texts, rewriting passes and tests use it.
    """

    def __init__(self):
        self.nodes: list[Node] = []
        self.spans: list[Span | None] = []
        self._ids: dict[tuple, int] = {}

    def add(self, node: Node, span: Span | None = None) -> int:
        """The id of a node: that of an equal node, where there is one already."""
        key = node_key(node)
        if key not in self._ids:
            self._ids[key] = len(self.nodes)
            self.nodes.append(node)
            self.spans.append(span)
        return self._ids[key]

    def program(
        self, output: int, names: dict[str, int] | None = None, also: tuple[int, ...] = ()
    ) -> Program:
        """The program of these outputs, with only the nodes they need, in canonical order."""
        order = canonical_order(self.nodes, output, *also)
        ids = {old: new for new, old in enumerate(order)}
        nodes = tuple(renumbered(self.nodes[old], ids) for old in order)
        reached = tuple((name, ids[old]) for name, old in (names or {}).items() if old in ids)
        spans = _inherited(nodes, [self.spans[old] for old in order])
        return Program(nodes, ids[output], reached, spans, tuple(ids[i] for i in also))


def _inherited(nodes: tuple[Node, ...], spans: list[Span | None]) -> tuple[Span | None, ...]:
    """The spans; a node without one (made inside the library) takes that of its user."""
    for i in reversed(range(len(nodes))):  # users before operands, so spans reach any depth
        for a in operands(nodes[i]):
            spans[a] = spans[a] or spans[i]
    return tuple(spans)


def effective_selectors(program: Program) -> list[int]:
    """The selectors that an aggregate or a selector_width reads, in program order."""
    return sorted(
        {node.selector for node in program.nodes if isinstance(node, (Aggregate, SelectorWidth))}
    )

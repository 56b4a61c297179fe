"""Programs to text: `unparse(program)` -> RASP that parses to a program of the same digest.

Nodes are written in canonical order, operands first. A node becomes a statement where it has a
name, several users or a long expression; otherwise its expression is written inside its user's.
The difficulty is to write what parses to the very same nodes: a constant among constants would be
computed at once, so it is wrapped in `constant(...)`; brackets follow the precedence table.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TypeGuard

from rasplab.base.errors import RaspValueError
from rasplab.lang.elaborate.operators import MIRRORED
from rasplab.lang.printing.format import format_text
from rasplab.lang.syntax.vocabulary import BUILT_IN, RESERVED, TRUTHS, vocabulary
from rasplab.program.functions import PREDICATES
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
    Tokens,
    canonical_order,
    node_key,
    operands,
)
from rasplab.program.values import Value, source_text

MAX_LENGTH = 72
"""Characters of an expression; a longer one becomes a statement."""

MAX_DEPTH = 8
"""Operations nested in an expression; a deeper one becomes a statement."""

ATOM, PREFIX, OTHER = 0, 2, 99
LEVELS = {
    "^": 3,
    "*": 4,
    "/": 4,
    "//": 4,
    "%": 4.5,
    "+": 6,
    "-": 6,
    "and": 8,
    "or": 8,
} | dict.fromkeys(PREDICATES, 7)
"""The precedence table of the grammar: the lower the level, the tighter an operator binds."""

LIBRARY_USED = frozenset((*BUILT_IN, *TRUTHS))
"""Names of the library that an unparsed text reads, so it assigns none of them."""


@dataclass(frozen=True, slots=True)
class Text:
    """An expression.

    level     that of its outermost operator in LEVELS; ATOM, PREFIX or OTHER (if, in)
    op        its outermost operator, or ""
    depth     operations nested in it
    constant  the node, where it is a constant
    is_sop    False for an atom or list, which is not yet an s-op
    """

    text: str
    level: float = ATOM
    op: str = ""
    depth: int = 0
    constant: Constant | None = None
    is_sop: bool = True


def unparse(program: Program) -> str:
    """RASP text of a program, which `parse` reads back as a program of the same digest and names.

    Of several outputs each has a name, and a comment lists them for `parse(text, output=[...])`.
    Raises RaspValueError for a graph that no text makes, such as one that indexes a list that is
    not constant.
    """
    return format_text(_Writer(program).text())


@dataclass(slots=True)
class _Writer:
    """Writes one program.

    lines     the statements so far
    invented  how many names have been made up
    """

    program: Program
    lines: list[str] = field(default_factory=list)
    invented: int = 0

    def text(self) -> str:
        """The statements, the output's last."""
        nodes, names = self.program.nodes, self._names()
        outputs = self.program.outputs
        order = canonical_order(nodes, *outputs)
        users = Counter(a for i in order for a in operands(nodes[i]))
        library = _library_nodes(nodes, names)
        taken = {name for given in names.values() for name in given}
        texts: dict[int, Text] = {}
        # texts[i]: how users of node i write it, a name or an expression.
        for i in order:
            text = Text(library[i]) if i in library else self._expression(nodes[i], texts, taken)
            again = users[i] > 1 and not _is_short(nodes[i])
            if names.get(i):
                text = self._assigned(names[i], text)
            elif len(outputs) > 1 and i in outputs:
                names[i] = [self._fresh(taken)]
                text = self._assigned(names[i], text)
            elif i not in library and i != order[-1] and (again or _is_long(text)):
                text = self._assigned([self._fresh(taken)], text)
            texts[i] = text
        if len(outputs) > 1:
            self.lines.append(f"# outputs: {', '.join(_output_names(outputs, names))}")
        elif not names.get(order[-1]):
            self.lines.append(f"{_as_sop(texts[order[-1]]).text};")
        return "\n".join(self.lines) + "\n"

    def _names(self) -> dict[int, list[str]]:
        """The names of each node that a text may give it."""
        names: dict[int, list[str]] = {}
        for name, i in self.program.names:
            if name not in LIBRARY_USED and is_assignable(name):
                names.setdefault(i, []).append(name)
        return names

    def _fresh(self, taken: set[str]) -> str:
        """A name that no node has: x1, x2, ..."""
        while True:
            self.invented += 1
            if f"x{self.invented}" not in taken:
                return f"x{self.invented}"

    def _assigned(self, names: list[str], text: Text) -> Text:
        """Write the statements that give an expression its names; its first name as a Text."""
        value = _as_sop(text).text
        for name in names:
            self.lines.append(f"{name} = {value};")
            value = names[0]
        return Text(names[0], constant=text.constant)

    def _expression(self, node: Node, texts: dict[int, Text], taken: set[str]) -> Text:
        match node:
            case Tokens("str"):
                return Text("tokens_str" if "tokens" in taken else "tokens")
            case Tokens(cast):
                return Text(f"tokens_{cast}")
            case Indices():
                return Text("indices")
            case Constant(value):
                return _constant(node, value)
            case Map(fn, args):
                return _map(fn, [texts[a] for a in args])
            case Select(keys, queries, predicate):
                parts = [_operand(texts[keys]), _operand(texts[queries])]
                return _call("select", parts, predicate)
            case Combine("not", (selector,)):
                return _prefix("not ", texts[selector])
            case Combine(fn, (left, right)):
                return _binary(fn, texts[left], texts[right])
            case Aggregate(selector, values, default):
                plain = type(default) is int and default == 0
                tail = () if plain else (source_text(default),)
                return _call("aggregate", [texts[selector], _operand(texts[values])], *tail)
            case SelectorWidth(selector):
                return _call("selector_width", [texts[selector]])
        raise _no_text(f"{type(node).__name__} of {len(operands(node))} operands")


def _output_names(outputs: tuple[int, ...], names: dict[int, list[str]]) -> list[str]:
    """A name for each output; another one each for a node that is several, if it has them."""
    return [names[i][min(outputs[:k].count(i), len(names[i]) - 1)] for k, i in enumerate(outputs)]


def _no_text(what: str) -> RaspValueError:
    return RaspValueError(
        f"no RASP text makes a {what}", hint="only a program built by hand has it"
    )


def is_assignable(name: str) -> bool:
    """Whether a text may give something this name."""
    plain = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) is not None
    return plain and name not in RESERVED | vocabulary().grammar


def _library_nodes(nodes: tuple[Node, ...], names: dict[int, list[str]]) -> dict[int, str]:
    """The nodes that are the library's `full_s` and `length`, by their names there."""
    # Nodes are in canonical order, so `full_s` is met before the `length` that is its width. A
    # program may use these names for other nodes; then the library's are not readable in its text.
    given = {name for i in names for name in names[i]}
    library: dict[int, str] = {}
    for i, node in enumerate(nodes):
        match node:
            case Select(k, q, "==") if node_key(nodes[k]) == node_key(nodes[q]) == _ONE:
                name = "full_s"
            case SelectorWidth(s) if library.get(s) == "full_s":
                name = "length"
            case _:
                continue
        if name not in given or name in names.get(i, ()):
            library[i] = name
            names[i] = [n for n in names.get(i, ()) if n != name]
    return library


_ONE = node_key(Constant(1))


def _is_short(node: Node) -> bool:
    """Whether a node is written out wherever it is used, although it has several users."""
    return isinstance(node, Tokens | Indices) or (
        isinstance(node, Constant) and not isinstance(node.value, tuple)
    )


def _is_long(text: Text) -> bool:
    return text.is_sop and (len(text.text) > MAX_LENGTH or text.depth >= MAX_DEPTH)


def _constant(node: Constant, value: Value) -> Text:
    text = source_text(value)
    # A string with characters that need chr(n) is a sum of parts, and binds like one.
    if isinstance(value, str) and "chr(" in text.replace(f'"{value}"', ""):
        return Text(text, LEVELS["+"], "+", 0, node, False)
    return Text(text, PREFIX if text[0] == "-" else ATOM, "-", 0, node, False)


def _as_sop(text: Text) -> Text:
    """A constant as an s-op; others as they are."""
    return text if text.is_sop else Text(f"constant({text.text})")


def _operand(text: Text) -> Text:
    """An operand of select or aggregate, which take an atom as an s-op but no list."""
    is_list = text.constant is not None and isinstance(text.constant.value, tuple)
    return _as_sop(text) if is_list else text


def _call(function: str, parts: list[Text], *tail: str) -> Text:
    depth = 1 + max(p.depth for p in parts)
    return Text(f"{function}({', '.join([*(p.text for p in parts), *tail])})", depth=depth)


def _map(fn: str, args: list[Text]) -> Text:
    if fn in ("index", "lookup", "in"):
        return _container(fn, args)
    if fn in ("round", "indicator"):
        return _call(fn, [_as_sop(args[0])])
    if len(args) == 1:
        return _prefix({"neg": "-", "pos": "+", "not": "not "}[fn], _as_sop(args[0]))
    if fn == "if":
        parts = [_operand(args[1]), _as_sop(args[0]), _operand(args[2])]
        # `if` and `in` take anything tighter than themselves without brackets.
        written = [p.text if p.level < OTHER else f"({p.text})" for p in parts]
        depth = 1 + max(p.depth for p in parts)
        return Text("{} if {} else {}".format(*written), OTHER, "if", depth)
    left, right = _operand(args[0]), _operand(args[1])
    # Two atoms would be computed at once, and an atom left of a comparison change sides with it.
    if not right.is_sop or fn in MIRRORED:
        left = _as_sop(left)
    return _binary(fn, left, right)


def _binary(op: str, left: Text, right: Text) -> Text:
    text = f"{_inside(left, op)} {op} {_inside(right, op, is_right=True)}"
    return Text(text, LEVELS[op], op, 1 + max(left.depth, right.depth))


def _prefix(op: str, operand: Text) -> Text:
    return Text(f"{op}{_atom(operand)}", PREFIX, op.strip(), 1 + operand.depth)


def _atom(part: Text) -> str:
    return part.text if part.level == ATOM else f"({part.text})"


def _inside(part: Text, op: str, is_right: bool = False) -> str:
    """An operand of a binary operator, in brackets where it needs them or is unclear without."""
    level, pair = LEVELS[op], {part.op, op}
    binds = part.level < level or (part.level == level and not is_right)
    # Where RASP's precedence differs from Python's, a reader would have to look it up.
    unclear = (
        (part.level == level >= 7 and (level == 7 or part.op != op))  # 3 > 2 > 1, a and b or c
        or (part.op == "not" and level < 8)  # not a == b
        or (part.level == PREFIX and op == "^")  # -a ^ b
        or ("%" in pair and len(pair) == 2 and pair <= {"%", "*", "/", "//", "^"})  # a % b * c
    )
    return part.text if part.level == ATOM or (binds and not unclear) else f"({part.text})"


def _container(fn: str, args: list[Text]) -> Text:
    """An s-op over a constant container: `list[i]`, `dict[key]`, `x in list`."""
    item, container = (args[0], args[1]) if fn == "in" else (args[1], args[0])
    key, depth = _as_sop(item), 1 + item.depth
    if container.constant is None:
        raise _no_text(f"`{fn}` over {container.text}")
    value = container.constant.value
    container = _constant(container.constant, value)
    if fn == "in" and isinstance(value, tuple) and not any(isinstance(v, tuple) for v in value):
        return Text(f"{_inside(key, '+')} in {container.text}", OTHER, "in", depth)
    if fn == "index" and isinstance(value, tuple | str):
        return Text(f"{_atom(container)}[{key.text}]", depth=depth)
    if fn == "lookup" and _is_dict(value):
        pairs = ", ".join(f"{source_text(k)}: {source_text(v)}" for k, v in value)
        return Text(f"{{{pairs}}}[{key.text}]", depth=depth)
    raise _no_text(f"`{fn}` over {container.text}")


def _is_dict(value: Value) -> TypeGuard[tuple[tuple[Value, Value], ...]]:
    """Whether a constant holds the pairs of a dict."""
    if not isinstance(value, tuple) or not all(isinstance(p, tuple) and len(p) == 2 for p in value):
        return False
    keys = [key for key, _ in value]
    return not any(isinstance(k, tuple) for k in keys) and len(dict.fromkeys(keys)) == len(keys)

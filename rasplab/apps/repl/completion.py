"""What may be written next, and what a name means: completion and help for notebooks and the REPL."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rasplab.base.errors import RaspError, Span
from rasplab.lang.elaborate.values import (
    Builtin,
    Function,
    Node,
    Selector,
    Value,
    describe,
    kind,
    plain_text,
)
from rasplab.lang.loading import SUFFIX
from rasplab.lang.session import Session
from rasplab.lang.syntax.grammar_tables import tables
from rasplab.program.interpret.bitrows import matrix
from rasplab.program.interpret.exact import Column
from rasplab.program.values import input_text, selector_grid, sop_line
from rasplab.program.zoo import shipped

FORMS = {
    "select": (
        "select(keys, queries, OP)",
        "a selector: row = query, column = key, true where `key OP query`;\n"
        "OP is one of == != < <= > >=",
    ),
    "aggregate": (
        "aggregate(selector, values[, default])",
        "per query: the default (0) where nothing is selected, the value where one position is,\n"
        "the mean of the values where more are",
    ),
    "indicator": ("indicator(s)", "1 where s is true, else 0"),
    "round": ("round(e)", "the nearest whole number; halves go to the even one"),
    "range": ("range([start,] stop[, step])", "a list of ints"),
    "zip": ("zip(list, ...)", "a list of lists: the first items, the second items, ..."),
    "len": ("len(list)", "how many items a list, dict or string has"),
    "selector_width": ("selector_width(selector)", "how many keys each query selects"),
    "constant": ("constant(a)", "an s-op that is a at every position; a is an atom or a list"),
    "chr": ("chr(n)", "the character with the number n"),
    "indices": ("indices", "the position, from 0"),
    "tokens": ("tokens", "the input, every token as a string"),
    "tokens_str": ("tokens_str", "the input, every token as a string"),
    "tokens_int": ("tokens_int", "the input, every token read as an int"),
    "tokens_float": ("tokens_float", "the input, every token read as a float"),
    "tokens_bool": ("tokens_bool", "the input, every token as a bool: False for 0 and nothing"),
    "tokens_asis": ("tokens_asis", "the input, every token as it is"),
    "out": ("out", "the value last computed"),
    "load": ('load "name";', "run name.rasp; its names that do not begin with _ are yours then"),
    "draw": ("draw(sop[, input]);", "the computation of an s-op as a picture"),
    "set": ("set [s-op|selector] example e", "the input that everything is shown on"),
    "show": ("show [s-op|selector] example", "the input that everything is shown on now"),
    "examples": ("[s-op|selector] examples on|off", "whether values are shown with an example"),
    "def": ("def f(a, b) { ... return e; }", "a function; it is inlined where it is called"),
    "for": ("for x in list { ... }", "statements once for each item of a list or dict"),
    "if": ("a if condition else b", "position by position where the condition is an s-op"),
    "in": ("x in list", "whether x is an item of a list, position by position"),
    "and": ("a and b", "of s-ops, position by position; of selectors, pair by pair"),
    "or": ("a or b", "of s-ops, position by position; of selectors, pair by pair"),
    "not": ("not a", "binds tighter than every operator between two: not a == b is (not a) == b"),
}
"""What the language itself brings: how it is written, what it means."""


@dataclass(frozen=True, slots=True)
class Help:
    """What a name means.

    signature  how it is written
    kind       "s-op", "selector", "function", "form" or the kind of a value
    meaning    the comment above its definition, or the language's own words
    source     the statement that gave it its value
    value      what it is on the running example
    """

    signature: str
    kind: str
    meaning: str = ""
    source: str = ""
    value: str = ""

    def __str__(self) -> str:
        parts = [f"{self.signature}    ({self.kind})", self.meaning, self.source, self.value]
        return "\n\n".join(p for p in parts if p)


def completions(session: Session, before: str) -> tuple[str, list[str]]:
    """The word begun at the end of `before`, and the words it may become."""
    line = before.rpartition("\n")[2]
    loaded = re.fullmatch(r'\s*load\s+"([^"]*)', line)
    if loaded:
        return loaded[1], sorted(name for name in _files() if name.startswith(loaded[1]))
    if re.sub(r'"[^"]*"', "", line).count('"') or "#" in re.sub(r'"[^"]*"', "", line):
        return "", []
    word = re.search(r"[A-Za-z_0-9]*$", line)[0]
    if word[:1].isdigit():
        return "", []
    known = session.names() | tables().words.keys() | FORMS.keys()
    return word, sorted((n for n in known if n.startswith(word)), key=lambda n: (n[0] == "_", n))


def _files() -> Iterator[str]:
    """What `load` finds, in the working directory and among the circuits."""
    for folder in (Path.cwd(), shipped("circuits")):
        yield from (path.stem for path in folder.glob(f"*{SUFFIX}"))


def help_at(session: Session, text: str, cursor: int) -> Help | None:
    """Help on the name at the cursor; inside the brackets of a call, on what is called."""
    for found in re.finditer(r"[A-Za-z_]\w*", text):
        if found.start() <= cursor <= found.end():
            known = help_on(session, found[0])
            if known:
                return known
    called = _called(text[:cursor])
    return help_on(session, called) if called else None


def _called(before: str) -> str | None:
    """The name before the innermost bracket that is still open."""
    depth = 0
    for i in reversed(range(len(before))):
        depth += (before[i] == ")") - (before[i] == "(")
        if depth < 0:
            word = re.search(r"([A-Za-z_]\w*)\s*$", before[:i])
            return word[1] if word else None
    return None


def help_on(session: Session, name: str) -> Help | None:
    """What a name means in a session; None for one that it does not know."""
    try:
        value = session.scope.get(name)
    except RaspError:
        return Help(*FORMS[name][:1], "form", FORMS[name][1]) if name in FORMS else None
    place = session.places.get(name)
    written, meaning = FORMS.get(name, (signature(name, value), _comment(place)))
    return Help(
        written, _kind(value), meaning, place.text if place else "", _shown(session, name, value)
    )


def _kind(value: Value) -> str:
    if isinstance(value, Function | Builtin):
        library = value.creator == "RASP_support/rasplib"
        return "function of the library" if library else "function"
    return kind(value)


def signature(name: str, value: Value) -> str:
    """How a name is written: a function with its parameters."""
    if isinstance(value, Function | Builtin):
        return f"{name}({', '.join(value.parameters)})"
    return name


def value_line(name: str, value: Value) -> str:
    """A number, list or function on one line: what it is, its name, its value."""
    if isinstance(value, Function | Builtin):
        return f"function {signature(name, value)}"
    return f"{kind(value)} {name} = {describe(value)}"


def _comment(place: Span | None) -> str:
    """The comment lines right above a statement."""
    above = place.source.text[: place.start].rstrip(" \t") if place else ""
    lines: list[str] = []
    for line in reversed(above.removesuffix("\n").split("\n")):
        if not line.lstrip().startswith("#"):
            break
        lines.insert(0, line.lstrip().lstrip("#").strip())
    return "\n".join(lines)


def _shown(session: Session, name: str, value: Value) -> str:
    """A value on the running example."""
    if isinstance(value, Function | Builtin):
        return ""
    if not isinstance(value, Node):
        return plain_text(value)
    example = session.selector_example if isinstance(value, Selector) else session.sop_example
    try:
        return node_text(name, value, example, session.check.column(value, example))
    except RaspError as error:
        return error.message


def node_text(name: str, node: Node, tokens: Sequence, column: Column) -> str:
    """An s-op as a line, a selector as a grid, for eyes: columns aligned whatever the tokens."""
    if not isinstance(node, Selector):
        return sop_line(name, tokens, column)
    return f"{name}({input_text(tokens)})\n{selector_grid(matrix(column), tokens)}"

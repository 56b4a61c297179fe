"""Completion and help for notebooks and the REPL: what may be written next, what a name means.

`completions(session, text before the cursor)` -> the word begun and its candidates;
`help_at(session, text, cursor)` and `help_on(session, name)` -> `Help`, or None.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from rasplab.base.errors import RaspError, Span
from rasplab.lang.elaborate.values import (
    Builtin,
    Function,
    NamedNode,
    Selector,
    Value,
    describe,
    kind,
    plain_text,
)
from rasplab.lang.loading import SUFFIX
from rasplab.lang.session import Session
from rasplab.lang.syntax.grammar_tables import tables
from rasplab.lang.syntax.word_help import HELP, Usage
from rasplab.program.interpret.bitrows import matrix
from rasplab.program.interpret.exact import Column
from rasplab.program.values import input_text, selector_grid, sop_line
from rasplab.program.zoo import shipped

if TYPE_CHECKING:
    from rasplab.program.interpret.bitrows import Rows

WORD_CHARACTERS = string.ascii_letters + string.digits + "_"


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
    # with whole strings taken out, a quote that is left opens one, and a # begins a comment
    if re.sub(r'"[^"]*"', "", line).count('"') or "#" in re.sub(r'"[^"]*"', "", line):
        return "", []
    word = line[len(line.rstrip(WORD_CHARACTERS)) :]
    if word[:1].isdigit():
        return "", []
    known = session.names() | tables().words.keys() | HELP.keys()
    return word, sorted((n for n in known if n.startswith(word)), key=lambda n: (n[0] == "_", n))


def _files() -> Iterator[str]:
    """What `load` finds, in the working directory and among the circuits."""
    for folder in (Path.cwd(), shipped("circuits")):
        yield from (path.stem for path in folder.glob(f"*{SUFFIX}"))


def help_at(session: Session, text: str, cursor: int) -> Help | None:
    """Help on the name at `cursor`, an index into `text`; in a call's brackets, on its function."""
    for word in re.finditer(r"[A-Za-z_]\w*", text):
        if word.start() <= cursor <= word.end():
            known = help_on(session, word[0])
            if known:
                return known
    called = _called(text[:cursor])
    return help_on(session, called) if called else None


def _called(before: str) -> str | None:
    """The name before the innermost bracket that is still open."""
    depth = 0
    for i in reversed(range(len(before))):
        # backwards: an opening bracket that no later one closes makes the depth negative
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
        return Help(HELP[name].signature, "form", HELP[name].meaning) if name in HELP else None
    place = session.places.get(name)
    usage = HELP.get(name) or Usage(signature(name, value), _comment(place))
    source, shown = place.text if place else "", _on_example(session, name, value)
    return Help(usage.signature, _kind(value), usage.meaning, source, shown)


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


def _on_example(session: Session, name: str, value: Value) -> str:
    """A value on the running example; the fault's message where it fails there."""
    if isinstance(value, Function | Builtin):
        return ""
    if not isinstance(value, NamedNode):
        return plain_text(value)
    example = session.selector_example if isinstance(value, Selector) else session.sop_example
    try:
        return node_text(name, value, example, session.check.column(value, example))
    except RaspError as error:
        return error.message


def node_text(name: str, node: NamedNode, tokens: Sequence, column: Column) -> str:
    """An s-op as a line, a selector as a grid whose columns are aligned."""
    if not isinstance(node, Selector):
        return sop_line(name, tokens, column)
    return f"{name}({input_text(tokens)})\n{column_grid(column, tokens)}"


def column_grid(column: Column, tokens: Sequence) -> str:
    """A selector's column, one int of bits per query, as a grid under its tokens."""
    return selector_grid(matrix(cast("Rows", column)), tokens)

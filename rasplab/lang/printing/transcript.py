"""Values as the lines of the REPL's plain transcript, character for character as in the reference.

Every function yields lines without their newline, top down, so that where an error occurs the lines
before it are already shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import cast

from rasplab.base.errors import columns
from rasplab.lang.elaborate.values import (
    Applied,
    Builtin,
    Function,
    NamedNode,
    Selector,
    Value,
    column_kind,
    describe,
    is_atom,
    plain_text,
    sequence_text,
)
from rasplab.program.interpret.bitrows import Rows
from rasplab.program.interpret.exact import Column

SKIPPED = "[skipped full display: identical values]"


@dataclass(frozen=True, slots=True)
class View:
    """How values are shown.

    sop_example       the input that s-ops are shown on; None to show them without
    selector_example  the input that selectors are shown on; None to show them without
    full              whether s-ops are shown on two padded lines, input and output
    column            gives the column of a node on an input
    """

    sop_example: str | list | None
    selector_example: str | list | None
    full: bool
    column: Callable[[NamedNode, str | list], Column]


def named_lines(
    view: View, name: str | None, value: Value, depth: int = 0, lead: str = ""
) -> Iterator[str]:
    """The lines of a value.

    name   the name to show; None shows a node's own
    depth  tabs before each line: items of lists and dicts stand deeper
    lead   the key of a dict, before its value
    """
    tabs = "\t" * depth
    if isinstance(value, NamedNode):
        yield from _node_lines(view, value.name if name is None else name, value, tabs, lead)
    elif isinstance(value, Function | Builtin):
        call = f"{value.name}({', '.join(value.parameters)})"
        yield f"{tabs} {lead}    {value.creator} function: {call}"
    elif isinstance(value, list | dict):
        yield from _container_lines(view, name, value, depth, lead)
    else:
        text = plain_text(value) if not isinstance(value, str) else f'"{value}"'
        yield f"{tabs}    value: {f'{name} = ' if name is not None else ''} {text}"


def _node_lines(view: View, name: str, node: NamedNode, tabs: str, lead: str) -> Iterator[str]:
    if isinstance(node, Selector):
        yield f"{tabs} {lead}    selector: {name}"
        if view.selector_example is not None:
            yield f"{tabs} \t Example:"
            rows = view.column(node, view.selector_example)
            yield from matrix_lines(view.selector_example, cast(Rows, rows), tabs)
        return
    yield f"{tabs} {lead}    s-op: {name}"
    if view.sop_example is not None:
        values = view.column(node, view.sop_example)
        yield from _example_lines(view, name, view.sop_example, values, tabs)


def _example_lines(
    view: View, name: str, example: str | list, values: list, tabs: str
) -> Iterator[str]:
    call = f"{name}({describe(example) if isinstance(example, str) else plain_text(example)}) ="
    if not view.full:
        yield f"{tabs} \t Example: {call} {sequence_text(values)}"
    elif len(set(values)) == 1:
        yield f"{tabs} \t Example: {call} {sequence_text(values)} {SKIPPED}"
    else:
        yield f"{tabs} \t Example:"
        yield from _padded_lines(example, values, tabs)


def _padded_lines(example: str | list, values: list, tabs: str) -> Iterator[str]:
    """Input and output on a line each, right-aligned in columns of one width."""
    inputs, outputs = _cells(list(example)), _cells(values)
    width = max(_width(t) for t in inputs + outputs)
    for word, cells, kind in (
        ("input:  ", inputs, "strings"),
        ("output: ", outputs, column_kind(values)),
    ):
        yield f"{tabs} \t\t{word} {' '.join(_right(c, width) for c in cells)} \t ({kind})"


def _width(text: str) -> int:
    return sum(map(columns, text))


def _right(text: str, width: int) -> str:
    return " " * (width - _width(text)) + text


def _cells(values: list) -> list[str]:
    """Values as text; of bools only the rarer value is written, or both where they are as many."""
    if not isinstance(values[0], bool):
        return [str(v) for v in values]
    trues = sum(v is True for v in values)
    falses = sum(v is False for v in values)
    true, false = "T" if trues <= falses else "", "F" if falses <= trues else ""
    return [true if v else false for v in values]


def matrix_lines(tokens: str | list | tuple, rows: Rows, tabs: str = "") -> Iterator[str]:
    """A selector's matrix: the keys' tokens above, a row for each query, with 1 where it selects.

    As in the reference a cell is one column wide, unless some token is wider or narrower.
    """
    texts = [str(t) for t in tokens]
    uneven = any(_width(t) != len(t) for t in texts)
    widths = [_width(t) if uneven else 1 for t in texts]
    left = max(widths) if uneven else 0
    yield f"{tabs} \t\t\t {' ' * max(0, left - 1)}    {' '.join(texts)}"
    for text, row in zip(texts, rows, strict=True):
        cells = " ".join(_right("1" if row >> k & 1 else " ", w) for k, w in enumerate(widths))
        yield f"{tabs} \t\t\t {_right(text, left)} | {cells}"


def _container_lines(
    view: View, name: str | None, value: list | dict, depth: int, lead: str
) -> Iterator[str]:
    tabs, word, brackets = "\t" * depth, "list", "[]"
    if isinstance(value, dict):
        word, brackets = "dict", "{}"
    header = f"   {word}: {f'{name} = ' if name is not None else ''}"
    items = value.values() if isinstance(value, dict) else value
    if all(is_atom(v) or isinstance(v, Function | Builtin | Applied) for v in items):
        yield f"{tabs} {lead} {header}{plain_text(value)}"
        return
    yield f"{tabs} {lead} {header}{tabs} {brackets[0]}"
    if isinstance(value, dict):
        for key, item in value.items():
            yield from named_lines(view, None, item, depth + 3, f"{describe(key)} : ")
    else:
        for item in value:
            yield from named_lines(view, None, item, depth + 2)
    yield f"{tabs} {' ' * len(header)} {brackets[1]}"


def applied_lines(view: View, applied: Applied) -> Iterator[str]:
    """The lines of an s-op or selector applied to an input."""
    if applied.is_selector:
        yield "\t = "
        yield from matrix_lines(applied.tokens, cast(Rows, applied.column))
    elif not view.full:
        yield f"\t =  {sequence_text(applied.column)}"
    elif len(set(applied.column)) == 1:
        yield f"\t =   {sequence_text(applied.column)} {SKIPPED}"
    else:
        yield "\t = "
        yield from _padded_lines(list(applied.tokens), applied.column, "")

"""Looking into lists, dicts, strings and s-ops: `container[key]` and `item in container`.

With a plain key or item the answer is computed; with an s-op it is a node over the container as one
constant. `name` is how the text writes the container: it becomes part of the node's name.
"""

from __future__ import annotations

from rasplab.base.errors import RaspTypeError, RaspValueError, Span
from rasplab.lang.elaborate.operators import Operators, Spans, frozen, searchable
from rasplab.lang.elaborate.values import (
    Applied,
    NamedNode,
    Selector,
    SOp,
    Value,
    a_kind,
    describe,
    is_atom,
    is_function,
    plain_text,
    sequence_text,
)
from rasplab.program.graph import Aggregate, Constant, Indices, Select
from rasplab.program.interpret.transcript_faults import with_transcript


def index(
    make: Operators, container: Value, key: Value, length: SOp, span: Span, spans: Spans, name: str
) -> Value:
    """The value of `container[key]`.

    length  the s-op of that name, from which negative positions count
    spans   the places of container and key
    """
    if isinstance(container, list | str):
        return _item(make, container, key, span, spans, name)
    if isinstance(container, dict):
        return _lookup(make, container, key, span, spans, name)
    if isinstance(container, SOp):
        return _position(make, container, key, length, span, spans)
    is_column = isinstance(container, Applied) and not container.is_selector
    text = sequence_text(container.column) if is_column else describe(container)
    hint = "lists, dicts, strings and s-ops can"
    raise with_transcript(
        RaspTypeError(f"{a_kind(container)} cannot be indexed", spans[0], hint),
        f"can only index into a list, dict, string,or sequence, but instead got: {text}",
    )


def _item(
    make: Operators, items: list | str, key: Value, span: Span, spans: Spans, name: str
) -> Value:
    """An item of a list or a character of a string."""
    word = "list" if isinstance(items, list) else "string"
    if isinstance(key, SOp):
        values = SOp(make.builder.add(Constant(frozen(items, spans[0])), spans[0]))
        return make.map("index", [values, key], f"{name}[{key.name}]", span)
    if not isinstance(key, int):
        message = f"a {word} is indexed by an int or an s-op, not by {a_kind(key)}"
        raise with_transcript(
            RaspTypeError(message, spans[1]),
            f"index into {word} has to be s-op or integer, got: {describe(key)}",
        )
    n = len(items)
    if not -n <= key < n:
        message = f"index {key} is outside a {word} of length {n}"
        hint = (
            f"valid indices are 0 to {n - 1}, and -{n} to -1 from the end" if n else "it is empty"
        )
        raise with_transcript(
            RaspValueError(message, spans[1], hint),
            f"index {key} out of range for {word} of length {n}",
        )
    return items[key]


def _lookup(
    make: Operators, mapping: dict, key: Value, span: Span, spans: Spans, name: str
) -> Value:
    """The value of a key of a dict."""
    if isinstance(key, SOp):
        pairs = SOp(make.builder.add(Constant(frozen(mapping, spans[0])), spans[0]))
        return make.map("lookup", [pairs, key], f"{name}[{key.name}]", span)
    if not is_atom(key):
        message = f"a dict is indexed by an atom or an s-op, not by {a_kind(key)}"
        raise with_transcript(
            RaspTypeError(message, spans[1]),
            "index into dict has to be s-op or atom (i.e., string, int, float, bool), "
            f"got: {describe(key)}",
        )
    if key not in mapping:
        keys = ", ".join([describe(k) for k in list(mapping)[:8]]) or "none"
        message = f"the dict has no key {describe(key)}"
        raise with_transcript(
            RaspValueError(message, spans[1], f"its keys: {keys}"),
            f"index [ {describe(key)} ] not in dict.",
        )
    return mapping[key]


def _position(make: Operators, sop: SOp, key: Value, length: SOp, span: Span, spans: Spans) -> SOp:
    """The value at one position, everywhere; a negative position counts from the end."""
    if not isinstance(key, int):
        raise with_transcript(
            RaspValueError(
                f"an s-op is indexed by an int, not by {a_kind(key)}",
                spans[1],
                "to gather by an s-op, write load_from_location(s, i)",
            ),
            f"index into sequence has to be integer, got: {describe(key)}",
        )
    position = make.sop(int(key), spans[1])
    if key < 0:
        position = make.map("+", [length, position], f"{length.name}{key}", span)
    indices = make.builder.add(Indices())
    selector = make.builder.add(Select(indices, position.id, "=="), span)
    return SOp(make.builder.add(Aggregate(selector, sop.id), span), f"{sop.name}[{key}]")


def contains(
    make: Operators, item: Value, container: Value, span: Span, spans: Spans, name: str
) -> Value:
    """The value of `item in container`."""
    if isinstance(item, SOp):
        return _sop_in(make, item, container, span, spans, name)
    if is_atom(item):
        return _atom_in(make, item, container, span, spans)
    if isinstance(item, Selector) or is_function(item):
        word = "select" if isinstance(item, Selector) else "function"
        text = (
            f"don't check if {word} is contained in list/dict: unless exact same instance, "
            f"unable to check equivalence of {word}s"
        )
        error = RaspTypeError(f"`in` cannot look for {a_kind(item)}", spans[0])
        raise with_transcript(error, text)
    raise with_transcript(
        RaspTypeError(f"`in` looks for an s-op or an atom, not for {a_kind(item)}", spans[0]),
        f'"A in X" expects A to be s-op or atom, but got A: {describe(item)}',
    )


def _sop_in(
    make: Operators, item: SOp, container: Value, span: Span, spans: Spans, name: str
) -> SOp:
    if not isinstance(container, list):
        raise with_transcript(
            RaspTypeError(
                f"an s-op can be `in` a list, not in {a_kind(container)}",
                spans[1],
                'write the list of what you look for: ["a", "b"]',
            ),
            f'"[s-op] in X" expects X to be list of atoms, but got non-list: {describe(container)}',
        )
    if not all(is_atom(v) for v in container):
        raise with_transcript(
            RaspTypeError("the list after `in` may hold only atoms", spans[1]),
            '"[s-op] in X" expects X to be list of atoms, but got list with values: '
            + describe(container),
        )
    searchable(container, spans[1])
    values = SOp(make.builder.add(Constant(tuple(container)), spans[1]))
    return make.map("in", [item, values], f"{item.name} in {name}", span)


def _atom_in(make: Operators, item: Value, container: Value, span: Span, spans: Spans) -> Value:
    if isinstance(container, list):
        return any(not isinstance(v, NamedNode) and v == item for v in container)
    if not isinstance(container, SOp):
        raise with_transcript(
            RaspTypeError(
                f"an atom can be `in` a list or an s-op, not in {a_kind(container)}", spans[1]
            ),
            f'"[atom] in X" expects X to be list or s-op, but got: {_quoted(container)}',
        )
    # Whether some position holds the atom: the width of the keys equal to it is above 0.
    width = make.width(make.select(container, item, "==", span, spans[::-1]), span)
    return make.map(">", [width, make.sop(0, span)], f"( {width.name} > 0 )", span)


def _quoted(value: Value) -> str:
    return describe(value) if not isinstance(value, bool) else plain_text(value)

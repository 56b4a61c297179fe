"""Looking into lists, dicts, strings and s-ops: `of[at]` and `x in y`."""

from __future__ import annotations

from rasplab.base.errors import RaspTypeError, RaspValueError, Span
from rasplab.lang.elaborate.operators import Operators, Spans, frozen
from rasplab.lang.elaborate.values import (
    Applied,
    Node,
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
    make: Operators, of: Value, at: Value, full: SOp, span: Span, spans: Spans, name: str
) -> Value:
    """`of[at]`; `full` is the s-op `length`, `name` how `of` is written."""
    if isinstance(of, list | str):
        return _into_list(make, of, at, span, spans, name)
    if isinstance(of, dict):
        return _into_dict(make, of, at, span, spans, name)
    if isinstance(of, SOp):
        return _into_sop(make, of, at, full, span, spans)
    got = (
        sequence_text(of.column) if isinstance(of, Applied) and not of.is_selector else describe(of)
    )
    raise with_transcript(
        RaspTypeError(
            f"{a_kind(of)} cannot be indexed", spans[0], "lists, dicts, strings and s-ops can"
        ),
        f"can only index into a list, dict, string,or sequence, but instead got: {got}",
    )


def _into_list(
    make: Operators, of: list | str, at: Value, span: Span, spans: Spans, name: str
) -> Value:
    word = "list" if isinstance(of, list) else "string"
    if isinstance(at, SOp):
        values = SOp(make.builder.add(Constant(frozen(of, spans[0])), spans[0]))
        return make.map("index", [values, at], f"{name}[{at.name}]", span)
    if not isinstance(at, int):
        raise with_transcript(
            RaspTypeError(
                f"a {word} is indexed by an int or an s-op, and this is {a_kind(at)}", spans[1]
            ),
            f"index into {word} has to be s-op or integer, got: {describe(at)}",
        )
    if not -len(of) <= at < len(of):
        raise with_transcript(
            RaspValueError(
                f"index {at} is outside a {word} of length {len(of)}", spans[1], _places(len(of))
            ),
            f"index {at} out of range for {word} of length {len(of)}",
        )
    return of[at]


def _places(n: int) -> str:
    return f"its places are 0 to {n - 1}, or -{n} to -1 from the end" if n else "it is empty"


def _into_dict(make: Operators, of: dict, at: Value, span: Span, spans: Spans, name: str) -> Value:
    if isinstance(at, SOp):
        pairs = SOp(make.builder.add(Constant(frozen(of, spans[0])), spans[0]))
        return make.map("lookup", [pairs, at], f"{name}[{at.name}]", span)
    if not is_atom(at):
        raise with_transcript(
            RaspTypeError(
                f"a dict is indexed by an atom or an s-op, and this is {a_kind(at)}", spans[1]
            ),
            "index into dict has to be s-op or atom (i.e., string, int, float, bool), "
            f"got: {describe(at)}",
        )
    if at not in of:
        keys = ", ".join([describe(k) for k in list(of)[:8]]) or "none"
        raise with_transcript(
            RaspValueError(f"the dict has no key {describe(at)}", spans[1], f"its keys: {keys}"),
            f"index [ {describe(at)} ] not in dict.",
        )
    return of[at]


def _into_sop(make: Operators, of: SOp, at: Value, full: SOp, span: Span, spans: Spans) -> SOp:
    """The value at one position, everywhere; from the end when negative."""
    if not isinstance(at, int):
        raise with_transcript(
            RaspValueError(
                f"an s-op is indexed by an int, and this is {a_kind(at)}",
                spans[1],
                "to gather by an s-op, write load_from_location(s, i)",
            ),
            f"index into sequence has to be integer, got: {describe(at)}",
        )
    place = make.sop(int(at), spans[1])
    if at < 0:
        place = make.map("+", [full, place], f"{full.name}{at}", span)
    here = make.builder.add(Indices())
    selector = make.builder.add(Select(here, place.id, "=="), span)
    return SOp(make.builder.add(Aggregate(selector, of.id), span), f"{of.name}[{at}]")


def contains(
    make: Operators, item: Value, container: Value, span: Span, spans: Spans, name: str
) -> Value:
    """`item in container`; `name` is how the container is written."""
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
        raise with_transcript(
            RaspTypeError(f"`in` does not look for {a_kind(item)}", spans[0]), text
        )
    raise with_transcript(
        RaspTypeError(f"`in` looks for an s-op or an atom, and this is {a_kind(item)}", spans[0]),
        f'"A in X" expects A to be s-op or atom, but got A: {describe(item)}',
    )


def _sop_in(
    make: Operators, item: SOp, container: Value, span: Span, spans: Spans, name: str
) -> SOp:
    if not isinstance(container, list):
        raise with_transcript(
            RaspTypeError(
                f"an s-op can be `in` a list, and this is {a_kind(container)}",
                spans[1],
                'write the list of what you look for: ["a", "b"]',
            ),
            f'"[s-op] in X" expects X to be list of atoms, but got non-list: {describe(container)}',
        )
    if not all(is_atom(v) for v in container):
        raise with_transcript(
            RaspTypeError("the list after `in` holds more than atoms", spans[1]),
            '"[s-op] in X" expects X to be list of atoms, but got list with values: '
            + describe(container),
        )
    values = SOp(make.builder.add(Constant(tuple(container)), spans[1]))
    return make.map("in", [item, values], f"{item.name} in {name}", span)


def _atom_in(make: Operators, item: Value, container: Value, span: Span, spans: Spans) -> Value:
    if isinstance(container, list):
        return any([not isinstance(v, Node) and v == item for v in container])
    if not isinstance(container, SOp):
        raise with_transcript(
            RaspTypeError(
                f"an atom can be `in` a list or an s-op, and this is {a_kind(container)}", spans[1]
            ),
            f'"[atom] in X" expects X to be list or s-op, but got: {_quoted(container)}',
        )
    width = make.width(make.select(container, item, "==", span, spans[::-1]), span)
    return make.map(">", [width, make.sop(0, span)], f"( {width.name} > 0 )", span)


def _quoted(value: Value) -> str:
    return describe(value) if not isinstance(value, bool) else plain_text(value)

"""The operations of the language: computed on atoms, lists and dicts, made as nodes on s-ops.

`Operators` takes values and their places in the text and returns a value, or an `SOp` or
`Selector` with a new node in the builder. The forms on lists (`range`, `zip`, `len`) stand at the
end. Every error has two texts: the message, and the words of the reference's transcript, which
conformance tests hold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from rasplab.base.errors import RaspError, RaspTypeError, RaspValueError, Span
from rasplab.base.limits import current, way_out
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
    kind,
    plain_text,
)
from rasplab.program.analysis.kinds import Kinds
from rasplab.program.functions import CASTS, FUNCTIONS
from rasplab.program.graph import (
    Aggregate,
    Builder,
    Combine,
    Constant,
    Indices,
    Map,
    Select,
    SelectorWidth,
    Tokens,
)
from rasplab.program.interpret.elementwise import elementwise_fault
from rasplab.program.interpret.exact import ILLEGAL
from rasplab.program.interpret.transcript_faults import with_transcript
from rasplab.program.values import MAX_SAME_HASH, is_crowded

MIRRORED = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
"""A comparison -> the one with its sides exchanged."""

UNARY = {"-": "neg", "+": "pos", "round": "round"}
"""Prefix operators and forms -> their names in FUNCTIONS."""

MAX_NESTING = 100
"""Depth of lists in lists: Python compares and prints them recursively, on the C stack."""

MAX_CHARACTER = 0x10FFFF
"""The last code point of Unicode."""

Spans = tuple[Span, ...]
"""The places of the operands, in their order."""

Container = TypeVar("Container", bound=list[Any] | dict[Any, Any])


class Operators:
    """The operations of the language over one builder, to which they add nodes.

    kinds           the static check of kinds, or None where a running example is checked instead
    example_length  gives the length of the running example, which the reference's messages show
    branches        how many choices by an s-op are being evaluated, whose sides may never be taken
    """

    def __init__(self, builder: Builder, kinds: Kinds | None, example_length: Callable[[], int]):
        self.builder, self.kinds, self.example_length = builder, kinds, example_length
        self.branches = 0

    # making nodes

    def constants(self) -> dict[str, Value]:
        """The names that the language itself gives values."""
        values: dict[str, Value] = {"True": True, "False": False}
        values["indices"] = SOp(self.builder.add(Indices()), "indices")
        for cast in CASTS:
            values[f"tokens_{cast}"] = SOp(self.builder.add(Tokens(cast)), f"tokens_{cast}")
        return values

    def map(self, fn: str, operands: list[SOp], name: str, span: Span, spans: Spans = ()) -> SOp:
        """FUNCTIONS[fn] of s-ops, called `name`; kinds are checked where `spans` are given."""
        args = tuple([o.id for o in operands])
        # An equal node is shared, so two s-ops with different names may have one id.
        if self.kinds is not None and len(spans) == len(args):
            self.kinds.check_map(fn, args, spans)
        return SOp(self.builder.add(Map(fn, args), span), name)

    def sop(self, value: Value, span: Span) -> SOp:
        """`value` as an s-op: itself, or an atom at every position."""
        if isinstance(value, SOp):
            return value
        if is_atom(value):
            return SOp(self.builder.add(Constant(value), span), str(value))
        values = ", ".join([plain_text(value)] * self.example_length())
        raise with_transcript(
            RaspTypeError(
                f"{a_kind(value)} cannot be an s-op",
                span,
                "an s-op holds numbers, strings or bools",
            ),
            f"{ILLEGAL}:\n\t\t ({values}{',' if self.example_length() == 1 else ''})",
        )

    def constant(self, value: Value, span: Span) -> SOp:
        """constant(a): an atom or list at every position."""
        return self.operand(value, span) if isinstance(value, list) else self.sop(value, span)

    def operand(self, value: Value, span: Span) -> SOp:
        """`value` as an operand: as `sop`, and a list or dict of atoms as one constant."""
        if isinstance(value, list | dict):
            return SOp(self.builder.add(Constant(frozen(value, span)), span), plain_text(value))
        if isinstance(value, Selector | Applied) or is_function(value):
            message = f"{a_kind(value)} cannot be an operand here"
            raise with_transcript(
                RaspTypeError(message, span), f"unsupported operand type: {kind(value)}", host=True
            )
        return self.sop(value, span)

    # operators

    def unary(self, op: str, value: Value, span: Span, operand_span: Span) -> Value:
        """The value of `not`, `-`, `+`, `round` or `indicator`."""
        if op == "indicator":
            return self._indicator(value, span)
        if op == "not":
            return self._not(value, span)
        if isinstance(value, SOp):
            return self.map(UNARY[op], [value], f"( {op} {value.name} )", span, (operand_span,))
        if isinstance(value, NamedNode | Applied) or is_function(value):
            raise _no_operator(op, [value], span)
        return computed(UNARY[op], [value], span)

    def _not(self, value: Value, span: Span) -> Value:
        if isinstance(value, SOp):
            return self.map("not", [value], f"( not {value.name} )", span)
        if isinstance(value, Selector):
            return Selector(self.builder.add(Combine("not", (value.id,)), span))
        return not value

    def _indicator(self, value: Value, span: Span) -> SOp:
        if isinstance(value, SOp):
            return self.map("indicator", [value], f"I({value.name})", span)
        raise with_transcript(
            RaspTypeError(
                f"indicator takes an s-op, not {a_kind(value)}", span, "write 1 if c else 0"
            ),
            f"indicator operator expects s-op, got: {plain_text(value)}",
        )

    def binary(self, op: str, left: Value, right: Value, span: Span, spans: Spans) -> Value:
        """The value of an operator of two operands, except `in`."""
        if op in ("and", "or"):
            return self._logic(op, left, right, span, spans)
        if isinstance(left, Selector) or isinstance(right, Selector):
            raise self._not_for_selectors(op, left, span, spans)
        if isinstance(left, SOp) or isinstance(right, SOp):
            return self._elementwise(op, left, right, span, spans)
        for value in (left, right):
            if isinstance(value, Applied) or is_function(value):
                raise _no_operator(op, [left, right], span)
        try:
            return computed(op, [left, right], span)
        except RaspValueError:
            if not self.branches or not is_atom(left) or not is_atom(right):
                raise
            return self._elementwise(op, left, right, span, spans)  # fails where it is read

    def _elementwise(self, op: str, left: Value, right: Value, span: Span, spans: Spans) -> SOp:
        if not isinstance(left, SOp) and op in MIRRORED:
            # The reference keeps the s-op on the left: `1 < indices` is the node `indices > 1`.
            op, left, right, spans = MIRRORED[op], right, left, spans[::-1]
        # The spaces are the reference's: names are shown in transcripts.
        names = [v.name if isinstance(v, SOp) else plain_text(v) for v in (left, right)]
        operands = [self.operand(left, spans[0]), self.operand(right, spans[1])]
        word = "pow" if op == "^" else op
        return self.map(op, operands, f"( {names[0]} {word} {names[1]} )", span, spans)

    def _logic(self, op: str, left: Value, right: Value, span: Span, spans: Spans) -> Value:
        selectors = [isinstance(v, Selector) for v in (left, right)]
        if all(selectors):
            return Selector(self.builder.add(Combine(op, (left.id, right.id)), span))
        if any(selectors):
            raise _mixed_logic(op, spans[selectors.index(False)])
        if isinstance(left, SOp) or isinstance(right, SOp):
            names = [v.name if isinstance(v, NamedNode) else plain_text(v) for v in (left, right)]
            operands = [self.sop(left, spans[0]), self.sop(right, spans[1])]
            return self.map(op, operands, f"( {names[0]} {op} {names[1]})", span)
        return (left and right) if op == "and" else (left or right)  # as in Python: 3 and 5 is 5

    def _not_for_selectors(self, op: str, left: Value, span: Span, spans: Spans) -> RaspError:
        place = spans[0 if isinstance(left, Selector) else 1]
        return with_transcript(
            RaspTypeError(
                f"`{op}` does not take a selector", place, "selectors combine by and, or, not"
            ),
            f"Cannot apply {op} to selector(s)",
        )

    def if_else(
        self, condition: NamedNode, then: Value, other: Value, span: Span, spans: Spans
    ) -> SOp:
        """`then` or `other`, chosen at each position by the s-op `condition`."""
        operands = [self.sop(v, s) for v, s in zip((condition, then, other), spans, strict=True)]
        name = f"{operands[1].name} if {operands[0].name} else {operands[2].name}"
        return self.map("if", operands, name, span)

    # attention

    def select(
        self, keys: Value, queries: Value, predicate: str, span: Span, spans: Spans
    ) -> Selector:
        """The selector `select(keys, queries, predicate)`; `spans` has the two operands' places."""
        key, query = self.sop(keys, spans[0]), self.sop(queries, spans[1])
        if self.kinds is not None:
            self.kinds.check_select(
                key.id, query.id, predicate, spans[1], (spans[0].text, spans[1].text)
            )
        return Selector(self.builder.add(Select(key.id, query.id, predicate), span))

    def aggregate(
        self, selector: Value, values: Value, default: Value, span: Span, spans: Spans
    ) -> SOp:
        """The s-op `aggregate(selector, values, default)`.

        spans  the operands' places; two where the text has no default
        """
        if not isinstance(selector, Selector):
            error = RaspTypeError(
                f"aggregate needs a selector, not {a_kind(selector)}", spans[0], _SELECT
            )
            raise with_transcript(error, f"Expected selector, got: {describe(selector)}")
        averaged = self.sop(values, spans[1])
        if isinstance(default, NamedNode | Applied) or is_function(default):
            error = RaspTypeError(
                f"the default of aggregate is a constant, not {a_kind(default)}",
                spans[2],
                "choose position by position instead: a if selector_width(sel) > 0 else b",
            )
            raise with_transcript(error, f"Expected atom, got: {describe(default)}")
        node = Aggregate(selector.id, averaged.id, frozen(default, spans[-1]))
        return SOp(self.builder.add(node, span))

    def width(self, selector: Value, span: Span) -> SOp:
        """The s-op `selector_width(selector)`."""
        if not isinstance(selector, Selector):
            message = f"selector_width needs a selector, not {a_kind(selector)}"
            # The reference computes the width over `selector and ...`, hence its words.
            raise with_transcript(RaspTypeError(message, span, _SELECT), _MIXED)
        return SOp(self.builder.add(SelectorWidth(selector.id), span))


_SELECT = "make a selector: select(keys, queries, ==)"
_MIXED = "Cannot apply and/or between selector and non-selector"


def _mixed_logic(op: str, span: Span) -> RaspError:
    """The error for a selector and something else under `and` or `or`."""
    message = f"`{op}` combines two selectors or two s-ops, not one with the other"
    return with_transcript(RaspTypeError(message, span, _SELECT), _MIXED)


def _no_operator(op: str, operands: list[Value], span: Span) -> RaspError:
    """The error for operands that an operator cannot take."""
    kinds = " and ".join([a_kind(v) for v in operands])
    error = RaspTypeError(f"`{op}` does not take {kinds}", span)
    return with_transcript(error, f"unsupported operand for {op}: {kinds}", host=True)


def computed(fn: str, operands: list[Value], span: Span) -> Value:
    """FUNCTIONS[fn] of atoms, lists or dicts."""
    try:
        return FUNCTIONS[fn].apply(*operands)
    except Exception as fault:  # whatever Python says of these operands, as a RaspError
        raise elementwise_fault(fn, operands, fault, "", span) from None


def frozen(value: Value, span: Span) -> Value:
    """A list as a tuple, a dict as a tuple of pairs, as the program graph holds them."""
    if isinstance(value, list):
        return tuple([frozen(v, span) for v in value])
    if isinstance(value, dict):
        return tuple([(k, frozen(v, span)) for k, v in value.items()])
    if is_atom(value):
        return value
    message = f"{a_kind(value)} inside a list or dict cannot be looked up position by position"
    raise with_transcript(RaspTypeError(message, span), message, host=True)


def shallow(value: Container, span: Span) -> Container:
    """The same list or dict, checked for its depth.

    Raises RaspValueError if it nests beyond MAX_NESTING.
    """
    # Level by level instead of recursively: too deep a value would exhaust the stack it protects.
    level: list[list[Any] | dict[Any, Any]] = [value]
    depth = 0
    while level:
        depth += 1
        if depth > MAX_NESTING:
            raise RaspValueError(f"lists and dicts nest up to {MAX_NESTING} deep", span)
        level = [
            v
            for c in level
            for v in (c.values() if isinstance(c, dict) else c)
            if isinstance(v, list | dict)
        ]
    return value


def searchable(keys: Iterable[Value], span: Span) -> None:
    """Refuse keys of a dict, or items after `in`, that would all be compared with each other.

    Raises RaspValueError where too many have one hash.
    """
    if is_crowded(keys):
        message = f"more than {MAX_SAME_HASH:,} keys are equal modulo 2^61 - 1: too slow to look up"
        raise RaspValueError(message, span, "use smaller numbers, or strings, as keys")


def int_range(values: list[Value], span: Span) -> list[int]:
    """The list `range(...)`, of at most `limits.range` ints."""
    if not 1 <= len(values) <= 3:
        message = f"wrong number of inputs to range, expected: 1, 2, or 3, got: {len(values)}"
        raise with_transcript(
            RaspTypeError(f"range takes 1 to 3 ints, not {len(values)}", span), message
        )
    if not all(isinstance(v, int) for v in values):
        text = describe(list(values))
        error = RaspTypeError(
            f"range takes ints, not {text}", span, "round makes an int of a float"
        )
        raise with_transcript(error, f"range expects all integer inputs, but got: {text}")
    if len(values) == 3 and values[2] == 0:
        raise with_transcript(
            RaspValueError("range with step 0 never ends", span),
            "range() arg 3 must not be zero",
            host=True,
        )
    ints = range(*values)
    most = current().range
    if ints[most:]:  # not len(ints), which raises beyond a machine word
        raise RaspValueError(f"this range has more than {most:,} ints", span, way_out("range"))
    return list(ints)


def zipped(lists: list[Value], span: Span) -> list[list]:
    """The list of lists `zip(...)`; the lists must have one length."""
    for i, part in enumerate(lists):
        if not isinstance(part, list):
            error = RaspTypeError(f"zip takes lists, but operand {i + 1} is {a_kind(part)}", span)
            raise with_transcript(
                error,
                f"attempting to zip lists, but {i + 1} -th element is not list: {describe(part)}",
            )
    n = len(lists[0])
    for i, part in enumerate(lists):
        if len(part) != n:
            error = RaspTypeError(
                f"zip takes lists of one length; these have {n} and {len(part)}", span
            )
            raise with_transcript(
                error,
                f"attempting to zip lists of length {n} , "
                f"but {i + 1} -th list has length {len(part)}",
            )
    return shallow([list(row) for row in zip(*lists, strict=True)], span)


def list_length(value: Value, span: Span) -> int:
    """The int `len(l)`."""
    if isinstance(value, list):
        return len(value)
    hint = (
        "the s-op `length` is how many tokens there are" if isinstance(value, NamedNode) else None
    )
    raise with_transcript(
        RaspTypeError(f"len takes a list, not {a_kind(value)}", span, hint),
        f"attempting to compute length of non-list: {describe(value)}",
    )


def character(code: Value, span: Span) -> str:
    """The character `chr(n)` of a code point: strings have no escapes to write some of them."""
    if not isinstance(code, int) or isinstance(code, bool):
        raise RaspTypeError(f"chr takes an int, not {a_kind(code)}", span)
    if not 0 <= code <= MAX_CHARACTER:
        raise RaspValueError(
            f"there is no character {code}", span, f"characters are numbered 0 to {MAX_CHARACTER}"
        )
    return chr(code)

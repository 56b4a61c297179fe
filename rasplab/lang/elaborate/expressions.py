"""Expressions to values: the half of the elaborator that evaluates.

`value(expr, scope)` -> an atom, list, dict, function, s-op or selector. Calls run statements, so
they are in `elaborator`, which completes this class. Evaluation recurses with the nesting of
expressions and calls, thousands deep: these methods use loops where a generator or a comparison
function would take frames of the C stack, which cannot grow.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from rasplab.base.errors import RaspError, RaspTypeError, RaspValueError, Span
from rasplab.base.limits import current, way_out
from rasplab.lang.elaborate.containers import contains, index
from rasplab.lang.elaborate.example_check import ExampleCheck
from rasplab.lang.elaborate.operators import (
    Operators,
    int_range,
    list_length,
    searchable,
    shallow,
    zipped,
)
from rasplab.lang.elaborate.scope import Scope
from rasplab.lang.elaborate.values import (
    Applied,
    NamedNode,
    Value,
    a_kind,
    describe,
    is_atom,
    plain_text,
)
from rasplab.lang.syntax import ast as s
from rasplab.program.analysis.kinds import Kinds
from rasplab.program.graph import Builder
from rasplab.program.interpret.transcript_faults import with_transcript

ITEMS_PER_STEP = 16
"""Items of a list, dict or string that count as one step when it is joined or compared."""


class Expressions:
    """Evaluates expressions over one builder.

    builder  the program graph that grows
    check    the running example, or None
    make     the operations, which add nodes to the builder
    place    while a library function runs: the call that the user wrote, where errors are placed
    steps    expressions and turns of loops so far, in a text, or in a statement of a session
    limits   the bounds that hold for the statement that runs
    library  the scope around all texts
    """

    def __init__(self, check: ExampleCheck | None, kinds: bool):
        self.builder = Builder()
        self.check = check
        self.make = Operators(
            self.builder,
            Kinds(self.builder.nodes) if kinds else None,
            check.length if check else lambda: 1,  # only the reference's messages show it
        )
        if check is not None:
            check.builder = self.builder
        self.place: Span | None = None
        self.steps = 0
        self.limits = current()
        self.library = Scope(None, "RASP_support/rasplib")
        self.library.variables |= self.make.constants()
        self.library.out = self.library.variables["tokens_str"]  # before anything is computed

    def _call(self, expr: s.Call, scope: Scope) -> Value:
        """The value of a call; `Elaborator` has it."""
        raise NotImplementedError

    def value(self, expr: s.Expr, scope: Scope) -> Value:
        """The value of an expression; s-ops and selectors are checked on the example.

        Raises RaspError, placed at the innermost expression that fails.
        """
        self._count_step(expr.span)
        try:
            # By name, so that `Elaborator` can complete `_call`.
            value = getattr(self, _EVALUATE[type(expr)])(expr, scope)
            return self._checked(value, scope)
        except RaspError as fault:
            if self.place is None:  # in a library function `_span` is the user's call already
                fault.at(expr.span)
            raise

    def _count_step(self, span: Span, steps: int = 1) -> None:
        self.steps += steps
        if self.steps > self.limits.steps:
            what = "text" if self.check is None else "statement"
            message = f"this {what} takes more than {self.limits.steps:,} steps"
            raise RaspValueError(message, span, f"shorten its loops; {way_out('steps')}")
        if len(self.builder.nodes) > self.limits.nodes:
            message = f"this text makes more than {self.limits.nodes:,} s-ops and selectors"
            raise RaspValueError(message, span, way_out("nodes"))

    def _count_items(self, span: Span, *values: Value) -> None:
        """Count steps for long lists, dicts and strings; every item where a node will hold them."""
        items = sum(len(v) for v in values if isinstance(v, list | dict | str))
        if items > ITEMS_PER_STEP:
            is_node = any(isinstance(v, NamedNode) for v in values)
            self._count_step(span, items if is_node else items // ITEMS_PER_STEP)

    def _checked(self, value: Value, scope: Scope) -> Value:
        """The same value, remembered as `out` where it has values on the example.

        An s-op without one may yet be a branch that is never taken: statements refuse it.
        """
        if isinstance(value, NamedNode) and self.check is not None and not self.check.works(value):
            return value
        if not isinstance(value, Applied):
            scope.out = value
        return value

    def _span(self, expr: s.Expr) -> Span:
        """The place for nodes and errors of an expression."""
        return self.place or expr.span

    def _values(self, exprs: Iterable[s.Expr], scope: Scope) -> list[Value]:
        values = []
        for expr in exprs:  # not a comprehension: see the top of the file
            values.append(self.value(expr, scope))
        return values

    def _literal(self, expr: s.Literal, scope: Scope) -> Value:
        return expr.value

    def _name(self, expr: s.Name, scope: Scope) -> Value:
        value = scope.get(expr.id, self._span(expr))
        if isinstance(value, NamedNode) and self.builder.spans[value.id] is None:
            # tokens, length, ... have no place of their own: they get the one that first names
            # them.
            self.builder.spans[value.id] = self._span(expr)
        return value

    def _list(self, expr: s.ListOf, scope: Scope) -> list[Value]:
        return shallow(self._values(expr.items, scope), self._span(expr))

    def _key(self, expr: s.Expr, scope: Scope) -> Value:
        key = self.value(expr, scope)
        if not is_atom(key):
            error = RaspTypeError(
                f"a key of a dict is an atom, not {a_kind(key)}", self._span(expr)
            )
            raise with_transcript(
                error, f"dictionary keys can only be atoms, but instead got: {describe(key)}"
            )
        return key

    def _dict(self, expr: s.DictOf, scope: Scope) -> dict[Any, Value]:
        items = []
        for key_expr, value_expr in expr.pairs:
            key = self._key(key_expr, scope)
            items.append((key, self.value(value_expr, scope)))
        return self._dict_of(items, expr)

    def _dict_of(self, items: list[tuple[Value, Value]], expr: s.Expr) -> dict[Any, Value]:
        searchable([key for key, _ in items], self._span(expr))
        return shallow(dict(items), self._span(expr))

    def _turns(self, expr: s.ListFor | s.DictFor, word: str, scope: Scope) -> Iterator[Scope]:
        """The scopes of a comprehension, one for each item; `word` is "list" or "dict"."""
        iterable = self.value(expr.iterable, scope)
        if not isinstance(iterable, list | dict):
            message = (
                f"a {word} comprehension goes over a list or dict, not over {a_kind(iterable)}"
            )
            raise with_transcript(
                RaspTypeError(message, expr.iterable.span),
                f"{word} comprehension should have got a list or dict to loop over, but got: "
                + plain_text(iterable),
            )
        return self._bound_turns(expr, iterable, scope)

    def _bound_turns(
        self, expr: s.ListFor | s.DictFor, items: Iterable[Value], scope: Scope
    ) -> Iterator[Scope]:
        for turn in items:
            inner = scope.nested()  # a new one each turn: its names end with it
            self._bind_turn(expr.names, turn, inner, self._span(expr))
            yield inner

    def _list_for(self, expr: s.ListFor, scope: Scope) -> list[Value]:
        items = []
        for inner in self._turns(expr, "list", scope):
            items.append(self.value(expr.item, inner))
        return shallow(items, self._span(expr))

    def _dict_for(self, expr: s.DictFor, scope: Scope) -> dict[Any, Value]:
        items = []
        for inner in self._turns(expr, "dict", scope):
            key = self._key(expr.key, inner)
            items.append((key, self.value(expr.value, inner)))
        return self._dict_of(items, expr)

    def _unary(self, expr: s.Unary, scope: Scope) -> Value:
        operand = self.value(expr.operand, scope)
        return self.make.unary(expr.op, operand, self._span(expr), self._span(expr.operand))

    def _binary(self, expr: s.Binary, scope: Scope) -> Value:
        """Left operands first, in a loop: a sum of thousands of terms leans as deep to the left."""
        chain, left = [expr], expr.left
        while isinstance(left, s.Binary):
            chain.append(left)
            left = left.left
        value = self.value(left, scope)
        while chain:
            link = chain.pop()
            # what a node of `and` or `or` decides is not read any further, as in a branch
            decides = link.op in ("and", "or") and isinstance(value, NamedNode)
            self.make.branches += decides
            try:
                right = self.value(link.right, scope)
            finally:
                self.make.branches -= decides
            value = self._operate(link, value, right)
            if chain:  # the outermost operation is checked by `value`, like any expression
                self._checked(value, scope)
        return value

    def _operate(self, expr: s.Binary, left: Value, right: Value) -> Value:
        span, spans = self._span(expr), (self._span(expr.left), self._span(expr.right))
        self._count_items(span, left, right)
        if expr.op == "in":
            return contains(self.make, left, right, span, spans, _written(expr.right, right))
        value = self.make.binary(expr.op, left, right, span, spans)
        self._count_items(span, value)
        return value

    def _if_else(self, expr: s.IfElse, scope: Scope) -> Value:
        condition = self.value(expr.condition, scope)
        if not isinstance(condition, NamedNode):  # only the side that holds: recursion ends by this
            return self.value(expr.then if condition else expr.other, scope)
        self.make.branches += 1
        try:
            then, other = self.value(expr.then, scope), self.value(expr.other, scope)
        finally:
            self.make.branches -= 1
        spans = (self._span(expr.condition), self._span(expr.then), self._span(expr.other))
        return self.make.if_else(condition, then, other, self._span(expr), spans)

    def _index(self, expr: s.Index, scope: Scope) -> Value:
        container, key = self.value(expr.container, scope), self.value(expr.key, scope)
        if isinstance(key, NamedNode):
            self._count_items(self._span(expr), container, key)
        spans = (self._span(expr.container), self._span(expr.key))
        length, name = self.library.variables["length"], _written(expr.container, container)
        try:
            return index(self.make, container, key, length, self._span(expr), spans, name)
        except RaspValueError:
            if not self.make.branches or isinstance(container, NamedNode) or not is_atom(key):
                raise
            key = self.make.sop(key, spans[1])  # fails where it is read
            return index(self.make, container, key, length, self._span(expr), spans, name)

    def _select(self, expr: s.SelectForm, scope: Scope) -> Value:
        keys, queries = self.value(expr.keys, scope), self.value(expr.queries, scope)
        spans = (self._span(expr.keys), self._span(expr.queries))
        return self.make.select(keys, queries, expr.predicate, self._span(expr), spans)

    def _aggregate(self, expr: s.AggregateForm, scope: Scope) -> Value:
        parts = [expr.selector, expr.values] + ([expr.default] if expr.default is not None else [])
        values = self._values(parts, scope)
        default = values[2] if expr.default is not None else 0
        spans = tuple([self._span(p) for p in parts])
        return self.make.aggregate(values[0], values[1], default, self._span(expr), spans)

    def _form(self, expr: s.Form, scope: Scope) -> Value:
        values, span = self._values(expr.arguments, scope), self._span(expr)
        if expr.name == "len":
            return list_length(values[0], span)
        if expr.name == "zip":
            self._count_step(span, sum(len(v) for v in values if isinstance(v, list)))
            return zipped(values, span)
        ints = int_range(values, span)
        self._count_items(span, ints)
        return ints

    def _bind_turn(self, names: tuple[str, ...], value: Value, scope: Scope, span: Span) -> None:
        """Give the names of a loop or comprehension their values for one turn."""
        self._count_step(span)
        if len(names) == 1:
            scope.set(names[0], value, span)
            return
        if not isinstance(value, list | dict | str):
            text = "iterating with multiple iterator names, but got single iterator value:"
            message = f"{a_kind(value)} cannot be unpacked into {len(names)} names"
            error = RaspTypeError(message, span, "use one name, or go over a list of lists")
            raise with_transcript(error, f"{text} {plain_text(value)}")
        if len(value) != len(names):
            counts = f"iterating with {len(names)} names but got {len(value)} values"
            values = f"{len(value)} value{'s' * (len(value) != 1)}"
            error = RaspTypeError(f"{values} cannot be unpacked into {len(names)} names", span)
            raise with_transcript(error, f"{counts} ( {plain_text(value)} )")
        for name, part in zip(names, value, strict=True):
            scope.set(name, part, span)


def _written(expr: s.Expr, value: Value) -> str:
    """How the name of a node writes a container."""
    return expr.id if isinstance(expr, s.Name) else plain_text(value)


_EVALUATE = {
    s.Literal: "_literal",
    s.Name: "_name",
    s.ListOf: "_list",
    s.DictOf: "_dict",
    s.ListFor: "_list_for",
    s.DictFor: "_dict_for",
    s.Unary: "_unary",
    s.Binary: "_binary",
    s.IfElse: "_if_else",
    s.Index: "_index",
    s.Call: "_call",
    s.SelectForm: "_select",
    s.AggregateForm: "_aggregate",
    s.Form: "_form",
}
"""Syntax -> the method that evaluates it."""

"""Expressions to values: the half of the elaborator that evaluates; statements and calls are in
`elaborate`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rasplab.base.errors import RaspError, RaspTypeError, RaspValueError, Span
from rasplab.base.limits import Limits, way_out
from rasplab.lang.elaborate.containers import contains, index
from rasplab.lang.elaborate.example_check import ExampleCheck
from rasplab.lang.elaborate.operators import Operators, int_range, length, shallow, zipped
from rasplab.lang.elaborate.scope import Scope
from rasplab.lang.elaborate.values import (
    Applied,
    Node,
    Value,
    a_kind,
    describe,
    is_atom,
    kind,
    plain_text,
)
from rasplab.lang.syntax import ast as s
from rasplab.program.analysis.kinds import Kinds
from rasplab.program.graph import Builder
from rasplab.program.interpret.transcript_faults import with_transcript

ITEMS_PER_STEP = 16
"""So many items of a list or string that is joined or compared count as one more step."""


class Expressions:
    """Evaluates expressions over one builder.

    check   the running example, or None
    place   while a library function runs: the call that the user wrote
    """

    def __init__(self, check: ExampleCheck | None, kinds: bool):
        self.builder = Builder()
        self.check = check
        self.make = Operators(
            self.builder,
            Kinds(self.builder.nodes) if kinds else None,
            check.length if check else lambda: 1,
        )
        if check is not None:
            check.builder = self.builder
        self.place: Span | None = None
        self.steps = 0
        self.limits: Limits | None = None  # while a statement runs
        self.library = Scope(None, "RASP_support/rasplib")
        self.library.variables |= self.make.constants()
        self.library.out = self.library.variables["tokens_str"]

    def _call(self, expr: s.Call, scope: Scope) -> Value:
        raise NotImplementedError

    def value(self, expr: s.Expr, scope: Scope) -> Value:
        """The value of an expression; s-ops and selectors are checked on the example."""
        self._count_step(expr.span)
        try:
            value = getattr(self, _EVALUATE[type(expr)])(expr, scope)
            return self._shown(value, scope)
        except RaspError as fault:
            if self.place is None:
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
        """Steps for work on long lists, dicts and strings; all their items where they become part
        of an s-op."""
        items = sum([len(v) for v in values if isinstance(v, list | dict | str)])
        if items > ITEMS_PER_STEP:
            frozen = any([isinstance(v, Node) for v in values])
            self._count_step(span, items if frozen else items // ITEMS_PER_STEP)

    def _shown(self, value: Value, scope: Scope) -> Value:
        """Check a value on the example, and make it `out`."""
        if isinstance(value, Node) and self.check is not None:
            self.check.test(value)
        if not isinstance(value, Applied):
            scope.out = value
        return value

    def _span(self, expr: s.Expr) -> Span:
        return self.place or expr.span

    def _values(self, exprs: Iterable[s.Expr], scope: Scope) -> list[Value]:
        found = []
        for expr in exprs:  # not a generator: those recurse on the C stack
            found.append(self.value(expr, scope))
        return found

    def _literal(self, expr: s.Literal, scope: Scope) -> Value:
        return expr.value

    def _name(self, expr: s.Name, scope: Scope) -> Value:
        value = scope.get(expr.id, self._span(expr))
        if isinstance(value, Node) and self.builder.spans[value.id] is None:
            self.builder.spans[value.id] = self._span(
                expr
            )  # tokens, length, ...: where the text first names it
        return value

    def _list(self, expr: s.ListOf, scope: Scope) -> list:
        return shallow(self._values(expr.items, scope), self._span(expr))

    def _key(self, expr: s.Expr, scope: Scope) -> Value:
        key = self.value(expr, scope)
        if not is_atom(key):
            error = RaspTypeError(
                f"a key of a dict is an atom, and this is {a_kind(key)}", self._span(expr)
            )
            raise with_transcript(
                error, f"dictionary keys can only be atoms, but instead got: {describe(key)}"
            )
        return key

    def _dict(self, expr: s.DictOf, scope: Scope) -> dict:
        found = {}
        for key, value in expr.pairs:
            at = self._key(key, scope)
            found[at] = self.value(value, scope)
        return shallow(found, self._span(expr))

    def _turns(self, expr: s.ListFor | s.DictFor, word: str, scope: Scope) -> Iterator[Scope]:
        over = self.value(expr.over, scope)
        if not isinstance(over, list | dict):
            raise with_transcript(
                RaspTypeError(
                    f"a {word} comprehension goes over a list or dict, and this is {a_kind(over)}",
                    expr.over.span,
                ),
                f"{word} comprehension should have got a list or dict to loop over, but got: "
                + plain_text(over),
            )
        return self._bound_turns(expr, over, scope)

    def _bound_turns(self, expr: s.ListFor | s.DictFor, over: Value, scope: Scope) -> Iterator:
        for turn in over:
            inner = scope.nested()
            self._bind_turn(expr.names, turn, inner, self._span(expr))
            yield inner

    def _list_for(self, expr: s.ListFor, scope: Scope) -> list:
        found = []
        for inner in self._turns(expr, "list", scope):
            found.append(self.value(expr.item, inner))
        return shallow(found, self._span(expr))

    def _dict_for(self, expr: s.DictFor, scope: Scope) -> dict:
        found = {}
        for inner in self._turns(expr, "dict", scope):
            key = self._key(expr.key, inner)
            found[key] = self.value(expr.value, inner)
        return shallow(found, self._span(expr))

    def _unary(self, expr: s.Unary, scope: Scope) -> Value:
        operand = self.value(expr.operand, scope)
        return self.make.unary(expr.op, operand, self._span(expr), self._span(expr.operand))

    def _binary(self, expr: s.Binary, scope: Scope) -> Value:
        """Left to right along the left operands, without recursion: sums may have thousands of
        terms."""
        chain = [expr]
        while isinstance(chain[-1].left, s.Binary):
            chain.append(chain[-1].left)
        value = self.value(chain[-1].left, scope)
        while chain:
            link = chain.pop()
            right = self.value(link.right, scope)
            value = self._operate(link, value, right)
            if chain:
                self._shown(value, scope)
        return value

    def _operate(self, expr: s.Binary, left: Value, right: Value) -> Value:
        span, spans = self._span(expr), (self._span(expr.left), self._span(expr.right))
        self._count_items(span, left, right)
        if expr.op == "in":
            return contains(self.make, left, right, span, spans, _written(expr.right, right))
        return self.make.binary(expr.op, left, right, span, spans)

    def _if_else(self, expr: s.IfElse, scope: Scope) -> Value:
        condition = self.value(expr.condition, scope)
        if not isinstance(condition, Node):
            return self.value(expr.then if condition else expr.other, scope)
        then, other = self.value(expr.then, scope), self.value(expr.other, scope)
        spans = (self._span(expr.condition), self._span(expr.then), self._span(expr.other))
        return self.make.if_else(condition, then, other, self._span(expr), spans)

    def _index(self, expr: s.Index, scope: Scope) -> Value:
        of, at = self.value(expr.of, scope), self.value(expr.at, scope)
        if isinstance(at, Node):
            self._count_items(self._span(expr), of, at)
        spans = (self._span(expr.of), self._span(expr.at))
        full = self.library.variables["length"]
        return index(self.make, of, at, full, self._span(expr), spans, _written(expr.of, of))

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
            return length(values[0], span)
        if expr.name == "zip":
            self._count_step(span, sum([len(v) for v in values if isinstance(v, list)]))
            return zipped(values, span)
        made = int_range(values, span)
        self._count_items(span, made)
        return made

    def _bind_turn(self, names: tuple[str, ...], value: Value, scope: Scope, span: Span) -> None:
        self._count_step(span)
        if len(names) == 1:
            scope.set(names[0], value, span)
            return
        if not isinstance(value, list | dict | str):
            text = "iterating with multiple iterator names, but got single iterator value:"
            error = RaspTypeError(
                f"{len(names)} names for one {kind(value)}", span, "one name, or lists to unpack"
            )
            raise with_transcript(error, f"{text} {plain_text(value)}")
        if len(value) != len(names):
            counts = f"iterating with {len(names)} names but got {len(value)} values"
            text = f"{counts} ( {plain_text(value)} )"
            raise with_transcript(
                RaspTypeError(f"{len(names)} names for {len(value)} values", span), text
            )
        for name, part in zip(names, value, strict=True):
            scope.set(name, part, span)


def _written(expr: s.Expr, value: Value) -> str:
    """How a container is called in the name of what is made from it."""
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

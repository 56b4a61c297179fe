"""Syntax to program graph: `Elaborator` executes the statements of RASP; s-ops and selectors become nodes.

Functions are inlined by running their bodies; loops and comprehensions run over lists and dicts. Where there is a
running example (the REPL, a notebook) each s-op is checked on it when it is made; otherwise only kinds are.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from rasplab.errors import RaspError, RaspTypeError, RaspValueError, Span
from rasplab.interpret import column, read_tokens
from rasplab.lang import syntax as s
from rasplab.lang.check import ExampleCheck
from rasplab.lang.containers import contains, index
from rasplab.interpret.faults import told
from rasplab.lang.kinds import Kinds
from rasplab.lang.operators import Operators, int_range, length, shallow, zipped
from rasplab.lang.scope import RESERVED, Scope
from rasplab.lang.values import (
    Applied, Builtin, Function, Node, Selector, Value, describe, is_atom, kind, plain_text,
)  # fmt: skip
from rasplab.lang.values import MAX_LIST_TEXT
from rasplab.program import Builder, canonical_order

MAX_CALLS = 20_000
"""How deep calls may nest."""

MAX_STEPS = 5_000_000
"""How many expressions and turns of loops one statement may take: some 5 seconds."""

MAX_NODES = 300_000
"""How many s-ops and selectors one text may make."""

FRAMES_PER_CALL = 40
"""Python frames that one RASP call may take, generously; they live on the heap, not on the C stack."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a statement gave: a name and its value; the name is None for an s-op put to an input."""

    name: str | None
    value: Value

    @property
    def kind(self) -> str:
        """"s-op", "selector", "function" or "value"."""
        word = kind(self.value)
        return word if word in ("s-op", "selector", "function") else "value"


@contextmanager
def deep_recursion() -> Iterator[None]:
    """Let Python recurse as deep as MAX_CALLS RASP calls need."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, MAX_CALLS * FRAMES_PER_CALL))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


class Elaborator:
    """Executes statements over one builder.

    check   the running example, or None
    load    what `load "path";` does: load(path, scope, span) -> results
    last    the s-op or selector last assigned or shown at the top of a text: its output
    """

    def __init__(self, check: ExampleCheck | None, load: Callable[..., list[Result]]):
        self.builder = Builder()
        self.check = check
        self.load = load
        self.last: Node | None = None
        self.make = Operators(
            self.builder, Kinds(self.builder) if check is None else None, check.length if check else lambda: 1
        )
        self.place: Span | None = None  # while a library function runs: the call that the user wrote
        self.calls = self.steps = 0
        if check is not None:
            check.builder = self.builder
        self.library = Scope(None, "RASP_support/rasplib")
        self.library.variables |= self.make.constants()
        self.library.out = self.library.variables["tokens_str"]

    def text_scope(self, creator: str, exports: Scope | None = None, keep_library: bool = False) -> Scope:
        """A top-level scope over the library; `keep_library`: the library's names may not be assigned."""
        reserved = frozenset(self.library.variables) - {"tokens"} if keep_library else frozenset()
        return Scope(self.library, creator, reserved, exports, is_text=True)

    def run(self, statement: s.Statement, scope: Scope) -> list[Result]:
        """Execute one statement. Raises RaspError, placed."""
        return self._guarded(self._statement, statement, scope)

    def evaluate(self, expr: s.Expr, scope: Scope) -> Value:
        """The value of one expression. Raises RaspError, placed."""
        return self._guarded(self.value, expr, scope)

    def _guarded(self, execute: Callable[..., Any], part: s.Statement | s.Expr, scope: Scope) -> Any:
        calls, steps = self.calls, self.steps
        with deep_recursion():
            try:
                return execute(part, scope)
            except RaspError as fault:
                raise fault.at(part.span) from fault.__cause__
            except (RecursionError, MemoryError):
                raise RaspValueError("this needs more memory than there is", part.span) from None
            finally:  # a load runs statements within a statement
                self.calls, self.steps, self.place = calls, steps, None

    def depends_on(self, node: Node) -> list[int]:
        """The ids that a node needs, operands first."""
        return canonical_order(self.builder.nodes, node.id)

    def apply(self, node: Node, tokens, span: Span) -> Applied:
        """An s-op or selector put to an input."""
        if not isinstance(tokens, list | str | dict) or not tokens:
            raise told(
                RaspTypeError(f"an input is a string or a list of tokens, not empty; this is {describe(tokens)}", span),
                f"RASP sequences/selectors expect non-empty iterables, got: {plain_text(tokens)}",
            )
        inputs, columns = read_tokens(list(tokens)), {}
        for i in self.depends_on(node):
            columns[i] = column(self.builder.nodes[i], columns, inputs, False, self.builder.spans[i] or span)
        return Applied(columns[node.id], isinstance(node, Selector), inputs)

    # statements

    def _statement(self, statement: s.Statement, scope: Scope) -> list[Result]:
        return _STATEMENTS[type(statement)](self, statement, scope)

    def _expression(self, statement: s.Expression, scope: Scope) -> list[Result]:
        expr = statement.expr
        value = self.value(expr, scope)
        if isinstance(value, Applied) and isinstance(expr, s.Call):
            return [Result(None, value)]
        self._keep(value, scope)
        return [Result(expr.id if isinstance(expr, s.Name) else "out", value)]

    def _keep(self, value: Value, scope: Scope) -> None:
        if scope.is_text and isinstance(value, Node):
            self.last = value

    def _assign(self, statement: s.Assign, scope: Scope) -> list[Result]:
        values = self._values(statement.values, scope)
        value = values[0] if len(values) == 1 else shallow(values, statement.span)
        if len(statement.names) == 1:
            return [self._bind(statement.names[0], value, scope, statement)]
        parts = _unpacked(value, len(statement.names), statement.span)
        return [self._bind(n, v, scope, statement) for n, v in zip(statement.names, parts, strict=True)]

    def _bind(self, name: str, value: Value, scope: Scope, statement: s.Assign) -> Result:
        scope.set(name, value, self.place or statement.span)
        if isinstance(value, Node):
            value.rename(name)
            self._keep(value, scope)
        return Result(name, value)

    def _define(self, statement: s.Define, scope: Scope) -> list[Result]:
        function = Function(
            statement.name, statement.parameters, statement.body, statement.results, scope, scope.creator
        )
        scope.set(statement.name, function, statement.span)
        return [Result(statement.name, function)]

    def _loop(self, statement: s.Loop, scope: Scope) -> list[Result]:
        over = self.value(statement.over, scope)
        if not isinstance(over, list | dict):
            raise told(
                RaspTypeError(f"for goes over a list or dict, and this is a {kind(over)}", statement.over.span),
                f"for loop needs to iterate over a list or dict, but got: {plain_text(over)}",
            )
        for turn in over:
            self._bind_turn(statement.names, turn, scope, statement.span)
            for inner in statement.body:
                self._statement(inner, scope)
        return []

    def _load(self, statement: s.Load, scope: Scope) -> list[Result]:
        return self.load(statement.path, scope, statement.span)

    def _draw(self, statement: s.Draw, scope: Scope) -> list[Result]:
        on = self.check.tokens if self.check else None
        if statement.on is not None:
            on = self.value(statement.on, scope)
        node = self._leniently(statement.sop, scope, on)
        if not isinstance(node, Node) or isinstance(node, Selector):
            raise told(
                RaspTypeError(f"draw takes an s-op, and this is a {kind(node)}", statement.sop.span),
                f"draw expects unfinished sequence, got: {plain_text(node)}",
            )
        return [Result(None, self.apply(node, on, statement.span))] if on is not None else []

    def _bind_turn(self, names: tuple[str, ...], value: Value, scope: Scope, span: Span) -> None:
        self._count_step(span)
        if len(names) == 1:
            scope.set(names[0], value, span)
            return
        if not isinstance(value, list | dict | str):
            text = "iterating with multiple iterator names, but got single iterator value:"
            error = RaspTypeError(f"{len(names)} names for one {kind(value)}", span, "one name, or lists to unpack")
            raise told(error, f"{text} {plain_text(value)}")
        if len(value) != len(names):
            text = f"iterating with {len(names)} names but got {len(value)} values ( {plain_text(value)} )"
            raise told(RaspTypeError(f"{len(names)} names for {len(value)} values", span), text)
        for name, part in zip(names, value, strict=True):
            scope.set(name, part, span)

    # expressions

    def value(self, expr: s.Expr, scope: Scope) -> Value:
        """The value of an expression; s-ops and selectors are checked on the example."""
        self._count_step(expr.span)
        try:
            value = _EXPRESSIONS[type(expr)](self, expr, scope)
            return self._shown(value, scope)
        except RaspError as fault:
            if self.place is None:
                fault.at(expr.span)
            raise

    def _count_step(self, span: Span) -> None:
        self.steps += 1
        if self.steps > MAX_STEPS:
            raise RaspValueError(f"this statement takes more than {MAX_STEPS} steps", span, "shorten its loops")
        if len(self.builder.nodes) > MAX_NODES:
            raise RaspValueError(f"this text makes more than {MAX_NODES} s-ops and selectors", span)

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
            self.builder.spans[value.id] = self._span(expr)  # tokens, length, ...: where the text first names it
        return value

    def _list(self, expr: s.ListOf, scope: Scope) -> list:
        return shallow(self._values(expr.items, scope), self._span(expr))

    def _key(self, expr: s.Expr, scope: Scope) -> Value:
        key = self.value(expr, scope)
        if not is_atom(key):
            error = RaspTypeError(f"a key of a dict is an atom, and this is a {kind(key)}", self._span(expr))
            raise told(error, f"dictionary keys can only be atoms, but instead got: {describe(key)}")
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
            raise told(
                RaspTypeError(
                    f"a {word} comprehension goes over a list or dict, and this is a {kind(over)}", expr.over.span
                ),
                f"{word} comprehension should have got a list or dict to loop over, but got: {plain_text(over)}",
            )
        turns = []
        for turn in over:
            inner = scope.nested()
            self._bind_turn(expr.names, turn, inner, self._span(expr))
            turns.append(inner)
        return turns

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
        """Left to right along the left operands, without recursion: sums may have thousands of terms."""
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
        if expr.name == "range":
            return int_range(values, span)
        return zipped(values, span) if expr.name == "zip" else length(values[0], span)

    # calls

    def _leniently(self, expr: s.Expr, scope: Scope, tokens: Value) -> Value:
        """The value of `expr`, which may fail on the example if it works on `tokens`."""
        if self.check is None:
            return self.value(expr, scope)
        with self.check.also_on(tokens):
            return self.value(expr, scope)

    def _call(self, expr: s.Call, scope: Scope) -> Value:
        if len(expr.arguments) == 1:
            arguments = [self.value(expr.arguments[0], scope)]
            called = self._leniently(expr.function, scope, arguments[0])
        else:
            called = self.value(expr.function, scope)
            arguments = self._values(expr.arguments, scope)
        if isinstance(called, Node):
            _check_count("evaluate unfinished", 1, arguments, self._span(expr))
            return self.apply(called, arguments[0], self._span(expr))
        if isinstance(called, Function | Builtin):
            return self._call_function(called, arguments, self._span(expr))
        raise told(
            RaspTypeError(f"a {kind(called)} cannot be called", self._span(expr.function)), _NOT_IMPLEMENTED
        )

    def _call_function(self, function: Function | Builtin, arguments: list[Value], span: Span) -> Value:
        _check_count(function.name, len(function.parameters), arguments, span)
        value = self._enter(function, arguments, span)
        if isinstance(value, Node):
            texts = " , ".join([describe(a, MAX_LIST_TEXT) for a in arguments])
            value.rename(f"{function.name}({texts})")
        return value

    def _enter(self, function: Function | Builtin, arguments: list[Value], span: Span) -> Value:
        if isinstance(function, Builtin):
            return function.apply(self.make, span, *arguments)
        self.calls += 1
        if self.calls > MAX_CALLS:
            raise RaspValueError(f"{function.name} calls itself more than {MAX_CALLS} deep", span, _BASE_CASE)
        before, depth = self.place, self.calls
        if before is None and function.scope.creator == self.library.creator:
            self.place = span
        inner = function.scope.nested()
        for name, value in zip(function.parameters, arguments, strict=True):
            inner.set(name, value, span)
        for statement in function.body:
            self._statement(statement, inner)
        values = self._values(function.results, inner)
        self.place, self.calls = before, depth - 1
        return values[0] if len(values) == 1 else shallow(values, span)


_NOT_IMPLEMENTED = "not implemented this command yet! ignoring"
_BASE_CASE = "give it a case that ends: 0 if n == 0 else f(n - 1)"


def _check_count(name: str, expected: int, arguments: list[Value], span: Span) -> None:
    if len(arguments) == expected:
        return
    word = "an s-op or selector" if name == "evaluate unfinished" else name
    error = RaspTypeError(f"{word} takes {expected} argument{'s' * (expected != 1)}, not {len(arguments)}", span)
    raise told(error, f"wrong number of args for {name}- expected: {expected}, got: {len(arguments)}.")


def _unpacked(value: Value, count: int, span: Span) -> list[Value]:
    if not isinstance(value, list | dict | str):
        error = RaspTypeError(f"a {kind(value)} cannot be unpacked into {count} names", span, "only a list can")
        raise told(error, f"object of type {kind(value)!r} has no len()", host=True)
    if len(value) != count:
        error = RaspTypeError(f"{count} names for {len(value)} values", span)
        raise told(error, f"expected {count} values, but got: {len(value)}")
    return list(value)


def _written(expr: s.Expr, value: Value) -> str:
    """How a container is called in the name of what is made from it."""
    return expr.id if isinstance(expr, s.Name) else plain_text(value)


_STATEMENTS = {
    s.Expression: Elaborator._expression,
    s.Assign: Elaborator._assign,
    s.Define: Elaborator._define,
    s.Loop: Elaborator._loop,
    s.Load: Elaborator._load,
    s.Draw: Elaborator._draw,
}

_EXPRESSIONS = {
    s.Literal: Elaborator._literal,
    s.Name: Elaborator._name,
    s.ListOf: Elaborator._list,
    s.DictOf: Elaborator._dict,
    s.ListFor: Elaborator._list_for,
    s.DictFor: Elaborator._dict_for,
    s.Unary: Elaborator._unary,
    s.Binary: Elaborator._binary,
    s.IfElse: Elaborator._if_else,
    s.Index: Elaborator._index,
    s.Call: Elaborator._call,
    s.SelectForm: Elaborator._select,
    s.AggregateForm: Elaborator._aggregate,
    s.Form: Elaborator._form,
}

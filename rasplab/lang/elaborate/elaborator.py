"""Syntax to program graph: `Elaborator` executes the statements of RASP; s-ops and selectors become
nodes.

Functions are inlined by running their bodies; loops and comprehensions run over lists and dicts.
Where there is a running example (the REPL, a notebook) each s-op is checked on it when it is made;
otherwise only kinds are.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from rasplab.base.errors import RaspError, RaspTypeError, RaspValueError, Span
from rasplab.base.limits import current, way_out
from rasplab.lang.elaborate.example_check import ExampleCheck
from rasplab.lang.elaborate.expressions import Expressions
from rasplab.lang.elaborate.operators import shallow
from rasplab.lang.elaborate.scope import Scope
from rasplab.lang.elaborate.values import (
    MAX_LIST_TEXT,
    Applied,
    Builtin,
    Function,
    Node,
    Selector,
    Value,
    a_kind,
    describe,
    kind,
    plain_text,
)
from rasplab.lang.syntax import ast as s
from rasplab.program.graph import Indices, Program, Tokens, canonical_order
from rasplab.program.interpret.exact import Room, read_tokens
from rasplab.program.interpret.transcript_faults import with_transcript

STEPS_PER_CALL = 5
"""What calling a function counts beside the expressions in it."""

MAX_FRAMES = 1 << 30
"""What Python's recursion limit can be set to."""

ASSIGNABLE = frozenset({"tokens", "constant", "chr"})
"""Names of the library that a session may assign all the same: in the reference they are free."""

FRAMES_PER_CALL = 40
"""Python frames that one RASP call may take, generously; they live on the heap, not on the C
stack."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a statement gave: a name and its value; the name is None for an s-op put to an input."""

    name: str | None
    value: Value

    @property
    def kind(self) -> str:
        """ "s-op", "selector", "function" or "value"."""
        word = kind(self.value)
        return word if word in ("s-op", "selector", "function") else "value"


@contextmanager
def deep_recursion(calls: int) -> Iterator[None]:
    """Let Python recurse as deep as so many RASP calls need."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, min(calls * FRAMES_PER_CALL, MAX_FRAMES)))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


class Elaborator(Expressions):
    """Executes statements over one builder.

    check   the running example, or None
    kinds   whether what fails on every input for its kinds is refused for that, before any example
    load    what `load "path";` does: load(path, scope, span) -> results
    draw    what `draw(sop, input);` does besides evaluating: draw(name, program, tokens), or None
    last    the s-op or selector last assigned or shown at the top of a text: its output
    """

    def __init__(
        self, check: ExampleCheck | None, load: Callable[..., list[Result]], kinds: bool = True
    ):
        super().__init__(check, kinds)
        self.load, self.draw = load, None
        self.last: Node | None = None
        self.calls = 0

    def text_scope(
        self, creator: str, exports: Scope | None = None, keep_library: bool = False
    ) -> Scope:
        """A top-level scope over the library; `keep_library`: the library's names may not be
        assigned."""
        reserved = frozenset(self.library.variables) - ASSIGNABLE if keep_library else frozenset()
        return Scope(self.library, creator, reserved, exports, is_text=True)

    def run(self, statement: s.Statement, scope: Scope) -> list[Result]:
        """Execute one statement. Raises RaspError, placed."""
        return self._guarded(self._statement, statement, scope)

    def evaluate(self, expr: s.Expr, scope: Scope) -> Value:
        """The value of one expression. Raises RaspError, placed."""
        return self._guarded(self.value, expr, scope)

    def _guarded(
        self, execute: Callable[..., Any], part: s.Statement | s.Expr, scope: Scope
    ) -> Any:
        calls, is_outer = self.calls, self.limits is None
        if is_outer:
            self.limits = current()
            self.steps *= self.check is None  # a session counts for each statement
        with deep_recursion(self.limits.calls):
            try:
                return execute(part, scope)
            except RaspError as fault:
                # the frames of the elaborator, thousands in a recursion, tell the user nothing
                raise fault.at(part.span).with_traceback(None) from None
            except (RecursionError, MemoryError):
                raise RaspValueError("this needs more memory than there is", part.span) from None
            finally:  # a load runs statements within a statement
                self.calls, self.place = calls, None
                self.limits = None if is_outer else self.limits

    def depends_on(self, node: Node) -> list[int]:
        """The ids that a node needs, operands first."""
        return canonical_order(self.builder.nodes, node.id)

    def apply(self, node: Node, tokens, span: Span) -> Applied:
        """An s-op or selector put to an input."""
        if not isinstance(tokens, list | str | dict) or not tokens:
            raise with_transcript(
                RaspTypeError(
                    f"an input is a string or list that is not empty; this is {describe(tokens)}",
                    span,
                ),
                f"RASP sequences/selectors expect non-empty iterables, got: {plain_text(tokens)}",
            )
        inputs, columns = read_tokens(list(tokens)), {}
        room = Room(len(inputs))
        for i in self.depends_on(node):
            place = self.builder.spans[i] or span
            columns[i] = room.column(self.builder.nodes[i], columns, inputs, place)
        return Applied(columns[node.id], isinstance(node, Selector), inputs)

    def program(self, node: Node, scope: Scope, also: Sequence[Node] = ()) -> Program:
        """The program whose output is `node` (and `also`), under the names of `scope` and the
        library's for what it does not name."""
        names = {name: v.id for name, v in scope.variables.items() if isinstance(v, Node)}
        further = tuple(n.id for n in also)
        return self.builder.program(node.id, names | self.library_names(names), further)

    def library_names(self, names: dict[str, int]) -> dict[str, int]:
        """The library's names (`length`, `full_s`) for nodes that `names` does not name."""
        nodes, taken = self.builder.nodes, set(names.values())
        return {
            name: v.id
            for name, v in self.library.variables.items()
            if isinstance(v, Node) and name not in names and v.id not in taken
            if not isinstance(nodes[v.id], Tokens | Indices)
        }

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
        return [
            self._bind(n, v, scope, statement) for n, v in zip(statement.names, parts, strict=True)
        ]

    def _bind(self, name: str, value: Value, scope: Scope, statement: s.Assign) -> Result:
        scope.set(name, value, self.place or statement.span)
        if isinstance(value, Node):
            value.rename(name)
            self._keep(value, scope)
        return Result(name, value)

    def _define(self, statement: s.Define, scope: Scope) -> list[Result]:
        function = Function(
            statement.name,
            statement.parameters,
            statement.body,
            statement.results,
            scope,
            scope.creator,
        )
        scope.set(statement.name, function, statement.span)
        return [Result(statement.name, function)]

    def _loop(self, statement: s.Loop, scope: Scope) -> list[Result]:
        over = self.value(statement.over, scope)
        if not isinstance(over, list | dict):
            raise with_transcript(
                RaspTypeError(
                    f"for goes over a list or dict, and this is {a_kind(over)}", statement.over.span
                ),
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
            raise with_transcript(
                RaspTypeError(
                    f"draw takes an s-op, and this is {a_kind(node)}", statement.sop.span
                ),
                f"draw expects unfinished sequence, got: {plain_text(node)}",
            )
        if on is None:
            return []
        applied = self.apply(node, on, statement.span)
        if self.draw is not None:
            self.draw(node.name, self.program(node, scope), applied.tokens)
        return [Result(None, applied)]

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
        raise with_transcript(
            RaspTypeError(f"{a_kind(called)} cannot be called", self._span(expr.function)),
            _NOT_IMPLEMENTED,
        )

    def _call_function(
        self, function: Function | Builtin, arguments: list[Value], span: Span
    ) -> Value:
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
        self._count_step(span, STEPS_PER_CALL)
        if self.calls > self.limits.calls:
            message = f"{function.name} calls itself more than {self.limits.calls:,} deep"
            raise RaspValueError(message, span, f"{_BASE_CASE}; {way_out('calls')}")
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
    error = RaspTypeError(
        f"{word} takes {expected} argument{'s' * (expected != 1)}, not {len(arguments)}", span
    )
    raise with_transcript(
        error, f"wrong number of args for {name}- expected: {expected}, got: {len(arguments)}."
    )


def _unpacked(value: Value, count: int, span: Span) -> list[Value]:
    if not isinstance(value, list | dict | str):
        error = RaspTypeError(
            f"{a_kind(value)} cannot be unpacked into {count} names", span, "only a list can"
        )
        raise with_transcript(error, f"object of type {kind(value)!r} has no len()", host=True)
    if len(value) != count:
        error = RaspTypeError(f"{count} names for {len(value)} values", span)
        raise with_transcript(error, f"expected {count} values, but got: {len(value)}")
    return list(value)


_STATEMENTS = {
    s.Expression: Elaborator._expression,
    s.Assign: Elaborator._assign,
    s.Define: Elaborator._define,
    s.Loop: Elaborator._loop,
    s.Load: Elaborator._load,
    s.Draw: Elaborator._draw,
}

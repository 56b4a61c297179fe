"""Syntax to program graph: `Elaborator` executes statements; s-ops and selectors become nodes.

Functions are inlined by running their bodies; loops run over lists and dicts. In a session (the
REPL, a notebook) each s-op is evaluated on the running example when it is made; in a text only
kinds are checked. Expressions are in `expressions`, the operations on values in `operators` and
`containers`, names in `scope`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rasplab.base.errors import RaspError, RaspTypeError, RaspValueError, Span
from rasplab.base.limits import current, deep_recursion, way_out
from rasplab.lang.elaborate.example_check import ExampleCheck
from rasplab.lang.elaborate.expressions import Expressions
from rasplab.lang.elaborate.operators import shallow
from rasplab.lang.elaborate.scope import Scope
from rasplab.lang.elaborate.values import (
    MAX_LIST_TEXT,
    Applied,
    Builtin,
    Function,
    NamedNode,
    Selector,
    Value,
    a_kind,
    describe,
    kind,
    plain_text,
)
from rasplab.lang.syntax import ast as s
from rasplab.program.faults import check_column
from rasplab.program.graph import Indices, Program, Tokens, canonical_order
from rasplab.program.interpret.exact import Column, Room, read_tokens
from rasplab.program.interpret.transcript_faults import with_transcript

STEPS_PER_CALL = 5
"""Steps that a call of a function counts, beside those of the expressions in it."""

ASSIGNABLE = frozenset(
    {"tokens", "constant", "chr", "where", "abs", "sign", "floor", "ceil", "sum"}
    | {"largest", "smallest"}
)
"""Names of the library that a session may assign: the reference does not reserve them."""

FRAMES_PER_CALL = 40
"""An upper bound on the Python frames of one RASP call; they live on the heap, not the C stack."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a statement computed: a name and its value; None names an s-op applied to an input."""

    name: str | None
    value: Value

    @property
    def kind(self) -> str:
        """The kind of the value: "s-op", "selector", "function" or "value"."""
        word = kind(self.value)
        return word if word in ("s-op", "selector", "function") else "value"


class Elaborator(Expressions):
    """Executes statements over one builder.

    check  the running example, or None
    load   what `load "path";` does and returns: load(path, scope, span)
    kinds  whether kinds are checked: what fails on every input is then refused for its kinds
    draw   what `draw(sop, input);` does beside evaluating: draw(name, program, tokens), or None
    last   the s-op or selector last assigned or shown at the top of a text: its output
    """

    def __init__(
        self,
        check: ExampleCheck | None,
        load: Callable[[str, Scope, Span], list[Any]],
        kinds: bool = True,
    ):
        super().__init__(check, kinds)
        self.load = load
        self.draw: Callable[[str, Program, tuple], object] | None = None
        self.last: NamedNode | None = None
        self.nesting = 0  # statements that run: a load runs statements within a statement
        self.calls = 0  # calls of functions that run

    def text_scope(
        self, creator: str, exports: Scope | None = None, keep_library: bool = False
    ) -> Scope:
        """A top-level scope over the library, for a text called `creator`.

        exports       the scope that receives its public names, for a text that is loaded
        keep_library  whether the library's names may not be assigned
        """
        reserved = frozenset(self.library.variables) - ASSIGNABLE if keep_library else frozenset()
        return Scope(self.library, creator, reserved, exports, is_text=True)

    def run(self, statement: s.Statement, scope: Scope) -> list[Any]:
        """Execute one statement: its Results, or for `load` what the loader returns.

        Raises RaspError, placed.
        """
        return self._guarded(self._statement, statement, scope)

    def evaluate(self, expr: s.Expr, scope: Scope) -> Value:
        """The value of one expression.

        Raises RaspError, placed.
        """
        return self._guarded(self.value, expr, scope)

    def _guarded(
        self, execute: Callable[..., Any], part: s.Statement | s.Expr, scope: Scope
    ) -> Any:
        """Execute a part of a text under the limits, with every failure as a placed RaspError."""
        calls = self.calls
        if self.nesting == 0:
            self.limits = current()
            self.steps = self.steps if self.check is None else 0
        self.nesting += 1
        with deep_recursion(self.limits.calls * FRAMES_PER_CALL):
            try:
                return execute(part, scope)
            except RaspError as fault:
                # Without the elaborator's frames, thousands in a recursion, which help no user.
                raise fault.at(part.span).with_traceback(None) from None
            except (RecursionError, MemoryError):
                raise RaspValueError("this needs more memory than there is", part.span) from None
            finally:
                self.nesting -= 1
                self.calls, self.place = calls, None

    def depends_on(self, node: NamedNode) -> list[int]:
        """The ids that a node needs, operands first."""
        return canonical_order(self.builder.nodes, node.id)

    def apply(self, node: NamedNode, tokens: Value, span: Span) -> Applied:
        """An s-op or selector applied to an input, a non-empty string, list or dict (its keys)."""
        if not isinstance(tokens, list | str | dict) or not tokens:
            message = f"an input is a non-empty string or list, not {describe(tokens)}"
            raise with_transcript(
                RaspTypeError(message, span),
                f"RASP sequences/selectors expect non-empty iterables, got: {plain_text(tokens)}",
            )
        inputs = read_tokens(list(tokens))
        columns: dict[int, Column] = {}
        room = Room(len(inputs))
        for i in self.depends_on(node):
            span_of_node = self.builder.spans[i] or span
            columns[i] = room.column(self.builder.nodes[i], columns, inputs, span_of_node)
        check_column(columns[node.id])
        return Applied(columns[node.id], isinstance(node, Selector), inputs)

    def program(self, node: NamedNode, scope: Scope, also: Sequence[NamedNode] = ()) -> Program:
        """The program whose outputs are `node` and `also`.

        Its nodes have the names of `scope`, and the library's where that has none for them.
        """
        # Two names of one node are both kept; a name assigned again has only its last node.
        names = {name: v.id for name, v in scope.variables.items() if isinstance(v, NamedNode)}
        further = tuple(n.id for n in also)
        return self.builder.program(node.id, names | self.library_names(names), further)

    def library_names(self, names: dict[str, int]) -> dict[str, int]:
        """The library's names (`length`, `full_s`) for nodes that `names` does not name."""
        nodes, taken = self.builder.nodes, set(names.values())
        # Not `tokens` and `indices`, which every text shows under their own names anyway.
        return {
            name: v.id
            for name, v in self.library.variables.items()
            if isinstance(v, NamedNode) and name not in names and v.id not in taken
            if not isinstance(nodes[v.id], Tokens | Indices)
        }

    # statements

    def _statement(self, statement: s.Statement, scope: Scope) -> list[Any]:
        return _STATEMENTS[type(statement)](self, statement, scope)

    def _expression(self, statement: s.Expression, scope: Scope) -> list[Result]:
        expr = statement.expr
        value = self.value(expr, scope)
        if isinstance(value, Applied) and isinstance(expr, s.Call):
            return [Result(None, value)]  # `tokens("ab");` shows a value and assigns nothing
        if isinstance(value, NamedNode) or not isinstance(expr, s.Name):
            self._test(value, scope)
        self._set_last(value, scope)
        return [Result(expr.id if isinstance(expr, s.Name) else "out", value)]

    def _test(self, value: Value, scope: Scope) -> None:
        """Refuse what has no value on the example, where a text names or shows it."""
        if scope.is_text and self.check is not None:
            self.check.test(value)

    def _set_last(self, value: Value, scope: Scope) -> None:
        if scope.is_text and isinstance(value, NamedNode):
            self.last = value

    def _assign(self, statement: s.Assign, scope: Scope) -> list[Result]:
        # `a = 1, 2;` makes a list, and `a, b = l;` unpacks one, so `a, b = 1, 2;` does both.
        values = self._values(statement.values, scope)
        value = values[0] if len(values) == 1 else shallow(values, statement.span)
        if len(statement.names) == 1:
            return [self._bind(statement.names[0], value, scope, statement)]
        parts = _unpacked(value, len(statement.names), statement.span)
        return [
            self._bind(n, v, scope, statement) for n, v in zip(statement.names, parts, strict=True)
        ]

    def _bind(self, name: str, value: Value, scope: Scope, statement: s.Assign) -> Result:
        self._test(value, scope)
        scope.set(name, value, self.place or statement.span)
        if isinstance(
            value, NamedNode
        ):  # the same object under all its names, which all show this one
            value.rename(name)
            self._set_last(value, scope)
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
        iterable = self.value(statement.iterable, scope)
        if not isinstance(iterable, list | dict):
            message = f"for goes over a list or dict, not over {a_kind(iterable)}"
            raise with_transcript(
                RaspTypeError(message, statement.iterable.span),
                f"for loop needs to iterate over a list or dict, but got: {plain_text(iterable)}",
            )
        for turn in iterable:
            self._bind_turn(statement.names, turn, scope, statement.span)
            for inner in statement.body:
                self._statement(inner, scope)
        return []

    def _load(self, statement: s.Load, scope: Scope) -> list[Any]:
        return self.load(statement.path, scope, statement.span)

    def _draw(self, statement: s.Draw, scope: Scope) -> list[Result]:
        tokens = self.check.tokens if self.check else None
        if statement.tokens is not None:
            tokens = self.value(statement.tokens, scope)
        node = self._leniently(statement.sop, scope, tokens)
        if not isinstance(node, NamedNode) or isinstance(node, Selector):
            raise with_transcript(
                RaspTypeError(f"draw takes an s-op, not {a_kind(node)}", statement.sop.span),
                f"draw expects unfinished sequence, got: {plain_text(node)}",
            )
        if tokens is None:
            return []
        applied = self.apply(node, tokens, statement.span)
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
        # With one argument this may apply an s-op to an input, so the argument comes first: the
        # s-op is then allowed to fail on the running example where it works on that input.
        if len(expr.arguments) == 1:
            arguments = [self.value(expr.arguments[0], scope)]
            called = self._leniently(expr.function, scope, arguments[0])
        else:
            called = self.value(expr.function, scope)
            arguments = self._values(expr.arguments, scope)
        if isinstance(called, NamedNode):
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
        if isinstance(
            value, NamedNode
        ):  # renamed, as in the reference: shown as the call that made it
            texts = " , ".join([describe(a, MAX_LIST_TEXT) for a in arguments])
            value.rename(f"{function.name}({texts})")
        return value

    def _enter(self, function: Function | Builtin, arguments: list[Value], span: Span) -> Value:
        """Run the body of a function in a new scope; its result, or a list of its results."""
        if isinstance(function, Builtin):
            return function.apply(self.make, span, *arguments)
        # `calls` is restored by hand at the end: after an error `_guarded` does it.
        self.calls += 1
        self._count_step(span, STEPS_PER_CALL)
        if self.calls > self.limits.calls:
            message = f"{function.name} calls itself more than {self.limits.calls:,} deep"
            raise RaspValueError(message, span, f"{_BASE_CASE}; {way_out('calls')}")
        before, depth = self.place, self.calls
        # Nodes and errors of a library function are placed at the user's call of it.
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
        hint = "lists, dicts and strings can be unpacked"
        message = f"{a_kind(value)} cannot be unpacked into {count} names"
        error = RaspTypeError(message, span, hint)
        raise with_transcript(error, f"object of type {kind(value)!r} has no len()", host=True)
    if len(value) != count:
        values = f"{len(value)} value{'s' * (len(value) != 1)}"
        error = RaspTypeError(f"{values} cannot be unpacked into {count} names", span)
        raise with_transcript(error, f"expected {count} values, but got: {len(value)}")
    return list(value)


_STATEMENTS: dict[type[s.Statement], Callable[[Elaborator, Any, Scope], list[Any]]] = {
    s.Expression: Elaborator._expression,
    s.Assign: Elaborator._assign,
    s.Define: Elaborator._define,
    s.Loop: Elaborator._loop,
    s.Load: Elaborator._load,
    s.Draw: Elaborator._draw,
}

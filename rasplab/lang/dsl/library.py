"""RASP from Python: s-ops and selectors as objects with operators.

    from rasplab.dsl import aggregate, indices, length, program, select, tokens

    flip = select(indices, length - 1 - indices, "==").named("flip")
    reverse = program(aggregate(flip, tokens), name="reverse")

Arithmetic, comparisons and `&`, `|`, `~` (for and, or, not: mind that they bind tighter than
comparisons) make new s-ops; functions of the library are functions here. `program` elaborates what
was built, in the way the text's expressions are: the same graph, the same checks, the same faults,
placed at the line of Python.

`==` makes an s-op, so it cannot also say whether two objects are the same. Every use that would
need a yes or no, such as `if a == b` or `a in [b]`, raises TypeError; hashing is by identity, so
sets and dicts hold s-ops as distinct objects. To compare what was built, compare digests:
`program(a).digest == program(b).digest`.
"""

from __future__ import annotations

import inspect
from functools import partial
from typing import Any

from rasplab.base.errors import Span
from rasplab.lang.dsl.operators import PREDICATES, Selector, SOp, make, program, text_of
from rasplab.lang.syntax import ast as s
from rasplab.lang.syntax.vocabulary import BUILT_IN, prelude

__all__ = [
    "SOp", "Selector", "aggregate", "average", "constant", "contains", "count", "full_s",
    "has_focus", "indicator", "indices", "isin", "length", "load_from_location", "lookup",
    "mark_first_instance", "mark_last_instance", "program", "select", "select_from_first",
    "select_from_last", "select_next_identical", "selector_width", "shift", "sort", "tokens",
    "tokens_asis", "tokens_bool", "tokens_float", "tokens_int", "tokens_str", "where",
]  # fmt: skip
# max and min are here too, but `from rasplab.dsl import *` leaves Python's own alone


def select(keys: Any, queries: Any, predicate: Any = "==") -> Selector:
    """The selector that is True where `key predicate query`.

    predicate  "==", "!=", "<", "<=", ">", ">=", or the function of Python's `operator` module
    """
    predicate = PREDICATES.get(predicate, predicate)
    if predicate not in PREDICATES.values():
        wanted = ", ".join(PREDICATES.values())
        raise ValueError(f"the predicate is {predicate!r}; it is one of {wanted}")
    text = f"select({text_of(keys)}, {text_of(queries)}, {predicate})"
    return make(Selector, partial(_select_form, predicate), (keys, queries), text)


def _select_form(predicate: str, keys: s.Expr, queries: s.Expr, span: Span) -> s.SelectForm:
    return s.SelectForm(keys, queries, predicate, span)


def aggregate(selector: Selector, values: Any, default: Any = 0) -> SOp:
    """Per query: `default` where nothing is selected, the value where one key is, else the mean."""
    tail = "" if type(default) is int and default == 0 else f", {text_of(default)}"
    text = f"aggregate({text_of(selector)}, {text_of(values)}{tail})"
    return make(SOp, s.AggregateForm, (selector, values, default), text)


def where(condition: SOp, then: Any, other: Any) -> SOp:
    """`then if condition else other`, position by position."""
    text = f"({text_of(then)} if {text_of(condition)} else {text_of(other)})"
    return make(SOp, s.IfElse, (then, condition, other), text)


def indicator(a: SOp) -> SOp:
    """1 where `a` is true, else 0."""
    return make(SOp, partial(s.Unary, "indicator"), (a,), f"indicator({text_of(a)})")


def isin(item: Any, container: Any) -> SOp:
    """Whether the s-op's value is in a list; or whether an atom is anywhere in an s-op."""
    return make(
        SOp,
        partial(s.Binary, "in"),
        (item, container),
        f"({text_of(item)} in {text_of(container)})",
    )


def lookup(container: Any, at: SOp) -> SOp:
    """`container[at]`: a list or string at the s-op's positions, a dict at its keys."""
    return make(SOp, s.Index, (container, at), f"{text_of(container)}[{text_of(at)}]")


def _leaf(cls: type, name: str) -> Any:
    """What the language calls `name`."""
    return cls(partial(s.Name, name), (), name, None)


def _library(name: str, cls: type = SOp) -> Any:
    """A function of the library, under its own name and parameters."""
    defined = {d.name: d.parameters for d in prelude().items if isinstance(d, s.Define)}
    names = defined.get(name) or (BUILT_IN[name],)

    def call(*arguments: Any, **named: Any) -> Any:
        bound = signature.bind(*arguments, **named).args
        return make(
            cls, partial(_call_form, name), bound, f"{name}({', '.join(map(text_of, bound))})"
        )

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    signature = inspect.Signature([inspect.Parameter(n, kind) for n in names])
    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"The library's {name}({', '.join(names)}): {cls.word}."
    call.__signature__ = signature
    return call


def _call_form(name: str, *arguments: s.Expr, span: Span) -> s.Call:
    return s.Call(s.Name(name, span), arguments, span)


tokens = _leaf(SOp, "tokens")
tokens_asis = _leaf(SOp, "tokens_asis")
tokens_str = _leaf(SOp, "tokens_str")
tokens_int = _leaf(SOp, "tokens_int")
tokens_float = _leaf(SOp, "tokens_float")
tokens_bool = _leaf(SOp, "tokens_bool")
indices = _leaf(SOp, "indices")
length = _leaf(SOp, "length")
full_s = _leaf(Selector, "full_s")

selector_width = _library("selector_width")
constant = _library("constant")
has_focus = _library("has_focus")
count = _library("count")
contains = _library("contains")
max = _library("max")
min = _library("min")
average = _library("average")
load_from_location = _library("load_from_location")
shift = _library("shift")
mark_last_instance = _library("mark_last_instance")
mark_first_instance = _library("mark_first_instance")
select_from_last = _library("select_from_last", Selector)
select_from_first = _library("select_from_first", Selector)
sort = _library("sort")
select_next_identical = _library("select_next_identical", Selector)

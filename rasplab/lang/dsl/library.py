"""RASP from Python: s-ops and selectors as objects with operators.

    from rasplab.dsl import aggregate, indices, length, program, select, tokens

    flip = select(indices, length - 1 - indices, "==").named("flip")
    reverse = program(aggregate(flip, tokens), name="reverse")

Arithmetic, comparisons and `&`, `|`, `~` make new s-ops; `&`, `|`, `~` mean and, or, not, and bind
tighter than comparisons in Python. Functions of the library are functions here. `program`
elaborates what was built like the expressions of a text: the same graph, checks and errors, placed
at the line of Python.

`==` makes an s-op, so it cannot also compare two objects. Every use that needs True or False, such
as `if a == b` or `a in [b]`, raises TypeError; hashing is by identity, so sets and dicts hold
s-ops as distinct objects. To compare what was built, compare digests: `program(a).digest ==
program(b).digest`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

from rasplab.base.arguments import shown
from rasplab.base.errors import Span
from rasplab.lang.dsl.operators import COMPARISONS, Made, Selector, SOp, make, program, text_of
from rasplab.lang.syntax import ast as s
from rasplab.lang.syntax.vocabulary import BUILT_IN, prelude

__all__ = [
    "SOp",
    "Selector",
    "aggregate",
    "average",
    "ceil",
    "constant",
    "contains",
    "count",
    "floor",
    "full_s",
    "has_focus",
    "indicator",
    "indices",
    "isin",
    "largest",
    "length",
    "load_from_location",
    "lookup",
    "mark_first_instance",
    "mark_last_instance",
    "program",
    "select",
    "select_from_first",
    "select_from_last",
    "select_next_identical",
    "selector_width",
    "shift",
    "sign",
    "smallest",
    "sort",
    "tokens",
    "tokens_asis",
    "tokens_bool",
    "tokens_float",
    "tokens_int",
    "tokens_str",
    "where",
]
# Without max, min, abs and sum, so that `from rasplab.dsl import *` does not hide Python's.


def select(keys: Any, queries: Any, predicate: Any = "==") -> Selector:
    """The selector that is True where `key predicate query`.

    keys, queries  s-ops, or atoms
    predicate      "==", "!=", "<", "<=", ">", ">=", or a comparison of Python's `operator` module

    Raises ValueError for another predicate.
    """
    if not isinstance(predicate, str):  # s-ops compare to an s-op, and lists have no hash
        predicate = next((n for f, n in COMPARISONS.items() if f is predicate), predicate)
    if not isinstance(predicate, str) or predicate not in COMPARISONS.values():
        names = ", ".join(COMPARISONS.values())
        raise ValueError(f"unknown predicate {shown(predicate)}; the predicates are {names}")
    text = f"select({text_of(keys)}, {text_of(queries)}, {predicate})"
    return make(Selector, partial(_select_form, predicate), (keys, queries), text)


def _select_form(predicate: str, keys: s.Expr, queries: s.Expr, span: Span) -> s.SelectForm:
    return s.SelectForm(keys, queries, predicate, span)


def aggregate(selector: Selector, values: Any, default: Any = 0) -> SOp:
    """Per query the mean of the selected values; `default` where no key is selected.

    values   an s-op; strings and bools are allowed where at most one key is selected
    default  an atom
    """
    tail = "" if type(default) is int and default == 0 else f", {text_of(default)}"
    text = f"aggregate({text_of(selector)}, {text_of(values)}{tail})"
    return make(SOp, s.AggregateForm, (selector, values, default), text)


def where(condition: SOp, then: Any, other: Any) -> SOp:
    """The s-op `then if condition else other`, position by position."""
    text = f"({text_of(then)} if {text_of(condition)} else {text_of(other)})"
    return make(SOp, s.IfElse, (then, condition, other), text)


def indicator(a: SOp) -> SOp:
    """The s-op that is 1 where `a` is true, else 0."""
    return make(SOp, partial(s.Unary, "indicator"), (a,), f"indicator({text_of(a)})")


def isin(item: Any, container: Any) -> SOp:
    """Whether an s-op's value is in a list, or an atom anywhere in an s-op."""
    return make(
        SOp,
        partial(s.Binary, "in"),
        (item, container),
        f"({text_of(item)} in {text_of(container)})",
    )


def lookup(container: Any, at: SOp) -> SOp:
    """The s-op `container[at]`: items of a list or string by position, values of a dict by key."""
    return make(SOp, s.Index, (container, at), f"{text_of(container)}[{text_of(at)}]")


def _leaf(cls: type[Made], name: str) -> Made:
    """The s-op or selector that the language calls `name`."""
    return cls(partial(s.Name, name), (), name, None)


def _library(cls: type[Made], name: str) -> Callable[..., Made]:
    """A function of the library, with the parameters that it has there."""
    defined = {d.name: d.parameters for d in prelude().items if isinstance(d, s.Define)}
    names = defined.get(name) or (BUILT_IN[name],)

    def call(*arguments: Any, **named: Any) -> Made:
        bound = signature.bind(*arguments, **named).args
        return make(
            cls, partial(_call_form, name), bound, f"{name}({', '.join(map(text_of, bound))})"
        )

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    signature = inspect.Signature([inspect.Parameter(n, kind) for n in names])
    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"The library's {name}({', '.join(names)}): {cls.word}."
    setattr(call, "__signature__", signature)  # noqa: B010 (functions declare no such attribute)
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

selector_width = _library(SOp, "selector_width")
constant = _library(SOp, "constant")
has_focus = _library(SOp, "has_focus")
count = _library(SOp, "count")
contains = _library(SOp, "contains")
max = _library(SOp, "max")
min = _library(SOp, "min")
abs = _library(SOp, "abs")
sum = _library(SOp, "sum")
sign = _library(SOp, "sign")
floor = _library(SOp, "floor")
ceil = _library(SOp, "ceil")
largest = _library(SOp, "largest")
smallest = _library(SOp, "smallest")
average = _library(SOp, "average")
load_from_location = _library(SOp, "load_from_location")
shift = _library(SOp, "shift")
mark_last_instance = _library(SOp, "mark_last_instance")
mark_first_instance = _library(SOp, "mark_first_instance")
select_from_last = _library(Selector, "select_from_last")
select_from_first = _library(Selector, "select_from_first")
sort = _library(SOp, "sort")
select_next_identical = _library(Selector, "select_next_identical")

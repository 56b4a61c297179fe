"""The library: grammars/prelude.rasp, run once for each elaborator."""

from __future__ import annotations

from functools import cache

from rasplab.base.errors import Source
from rasplab.lang.elaborate.elaborator import Elaborator
from rasplab.lang.elaborate.operators import character
from rasplab.lang.elaborate.values import Builtin
from rasplab.lang.syntax.ast import Module
from rasplab.lang.syntax.grammar_tables import grammar_folder
from rasplab.lang.syntax.parser import parse_module

BUILT_IN = (
    ("selector_width", "sel", lambda make, span, sel: make.width(sel, span)),
    ("constant", "a", lambda make, span, a: make.constant(a, span)),
    ("chr", "n", lambda make, span, n: character(n, span)),
)
"""Functions that make nodes or values themselves: name, parameter, what they do."""


@cache
def prelude() -> Module:
    """The syntax of the library."""
    path = grammar_folder() / "prelude.rasp"
    return parse_module(Source("prelude.rasp", path.read_text(encoding="utf-8")))


def with_library(elaborator: Elaborator) -> Elaborator:
    """The same elaborator, its library filled."""
    scope = elaborator.library
    names = scope.variables
    names["tokens"] = names["tokens_str"]
    names["tokens"].rename("tokens")
    for name, parameter, apply in BUILT_IN:
        names[name] = Builtin(name, (parameter,), apply, scope.creator)
    for statement in prelude().items:
        elaborator.run(statement, scope)
    elaborator.builder.spans[:] = [None] * len(
        elaborator.builder.spans
    )  # the places of users, not the library's
    scope.out = names["tokens"]
    elaborator.last = None
    return elaborator

"""The library: grammars/prelude.rasp, run once for each elaborator."""

from __future__ import annotations

from rasplab.lang.elaborate.elaborator import Elaborator
from rasplab.lang.elaborate.operators import character
from rasplab.lang.elaborate.values import Builtin
from rasplab.lang.syntax.vocabulary import BUILT_IN, prelude

APPLY = {
    "selector_width": lambda make, span, sel: make.width(sel, span),
    "constant": lambda make, span, a: make.constant(a, span),
    "chr": lambda make, span, n: character(n, span),
}
"""What the functions of BUILT_IN do."""


def with_library(elaborator: Elaborator) -> Elaborator:
    """The same elaborator, its library filled."""
    scope = elaborator.library
    names = scope.variables
    names["tokens"] = names["tokens_str"]
    names["tokens"].rename("tokens")
    for name, parameter in BUILT_IN.items():
        names[name] = Builtin(name, (parameter,), APPLY[name], scope.creator)
    for statement in prelude().items:
        elaborator.run(statement, scope)
    elaborator.builder.spans[:] = [None] * len(
        elaborator.builder.spans
    )  # the places of users, not the library's
    scope.out = names["tokens"]
    elaborator.last = None
    return elaborator

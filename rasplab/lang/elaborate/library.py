"""The library: what every text may use without loading it, as a filled scope of an elaborator.

The inputs are nodes, a few functions are Python's, the others are run from grammars/prelude.rasp
once for each elaborator.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rasplab.base.errors import Span
from rasplab.lang.elaborate.elaborator import Elaborator
from rasplab.lang.elaborate.operators import Operators, character
from rasplab.lang.elaborate.values import Builtin, Value
from rasplab.lang.syntax.ast import COMMANDS
from rasplab.lang.syntax.vocabulary import BUILT_IN, prelude

APPLY: dict[str, Callable[[Operators, Span, Any], Value]] = {
    "selector_width": lambda make, span, sel: make.width(sel, span),
    "constant": lambda make, span, a: make.constant(a, span),
    "chr": lambda make, span, n: character(n, span),
}
"""What each function of BUILT_IN computes from (operators, place of the call, argument)."""


def with_library(elaborator: Elaborator) -> Elaborator:
    """The same elaborator with its library filled."""
    scope = elaborator.library
    names = scope.variables
    names["tokens"] = names["tokens_str"]
    names["tokens"].rename("tokens")
    for name, parameter in BUILT_IN.items():
        names[name] = Builtin(name, (parameter,), APPLY[name], scope.creator)
    for item in prelude().items:
        assert not isinstance(item, COMMANDS), "the prelude gives the REPL no commands"
        elaborator.run(item, scope)
    # Forget the places in the prelude: `length` is placed where a user's text first names it.
    elaborator.builder.spans[:] = [None] * len(elaborator.builder.spans)
    scope.out = names["tokens"]
    elaborator.last = None
    return elaborator

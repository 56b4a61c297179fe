"""Names and their values: `Scope`, one for a text, a function's call, a turn of a comprehension.

A function keeps its scope by reference, so a name may be defined after the function that uses it.
"""

from __future__ import annotations

from typing import Any

from rasplab.base.errors import RaspError, RaspNameError, Span
from rasplab.base.text import near_names
from rasplab.lang.syntax.vocabulary import RESERVED
from rasplab.program.interpret.transcript_faults import with_transcript


class Scope:
    """The names of a text, a function's call or one turn of a comprehension.

    creator   the text, shown with the functions defined in it; nested scopes add a `'`
    reserved  names beside RESERVED that may not be assigned here (the library's, in the REPL)
    exports   the scope that also receives every name assigned here, except `_private` ones
    is_text   whether this is the top of a text, whose last s-op is its output
    out       the value last computed here, which the name `out` reads
    """

    __slots__ = ("variables", "parent", "creator", "reserved", "exports", "out", "is_text")

    def __init__(
        self,
        parent: Scope | None,
        creator: str,
        reserved: frozenset[str] = frozenset(),
        exports: Scope | None = None,
        is_text: bool = False,
    ):
        self.variables: dict[str, Any] = {}
        self.parent, self.creator, self.reserved, self.exports = parent, creator, reserved, exports
        self.out: Any = None
        self.is_text = is_text

    def nested(self) -> Scope:
        """A scope inside this one."""
        return Scope(self, self.creator + "'")

    def get(self, name: str, span: Span | None = None) -> Any:
        """The value of a name, from the innermost scope that has it.

        Raises RaspNameError with the nearest names.
        """
        scope: Scope | None = self
        while scope is not None:
            if name in scope.variables:
                return scope.variables[name]
            if name == "out" and scope.out is not None:
                return scope.out
            scope = scope.parent
        raise self._undefined(name, span)

    def set(self, name: str, value: Any, span: Span | None = None) -> None:
        """Assign a value to a name in this scope.

        Raises RaspNameError for a reserved name.
        """
        if name in RESERVED or name in self.reserved:
            what = "part of the language" if name in RESERVED else "part of the library"
            error = RaspNameError(
                f"{name} is {what} and cannot be assigned", span, "choose another name"
            )
            raise with_transcript(error, f"Error: Cannot set reserved name: {name}")
        self.variables[name] = value
        if self.exports is not None and not name.startswith("_"):
            self.exports.set(name, value, span)

    def names(self) -> set[str]:
        """Every name that can be read here."""
        scope: Scope | None = self
        names: set[str] = set()
        while scope is not None:
            names |= scope.variables.keys()
            scope = scope.parent
        return names

    def _undefined(self, name: str, span: Span | None) -> RaspError:
        from rasplab.lang.syntax.foreign_words import WORDS  # texts with faults only

        near = near_names(name, sorted(self.names()))
        hint = f"did you mean {' or '.join(near)}?" if near else f"define it first: {name} = ...;"
        hint = WORDS.get(name, hint)
        return with_transcript(
            RaspNameError(f"{name} is not defined", span, hint),
            f"Error: Undefined variable: {name}",
        )

"""Where names live: nested scopes, read by reference, so that a name may be defined after the
function that uses it."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

from rasplab.base.errors import RaspNameError, Span
from rasplab.lang.syntax.foreign_words import WORDS
from rasplab.lang.syntax.vocabulary import RESERVED
from rasplab.program.interpret.transcript_faults import with_transcript


class Scope:
    """The names of a text, a function's call or one turn of a comprehension.

    creator   what functions defined here are shown as the work of
    reserved  further names that may not be assigned here (the library's, in the REPL)
    exports   the scope that receives every name assigned here, but `_private` ones
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
        """The value of a name, here or around. Raises RaspNameError with the nearest names."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.variables:
                return scope.variables[name]
            if name == "out" and scope.out is not None:
                return scope.out
            scope = scope.parent
        raise self._undefined(name, span)

    def set(self, name: str, value: Any, span: Span | None = None) -> None:
        """Give a name a value here. Raises RaspNameError for a reserved name."""
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
        scope, found = self, set()
        while scope is not None:
            found |= scope.variables.keys()
            scope = scope.parent
        return found

    def _undefined(self, name: str, span: Span | None) -> RaspNameError:
        near = get_close_matches(name, sorted(self.names()), n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else f"define it before: {name} = ...;"
        hint = WORDS.get(name, hint)
        return with_transcript(
            RaspNameError(f"{name} is not defined", span, hint),
            f"Error: Undefined variable: {name}",
        )

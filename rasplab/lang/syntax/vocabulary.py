"""The words of RASP, by kind: for highlighting, completion, help and error messages.

The grammar's tables and the prelude -> `vocabulary()`: sets of words by kind. Pygments loads this
module through `rasplab.apps.repl.highlight`, so it imports the parser and nothing that evaluates.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from rasplab.base.errors import Source
from rasplab.lang.syntax.ast import Assign, Command, Define, Module, Statement
from rasplab.lang.syntax.grammar_tables import tables
from rasplab.lang.syntax.parser import parse_module
from rasplab.program.functions import CASTS
from rasplab.program.zoo import shipped

OPERATORS = ("and", "in", "not", "or")
TRUTHS = ("True", "False")
INPUTS = ("indices", *(f"tokens_{cast}" for cast in CASTS))
RESERVED = frozenset((*TRUTHS, *INPUTS, "out", "range", "zip", "len", "get"))
"""Names that no text may assign, as in the reference; the words of the grammar come on top."""

BUILT_IN = {"selector_width": "sel", "constant": "a", "chr": "n"}
"""Functions of the library that are written in Python, and the name of their parameter."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Every word with a meaning of its own, each kind sorted.

    keywords   words of statements and commands: def, for, if, set, exit, ...
    phrases    regular expressions of keywords that are not one identifier: `s-op`, ...
    operators  and, in, not, or
    forms      words that are called like functions but have syntax of their own: select, ...
    names      what every text may use without defining it: tokens, length, sort, ...
    """

    keywords: tuple[str, ...]
    phrases: tuple[str, ...]
    operators: tuple[str, ...]
    forms: tuple[str, ...]
    names: tuple[str, ...]

    @property
    def grammar(self) -> frozenset[str]:
        """The words of the grammar; none of them can be the name of anything."""
        return frozenset((*self.keywords, *self.operators, *self.forms))


@cache
def vocabulary() -> Vocabulary:
    """The words of the grammar and of the library as they are now."""
    grammar = tables()
    # `not` is followed by an operand: words that may stand there and are no operators begin one.
    after_not = grammar.after("NOT")
    words = {**grammar.words, **_words_of_patterns(grammar.patterns)}
    forms = {word for word, terminal in words.items() if terminal in after_not} - {*OPERATORS}
    defined = [name for item in prelude().items for name in assigned_names(item)]
    return Vocabulary(
        keywords=tuple(sorted(words.keys() - forms - {*OPERATORS})),
        phrases=(grammar.patterns["S_OP"], grammar.patterns["FULL_DISPLAY"]),
        operators=OPERATORS,
        forms=tuple(sorted(forms)),
        names=tuple(sorted({*INPUTS, "tokens", "out", *BUILT_IN, *defined})),
    )


def _words_of_patterns(patterns: dict[str, str]) -> dict[str, str]:
    """The identifiers that patterns spell out, with their terminals: exit, quit, select, ..."""
    words = {}
    for terminal, pattern in patterns.items():
        head = re.match(r"(?:\(\?:)?([a-z]+(?:\|[a-z]+)*)\)?\(\?[=!]", pattern)
        words |= dict.fromkeys(head[1].split("|") if head else [], terminal)
    return words


@cache
def prelude() -> Module:
    """The syntax of the library's part that is written in RASP: `grammars/prelude.rasp`."""
    path = shipped("grammars") / "prelude.rasp"
    return parse_module(Source("prelude.rasp", path.read_text(encoding="utf-8")))


def assigned_names(item: Statement | Command) -> tuple[str, ...]:
    """The names that a statement gives values to."""
    match item:
        case Assign(names):
            return names
        case Define(name):
            return (name,)
    return ()

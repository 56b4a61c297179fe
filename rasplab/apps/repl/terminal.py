"""The REPL on a terminal: colours, history, completion, multi-line editing, `name?` for help."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prompt_toolkit import PromptSession
from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.lexers import PygmentsLexer
from prompt_toolkit.styles import Style

from rasplab.apps.repl.completion import (
    column_grid,
    completions,
    help_at,
    help_on,
    node_text,
    value_line,
)
from rasplab.apps.repl.highlight import RaspLexer
from rasplab.base.errors import RaspError, render
from rasplab.lang.elaborate.elaborator import Result
from rasplab.lang.elaborate.values import Applied, NamedNode, Selector, kind
from rasplab.lang.printing.transcript import View
from rasplab.lang.session import Session
from rasplab.lang.syntax.parser import is_unfinished
from rasplab.program.values import aligned, sop_line

INDENT = 4
"""Spaces per open brace."""
RED, PLAIN = "\x1b[31m", "\x1b[0m"
STYLE = {
    "pygments.keyword": "bold",
    "pygments.operator.word": "bold",
    "pygments.name.builtin": "ansigreen",
    "pygments.name.function": "ansicyan bold",
    "pygments.literal.string": "ansired",
    "pygments.literal.number": "ansimagenta",
    "pygments.comment": "italic ansibrightblack",
}
"""Colours of the terminal's palette, legible on its background whatever that is."""


class Terminal:
    """The `Console` of the REPL on a terminal: reads statements, lays out values and faults."""

    def __init__(self, session: Session, **options: Any):
        self.session = session
        self.colour = not os.environ.get("NO_COLOR")
        self.prompt = PromptSession(
            multiline=True,
            lexer=PygmentsLexer(RaspLexer) if self.colour else None,
            completer=NameCompleter(session),
            history=_history(),
            auto_suggest=AutoSuggestFromHistory(),
            key_bindings=_keys(),
            bottom_toolbar=lambda: self.hint(self.prompt.default_buffer.document),
            prompt_continuation=lambda width, line, wrapped: ".. ",
            style=Style.from_dict(STYLE),
            include_default_pygments_style=False,
            **options,
        )

    def unit(self) -> str:
        """Whole statements; questions are answered on the way. Raises EOFError at the end."""
        while True:
            text = self.prompt.prompt(">> ")
            if text.strip().endswith("?") and self._answer(text.strip(" \t\n?")):
                continue
            if text.strip():
                return text

    def _answer(self, name: str) -> bool:
        """`name?`: help, where the name is known."""
        help_ = help_on(self.session, name)
        if help_:
            print(help_)
        return bool(help_)

    def hint(self, document: Document) -> str:
        """The toolbar: the signature of the name at the cursor, or the running example."""
        help_ = help_at(self.session, document.text, document.cursor_position)
        if help_:
            return f" {help_.signature}   {help_.meaning.partition(chr(10))[0]}"
        return f" example: {self.session.sop_example!r}   name? help   Tab names   Ctrl-D leaves"

    def fault(self, error: RaspError) -> str:
        """Place and reason, the line with carets, the hint."""
        first, *rest = render(error).split("\n")
        if not self.colour:
            return "\n".join([first, *rest])
        # the line of carets is the one that has nothing else
        rest = [f"{RED}{line}{PLAIN}" if set(line) <= set(" \t^") else line for line in rest]
        return "\n".join([f"{RED}{first}{PLAIN}", *rest])

    def lines(self, view: View, result: Result) -> Iterator[str]:
        """A value: s-ops as a line or under the tokens, selectors as grids, aligned."""
        name, value = result.name or "", result.value
        if isinstance(value, Applied):
            yield _applied(name, value)
        elif not isinstance(value, NamedNode):
            yield value_line(name, value)
        else:
            yield self._node(view, name, value)

    unshown = fault

    def _node(self, view: View, name: str, node: NamedNode) -> str:
        selector = isinstance(node, Selector)
        example = view.selector_example if selector else view.sop_example
        if example is None:
            return f"{kind(node)} {name}"
        column = view.column(node, example)
        if view.full and not selector:
            return aligned([("", list(example)), (name, column)])
        return node_text(name, node, example, column)


def _applied(name: str, value: Applied) -> str:
    if not value.is_selector:
        return sop_line(name, value.tokens, value.column)
    return column_grid(value.column, value.tokens)


def _history() -> History:
    """The history file in the user's state folder; in memory where that cannot be written."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    file = Path(state) / "rasplab" / "history"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    except OSError:
        return InMemoryHistory()
    return FileHistory(str(file))


class NameCompleter(Completer):
    """Completes the names of a session, its library and the language."""

    def __init__(self, session: Session):
        self.session = session

    def get_completions(
        self, document: Document, complete_event: CompleteEvent
    ) -> Iterator[Completion]:
        """The names that begin as the word before the cursor; with no word, only on Tab."""
        word, names = completions(self.session, document.text_before_cursor)
        if word or complete_event.completion_requested:
            for name in names:
                yield Completion(name, start_position=-len(word))


def _keys() -> KeyBindings:
    """Enter continues an unfinished statement and runs a finished one; `}` takes an indent back."""
    keys = KeyBindings()

    @keys.add("enter")
    def enter(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if buffer.text.strip() and is_unfinished(buffer.text) and not _asks(buffer.text):
            buffer.insert_text("\n" + " " * _indent(buffer.document.text_before_cursor))
        else:
            buffer.validate_and_handle()

    @keys.add("}")
    def close(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        line = buffer.document.current_line_before_cursor
        if line and not line.strip():
            buffer.delete_before_cursor(min(INDENT, len(line)))
        buffer.insert_text("}")

    return keys


def _asks(text: str) -> bool:
    return text.strip().endswith("?")


def _indent(before: str) -> int:
    """Spaces that a new line begins with: INDENT for each brace that is open."""
    return INDENT * max(0, before.count("{") - before.count("}"))

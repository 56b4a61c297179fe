"""Errors with a place in a text: Source, Span and the RaspError family."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Source:
    """A RASP text and what to call it in a message ("sort.rasp", "<cell>", "<input>")."""

    name: str
    text: str

    def line_column(self, offset: int) -> tuple[int, int]:
        """Line and column (both from 1) of a character offset."""
        offset = max(0, min(offset, len(self.text)))
        start = self.text.rfind("\n", 0, offset) + 1
        return self.text.count("\n", 0, offset) + 1, offset - start + 1

    def line(self, number: int) -> str:
        """The text of line `number` (from 1), without its newline."""
        return self.text.split("\n")[number - 1]


@dataclass(frozen=True, slots=True)
class Span:
    """Half-open character offsets [start, stop) inside a source."""

    source: Source
    start: int
    stop: int

    @property
    def text(self) -> str:
        """The characters the span covers."""
        return self.source.text[self.start : self.stop]

    @property
    def place(self) -> str:
        """`file:line:column` without the folder: the same on every machine."""
        line, column = self.source.line_column(self.start)
        name = self.source.name.replace("\\", "/").rpartition("/")[2]
        return f"{name}:{line}:{column}"

    def __str__(self) -> str:
        line, column = self.source.line_column(self.start)
        return f"{self.source.name}:{line}:{column}"


class RaspError(Exception):
    """An error in the user's program, input or file: a reason, its place, and a way out.

    message     what is wrong, with the value and what is accepted
    span        where in the source, if there is one
    hint        what to do about it
    transcript  what the REPL's transcript prints, where it differs from the message
    host        whether arithmetic itself failed; the transcript prints a fixed text for these
    """

    transcript: str | None = None
    host: bool = False

    def __init__(self, message: str, span: Span | None = None, hint: str | None = None):
        super().__init__(message)
        self.message, self.span, self.hint = message, span, hint

    def at(self, span: Span | None) -> RaspError:
        """The same error, placed at `span` unless it already has a place."""
        if self.span is None:
            self.span = span
        return self

    def __str__(self) -> str:
        return render(self)


class RaspSyntaxError(RaspError):
    """The text is not RASP."""


class RaspNameError(RaspError):
    """A name that is not defined here, or that may not be defined."""


class RaspTypeError(RaspError):
    """An operation applied to types it does not accept."""


class RaspValueError(RaspError):
    """A value outside what the operation, the vocabulary or the model accepts."""


class CompileError(RaspError):
    """A program without an exact model on the domain; the message names the part and the reason."""


class FileError(RaspError):
    """A file that is missing, damaged, or of an unsupported version."""


def render(error: RaspError) -> str:
    """The error as text: place and reason, the source line with carets, the hint."""
    lines = [f"{error.span}: {error.message}" if error.span else error.message]
    if error.span:
        lines += caret_lines(error.span)
    if error.hint:
        lines.append(f"  hint: {error.hint}")
    return "\n".join(lines)


def caret_lines(span: Span) -> list[str]:
    """The first source line of `span`, and carets under the part it covers."""
    before, marked, after = marked_line(span)
    margin = "".join("\t" if c == "\t" else " " * columns(c) for c in before)
    return [f"  {before}{marked}{after}", f"  {margin}{'^' * max(1, sum(map(columns, marked)))}"]


def marked_line(span: Span) -> tuple[str, str, str]:
    """The first source line of `span` in three parts: before, covered, after."""
    number, column = span.source.line_column(span.start)
    line, start = span.source.line(number), column - 1
    stop = min(len(line), start + span.stop - span.start)
    return line[:start], line[start:stop], line[stop:]


def columns(c: str) -> int:
    """Columns that a character takes in a terminal: wide ones take two, combining marks none."""
    if c.isascii():
        return 1
    if unicodedata.combining(c) or unicodedata.category(c) in ("Cf", "Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(c) in "WF" else 1

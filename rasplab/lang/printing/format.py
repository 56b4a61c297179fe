"""The formatter: `format_text(text)` -> the same words and comments, laid out anew.

A line for each statement, blocks indented by 4, rows of at most 100 characters where they can be
broken, a blank line where there were any. Only white space changes, so a program keeps its meaning.

In order: `_Marks` finds where statements and blocks begin and end, `_lines` groups the tokens into
statements, `_rows` breaks a statement that is too long.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field

from rasplab.base.errors import Source
from rasplab.lang.syntax import ast as s
from rasplab.lang.syntax.actions import Token
from rasplab.lang.syntax.grammar_tables import tables
from rasplab.lang.syntax.parser import parse_module, tokenize
from rasplab.lang.syntax.syntax_errors import CLOSERS, OPENERS
from rasplab.program.functions import PREDICATES

WIDTH = 100
INDENT = 4

VALUES = frozenset({"NAME", "INT", "FLOAT", "STRING", "RPAR", "RSQB", "RBRACE"})
"""Terminals that end a value: a sign after one is an operator, a bracket calls or indexes."""

COSTS = (
    dict.fromkeys(("and", "or", "if", "else", "in"), 0.0)
    | dict.fromkeys(PREDICATES, 0.1)
    | dict.fromkeys(("+", "-"), 0.2)
    | dict.fromkeys(("%", "*", "/", "//"), 0.3)
    | {"^": 0.4}
)
"""The cost of a row break before an operator: loose ones are cheap. Each bracket around adds 1."""

COST_IN_BRACKET = 0.5
"""The cost of a break directly after an opening bracket, at the depth outside it."""


@dataclass(slots=True)
class _Line:
    """A statement, or the opening or the end of a block, or a comment on a line of its own.

    depth    the blocks around it
    blank    whether a blank line comes before it
    words    its tokens and the comments between them
    comment  the comment behind it, or ""
    alone    the offsets of the comments in `words` that have a row of their own
    """

    depth: int
    blank: bool
    words: list[Token]
    comment: str = ""
    alone: set[int] = field(default_factory=set)


def format_text(text: str, name: str = "<text>") -> str:
    """The text laid out.

    Raises RaspSyntaxError if it is not RASP.
    """
    source = Source(name, text)
    marks = _Marks(source)
    laid_out = "".join(f"{line}\n" for line in _written(_lines(source, marks)))
    assert _words(laid_out) == _words(text), "the formatter must not change words"
    return laid_out


class _Marks:
    """Where statements and blocks begin and end in a text, as offsets.

    tokens, comments  of the text, in order
    starts, ends      of statements: the offset of the first character, and behind the last
    opens, closes     the braces of blocks, as opposed to those of dicts
    """

    def __init__(self, source: Source):
        self.comments: list[Token] = []
        self.tokens = tokenize(source, tables(), self.comments)[:-1]
        self.starts: set[int] = set()
        self.opens: set[int] = set()
        self.closes: set[int] = set()
        self.ends: set[int] = set()
        braces = [t.start for t in self.tokens if t.type == "LBRACE"]
        items = list(parse_module(source).items)
        while items:  # blocks may nest deeper than Python's stack
            item = items.pop()
            self.starts.add(item.span.start)
            self.ends.add(item.span.stop)
            if isinstance(item, s.Define | s.Loop):
                # A loop may go over a dict, so its block opens with the first brace behind that.
                head = item.iterable.span.stop if isinstance(item, s.Loop) else item.span.start
                self.opens.add(braces[bisect_left(braces, head)])
                self.closes.add(item.span.stop - 1)
                items += item.body

    def begins_line(self, token: Token) -> bool:
        """Whether a token begins a line."""
        return token.start in self.starts | self.closes or token.type == "RETURN"


def _words(text: str) -> list[tuple[str, str]]:
    """The tokens and comments of a text in order: what formatting must not change."""
    source = Source("", text)
    comments: list[Token] = []
    tokens = tokenize(source, tables(), comments)
    ordered = sorted([*tokens[:-1], *comments], key=lambda t: t.start)
    return [(t.type, _text(t)) for t in ordered]


def _text(token: Token) -> str:
    """The characters of a token, with single spaces in phrases."""
    if token.type in ("FULL_DISPLAY", "EXIT"):
        return " ".join(token.text.split())
    return token.text.rstrip()


def _lines(source: Source, marks: _Marks) -> list[_Line]:
    """The text as lines."""
    lines: list[_Line] = []
    depth, end, is_open = 0, 0, False  # is_open: the last line has more tokens to come
    for token in sorted([*marks.tokens, *marks.comments], key=lambda t: t.start):
        # Newlines before the token: two or more are a blank line, and one sets a comment apart.
        newlines = source.text.count("\n", end, token.start)
        is_comment, begins = token.type == "COMMENT", marks.begins_line(token)
        depth -= token.start in marks.closes and not is_comment
        if is_comment and not is_open and lines and not newlines and end:
            lines[-1].comment = _text(token)
        elif not is_open or (begins and not is_comment):
            lines.append(_Line(depth, newlines > 1, [token]))
        else:
            lines[-1].words.append(token)
            lines[-1].alone |= {token.start} if is_comment and newlines else set()
        end = token.stop
        if not is_comment:
            opens = token.start in marks.opens
            depth += opens
            is_open = not (opens or token.stop in marks.ends or token.text == ";")
    return lines


def _written(lines: list[_Line]) -> Iterable[str]:
    """The rows of all lines, with blank rows between them but at no edge of a block."""
    for i, line in enumerate(lines):
        first = i == 0 or lines[i - 1].depth < line.depth
        last = line.words[0].text == "}"
        if line.blank and not first and not last:
            yield ""
        rows = _rows(line)
        yield from rows[:-1]
        yield f"{rows[-1]}  {line.comment}" if line.comment else rows[-1]


@dataclass(frozen=True, slots=True)
class _Word:
    """A token to be laid out.

    space    the white space before it within a row
    depth    the brackets around it
    cost     the cost of a row break before it; None where a row must not break
    comment  "", or "behind" the words before it, or "alone" on its row
    """

    text: str
    space: str
    depth: int
    cost: float | None
    comment: str


def _rows(line: _Line) -> list[str]:
    """A statement on as few rows as fit; they break where the brackets are least deep."""
    words, base = _spaced(line), " " * INDENT * line.depth
    rows: list[str] = []
    first = 0
    while first < len(words):
        lead = base + " " * INDENT * (max(1, words[first].depth) if rows else 0)
        stop = _row_end(words, first, WIDTH - len(lead))
        row = words[first].text + "".join(w.space + w.text for w in words[first + 1 : stop])
        rows.append(lead + row)
        first = stop
    return rows


def _row_end(words: list[_Word], first: int, width: int) -> int:
    """The word before which the row of `width` characters that begins at word `first` ends."""
    used, best, lowest = 0, None, math.inf
    for i in range(first, len(words)):
        word = words[i]
        if i > first and (words[i - 1].comment or word.comment == "alone"):
            return i
        if i > first and word.cost is not None and word.cost <= lowest:  # the last of the cheapest
            best, lowest = i, word.cost
        # Comments may be longer than a row: they are not broken, and do not break what is before.
        used += 0 if word.comment else len(word.text) + len(word.space) * (i > first)
        if used > width and best is not None:
            return best
    return len(words)


def _spaced(line: _Line) -> list[_Word]:
    """The words of a line with the space and the cost of a break before each."""
    words: list[_Word] = []
    depth, may_break = 0, False  # a row breaks inside brackets and behind `=` and `return` only
    before, is_unary, is_index = None, False, False  # the token before: a sign, the `[` of an index
    for token in line.words:
        if token.type == "COMMENT":
            place = "alone" if token.start in line.alone else "behind"
            words.append(_Word(_text(token), "  ", depth, None, place))
            continue
        depth -= token.text in CLOSERS
        # `a - b` is an operation, but `(-b` and `= -b` are signs, which stay at their operand.
        is_sign = token.text in ("+", "-") and (before is None or before.type not in VALUES)
        space = "" if is_unary else _space(before, token)
        cost = None if is_sign or is_index or not may_break else _cost(before, token)
        words.append(_Word(_text(token), space, depth, None if cost is None else cost + depth, ""))
        depth += token.text in OPENERS
        may_break |= depth > 0 or token.text == "=" or token.type == "RETURN"
        is_index = token.text == "[" and not space
        before, is_unary = token, is_sign
    return words


def _cost(before: Token | None, token: Token) -> float | None:
    """The cost of a break between two tokens, before that of the brackets around them."""
    if before is not None and before.text in OPENERS and token.text not in CLOSERS:
        return COST_IN_BRACKET - 1  # the token is one deeper than the bracket
    if before is not None and before.text == ",":
        return 0
    return COSTS.get(token.text) if before is not None and before.type in VALUES else None


def _space(before: Token | None, token: Token) -> str:
    """The space between two tokens."""
    if before is None or token.text in (",", ";", ":", *CLOSERS) or before.text in OPENERS:
        return ""
    if token.text == "(" and (before.type in VALUES or tables().after(before.type) == {"LPAR"}):
        return ""  # the bracket of a call, of a form or of draw
    return "" if token.text == "[" and before.type in VALUES else " "

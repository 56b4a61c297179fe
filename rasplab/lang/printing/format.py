"""The formatter: a text laid out anew, word for word the same, comments included.

A line for each statement, blocks indented by 4, lines of at most 100 characters, a blank line where
there were any. Only white space changes, so a program keeps its meaning.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field

from rasplab.base.errors import Source
from rasplab.lang.syntax import ast as s
from rasplab.lang.syntax.actions import Token
from rasplab.lang.syntax.grammar_tables import tables
from rasplab.lang.syntax.parser import parse_module, tokenize
from rasplab.lang.syntax.syntax_errors import CLOSERS, OPENERS

WIDTH = 100
INDENT = 4

VALUES = frozenset({"NAME", "INT", "FLOAT", "STRING", "RPAR", "RSQB", "RBRACE"})
"""Words that end a value: a sign after one is an operator, a bracket after one calls or indexes."""

COSTS = dict.fromkeys(("and", "or", "if", "else", "in"), 0.0) | dict.fromkeys(
    ("==", "!=", "<", "<=", ">", ">="), 0.1
) | {"+": 0.2, "-": 0.2, "%": 0.3, "*": 0.3, "/": 0.3, "^": 0.4}  # fmt: skip
"""How unwillingly a row breaks before an operator; each bracket around it adds 1."""

COST_IN_BRACKET = 0.5
"""The same, directly after an opening bracket."""


@dataclass(slots=True)
class _Line:
    """A statement, or the opening or the end of a block, or a comment on a line of its own.

    words    its tokens and the comments between them
    alone    the offsets of those comments that have a row of their own
    comment  what stands behind it
    blank    whether a blank line comes before it
    """

    depth: int
    blank: bool
    words: list[Token]
    comment: str = ""
    alone: set[int] = field(default_factory=set)


def format_text(text: str, name: str = "<text>") -> str:
    """The text laid out. Raises RaspSyntaxError where it is not RASP."""
    source = Source(name, text)
    marks = _Marks(source)
    laid_out = "".join(f"{line}\n" for line in _written(_lines(source, marks)))
    assert _words(laid_out) == _words(text), "the formatter changes words"
    return laid_out


class _Marks:
    """Where statements begin and end, and which braces are those of blocks, by offset."""

    def __init__(self, source: Source):
        self.comments: list[Token] = []
        self.tokens = tokenize(source, tables(), self.comments)[:-1]
        self.starts: set[int] = set()
        self.opens: set[int] = set()
        self.closes: set[int] = set()
        self.ends: set[int] = set()
        braces = [t.start for t in self.tokens if t.type == "LBRACE"]
        items = list(parse_module(source).items)
        while items:
            item = items.pop()
            self.starts.add(item.span.start)
            self.ends.add(item.span.stop)
            if isinstance(item, s.Define | s.Loop):
                head = item.over.span.stop if isinstance(item, s.Loop) else item.span.start
                self.opens.add(braces[bisect_left(braces, head)])
                self.closes.add(item.span.stop - 1)
                items += item.body

    def begins_line(self, token: Token) -> bool:
        """Whether a token begins a line."""
        is_end = token.start in self.starts or token.start in self.closes
        return is_end or token.type == "RETURN"


def _words(text: str) -> list[tuple[str, str]]:
    """What must not change: tokens and comments in order."""
    source, comments = Source("", text), []
    tokens = tokenize(source, tables(), comments)
    ordered = sorted([*tokens[:-1], *comments], key=lambda t: t.start)
    return [(t.type, _text(t)) for t in ordered]


def _text(token: Token) -> str:
    """A token as it is written."""
    if token.type in ("FULL_DISPLAY", "EXIT"):
        return " ".join(token.text.split())
    return token.text.rstrip()


def _lines(source: Source, marks: _Marks) -> list[_Line]:
    """The text as lines."""
    lines: list[_Line] = []
    depth, end, is_open = 0, 0, False  # is_open: the last line goes on
    for token in sorted([*marks.tokens, *marks.comments], key=lambda t: t.start):
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
    """The lines as text."""
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

    space    what stands before it within a row
    depth    brackets around it
    cost     of breaking before it; None where a row must not
    comment  "", or "behind" what comes before it, or "alone" on a row
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
    at = 0
    while at < len(words):
        lead = base + " " * INDENT * (max(1, words[at].depth) if rows else 0)
        stop = _row_end(words, at, WIDTH - len(lead))
        row = words[at].text + "".join([w.space + w.text for w in words[at + 1 : stop]])
        rows.append(lead + row)
        at = stop
    return rows


def _row_end(words: list[_Word], at: int, room: int) -> int:
    """The word before which the row that begins at word `at` ends."""
    used, best = 0, None
    for i in range(at, len(words)):
        word = words[i]
        if i > at and (words[i - 1].comment or word.comment == "alone"):
            return i
        if i > at and word.cost is not None and (best is None or word.cost <= words[best].cost):
            best = i
        used += 0 if word.comment else len(word.text) + len(word.space) * (i > at)
        if used > room and best is not None:
            return best
    return len(words)


def _spaced(line: _Line) -> list[_Word]:
    """The words of a line with the space and the cost of a break before each."""
    found: list[_Word] = []
    depth, before, is_unary, is_index, may_break = 0, None, False, False, False
    for token in line.words:
        if token.type == "COMMENT":
            place = "alone" if token.start in line.alone else "behind"
            found.append(_Word(_text(token), "  ", depth, None, place))
            continue
        depth -= token.text in CLOSERS
        is_sign = token.text in ("+", "-") and (before is None or before.type not in VALUES)
        space = "" if is_unary else _space(before, token)
        cost = None if is_sign or is_index or not may_break else _cost(before, token)
        found.append(_Word(_text(token), space, depth, None if cost is None else cost + depth, ""))
        depth += token.text in OPENERS
        may_break |= depth > 0 or token.text == "=" or token.type == "RETURN"
        is_index = token.text == "[" and not space
        before, is_unary = token, is_sign
    return found


def _cost(before: Token | None, token: Token) -> float | None:
    """Of a break between two words of one depth."""
    if before is not None and before.text in OPENERS and token.text not in CLOSERS:
        return COST_IN_BRACKET - 1  # it is one deeper than the bracket
    if before is not None and before.text == ",":
        return 0
    return COSTS.get(token.text) if before is not None and before.type in VALUES else None


def _space(before: Token | None, token: Token) -> str:
    """The space between two words."""
    if before is None or token.text in (",", ";", ":", *CLOSERS) or before.text in OPENERS:
        return ""
    if token.text == "(" and (before.type in VALUES or tables().after(before.type) == {"LPAR"}):
        return ""
    return "" if token.text == "[" and before.type in VALUES else " "

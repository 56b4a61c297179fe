"""Messages for texts that are not RASP: what is wrong, and what to write instead.

`unexpected` is called with the token at which the LALR parser has no action, and the terminals
that it would have taken. It puts them and their surroundings into a `_Case` and tries
`EXPLANATIONS` in order; each either recognises its mistake and returns an error, or returns None.
"""

from __future__ import annotations

from dataclasses import dataclass

from rasplab.base.errors import RaspSyntaxError, Source, Span
from rasplab.lang.syntax.actions import Token
from rasplab.lang.syntax.foreign_words import SIGNS, STATEMENTS, WORDS
from rasplab.lang.syntax.word_help import HELP

OPENERS = {"(": ")", "[": "]", "{": "}"}
CLOSERS = {close: open_ for open_, close in OPENERS.items()}
STARTS = ("NAME", "INT", "STRING", "LPAR")
"""Terminals that begin an expression: where one of them may stand, a value may."""

CHARACTERS = {
    "'": ("strings are written in double quotes", "write \"x\", not 'x'"),
    ".": (
        "a dot is allowed only between the digits of a number",
        "write 0.5 instead of .5; values have no attributes",
    ),
    "!": ("unknown operator `!`", "write `not a`, or `a != b`"),
    "&": ("unknown operator `&`", "write `a and b`"),
    "|": ("unknown operator `|`", "write `a or b`"),
    "\\": (
        "unexpected backslash",
        "strings have no escapes, and a statement may continue on the next line without one",
    ),
    "@": ("unknown operator `@`", "the operators are + - * / % ^ == != < <= > >= and or not in"),
}
"""A character that begins no token -> the message and the hint."""

PLACES = {
    "if": "it stands between values: a if c else b",
    "else": "it stands between values: a if c else b",
    "return": "it ends a function: def f(x) { return x; }",
    "def": "it begins a function: def f(x) { return x; }",
    "for": "it begins a loop, for i in l { ... }; or stands in a list, [i for i in l]",
}
"""Keywords and where they belong."""


def too_large_number(source: Source, token: Token, most: int) -> RaspSyntaxError:
    """The error for a number with more than `most` digits."""
    span = Span(source, token.start, token.stop)
    digits = len(token.text)
    return RaspSyntaxError(f"this number has {digits} digits; at most {most} can be read", span)


def unreadable(source: Source, offset: int) -> RaspSyntaxError:
    """The error for a character that begins no token."""
    character, span = source.text[offset], Span(source, offset, offset + 1)
    if character == '"':
        end = source.text.find("\n", offset)
        span = Span(source, offset, end if end >= 0 else len(source.text))
        return RaspSyntaxError("this string is not closed", span, 'end it with " on the same line')
    if character in CHARACTERS:
        reason, hint = CHARACTERS[character]
        return RaspSyntaxError(reason, span, hint)
    ascii_only = "only strings and comments may contain characters beyond ASCII"
    hint = None if character.isascii() else ascii_only
    return RaspSyntaxError(f"unexpected character {character!r}", span, hint)


def unexpected(
    source: Source, tokens: list[Token], i: int, expected: list[str], signs: dict[str, str]
) -> RaspSyntaxError:
    """The error for token i where only the terminals `expected` may stand.

    signs  terminal -> its text, for the fixed texts
    """
    case = _case(source, tokens, i, frozenset(expected), signs)
    for explain in EXPLANATIONS:
        fault = explain(case)
        if fault is not None:
            return fault
    return case.fault(f"unexpected {case.shown}", case.alternatives())


@dataclass(frozen=True, slots=True)
class _Case:
    """An unexpected token among its neighbours.

    past      the tokens before it
    after     the token behind it, if any
    open      each bracket still open, with the token before that bracket
    expected  the terminals that may stand in its place
    """

    source: Source
    past: list[Token]
    token: Token
    after: Token | None
    open: list[tuple[Token, Token | None]]
    expected: frozenset[str]
    signs: dict[str, str]

    @property
    def text(self) -> str:
        return self.token.text

    @property
    def before(self) -> Token | None:
        return self.past[-1] if self.past else None

    @property
    def at_end(self) -> bool:
        return not self.text

    @property
    def shown(self) -> str:
        return "end of the text" if self.at_end else f"`{self.text}`"

    @property
    def opener(self) -> str | None:
        """The innermost open bracket."""
        return self.open[-1][0].text if self.open else None

    @property
    def callee(self) -> str | None:
        """The name or form (select, ...) whose brackets are open around the token."""
        word = self.open[-1][1] if self.open else None
        return word.text if word and (word.type == "NAME" or operands_of(word.text)) else None

    @property
    def statement(self) -> list[Token]:
        """The tokens of the statement before this one."""
        ends = [i for i, t in enumerate(self.past) if t.text in (";", "{", "}")]
        return self.past[ends[-1] + 1 if ends else 0 :]

    @property
    def value_may_stand(self) -> bool:
        # NAME alone may also be the name of a function or a parameter, so it does not count.
        return any(start in self.expected for start in STARTS[1:])

    def fault(
        self, reason: str, hint: str | None = None, token: Token | None = None
    ) -> RaspSyntaxError:
        """An error at the token, or at another one."""
        place = token or self.token
        return RaspSyntaxError(reason, Span(self.source, place.start, place.stop), hint)

    def missing(self, reason: str, hint: str) -> RaspSyntaxError:
        """An error right behind the token before this one, where something is missing."""
        stop = self.before.stop if self.before else self.token.start
        return self.fault(reason, hint, Token("", "", stop, stop))

    def alternatives(self) -> str | None:
        """A list of what may stand here, where it is short."""
        if self.value_may_stand:
            return "a value is expected here: a name, a number, a string, a bracket"
        texts = sorted(f"`{self.signs[e]}`" for e in self.expected if e in self.signs)
        if "NAME" in self.expected:
            texts.insert(0, "a name")
        return f"expected here: {', '.join(texts)}" if 0 < len(texts) <= 4 else None


def operands_of(word: str | None) -> str:
    """What a form takes; "" for any other word."""
    return HELP[word].operands if word in HELP else ""


def _case(
    source: Source, tokens: list[Token], i: int, expected: frozenset[str], signs: dict[str, str]
) -> _Case:
    past, after = tokens[:i], tokens[i + 1] if i + 1 < len(tokens) else None
    return _Case(source, past, tokens[i], after, _open_brackets(past), expected, signs)


def _open_brackets(tokens: list[Token]) -> list[tuple[Token, Token | None]]:
    """Each bracket still open, with the token before it."""
    stack: list[tuple[Token, Token | None]] = []
    for i, token in enumerate(tokens):
        if token.text in OPENERS:
            stack.append((token, tokens[i - 1] if i else None))
        elif token.text in CLOSERS and stack:
            stack.pop()
    return stack


def _bracket(case: _Case) -> RaspSyntaxError | None:
    """A closing bracket of the wrong kind, or too many."""
    if case.text not in CLOSERS:
        return None
    if not case.open:
        opener = CLOSERS[case.text]
        return case.fault(f"unmatched `{case.text}`", f"remove it, or open a `{opener}` before it")
    opened = case.open[-1][0]
    if OPENERS[opened.text] == case.text:
        return None
    line, column = case.source.line_column(opened.start)
    reason = f"`{case.text}` cannot close the `{opened.text}` of line {line}, column {column}"
    return case.fault(reason, f"close that one first with `{OPENERS[opened.text]}`")


def _return(case: _Case) -> RaspSyntaxError | None:
    """A function that ends without `return`, or goes on after it."""
    if case.text == "}" and "RETURN" in case.expected:
        return case.fault("this function has no `return`", "its last statement must be `return e;`")
    if case.expected == {"RBRACE"}:
        hint = "move this before the `return`, or close the function with `}`"
        return case.fault("a function ends with its `return`", hint)
    return None


def _unclosed(case: _Case) -> RaspSyntaxError | None:
    """Inside brackets the text ends, or a statement does, or its block begins."""
    # A `{` where a value may stand begins a dict; elsewhere it begins a block, which no bracket
    # holds.
    block = case.text == "{" and not case.value_may_stand
    if not case.open or not (case.at_end or case.text == ";" or block):
        return None
    opened = case.open[-1][0]
    if opened.text == "{" and not case.at_end:  # a block has statements, and they end with `;`
        return None
    line, column = case.source.line_column(opened.start)
    where = f"the `{opened.text}` of line {line}, column {column}, is not closed"
    return case.fault(where, f"close it with `{OPENERS[opened.text]}`")


def _form(case: _Case) -> RaspSyntaxError | None:
    """Too few or too many operands of select, aggregate, ..."""
    operands = operands_of(case.callee)
    if operands and case.text in (")", ","):
        few = "too few" if case.text == ")" else "too many"
        return case.fault(f"{few} operands for {case.callee}", operands)
    if case.callee == "select" and case.expected == {"OP"}:
        reason = f"select needs a comparison here, not {case.shown}"
        return case.fault(reason, "the comparisons are == != < <= > >=")
    return None


def _keyword(case: _Case) -> RaspSyntaxError | None:
    """A keyword where a name is meant."""
    # Fixed words have their text in `signs`; the others are patterns, with a terminal of their own.
    is_word = case.token.type in case.signs and case.text.replace("-", "").isidentifier()
    reserved = is_word or case.token.type in ("S_OP", "EXIT", "FULL_DISPLAY")
    if reserved and "NAME" in case.expected:
        hint = PLACES.get(case.text, "it cannot be a name or a value; use another name")
        return case.fault(f"`{case.text}` is a keyword", hint)
    return None


def _foreign(case: _Case) -> RaspSyntaxError | None:
    """A word or a sign of another language."""
    for token in (*case.statement, case.token):
        if token.type == "NAME" and token.text in STATEMENTS:
            return case.fault(f"there is no `{token.text}` in RASP", WORDS[token.text], token)
    # A sign such as `//` is two tokens here; the parser may stop at its first, its second, or
    # behind.
    pairs = [(case.before, case.token), (case.token, case.after)]
    if len(case.past) > 1:
        pairs.append((case.past[-2], case.past[-1]))
    for left, right in pairs:
        if left and right and left.stop == right.start and left.text + right.text in SIGNS:
            sign = Token("", left.text + right.text, left.start, right.stop)
            return case.fault(f"there is no `{sign.text}` in RASP", SIGNS[sign.text], sign)
    return None


def _block(case: _Case) -> RaspSyntaxError | None:
    """A loop or a function without its braces, its `in` or its names."""
    first = case.statement[0].type if case.statement else None
    if first not in ("FOR", "DEF") or case.before is None:
        return None
    if "LBRACE" in case.expected and not case.value_may_stand:
        shape = "for i in l { ... }" if first == "FOR" else "def f(x) { return x; }"
        return case.missing("a `{` is missing here", f"write {shape}")
    # `for a, b`: an even number of tokens, so the last is a name and not a comma.
    if first == "FOR" and {"COMMA", "IN"} <= case.expected and len(case.statement) % 2 == 0:
        return case.missing("an `in` is missing here", "write for i in l { ... }")
    if first == "DEF" and case.before.type == "DEF":
        return case.fault("the name of the function is missing", "write def f(x) { return x; }")
    if first == "DEF" and "NAME" in case.expected:
        return case.fault("a parameter must be a name", "write def f(x, y) { return x; }")
    return None


def _dict(case: _Case) -> RaspSyntaxError | None:
    """A key without its value."""
    if "COLON" in case.expected and case.opener == "{":
        return case.fault("a `:` must follow each key of a dict", 'write {"a": 1, "b": 2}')
    return None


def _file_name(case: _Case) -> RaspSyntaxError | None:
    """A file name without quotes."""
    if case.expected == {"STRING"} and case.before is not None and case.before.type == "LOAD":
        return case.fault("file names are written in double quotes", 'write load "name";')
    return None


def _comparison(case: _Case) -> RaspSyntaxError | None:
    """A comparison as an argument, outside select."""
    if case.token.type == "OP" and case.value_may_stand and case.open:
        return case.fault(
            f"`{case.text}` has no left side",
            "a comparison alone is only the last operand of select(keys, queries, ==)",
        )
    return None


def _equals(case: _Case) -> RaspSyntaxError | None:
    """An `=` that assigns nothing."""
    before = case.before
    if case.text != "=":
        return None
    if before is not None and before.text in ("+", "-", "*", "/", "//", "%", "^"):
        return case.fault(f"there is no `{before.text}=`", f"write a = a {before.text} 1;")
    if before is not None and len(case.statement) == 1 and before.type in case.signs:
        return case.fault(f"`{before.text}` is a keyword", "use another name", before)
    if case.callee is not None:
        hint = "give arguments by position; to compare, write =="
        return case.fault("arguments cannot be given by name", hint)
    if "SEMICOLON" in case.expected:
        hint = "write name = value; to compare, write =="
        return case.fault("only names can be assigned to", hint)
    return case.fault("unexpected `=`", "to compare, write ==")


def _comma(case: _Case) -> RaspSyntaxError | None:
    """A comma too many, a tuple, or a slice."""
    if case.text in (")", "]", "}") and case.before is not None and case.before.text == ",":
        return case.fault("nothing follows this comma", "remove the comma", case.before)
    if case.text == "," and case.callee is None and case.opener == "(":
        return case.fault("there are no tuples", "write a list: [1, 2]")
    if case.text == ":" and case.opener == "[":
        hint = "index one position: l[0]; or write a comprehension"
        return case.fault("there are no slices", hint)
    return None


def _number(case: _Case) -> RaspSyntaxError | None:
    """Letters right after a number."""
    before = case.before
    if before is None or before.stop != case.token.start or before.type not in ("INT", "FLOAT"):
        return None
    if case.token.type == "NAME":
        hint = "write 100000.0 for 1e5, and 2 * x for 2x"
        return case.fault("a name cannot follow a number directly", hint)
    return None


def _missing_between(case: _Case) -> RaspSyntaxError | None:
    """A value directly after a value: a `,` or `;` is missing."""
    if case.before is None or case.at_end or case.token.type == "FOR":
        return None
    if "SEMICOLON" in case.expected and case.opener in (None, "{"):
        return case.missing("a `;` is missing here", "every statement ends with `;`")
    # After a value only an operator, a `,` or the end of its brackets may stand.
    if "COMMA" in case.expected and case.token.type in STARTS:
        return case.fault(f"a `,` or an operator is missing before `{case.text}`")
    return None


def _else(case: _Case) -> RaspSyntaxError | None:
    """A choice without its other side."""
    if "ELSE" in case.expected and not case.value_may_stand:
        return case.fault("this `if` has no `else`", "write a if c else b")
    return None


def _early_end(case: _Case) -> RaspSyntaxError | None:
    """The end of the text within a statement."""
    if not case.at_end:
        return None
    hint = "end it with `;`" if "SEMICOLON" in case.expected else case.alternatives()
    return case.fault("the text ends inside a statement", hint)


EXPLANATIONS = (
    _bracket,
    _comma,
    _return,
    _unclosed,
    _form,
    _foreign,
    _equals,
    _number,
    _block,
    _dict,
    _file_name,
    _comparison,
    _keyword,
    _else,
    _missing_between,
    _early_end,
)
"""Tried in this order: the more specific mistakes come first."""

"""What is wrong with a text that is not RASP, and what to do: the messages, in the words of the
language."""

from __future__ import annotations

from rasplab.base.errors import RaspSyntaxError, Source, Span
from rasplab.lang.syntax.actions import Token
from rasplab.lang.syntax.foreign_words import SIGNS, STATEMENTS, WORDS
from rasplab.lang.syntax.word_help import HELP

OPENERS = {"(": ")", "[": "]", "{": "}"}
CLOSERS = {close: open_ for open_, close in OPENERS.items()}
STARTS = ("NAME", "INT", "STRING", "LPAR")
"""Terminals that begin an expression: where one of them may stand, a value may."""

CHARACTERS = {
    "'": ("a string stands between double quotes", "write \"x\", not 'x'"),
    ".": (
        "a dot belongs only between the digits of a number",
        "write 0.5 for .5; there are no attributes",
    ),
    "!": ("`!` is no operator", "write `not a`, or `a != b`"),
    "&": ("`&` is no operator", "write `a and b`"),
    "|": ("`|` is no operator", "write `a or b`"),
    "\\": (
        "a backslash means nothing here",
        "a string has no escapes; a statement may go on over lines",
    ),
    "@": ("`@` is no operator", None),
}


def too_large_number(source: Source, token: Token, most: int) -> RaspSyntaxError:
    """A number with too many digits."""
    span = Span(source, token.start, token.stop)
    return RaspSyntaxError(
        f"this number has {len(token.text)} digits; at most {most} can be read", span
    )


def unreadable(source: Source, at: int) -> RaspSyntaxError:
    """A character that begins no word."""
    character, span = source.text[at], Span(source, at, at + 1)
    if character == '"':
        end = source.text.find("\n", at)
        span = Span(source, at, end if end >= 0 else len(source.text))
        return RaspSyntaxError("this string is not closed", span, 'end it with " on the same line')
    if character in CHARACTERS:
        reason, hint = CHARACTERS[character]
        return RaspSyntaxError(reason, span, hint)
    hint = None if character.isascii() else "only strings and comments take more than ASCII"
    return RaspSyntaxError(f"{character!r} is no part of RASP", span, hint)


def unexpected(
    source: Source, tokens: list[Token], i: int, expected: list[str], signs: dict[str, str]
) -> RaspSyntaxError:
    """Token i where only the `expected` terminals may stand; `signs` is their texts."""
    case = _Case(source, tokens, i, frozenset(expected), signs)
    faults = (explain(case) for explain in EXPLANATIONS)
    fault = next((f for f in faults if f is not None), None)
    return fault or case.fault(f"{case.shown} cannot stand here", case.wanted())


class _Case:
    """An unexpected token among its neighbours."""

    def __init__(self, source, tokens, i, expected, signs):
        self.source, self.expected, self.signs = source, expected, signs
        self.token: Token = tokens[i]
        self.before: Token | None = tokens[i - 1] if i else None
        self.after: Token | None = tokens[i + 1] if i + 1 < len(tokens) else None
        self.open = _open_brackets(tokens[:i])
        self.past = tokens[:i]

    @property
    def text(self) -> str:
        return self.token.text

    @property
    def at_end(self) -> bool:
        return not self.text

    @property
    def shown(self) -> str:
        return "the end of the text" if self.at_end else f"`{self.text}`"

    @property
    def callee(self) -> str | None:
        """The name or form (select, ...) whose brackets are open around the token."""
        word = self.open[-1][1] if self.open else None
        return word.text if word and (word.type == "NAME" or operands_of(word.text)) else None

    @property
    def statement(self) -> list[Token]:
        """The words of the statement before the token."""
        ends = [i for i, t in enumerate(self.past) if t.text in (";", "{", "}")]
        return self.past[ends[-1] + 1 if ends else 0 :]

    @property
    def value_may_stand(self) -> bool:
        return any(start in self.expected for start in STARTS[1:])

    def fault(
        self, reason: str, hint: str | None = None, token: Token | None = None
    ) -> RaspSyntaxError:
        place = token or self.token
        return RaspSyntaxError(reason, Span(self.source, place.start, place.stop), hint)

    def wanted(self) -> str | None:
        """A short list of what may stand here, if it is short."""
        if self.value_may_stand:
            return "a value is expected here: a name, a number, a string, a bracket"
        texts = sorted(f"`{self.signs[e]}`" for e in self.expected if e in self.signs)
        if "NAME" in self.expected:
            texts.insert(0, "a name")
        return f"expected here: {', '.join(texts)}" if 0 < len(texts) <= 4 else None


def operands_of(word: str | None) -> str:
    """What a form takes; "" for any other word."""
    return HELP[word].operands if word in HELP else ""


def _open_brackets(tokens: list[Token]) -> list[tuple[Token, Token | None]]:
    """Each bracket still open, with the word before it."""
    stack: list[tuple[Token, Token | None]] = []
    for i, token in enumerate(tokens):
        if token.text in OPENERS:
            stack.append((token, tokens[i - 1] if i else None))
        elif token.text in CLOSERS and stack:
            stack.pop()
    return stack


def _bracket(case: _Case):
    """A closing bracket of the wrong kind, or too many."""
    if case.text not in CLOSERS:
        return None
    if not case.open:
        return case.fault(
            f"`{case.text}` closes nothing", f"remove it, or open a `{CLOSERS[case.text]}` before"
        )
    opened = case.open[-1][0]
    if OPENERS[opened.text] == case.text:
        return None
    line, column = case.source.line_column(opened.start)
    reason = f"`{case.text}` cannot close the `{opened.text}` of line {line}, column {column}"
    return case.fault(reason, f"close that one first with `{OPENERS[opened.text]}`")


def _missing_return(case: _Case):
    if case.text == "}" and "RETURN" in case.expected:
        return case.fault("this function returns nothing", "its last statement must be `return e;`")
    return None


def _after_return(case: _Case):
    if "RBRACE" in case.expected and len(case.expected) == 1:
        return case.fault(
            "a function ends with its `return`",
            "move this before it, or close the function with `}`",
        )
    return None


def _unclosed(case: _Case):
    """The text ends, or a statement does, or its block begins, inside brackets."""
    block = case.text == "{" and not case.value_may_stand
    if not case.open or not (case.at_end or case.text == ";" or block):
        return None
    opened = case.open[-1][0]
    if opened.text == "{" and not case.at_end:
        return None
    line, column = case.source.line_column(opened.start)
    where = f"the `{opened.text}` of line {line}, column {column}, is not closed"
    return case.fault(where, f"close it with `{OPENERS[opened.text]}`")


def _form(case: _Case):
    """Too few or too many operands of select, aggregate, ..."""
    operands = operands_of(case.callee)
    if operands and case.text in (")", ","):
        few = "too few" if case.text == ")" else "too many"
        return case.fault(f"{few} operands for {case.callee}", operands)
    if case.callee == "select" and "OP" in case.expected and len(case.expected) == 1:
        return case.fault(f"{case.shown} is no comparison", "one of == != < <= > >=")
    return None


def _keyword(case: _Case):
    """A word of the language where a name is meant."""
    is_word = case.token.type in case.signs and case.text.replace("-", "").isidentifier()
    reserved = is_word or case.token.type in ("S_OP", "EXIT", "FULL_DISPLAY")
    if reserved and "NAME" in case.expected:
        hint = PLACES.get(case.text, "it cannot be a name or a value; use another")
        return case.fault(f"`{case.text}` is a word of the language", hint)
    return None


def _foreign(case: _Case):
    """A word or a sign of another language."""
    for token in (*case.statement, case.token):
        if token.type == "NAME" and token.text in STATEMENTS:
            return case.fault(f"there is no `{token.text}` in RASP", WORDS[token.text], token)
    pairs = ((case.before, case.token), (case.token, case.after), tuple(case.past[-2:]))
    for left, right in [p for p in pairs if len(p) == 2]:
        if left and right and left.stop == right.start and left.text + right.text in SIGNS:
            sign = Token("", left.text + right.text, left.start, right.stop)
            return case.fault(f"there is no `{sign.text}` in RASP", SIGNS[sign.text], sign)
    return None


def _block(case: _Case):
    """A loop or a function without its braces, or without its `in`."""
    first = case.statement[0].type if case.statement else None
    if first not in ("FOR", "DEF") or case.before is None:
        return None
    end = Token("", "", case.before.stop, case.before.stop)
    if "LBRACE" in case.expected and not case.value_may_stand:
        shape = "for i in l { ... }" if first == "FOR" else "def f(x) { return x; }"
        return case.fault("a `{` is missing here", f"write {shape}", end)
    if first == "FOR" and {"COMMA", "IN"} <= case.expected and len(case.statement) % 2 == 0:
        return case.fault("an `in` is missing here", "write for i in l { ... }", end)
    if first == "DEF" and case.before.type == "DEF":
        return case.fault("a function has a name", "write def f(x) { return x; }")
    if first == "DEF" and "NAME" in case.expected:
        return case.fault("a parameter is a name", "write def f(x, y) { return x; }")
    return None


def _dict(case: _Case):
    """A key without its value."""
    if "COLON" in case.expected and case.open and case.open[-1][0].text == "{":
        return case.fault("a dict has a `:` after each key", 'write {"a": 1, "b": 2}')
    return None


def _file_name(case: _Case):
    if case.expected == {"STRING"} and case.before is not None and case.before.type == "LOAD":
        return case.fault("the name of a file stands in double quotes", 'write load "name";')
    return None


def _comparison(case: _Case):
    """A comparison as an argument, outside select."""
    if case.token.type == "OP" and case.value_may_stand and case.open:
        return case.fault(
            f"`{case.text}` has nothing before it",
            "a comparison alone is only the last operand of select(keys, queries, ==)",
        )
    return None


PLACES = {
    "if": "it stands between values: a if c else b",
    "else": "it stands between values: a if c else b",
    "return": "it ends a function: def f(x) { return x; }",
    "def": "a function has a name: def f(x) { return x; }",
    "for": "a loop is a statement: for i in l { ... }; a list is [i for i in l]",
}
"""Words of the language and where they belong."""


def _equals(case: _Case):
    if case.text != "=":
        return None
    if case.before is not None and case.before.text in ("+", "-", "*", "/", "%", "^"):
        return case.fault(
            f"there is no `{case.before.text}=`", f"write a = a {case.before.text} 1;"
        )
    if case.before is not None and len(case.statement) == 1 and case.before.type in case.signs:
        return case.fault(
            f"`{case.before.text}` is a word of the language", "use another name", case.before
        )
    if case.callee is not None:
        return case.fault(
            "an argument has no name", "give arguments by place; to compare, write =="
        )
    if "SEMICOLON" in case.expected:
        return case.fault(
            "only names can be assigned to", "write name = value; to compare, write =="
        )
    return case.fault("`=` cannot stand here", "to compare, write ==")


def _comma(case: _Case):
    """A comma too many, a tuple, or a missing comma."""
    if case.text in (")", "]", "}") and case.before is not None and case.before.text == ",":
        return case.fault("a comma with nothing behind it", "remove the comma", case.before)
    if case.text == "," and case.callee is None and case.open and case.open[-1][0].text == "(":
        return case.fault("there are no tuples", "write a list: [1, 2]")
    if case.text == ":" and case.open and case.open[-1][0].text == "[":
        return case.fault(
            "there are no slices", "index one position: l[0]; or write a comprehension"
        )
    return None


def _number(case: _Case):
    """Letters or a dot glued to a number."""
    before = case.before
    if before is None or before.stop != case.token.start or before.type not in ("INT", "FLOAT"):
        return None
    if case.token.type == "NAME":
        return case.fault(
            "a name cannot follow a number directly", "write 100000.0 for 1e5, and 2 * x for 2x"
        )
    return None


def _missing_between(case: _Case):
    """A value directly after a value: a `,` or `;` is missing."""
    if case.before is None or case.at_end or case.token.type == "FOR":
        return None
    opened = case.open[-1][0].text if case.open else "{"
    if "SEMICOLON" in case.expected and opened == "{":
        end = Token("", "", case.before.stop, case.before.stop)
        return case.fault("a `;` is missing here", "every statement ends with `;`", end)
    if "COMMA" in case.expected and case.token.type in STARTS:
        return case.fault(f"a `,` or an operator is missing before `{case.text}`")
    return None


def _else(case: _Case):
    if "ELSE" in case.expected and not case.value_may_stand:
        return case.fault("this `if` has no `else`", "write a if c else b")
    return None


def _early_end(case: _Case):
    if not case.at_end:
        return None
    if "SEMICOLON" in case.expected:
        return case.fault("the text ends before the statement does", "end it with `;`")
    return case.fault("the text ends before the statement does", case.wanted())


EXPLANATIONS = (
    _bracket,
    _comma,
    _missing_return,
    _after_return,
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
"""Tried in this order; the first that recognizes its case speaks."""

"""Text to syntax: `parse_module`, an LALR(1) parser over the tables of the grammar."""

from __future__ import annotations

from rasplab.base.errors import RaspSyntaxError, Source
from rasplab.lang.syntax.actions import Actions, Token
from rasplab.lang.syntax.ast import Module
from rasplab.lang.syntax.grammar_tables import END, Tables, tables
from rasplab.lang.syntax.syntax_errors import too_large_number, unexpected, unreadable

MAX_DIGITS = 4000
"""Of a number in a text; Python itself refuses beyond 4300."""


def parse_module(source: Source) -> Module:
    """The syntax of a text.

    Raises RaspSyntaxError, with the place, what is missing and a way out.
    """
    return Module(source, tuple(_run(source, tokenize(source, tables()), tables())))


def is_unfinished(text: str) -> bool:
    """Whether `text` may still become RASP when more lines follow: nothing in it is wrong, only its
    end is early."""
    source, end = Source("<input>", text), None
    try:
        tokens = tokenize(source, tables())
        end = tokens[-1].start
        _run(source, tokens, tables())
    except RaspSyntaxError as fault:
        return end is not None and fault.span.start >= end
    return False


def tokenize(source: Source, rules: Tables, comments: list[Token] | None = None) -> list[Token]:
    """The words of a text and an END; its comments go to `comments`.

    Raises RaspSyntaxError where no word begins.
    """
    tokens: list[Token] = []
    match, at, text = rules.lexer.match, 0, source.text
    while at < len(text):
        found = match(text, at)
        if found is None:
            raise unreadable(source, at)
        if found.lastgroup not in ("SPACE", "COMMENT"):
            tokens.append(_token(source, found, rules))
        elif comments is not None and found.lastgroup == "COMMENT":
            comments.append(Token("COMMENT", found.group(), found.start(), found.end()))
        at = found.end()
    end = tokens[-1].stop if tokens else 0
    return [*tokens, Token(END, "", end, end)]


def _token(source: Source, found, rules: Tables) -> Token:
    kind, text = found.lastgroup, found.group()
    if kind == "NAME":
        kind = rules.words.get(text, kind)
    token = Token(kind, text, found.start(), found.end())
    if kind in ("INT", "FLOAT") and len(text) > MAX_DIGITS:
        raise too_large_number(source, token, MAX_DIGITS)
    return token


def _run(source: Source, tokens: list[Token], rules: Tables) -> list:
    """Shift and reduce to the end; the value of `start`."""
    build = Actions(source)
    states, values = [0], []
    for i, token in enumerate(tokens):
        step = rules.actions[states[-1]].get(token.type)
        while step is not None and step < 0:
            _reduce(rules, -1 - step, states, values, build)
            if rules.rules[-1 - step][0] == "start":
                return values[0]
            step = rules.actions[states[-1]].get(token.type)
        if step is None:
            raise unexpected(source, tokens, i, list(rules.actions[states[-1]]), rules.signs)
        states.append(step)
        values.append(token)
        if token.type == END:
            return values[0]
    raise AssertionError("the end is a token")


def _reduce(rules: Tables, rule: int, states: list[int], values: list, build: Actions) -> None:
    """Replace the children of one rule by what it builds."""
    origin, length, action = rules.rules[rule]
    cut = len(states) - length
    children = values[len(values) - length :] if length else []
    value = getattr(build, action)(children) if action else children[0]
    del states[cut:]
    del values[cut - 1 :]
    values.append(value)
    goto = rules.gotos[states[-1]].get(origin)
    if goto is not None:
        states.append(goto)

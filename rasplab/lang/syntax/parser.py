"""Text to syntax: `parse_module(source)` -> Module, by an LALR(1) parser over the grammar's tables.

Read `tokenize` first, then `_run`: one loop over the tokens with a stack, so that no depth of
nesting in a text can exhaust Python's own stack.
"""

from __future__ import annotations

import re
from typing import Any

from rasplab.base.errors import RaspSyntaxError, Source
from rasplab.lang.syntax.actions import Token, build
from rasplab.lang.syntax.ast import Module
from rasplab.lang.syntax.grammar_tables import END, Tables, tables

MAX_DIGITS = 4000
"""Of a number in a text; Python itself refuses beyond 4300."""


def parse_module(source: Source) -> Module:
    """The syntax of a text.

    Raises RaspSyntaxError with the place, what is missing and a way out.
    """
    return Module(source, tuple(_run(source, tokenize(source, tables()), tables())))


def is_unfinished(text: str) -> bool:
    """Whether `text` may become RASP when more lines follow: its only fault is that it ends."""
    source, end = Source("<input>", text), None
    try:
        tokens = tokenize(source, tables())
        end = tokens[-1].start
        _run(source, tokens, tables())
    except RaspSyntaxError as fault:
        return end is not None and fault.span is not None and fault.span.start >= end
    return False


def tokenize(source: Source, rules: Tables, comments: list[Token] | None = None) -> list[Token]:
    """The tokens of a text and an END; its comments are appended to `comments`.

    Raises RaspSyntaxError where no token begins.
    """
    tokens: list[Token] = []
    match, offset, text = rules.lexer.match, 0, source.text
    while offset < len(text):
        word = match(text, offset)
        if word is None:
            from rasplab.lang.syntax.syntax_errors import unreadable  # texts with faults only

            raise unreadable(source, offset)
        if word.lastgroup not in ("SPACE", "COMMENT"):
            tokens.append(_token(source, word, rules))
        elif comments is not None and word.lastgroup == "COMMENT":
            comments.append(Token("COMMENT", word.group(), word.start(), word.end()))
        offset = word.end()
    end = tokens[-1].stop if tokens else 0
    return [*tokens, Token(END, "", end, end)]


def _token(source: Source, word: re.Match[str], rules: Tables) -> Token:
    terminal, text = word.lastgroup, word.group()
    assert terminal is not None, "every alternative of the lexer is a group"
    if terminal == "NAME":
        terminal = rules.words.get(text, terminal)
    token = Token(terminal, text, word.start(), word.end())
    if terminal in ("INT", "FLOAT") and len(text) > MAX_DIGITS:
        from rasplab.lang.syntax.syntax_errors import too_large_number

        raise too_large_number(source, token, MAX_DIGITS)
    return token


def _run(source: Source, tokens: list[Token], rules: Tables) -> list[Any]:
    """Shift and reduce to the end; the value of the rule `start`: the items of the text."""
    # states[k + 1] is the state after values[k]; values are tokens and what rules have built.
    states, values = [0], []
    for i, token in enumerate(tokens):
        step = rules.actions[states[-1]].get(token.type)
        while step is not None and step < 0:
            rule = rules.rules[-1 - step]
            _reduce(rule, rules, states, values, source)
            if rule[0] == "start":
                return values[0]
            step = rules.actions[states[-1]].get(token.type)
        if step is None:
            from rasplab.lang.syntax.syntax_errors import unexpected

            raise unexpected(source, tokens, i, list(rules.actions[states[-1]]), rules.signs)
        states.append(step)
        values.append(token)
        if token.type == END:
            return values[0]
    raise AssertionError("the last token is END")


def _reduce(
    rule: tuple[str, int, str],
    rules: Tables,
    states: list[int],
    values: list[Any],
    source: Source,
) -> None:
    """Replace the values of a rule's right side by what it builds, and enter the state after it."""
    origin, length, action = rule
    first = len(values) - length
    # Most rules pass their only child on: one for each level of precedence above an operand.
    value = build(action, values[first:], source) if action else values[first]
    del states[first + 1 :]
    values[first:] = [value]
    goto = rules.gotos[states[-1]].get(origin)
    if goto is not None:  # `start` has none: nothing comes after it
        states.append(goto)

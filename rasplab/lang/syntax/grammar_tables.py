"""The LALR(1) tables of the grammar: read from `rasp.tables.json`, or built by lark.

grammars/rasp.lark -> `tables()`. lark takes 0.2 s to import and as long again to build the tables;
reading the stored ones takes milliseconds. They are built anew in memory when the grammar no
longer has the digest they were made from; `python -m rasplab.lang.syntax.grammar_tables` stores
them, and a test compares the stored ones with the grammar.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from rasplab.program.zoo import shipped

END = "$END"
"""The terminal after the last token."""


@dataclass(frozen=True, slots=True)
class Tables:
    """What the parser needs.

    lexer     one alternation of all terminals, by priority, each a named group
    patterns  terminal -> its regular expression, for the terminals that have one
    words     text -> terminal, for the fixed texts that look like names
    signs     terminal -> its text, for all fixed texts
    actions   state -> terminal -> state to shift to (>= 0) or rule to reduce by (-1 - rule)
    gotos     state -> nonterminal -> state
    rules     (nonterminal, length, action name); the action "" passes the only child on
    """

    lexer: re.Pattern[str]
    patterns: dict[str, str]
    words: dict[str, str]
    signs: dict[str, str]
    actions: list[dict[str, int]]
    gotos: list[dict[str, int]]
    rules: list[tuple[str, int, str]]

    def after(self, terminal: str) -> frozenset[str]:
        """The terminals that may follow a terminal somewhere in a text."""
        targets = {row.get(terminal, -1) for row in self.actions}
        return frozenset(
            follower for state in targets if state >= 0 for follower in self.actions[state]
        )


@cache
def tables() -> Tables:
    """The tables of the grammar as it is now."""
    grammar = (shipped("grammars") / "rasp.lark").read_text(encoding="utf-8")
    stored = shipped("grammars") / "rasp.tables.json"
    plain = json.loads(stored.read_text(encoding="utf-8")) if stored.is_file() else {}
    return _from_plain(
        plain if plain.get("grammar") == grammar_digest(grammar) else build_tables(grammar)
    )


def grammar_digest(grammar: str) -> str:
    """SHA-256 of a grammar's text, by which stored tables are recognised."""
    return hashlib.sha256(grammar.encode()).hexdigest()


def _from_plain(plain: dict[str, Any]) -> Tables:
    signs = plain["signs"]
    words = {text: terminal for terminal, text in signs.items() if text.isidentifier()}
    fixed = [(name, re.escape(text)) for name, text in signs.items() if not text.isidentifier()]
    # An alternation takes the first branch that matches, not the longest: `==` before `=`. Words
    # are no branches: they match as NAME and are looked up afterwards, so that `format` is one
    # name.
    patterns = [*plain["patterns"], *sorted(fixed, key=lambda sign: -len(sign[1]))]
    lexer = re.compile("|".join(f"(?P<{name}>{pattern})" for name, pattern in patterns))
    return Tables(
        lexer=lexer,
        patterns=dict(plain["patterns"]),
        words=words,
        signs=signs,
        actions=plain["actions"],
        gotos=plain["gotos"],
        rules=[(origin, length, action) for origin, length, action in plain["rules"]],
    )


def build_tables(grammar: str) -> dict[str, Any]:
    """The tables of a grammar as plain lists and dicts, by lark."""
    from lark import Lark

    built: Any = Lark(grammar, parser="lalr", lexer="basic", strict=False)
    table = built.parser.parser._parse_table  # lark has no public way to it
    order = _states(table)
    numbers = {rule: i for i, rule in enumerate(built.rules)}
    rows = [_row(table.states[state], order, numbers) for state in order]
    return {
        "grammar": grammar_digest(grammar),
        "patterns": _patterns(built.terminals),
        "signs": {t.name: t.pattern.value for t in built.terminals if t.pattern.type == "str"},
        "rules": [
            (rule.origin.name, len(rule.expansion), rule.alias or "") for rule in built.rules
        ],
        "actions": [actions for actions, _ in rows],
        "gotos": [gotos for _, gotos in rows],
    }


def _states(table: Any) -> dict[Any, int]:
    """State -> number, by first visit from the start: lark's own numbers differ between runs."""
    order = {table.start_states["start"]: 0}
    queue = list(order)
    for state in queue:  # grows meanwhile
        for _, (action, argument) in sorted(table.states[state].items()):
            if action.name == "Shift" and argument not in order:
                order[argument] = len(order)
                queue.append(argument)
    return order


def _row(
    row: dict[str, Any], order: dict[Any, int], numbers: dict[Any, int]
) -> tuple[dict[str, int], dict[str, int]]:
    """A state's row of lark's table as (actions, gotos)."""
    actions, gotos = {}, {}
    for symbol, (action, argument) in sorted(row.items()):
        if action.name == "Reduce":
            actions[symbol] = -1 - numbers[argument]
        elif symbol.isupper() or symbol == END:
            actions[symbol] = order[argument]
        else:
            gotos[symbol] = order[argument]
    return actions, gotos


def _patterns(terminals: list[Any]) -> list[tuple[str, str]]:
    patterns = [t for t in terminals if t.pattern.type == "re"]
    patterns.sort(key=lambda t: (-t.priority, t.name))
    return [(t.name, t.pattern.value) for t in patterns]


def write() -> Path:
    """Build the tables and store them beside the grammar."""
    folder = shipped("grammars")
    plain = build_tables((folder / "rasp.lark").read_text(encoding="utf-8"))
    target = folder / "rasp.tables.json"
    target.write_text(json.dumps(plain, separators=(",", ":")) + "\n", encoding="utf-8")
    return target


if __name__ == "__main__":
    print(write())

"""The LALR tables of the grammar: read from `rasp.tables.json`, or built by lark when the grammar
has changed.

lark takes a fifth of a second to import and the tables as long again to build; reading them takes
milliseconds. `python -m rasplab.lang.syntax.grammar_tables` writes them anew; a test holds them against the
grammar.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2]
END = "$END"
"""The terminal after the last token."""


@dataclass(frozen=True, slots=True)
class Tables:
    """What the parser needs.

    lexer    one alternation of all terminals that are patterns, by priority
    patterns terminal -> its regular expression, for the terminals that have one
    words    text -> terminal, for the terminals that are fixed words and look like names
    signs    terminal -> its text, for all fixed texts
    actions  state -> terminal -> state to shift to (>= 0) or rule to reduce by (-1 - rule)
    gotos    state -> nonterminal -> state
    rules    (nonterminal, length, action name), the action "" meaning: its only child
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
        return frozenset(next_ for state in targets if state >= 0 for next_ in self.actions[state])


def grammar_folder() -> Path:
    """`grammars`: beside the package in a checkout, inside it in an installed wheel."""
    installed = PACKAGE / "_grammars"
    return installed if installed.is_dir() else PACKAGE.parent / "grammars"


@cache
def tables() -> Tables:
    """The tables of the grammar as it is now."""
    grammar = (grammar_folder() / "rasp.lark").read_text(encoding="utf-8")
    stored = grammar_folder() / "rasp.tables.json"
    plain = json.loads(stored.read_text(encoding="utf-8")) if stored.is_file() else {}
    return _from_plain(plain if plain.get("grammar") == digest(grammar) else build(grammar))


def digest(grammar: str) -> str:
    """What the stored tables are known by."""
    return hashlib.sha256(grammar.encode()).hexdigest()


def _from_plain(plain: dict) -> Tables:
    signs = plain["signs"]
    words = {text: name for name, text in signs.items() if text.isidentifier()}
    fixed = [(name, re.escape(text)) for name, text in signs.items() if not text.isidentifier()]
    patterns = [*plain["patterns"], *sorted(fixed, key=lambda p: -len(p[1]))]
    lexer = re.compile("|".join(f"(?P<{name}>{pattern})" for name, pattern in patterns))
    rules = [(origin, length, action) for origin, length, action in plain["rules"]]
    return Tables(
        lexer, dict(plain["patterns"]), words, signs, plain["actions"], plain["gotos"], rules
    )


def build(grammar: str) -> dict:
    """The tables of a grammar as plain lists and dicts, by lark."""
    from lark import Lark

    built = Lark(grammar, parser="lalr", lexer="basic", strict=False)
    table = built.parser.parser._parse_table
    order = _states(table)
    numbers = {rule: i for i, rule in enumerate(built.rules)}
    actions, gotos = zip(*(_row(table.states[s], order, numbers) for s in order), strict=True)
    return {
        "grammar": digest(grammar),
        "patterns": _patterns(built.terminals),
        "signs": {t.name: t.pattern.value for t in built.terminals if t.pattern.type == "str"},
        "rules": [
            (rule.origin.name, len(rule.expansion), rule.alias or "") for rule in built.rules
        ],
        "actions": list(actions),
        "gotos": list(gotos),
    }


def _states(table) -> dict:
    """State -> number, in the order in which they are first reached: the same on every run."""
    order = {table.start_states["start"]: 0}
    queue = list(order)
    for state in queue:  # grows meanwhile
        for _, (action, argument) in sorted(table.states[state].items()):
            if action.name == "Shift" and argument not in order:
                order[argument] = len(order)
                queue.append(argument)
    return order


def _row(row: dict, order: dict, numbers: dict) -> tuple[dict, dict]:
    actions, gotos = {}, {}
    for symbol, (action, argument) in sorted(row.items()):
        if action.name == "Reduce":
            actions[symbol] = -1 - numbers[argument]
        elif symbol.isupper() or symbol == END:
            actions[symbol] = order[argument]
        else:
            gotos[symbol] = order[argument]
    return actions, gotos


def _patterns(terminals) -> list[tuple[str, str]]:
    found = [t for t in terminals if t.pattern.type == "re"]
    found.sort(key=lambda t: (-t.priority, t.name))
    return [(t.name, t.pattern.value) for t in found]


def write() -> Path:
    """Build the tables and store them beside the grammar."""
    folder = grammar_folder()
    plain = build((folder / "rasp.lark").read_text(encoding="utf-8"))
    target = folder / "rasp.tables.json"
    target.write_text(json.dumps(plain, separators=(",", ":")) + "\n", encoding="utf-8")
    return target


if __name__ == "__main__":
    print(write())

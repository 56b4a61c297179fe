"""The words of the language, by kind."""

from __future__ import annotations

from rasplab.lang.session import Session
from rasplab.lang.syntax.grammar_tables import tables
from rasplab.lang.syntax.vocabulary import vocabulary
from rasplab.lang.syntax.word_help import HELP


def test_the_word_lists_are_those_of_the_language():
    """Keywords are the grammar's, names the session's."""
    words, fixed = vocabulary(), tables().words.keys()
    assert {*words.forms} == {"aggregate", "indicator", "len", "range", "round", "select", "zip"}
    assert {*words.keywords, *words.operators} - {"exit", "quit"} == fixed - {*words.forms}
    assert {*words.operators} <= fixed
    assert {*words.names} == (Session().names() | {"out"}) - {"True", "False"}
    assert HELP.keys() <= words.grammar | {*words.names}
    assert {word for word in HELP if HELP[word].operands} == {*words.forms}

"""The stored LALR tables."""

from __future__ import annotations

import json

from rasplab.lang.syntax.grammar_tables import build_tables
from rasplab.program.zoo import shipped


def test_stored_tables_are_those_of_the_grammar():
    """After a change of the grammar: `python -m rasplab.lang.syntax.grammar_tables`."""
    folder = shipped("grammars")
    grammar = (folder / "rasp.lark").read_text(encoding="utf-8")
    stored = json.loads((folder / "rasp.tables.json").read_text(encoding="utf-8"))
    assert stored == json.loads(json.dumps(build_tables(grammar)))

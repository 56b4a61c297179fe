"""Text -> syntax tree, by an LALR(1) parser; the grammar is grammars/rasp.lark.

In reading order: `ast` (the nodes), `grammar_tables` (the grammar as the parser reads it),
`parser`, `actions` (what each rule builds), `syntax_errors` with `foreign_words` (what is wrong
with a text that is not RASP), `vocabulary` and `word_help` (the words of the language, for editors
and messages).
"""

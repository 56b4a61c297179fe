"""The language: RASP text -> syntax tree -> Program -> text.

The way of a text, as `loading.parse(text)` and `loading.load(path)` go it, in reading order:

  loading     the order of the steps; files, and files that load files
  syntax      text -> Module: tokens and LALR parser (`parser`), one node for each rule (`actions`)
  elaborate   Module -> program graph: statements (`elaborator`), expressions (`expressions`), what
              operators make of values (`operators`, `containers`), names (`scope`)
  printing    Program -> text (`unparse`), text laid out (`format`), values shown (`transcript`)

Beside this way:

  dsl         the same graphs built by Python's operators (public as `rasplab.dsl`)
  session     statements one after the other with a running example, for the REPL and notebooks
"""

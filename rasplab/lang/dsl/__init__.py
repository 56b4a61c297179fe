"""RASP from Python -> Program: s-ops and selectors as objects with operators.

`operators` has the objects and `program`, which makes a Program of one; `library` has the names
that users import as `rasplab.dsl`: select, aggregate, tokens, length, sort, ...
"""

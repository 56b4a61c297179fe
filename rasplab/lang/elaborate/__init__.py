"""Syntax tree -> program graph: statements are executed, and s-ops and selectors become nodes.

In reading order: `values` (what expressions evaluate to), `scope` (names), `operators` and
`containers` (operations on values), `expressions`, `elaborator` (statements and calls), `library`
(what every text may use), `example_check` (the running example of a session).
"""

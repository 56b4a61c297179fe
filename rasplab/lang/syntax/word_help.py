"""Help on the words that no text defines: `HELP`, word -> how it is written and what it means.

Completion shows signature and meaning; syntax errors show what a form takes.
"""

from __future__ import annotations

from typing import NamedTuple


class Usage(NamedTuple):
    """How a word is written and what it means.

    operands  for a form: what it takes, with an example, as the hint of an error
    """

    signature: str
    meaning: str
    operands: str = ""


HELP = {
    "select": Usage(
        "select(keys, queries, OP)",
        "a selector: row = query, column = key, true where `key OP query`;\n"
        "OP is one of == != < <= > >=",
        "select takes keys, queries and a comparison: select(indices, 0, ==)",
    ),
    "aggregate": Usage(
        "aggregate(selector, values[, default])",
        "per query: the default (0) where nothing is selected, the value where one position is,\n"
        "the mean of the values where more are",
        "aggregate takes a selector, values, perhaps a default: aggregate(full_s, s)",
    ),
    "indicator": Usage(
        "indicator(s)",
        "1 where s is true, else 0",
        'indicator takes one s-op: indicator(tokens == "a")',
    ),
    "round": Usage(
        "round(e)",
        "the nearest whole number; halves go to the even one",
        "round takes one value: round(indices / 2)",
    ),
    "range": Usage(
        "range([start,] stop[, step])", "a list of ints", "range takes one to three ints: range(3)"
    ),
    "zip": Usage(
        "zip(list, ...)",
        "a list of lists: the first items, the second items, ...",
        "zip takes one list or more: zip([1, 2], [3, 4])",
    ),
    "len": Usage(
        "len(list)", "how many items a list, dict or string has", "len takes one list: len([1, 2])"
    ),
    "selector_width": Usage("selector_width(selector)", "how many keys each query selects"),
    "constant": Usage("constant(a)", "an s-op that is a at every position; a is an atom or a list"),
    "chr": Usage("chr(n)", "the character with the number n"),
    "indices": Usage("indices", "the position, from 0"),
    "tokens": Usage("tokens", "the input, every token as a string"),
    "tokens_str": Usage("tokens_str", "the input, every token as a string"),
    "tokens_int": Usage("tokens_int", "the input, every token read as an int"),
    "tokens_float": Usage("tokens_float", "the input, every token read as a float"),
    "tokens_bool": Usage(
        "tokens_bool", "the input, every token as a bool: False for 0 and nothing"
    ),
    "tokens_asis": Usage("tokens_asis", "the input, every token as it is"),
    "out": Usage("out", "the value last computed"),
    "load": Usage(
        'load "name";', "run name.rasp; its names that do not begin with _ are yours then"
    ),
    "draw": Usage("draw(sop[, input]);", "the computation of an s-op as a picture"),
    "set": Usage("set [s-op|selector] example e", "the input that everything is shown on"),
    "show": Usage("show [s-op|selector] example", "the input that everything is shown on now"),
    "examples": Usage(
        "[s-op|selector] examples on|off", "whether values are shown with an example"
    ),
    "def": Usage("def f(a, b) { ... return e; }", "a function; it is inlined where it is called"),
    "for": Usage("for x in list { ... }", "statements once for each item of a list or dict"),
    "if": Usage("a if condition else b", "position by position where the condition is an s-op"),
    "in": Usage("x in list", "whether x is an item of a list, position by position"),
    "and": Usage("a and b", "of s-ops, position by position; of selectors, pair by pair"),
    "or": Usage("a or b", "of s-ops, position by position; of selectors, pair by pair"),
    "not": Usage(
        "not a", "binds tighter than every operator between two: not a == b is (not a) == b"
    ),
}
"""Help on the words that no text defines."""

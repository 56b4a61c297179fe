"""Words and signs of other languages that people write here, and what RASP has instead."""

from __future__ import annotations

WORDS = {
    "while": "loops go over lists: for i in range(10) { ... }",
    "lambda": "define a function: def f(x) { return x + 1; }",
    "function": "define a function: def f(x) { return x + 1; }",
    "import": 'load a file: load "name";',
    "from": 'load a file: load "name";',
    "let": "write name = value;",
    "var": "write name = value;",
    "const": "write name = value;",
    "print": "write the name alone: tokens;",
    "elif": "choose between values: a if c else b",
    "class": "there are s-ops, selectors, functions, lists, dicts, numbers, strings and bools",
    "try": "a fault ends the statement",
    "pass": "a block may be empty: { }",
    "None": "every position has a value; take 0 or a string for none",
    "null": "every position has a value; take 0 or a string for none",
    "true": "write True",
    "false": "write False",
    "xor": "write a != b",
    "abs": "write a if a > 0 else -a",
    "sum": "write average(s) * length, or selector_width of a selector",
    "int": "round makes an int; tokens_int reads the tokens as ints",
    "str": "tokens_str reads the tokens as strings",
    "float": "tokens_float reads the tokens as floats",
}
"""A name that is not defined here -> what to write instead."""

STATEMENTS = frozenset(
    {"while", "lambda", "function", "import", "from", "let", "var", "const", "elif", "class", "try"}
)
"""Those of them after which a text stops being RASP: the fault is told of them."""

SIGNS = {
    "//": "for whole division write (a - a % b) / b",
    "**": "write a ^ b",
    "++": "write a = a + 1;",
    "--": "write a = a - 1;",
    ":=": "write name = value;",
    "=>": "greater or equal is >=",
    "=<": "less or equal is <=",
    "<>": "unequal is !=",
    "->": "a function says nothing of its kinds: def f(x) { return x; }",
    "<<": "write a * 2 ^ n",
    ">>": "write (a - a % 2 ^ n) / 2 ^ n",
    "===": "write a == b",
}
"""Two words of RASP that together are a sign elsewhere -> what to write instead."""

"""Words and signs of other languages that people write in RASP, and what to write instead.

Syntax errors (`SIGNS`, `STATEMENTS`) and undefined names (`WORDS`) take their hints from here.
"""

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
    "try": "errors cannot be caught; an error ends the statement",
    "pass": "a block may be empty: { }",
    "None": "every position has a value; use 0 or a string instead",
    "null": "every position has a value; use 0 or a string instead",
    "true": "write True",
    "false": "write False",
    "xor": "write a != b",
    "int": "round makes an int; tokens_int reads the tokens as ints",
    "str": "tokens_str reads the tokens as strings",
    "float": "tokens_float reads the tokens as floats",
}
"""An undefined name -> what to write instead."""

STATEMENTS = frozenset(
    {"while", "lambda", "function", "import", "from", "let", "var", "const", "elif", "class", "try"}
)
"""Words after which a text is not RASP: the error is placed at them, not where parsing fails."""

SIGNS = {
    "**": "write a ^ b",
    "++": "write a = a + 1;",
    "--": "write a = a - 1;",
    ":=": "write name = value;",
    "=>": "write a >= b",
    "=<": "write a <= b",
    "<>": "write a != b",
    "->": "functions declare no types: def f(x) { return x; }",
    "<<": "write a * 2 ^ n",
    ">>": "write a // 2 ^ n",
    "===": "write a == b",
}
"""Two tokens of RASP that form one sign in another language -> what to write instead."""

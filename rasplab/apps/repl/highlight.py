"""RASP in colour wherever Pygments colours: the terminal REPL, Sphinx, exported notebooks."""

from __future__ import annotations

from pygments.lexer import RegexLexer, bygroups, words
from pygments.token import (
    Comment,
    Keyword,
    Name,
    Number,
    Operator,
    Punctuation,
    String,
    Whitespace,
)

KEYWORDS = (
    "def", "draw", "else", "example", "examples", "exit", "for", "if", "load", "off", "on",
    "quit", "return", "selector", "set", "show",
)  # fmt: skip
WORD_OPERATORS = ("and", "in", "not", "or")
FORMS = ("aggregate", "indicator", "len", "range", "round", "select", "zip")
NAMES = (
    "average", "chr", "constant", "contains", "count", "full_s", "has_focus", "indices", "length",
    "load_from_location", "mark_first_instance", "mark_last_instance", "max", "min", "out",
    "select_from_first", "select_from_last", "select_next_identical", "selector_width", "shift",
    "sort", "tokens", "tokens_asis", "tokens_bool", "tokens_float", "tokens_int", "tokens_str",
)  # fmt: skip
"""What every text may use without defining it; a test holds these lists against the language."""
END = r"(?![A-Za-z0-9_])"


class RaspLexer(RegexLexer):
    """The words of RASP."""

    name = "RASP"
    aliases = ["rasp"]
    filenames = ["*.rasp"]
    mimetypes = ["text/x-rasp"]
    url = "https://arxiv.org/abs/2106.06981"

    tokens = {
        "root": [
            (r"\A%%rasp[^\n]*", Comment.Preproc),
            (r"\s+", Whitespace),
            (r"#[^\n]*", Comment.Single),
            (r'"[^"\n]*"', String.Double),
            (r"[0-9]+\.[0-9]+", Number.Float),
            (r"[0-9]+", Number.Integer),
            (r"(def)(\s+)([A-Za-z_]\w*)", bygroups(Keyword, Whitespace, Name.Function)),
            (rf"(?:s-op|full[ \t]+seq[ \t]+display){END}", Keyword),
            (words(KEYWORDS, suffix=END), Keyword),
            (words(WORD_OPERATORS, suffix=END), Operator.Word),
            (words(("True", "False"), suffix=END), Keyword.Constant),
            (words((*FORMS, *NAMES), suffix=END), Name.Builtin),
            (r"[A-Za-z_][A-Za-z0-9_]*", Name),
            (r"==|!=|<=|>=|[-+*/%^<>=]", Operator),
            (r"[()\[\]{},;:]", Punctuation),
        ]
    }

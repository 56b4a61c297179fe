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

from rasplab.lang.syntax.vocabulary import TRUTHS, vocabulary

WORDS = vocabulary()
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
            ("|".join(WORDS.phrases), Keyword),
            (words(WORDS.keywords, suffix=END), Keyword),
            (words(WORDS.operators, suffix=END), Operator.Word),
            (words(TRUTHS, suffix=END), Keyword.Constant),
            (words((*WORDS.forms, *WORDS.names), suffix=END), Name.Builtin),
            (r"[A-Za-z_][A-Za-z0-9_]*", Name),
            (r"==|!=|<=|>=|[-+*/%^<>=]", Operator),
            (r"[()\[\]{},;:]", Punctuation),
        ]
    }

"""RASP in colour: the Pygments lexer and the JupyterLab extension know the language's words."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pygments.lexers import get_lexer_by_name, get_lexer_for_filename
from pygments.token import Comment, Error, Keyword, Name, Number, Operator, String

import rasplab
from rasplab.apps.repl.highlight import RaspLexer
from rasplab.lang.syntax.vocabulary import TRUTHS, vocabulary
from rasplab.program import zoo

EXTENSION = Path(rasplab.__file__).parent / "labextension"
SCRIPT = EXTENSION / "static" / "remoteEntry.js"


def test_the_extension_has_the_same_lists():
    """What JupyterLab colours is what Pygments colours."""
    text, words = SCRIPT.read_text(encoding="utf-8"), vocabulary()
    lists = re.findall(r"const ([A-Z]+) = words\(([^)]*)\)", text)
    coloured = {name: set("".join(re.findall(r'"([^"]*)"', body)).split()) for name, body in lists}
    assert coloured["KEYWORDS"] == {*words.keywords, *words.operators}
    assert coloured["FORMS"] == {*words.forms} and coloured["NAMES"] == {*words.names}
    assert coloured["ATOMS"] == {*TRUTHS}


@pytest.mark.parametrize(
    "path", sorted(zoo.shipped("circuits").glob("*.rasp")), ids=lambda p: p.stem
)
def test_every_program_of_the_zoo_is_lexed(path):
    """No character is an error, and none is lost."""
    text = path.read_text(encoding="utf-8")
    tokens = list(get_lexer_for_filename(path.name).get_tokens(text))
    assert not [t for t in tokens if t[0] is Error]
    assert "".join(t for _, t in tokens).strip() == text.strip()


def test_words_have_their_classes():
    """One of each kind; a word that begins like a keyword is a name."""
    text = (
        '%%rasp ab\ndef f(formal) { return not select(s, 1.5, ==); } # "x"\nset s-op example "#";'
    )
    found = {t: kind for kind, t in get_lexer_by_name("rasp").get_tokens(text)}
    wanted = {
        "%%rasp ab": Comment.Preproc,
        "def": Keyword,
        "f": Name.Function,
        "formal": Name,
        "not": Operator.Word,
        "select": Name.Builtin,
        "1.5": Number.Float,
        "==": Operator,
        '# "x"': Comment.Single,
        "s-op": Keyword,
        '"#"': String.Double,
    }
    assert {word: found[word] for word in wanted} == wanted
    assert isinstance(get_lexer_by_name("rasp"), RaspLexer)


def test_the_extension_is_installed_where_jupyterlab_looks():
    """The files of this checkout, with this version (after a change: rm .venv/.installed)."""
    installed = Path(sys.prefix) / "share" / "jupyter" / "labextensions" / "rasplab"
    for name in ("package.json", "static/remoteEntry.js"):
        assert (installed / name).read_bytes() == (EXTENSION / name).read_bytes()
    assert json.loads((EXTENSION / "package.json").read_text())["version"] == rasplab.__version__


@pytest.mark.skipif(not shutil.which("node"), reason="no node to run the extension's script in")
def test_the_extension_lexes_in_node():
    """The container answers as JupyterLab asks; its lexer colours a line."""
    line = 'def f(a) { return select(a, "x y", ==) + 1.5; } # done'
    argv = [
        "node",
        str(Path(__file__).parents[2] / "support" / "lexer_in_node.js"),
        str(SCRIPT),
        line,
    ]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    es_module, plugins, extensions, words = json.loads(done.stdout)
    assert es_module is True and plugins == 2 and extensions == [".rasp"]
    kinds = dict(words)
    assert kinds["def"] == kinds["return"] == "keyword" and kinds["f"] == "def"
    assert kinds["select"] == "builtin" and kinds['"x y"'] == "string" and kinds["1.5"] == "number"
    assert kinds["=="] == "operator" and kinds["# done"] == "comment" and kinds["a"] == "variable"

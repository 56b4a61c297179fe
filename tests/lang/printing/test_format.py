"""The formatter: words are kept, comments too; a second time it changes nothing."""

from __future__ import annotations

import random
import re

import pytest
from support import fuzz

from rasplab.apps.cli import parser as cli
from rasplab.base.errors import RaspError, RaspSyntaxError, Source
from rasplab.lang.loading import parse
from rasplab.lang.printing.format import format_text
from rasplab.lang.syntax.grammar_tables import tables
from rasplab.lang.syntax.parser import tokenize
from rasplab.program.zoo import shipped

CIRCUITS = shipped("circuits")
FILES = [*sorted(CIRCUITS.glob("*.rasp")), shipped("grammars") / "prelude.rasp"]

UNTIDY = """

a=1;b = - 2 ; c=[ 1,2 , -3 ] [0]; #trail
def f( x,y ) { # opens
   z = x+ -y*2^-1;


   # own
   return z , {  "a":1 } [ x ] ; }
for i,j in zip([1],[2]) { }   for k in {"a": 1} { x = k; draw (tokens , "abc"); }
set example "abc" show s-op   example full   seq  display on
x = tokens if not ( length==3 ) else round( indices/2 ) ;
y = select (tokens,
  # why
  tokens, ==) and # behind
  not full_s;
n = selector_width(select(definite_no_carry, True, ==) and select(indices, indices, >=))
   + 123456789123;
first, second = prepare_numbers(indices + 11111111111111,
tokens == "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
exit
# last"""

TIDY = """\
a = 1;
b = -2;
c = [1, 2, -3][0];  #trail
def f(x, y) {  # opens
    z = x + -y * 2 ^ -1;

    # own
    return z, {"a": 1}[x];
}
for i, j in zip([1], [2]) {
}
for k in {"a": 1} {
    x = k;
    draw(tokens, "abc");
}
set example "abc"
show s-op example
full seq display on
x = tokens if not (length == 3) else round(indices / 2);
y = select(tokens,
    # why
    tokens, ==) and  # behind
    not full_s;
n = selector_width(select(definite_no_carry, True, ==) and select(indices, indices, >=))
    + 123456789123;
first, second = prepare_numbers(
    indices + 11111111111111, tokens == "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
exit
# last
"""


def test_golden():
    """What every construct looks like, before and after."""
    assert format_text(UNTIDY) == TIDY
    assert format_text(TIDY) == TIDY
    assert format_text("") == format_text("\n \n") == ""


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_our_own_files(path):
    """Ours are laid out already, but for lines longer than the formatter's."""
    text = path.read_text(encoding="utf-8")
    laid_out = format_text(text)
    assert laid_out == text or max(map(len, text.split("\n"))) > 100
    assert format_text(laid_out) == laid_out


def shaken(text: str, rng: random.Random) -> str:
    """The same words with other white space between them, and comments thrown in."""
    gaps = (" ", "  ", "\n", "\n\n\n", "\t", " # é note\n", "\n  #own\n")
    words = re.findall(
        r'"[^"\n]*"|#[^\n]*\n|full\s+seq\s+display|s-op|\w+|\.\w+|[<>=!]=|//|\S', text
    )
    shaken = ""
    for before, word in zip(["", *words], words, strict=False):
        tight = word in "()[]{},;:" or before in list("()[]{},;:")
        gap = rng.choice(gaps) if rng.random() < 0.3 else ("" if tight and before else " ")
        if word == "(" and before in ("select", "aggregate", "range", "zip", "len"):
            gap = ""  # a comment there makes a name of the word
        shaken += gap + word
    return shaken


def words(text: str) -> list[str]:
    """Its tokens."""
    return [token.text for token in tokenize(Source("", text), tables())]


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_any_layout(path):
    """However the white space falls, words and program stay, and a second time nothing changes."""
    text, rng = path.read_text(encoding="utf-8"), random.Random(path.stem)
    for _ in range(3):
        laid_out = format_text(shaken(text, rng))
        assert format_text(laid_out) == laid_out
        assert words(laid_out) == words(text)
        if path.stem != "prelude":
            assert parse(laid_out).digest == parse(text).digest


@pytest.mark.parametrize("first", range(0, 1500, 500))
def test_any_text(first):
    """Texts of the fuzzer are laid out once and for all, or are not RASP.

    That words stay is asserted by the formatter itself.
    """
    done = 0
    for seed in range(first, first + 500):
        text = fuzz.text_of(seed)
        try:
            laid_out = format_text(text)
        except RaspSyntaxError:
            continue
        assert format_text(laid_out) == laid_out, seed
        done += 1
    assert done > 150


def test_rows_break_where_brackets_are_least_deep():
    """No row is longer than 100 characters where it can be broken."""
    deep = " + ".join(f"selector_width(select(indices, {i}, ==) and full_s)" for i in range(40))
    rows = format_text(f"x = {deep};").split("\n")
    assert max(map(len, rows)) <= 100 and all(row.startswith("    + ") for row in rows[1:-1])


def test_fmt_writes_or_checks(tmp_path, capsys):
    """`rasplab fmt` keeps the file's mode; --check writes nothing and exits with 1."""
    untidy, tidy = tmp_path / "untidy.rasp", tmp_path / "tidy.rasp"
    untidy.write_text(UNTIDY, encoding="utf-8")
    tidy.write_text(TIDY, encoding="utf-8")
    untidy.chmod(0o600)
    assert cli.main(["fmt", "--check", str(untidy), str(tidy)]) == 1
    assert untidy.read_text(encoding="utf-8") == UNTIDY
    assert capsys.readouterr().err == f"{untidy} would change\n"
    assert cli.main(["fmt", str(untidy), str(tidy)]) == 0
    assert untidy.read_text(encoding="utf-8") == TIDY and untidy.stat().st_mode & 0o777 == 0o600
    assert cli.main(["fmt", "--check", str(untidy), str(tidy)]) == 0


def test_fmt_refuses(tmp_path, capsys):
    """What is not RASP, not text or not there is a fault, and the file stays as it is."""
    bad = tmp_path / "bad.rasp"
    bad.write_text("x  =  (1;\n")
    for path in (bad, tmp_path, tmp_path / "none.rasp"):
        assert cli.main(["fmt", str(path)]) == 1
        assert "Traceback" not in (told := capsys.readouterr().err)
    assert "hint: name files" in told
    assert bad.read_text() == "x  =  (1;\n"
    with pytest.raises(RaspError, match="is not closed"):
        format_text(bad.read_text())


def test_shipped_programs_are_laid_out():
    """`rasplab fmt --check` finds nothing to change under circuits/."""
    from rasplab.apps.cli.parser import main

    assert main(["fmt", "--check", *map(str, shipped("circuits").rglob("*.rasp"))]) == 0

"""The language: syntax, scopes, the library, programs from texts and files, sessions."""

from __future__ import annotations

import io
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rasplab.apps.repl.loop import main
from rasplab.base.errors import RaspError, RaspNameError, Source
from rasplab.lang.loading import load, parse
from rasplab.lang.session import Session
from rasplab.lang.syntax import grammar_tables as tables
from rasplab.lang.syntax.parser import is_unfinished, parse_module
from rasplab.program.graph import SelectorWidth
from rasplab.program.interpret.exact import evaluate
from rasplab.program.zoo import shipped

CIRCUITS = Path(__file__).parents[2] / "circuits"


def run(text: str, tokens="hello"):
    """The output of a text on an input."""
    return evaluate(parse(text), tokens).output


def value(text: str):
    """What an expression on atoms and lists gives."""
    return Session().run(f"{text};")[-1].value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-3^2", 9),
        ("2^3^2", 64),
        ("13%4*3", 1),
        ("not 1==2", False),
        ("True or False and False", False),
        ("3>2>1", False),
        ("1 if False else 2 if True else 3", 2),
        ("2 if 3 in [3] else 4", 2),
        ("False and 5 in [False]", True),
        ("not 2 in [2]", False),
        ("-[4,5][1]", -5),
        ("1 - -1", 2),
        ("9-4-3", 2),
        ("1 != 2", True),
        ("3 and 5", 5),
        ("0042", 42),
        ("[x*y for x, y in zip([1,2],[3,4])]", [3, 8]),
        ('{c: c+"!" for c in ["a"]}', {"a": "a!"}),
        ("range (5, 0, -2)", [5, 3, 1]),
        ("len ([1, 2])", 2),
        ("round(2.5)", 2),
        ("(1)", 1),
    ],
)
def test_expressions(text, expected):
    """The precedence table, and the forms."""
    assert value(text) == expected


@pytest.mark.parametrize("space", ["", " ", "\n", " # a comment\n"])
def test_white_space_is_free(space):
    """Also before the bracket of select, but for a comment there."""
    before = "" if "#" in space else space
    text = f"x{space}={space}selector_width{space}({space}select{before}(tokens,{space}tokens,==));"
    assert run(text) == [1, 1, 2, 2, 1]


def test_several_statements_on_a_line():
    """A line is no unit."""
    assert run("a = 1; b = a + 1; c = indices * b;", "ab") == [0, 2]


def test_spans_cover_their_text():
    """Every node of the syntax knows the text it was read from, brackets included."""
    text = "x = (a + 1) * f(b);"
    (item,) = parse_module(Source("t", text)).items
    product = item.values[0]
    assert (item.span.text, product.span.text) == (text, "(a + 1) * f(b)")
    assert (product.left.span.text, product.right.span.text) == ("(a + 1)", "f(b)")


@pytest.mark.parametrize(
    ("text", "unfinished"),
    [
        ("x = 1", True),
        ("x = f(", True),
        ("def f(x) {\n y = x; # a comment\n", True),
        ("x = 1;", False),
        ("x = );", False),
        ('x = "a', False),
    ],
)
def test_unfinished_texts(text, unfinished):
    """More lines may help a text whose end is early, and no other."""
    assert is_unfinished(text) == unfinished


def test_functions_look_names_up_when_called():
    """A name may be defined after the function that uses it; assignments inside stay inside."""
    text = "k = 1; def f(x) { k = 9; return x + later; } later = 5; a = f(indices); b = a + k;"
    assert run(text, "ab") == [6, 7]


def test_loop_variables_stay_and_comprehension_variables_do_not():
    """After a loop its variable has its last value."""
    assert run("for i in range(4) { x = i; } y = indices + i;", "ab") == [3, 4]
    with pytest.raises(RaspNameError):
        parse("l = [j for j in range(4)]; y = indices + j;")


def test_a_ternary_on_atoms_is_lazy():
    """So that recursion ends: here 5,000 deep."""
    text = "def up(n) { return indices if n == 0 else up(n - 1) + 1; } x = up(5000);"
    assert run(text, "ab") == [5000, 5001]


def test_output_is_the_last_sop_or_the_named_one():
    """Assigned, or written as a statement of its own; numbers and functions do not count."""
    text = "a = indices; s = select(a, 0, ==); b = a + 1; k = 3; def f(x) { return x; }"
    assert run(text, "ab") == [1, 2]
    assert evaluate(parse(text, output="a"), "ab").output == [0, 1]
    assert evaluate(parse(text, output="s"), "ab").output.tolist() == [[True, False]] * 2
    assert evaluate(parse(text, output="k"), "ab").output == [3, 3]
    assert run(text + "a;", "ab") == [0, 1]
    with pytest.raises(RaspNameError, match="it has: a, s, b"):
        parse(text, output="nosuch")
    with pytest.raises(RaspError, match="is a function"):
        parse(text, output="f")


def test_names_and_spans_survive():
    """A program knows the text's names, and where each node was made."""
    program = parse("same = select(tokens, tokens, ==);\nhist = selector_width(same);")
    assert dict(program.names).keys() >= {"same", "hist"}
    assert program.labels[program.output] == "hist"
    assert program.span(program.id_of("same")).text == "select(tokens, tokens, ==)"
    assert program.span(program.id_of("hist")).source.line_column(
        program.span(program.output).start
    ) == (2, 8)


def test_constants_fold_and_equal_nodes_are_one():
    """2 * 3 is one constant; the same select twice is one node."""
    program = parse("a = select(indices, 2 * 3, ==); b = select(indices, 6, ==); c = a and b;")
    assert len(program.nodes) == 4
    assert parse("x = length;").digest == parse("y = selector_width(full_s);").digest
    assert isinstance(parse("x = length;").nodes[-1], SelectorWidth)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("length", [5] * 5),
        ("has_focus(select(indices, indices, <))", [False, True, True, True, True]),
        ('count(tokens, "l")', [2] * 5),
        ('contains(tokens, "z")', [False] * 5),
        ("min(indices, 2)", [0, 1, 2, 2, 2]),
        ("max(indices, 2)", [2, 2, 2, 3, 4]),
        ("average(indices)", [2.0] * 5),
        ("load_from_location(tokens, length - 1 - indices)", list("olleh")),
        ('shift(tokens, 2, "_")', list("__hel")),
        ('mark_last_instance(tokens, "l")', [False, False, False, True, False]),
        ('mark_first_instance(tokens, "l")', [False, False, True, False, False]),
        ('selector_width(select_from_last(tokens, "l"))', [1] * 5),
        ("sort(tokens, tokens)", list("ehllo")),
        ("selector_width(select_next_identical(tokens))", [0, 0, 1, 0, 0]),
        ("tokens[-1]", ["o"] * 5),
        ("tokens[99]", [0] * 5),
        ('"h" in tokens', [True] * 5),
        ('tokens in ["h", "l"]', [True, False, True, True, False]),
        ("[5, 6, 7][indices % 3]", [5, 6, 7, 5, 6]),
        ('{"h": 1, "e": 2, "l": 3, "o": 4}[tokens]', [1, 2, 3, 3, 4]),
        ('tokens if indices % 2 == 0 else "."', list("h.l.o")),
    ],
)
def test_library_and_operators(text, expected):
    """The library's table, on "hello"."""
    assert run(f"x = {text};") == expected


@pytest.mark.parametrize(
    ("file", "name", "tokens", "expected"),
    [
        ("paper_examples", "hist_bos", "§hello", [0, 1, 1, 2, 2, 1]),
        ("paper_examples", "hist_nobos", "hello", [1, 1, 2, 2, 1]),
        ("paper_examples", "reverse", "stressed", list("desserts")),
        ("paper_examples", "sort_bos", "§cab", list("§abc")),
        ("paper_examples", "hist2_bos", "§aabbcd", [0, 2, 2, 2, 2, 2, 2]),
        ("paper_examples", "sort_by_most_freq", "§bananas", list("§anbs§§§")),
        ("paper_examples", "dyck1_ptf", "())(", list("PTFF")),
        ("paper_examples", "dyck2_ptf", "({)}", list("PPFF")),
        ("paper_examples", "dyck3_ptf", "[({})]", list("PPPPPT")),
        ("long_addition", "longsum", "345+678", [0, 0, 0, 1, 0, 2, 3]),
        ("long_addition", "longsum", "9+1", [0, 1, 0]),
        ("rover", "res", "a<A,x<A:x<B,a<B?", ["T"] * 16),
        ("rover", "res", "a<A,a#A?", ["F"] * 8),
        ("rover", "res", "b<A,a<B?", ["?"] * 8),
        ("rover", "res", "a<A,x<A:x<B,x<B:x#C,a<C?", ["F"] * 24),
        ("rover", "res", "b<A,a#B,x<A:x<B,a<A?", ["?"] * 20),
    ],
)
def test_programs_of_the_paper(file, name, tokens, expected):
    """The paper's programs on its examples."""
    assert evaluate(load(CIRCUITS / f"{file}.rasp", name), tokens).output == expected


def test_longsum_adds():
    """Every carry there can be, on pairs of numbers."""
    program = load(CIRCUITS / "long_addition.rasp")
    for a, b in [(1, 1), (999, 1), (456, 544), (99, 99), (12345, 8), (90909, 9091), (0, 0)]:
        digits = "".join(map(str, evaluate(program, f"{a}+{b}").output))
        assert int(digits) == a + b


def balanced(text: str, pairs: dict[str, str]) -> list[str]:
    """Dyck prefixes with a stack."""
    verdicts, stack = [], []
    for c in text:
        broken = bool(verdicts) and verdicts[-1] == "F"
        if c in pairs:
            stack.append(pairs[c])
        elif not broken and (not stack or stack.pop() != c):
            broken = True
        verdicts.append("F" if broken else "P" if stack else "T")
    return verdicts


def test_dyck_is_a_stack():
    """On every text of up to 6 brackets of two kinds."""
    from itertools import product

    program = load(CIRCUITS / "paper_examples.rasp", "dyck2_ptf")
    for n in range(1, 7):
        for text in product("(){}", repeat=n):
            verdicts = balanced("".join(text), {"(": ")", "{": "}"})
            assert evaluate(program, text).output == verdicts


def test_load_copies_public_names(tmp_path):
    """From the folder of the loading file; `_names` stay; a loaded file sees only the library."""
    (tmp_path / "part.rasp").write_text("_k = 2; twice = indices * _k;", encoding="utf-8")
    (tmp_path / "whole.rasp").write_text('load "part"; x = twice + 1;', encoding="utf-8")
    program = load(tmp_path / "whole.rasp")
    assert evaluate(program, "ab").output == [1, 3]
    (tmp_path / "other.rasp").write_text('load "part"; x = indices + _k;', encoding="utf-8")
    with pytest.raises(RaspNameError, match="_k"):
        load(tmp_path / "other.rasp")


def test_a_file_may_take_a_name_of_the_library():
    """circuits/sort.rasp calls its output `sort`; in the REPL that is refused."""
    assert run("sort = indices + 1; y = sort * 2;", "ab") == [2, 4]
    with pytest.raises(RaspNameError, match="part of the library"):
        Session().run("sort = indices;")


def test_session_keeps_names_and_programs():
    """A session's results have names, kinds and programs; a fault changes nothing before it."""
    session = Session("abc")
    results = session.run("a = indices + 1; s = select(a, 2, ==); k = 3; a * 2;")
    assert [(r.name, r.kind) for r in results] == [
        ("a", "s-op"),
        ("s", "selector"),
        ("k", "value"),
        ("out", "s-op"),
    ]
    assert evaluate(session.program("out"), "ab").output == [2, 4]
    with pytest.raises(RaspError):
        session.run("a = 9; b = tokens_int;")
    assert session.run("a;")[0].value == 9


def test_the_check_uses_the_input_at_hand():
    """tokens_int fails on "hello", and may be put to "12" nevertheless."""
    session = Session()
    with pytest.raises(RaspError, match="cannot read the token"):
        session.run("tokens_int;")
    assert session.run('(tokens_int + 1)("12");')[0].value.column == [2, 3]


def test_repl_transcript():
    """Banner, prompts, continuation lines, and the newline at the end."""
    out = io.StringIO()
    assert main(io.StringIO("x = 1 +\n2;\nquit\nx;\n"), out) == 0
    banner = "RASP 0.1\nrunning example is: hello\n"
    assert out.getvalue() == banner + ">> .. " + "    value: x =  3\n" + ">> "


def test_stored_tables_are_those_of_the_grammar():
    """They are built anew with `python -m rasplab.lang.syntax.grammar_tables` when the grammar changes."""
    import json

    folder = shipped("grammars")
    grammar = (folder / "rasp.lark").read_text(encoding="utf-8")
    stored = json.loads((folder / "rasp.tables.json").read_text(encoding="utf-8"))
    assert stored == json.loads(json.dumps(tables.build(grammar)))


def test_the_language_is_light():
    """Parsing and running a file imports neither torch nor lark nor numpy, and takes a blink."""
    code = (
        "import sys; from rasplab.lang.loading import load; from rasplab.program.interpret.exact import evaluate;"
        f"print(evaluate(load({str(CIRCUITS / 'sort.rasp')!r}), 'cab').output,"
        "[m for m in ('torch', 'lark', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "['a', 'b', 'c'] []\n"


def test_long_texts_are_fast():
    """rover in 0.2 s (the best of three loads); 10,000 terms in a few."""
    taken = []
    for _ in range(3):
        start = time.process_time()
        load(CIRCUITS / "rover.rasp")
        taken.append(time.process_time() - start)
    assert min(taken) < 0.2
    Session().run(f"x = {' + '.join(f'indices * {i}' for i in range(10_000))};")
    assert time.process_time() - start < 5


def test_transcripts_align_wide_characters():
    """In the padded display and in a selector's matrix."""
    out = io.StringIO()
    text = 'full seq display on\nset example ["a","漢é"]\nindices + 10;\nselect(indices, 0, <=);\n'
    main(io.StringIO(text), out)
    lines = out.getvalue().splitlines()
    assert [line.strip() for line in lines[4:6]] == [
        "input:     a 漢é \t (strings)",
        "output:   10  11 \t (ints)",
    ]
    assert lines[8:11] == [
        " \t\t\t       a 漢é",
        " \t\t\t   a | 1    ",
        " \t\t\t 漢é | 1    ",
    ]

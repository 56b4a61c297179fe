"""The notebooks run and show what they say; the magic's behaviour, in a shell without a kernel."""

import io
import re
from importlib import import_module
from pathlib import Path

import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell

from rasplab.apps.notebook.cells import Cells, Picture, page
from rasplab.apps.notebook.extension import FORMATTERS
from rasplab.apps.repl.completion import completions, help_at, help_on
from rasplab.apps.repl.loop import main
from rasplab.base.errors import RaspError
from rasplab.lang.session import Session

FOLDER = Path(__file__).resolve().parents[3] / "notebooks"


def read(name: str):
    """A notebook of the folder."""
    import nbformat

    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


@pytest.fixture(scope="module", params=sorted(p.stem for p in FOLDER.glob("*.ipynb")))
def outputs(request) -> tuple[str, dict[str, str]]:
    """A notebook's name, and for each code cell (by its text) its outputs as one text."""
    from nbclient import NotebookClient  # not above: every worker would wait seconds for it

    notebook = read(request.param)
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(FOLDER)}}).execute()
    cells = [c for c in notebook.cells if c.cell_type == "code"]
    return request.param, {c.source: "\n".join(map(_texts, c.outputs)) for c in cells}


def _texts(output) -> str:
    assert output.output_type != "error", output
    assert output.get("name") != "stderr", output  # a warning is no part of a lesson
    text = "\n".join([output.get("text", ""), *map(str, output.get("data", {}).values())])
    return re.sub(r'(<th|<td|<pre) style="(?!.*rgba)[^"]*"', r"\1", text)


def test_notebooks_run_and_show_their_results(outputs):
    """Every cell runs; values, tables and pictures are there."""
    name, shown_by = outputs
    wanted = {
        "1_language": LANGUAGE,
        "2_compile_and_compare": COMPARE,
        "3_circuits": CIRCUITS,
        "4_trained_models": TRAINED,
    }[name]
    for start, words in wanted.items():
        text = next(text for source, text in shown_by.items() if source.startswith(start))
        for word in words:
            assert word in text, (start, word, text[:2000])


def test_notebooks_are_stored_without_outputs():
    """What is stored is the text only."""
    for path in FOLDER.glob("*.ipynb"):
        for cell in read(path.stem).cells:
            assert not cell.get("outputs") and not cell.get("execution_count"), path.name


PICTURE = "data:image/svg+xml;base64,"
LANGUAGE = {
    "%%rasp abcde": [
        "<th>opposite</th><td>4</td><td>3</td>",
        "<th>rev</th><td>e</td><td>d</td>",
        PICTURE,
    ],
    'rev("stressed")': ["['d', 'e', 's', 's', 'e', 'r', 't', 's']"],
    'flip("ab")': ["False,  True"],
    "%%rasp abacab\nsame": ["<th>hist</th><td>3</td><td>2</td><td>3</td><td>1</td>"],
    'fraction("aab")': ["[1, 1.0, 0.6666666666666666]"],
    "%%rasp cabba": [
        "<th>ordered</th><td>a</td><td>a</td><td>b</td><td>b</td><td>c</td>",
        "<th>rank</th>",
    ],
    "%%rasp cabba\ndraw": ["the computation of ordered", "<th>ordered</th><td>a</td>", PICTURE],
    "%%rasp\nwrong": ["<b>In [10]:1:24</b>: select compares", "^^^", "hint: "],
    "%%rasp\nordered": ["<th>ordered</th><td>a</td><td>a</td>"],
    "import rasplab": ["['-', 'h', 'e', 'l', 'l']"],
    "trace": ["<th>shifted</th><td>-</td><td>h</td>", PICTURE],
    "program": ["<pre>%0 = "],
}
TRAINED = {
    "%load_ext": ["'e', 'f', 'a']"],
    "from rasplab.lang.loading": ["Atlas(model='induction'", PICTURE],
    "evidence =": ["verdicts by head and selector", PICTURE],
    'for head in ("L1H3"': [
        "pattern will do",
        "L1H2\n  consistent",
        "1.00 right, without L1H2 1.00, without L1H0 + L1H1 + L1H3 0.",
        ", without L1H2 too 0.0",
    ],
    "print(str(evidence)": ["operands alone: queries 1.00"],
    "compiled =": ["compiled L2H0 score 1.00, trained L1H", 'type="range"'],
    "small =": ["of held-out positions right after"],
    "from rasplab.study.tasks": ["4: '100.00%', 5: "],
    "rasplab.judge(small": [PICTURE],
}
CIRCUITS = {
    "about = entry": [PICTURE],
    "model = compiled": ["lengths 1 to 8: 6, 6", "num_smaller: 8 of 8"],
    "for ablation": ["zero", "edges matter, 0 outside the structure"],
    "exact = ": ["exact, resample ablation, kl", "of attention rows saturated"],
    "truth = ": ["acdc (resample) against resample truth", "ROC AUC 1.000"],
    "matters = ": [PICTURE],
    "for name, scores": ["exact ['0: 0.00'", "1.00']"],
    "trained = ": ["of the 15 strongest by exact patching", "trained   ['0%: 0.00'"],
    "HTML(overlay_html(slow": [PICTURE],
}
COMPARE = {
    "about = entry": ["<th>n_layers</th>", "flip"],
    "rasplab.circuit_of": [PICTURE, "rasplab"],
    "model = compiled": ["['d', 'c', 'b', 'a']"],
    'attention(model, "dabc")': ["attention of L0H0", PICTURE],
    "report = ": ["87380 inputs (every input), 0 mismatches"],
    "trained = ": ["['d', 'c', 'b', 'a']"],
    "table = ": ["flip", "rgba(59,130,246"],
    "def without_head": ["L0H0", "L1H0"],
    "evidence = ": [PICTURE, "verdict="],
    "print(evidence)": ["interchange accuracy in the worst family", "flip"],
    "rasplab.side_by_side(program, model, trained": ['type="range"', "<code>flip</code>", PICTURE],
    "control = ": [PICTURE, "verdict='implements'"],
    "taught = ": [PICTURE, "verdict='implements'"],
    "rasplab.side_by_side(program, model, taught": ["<b>implements</b>", '"input":'],
    "from IPython": ["accuracy on held-out inputs", "taught where to attend"],
}


def run(cells: Cells, text: str, example=None) -> list[tuple]:
    """What a cell shows, as (name, example, value)."""
    return [
        (v.name, "".join(map(str, v.example)), getattr(v.value, "tolist", lambda v=v: v.value)())
        for v in cells.run(text, example)
    ]


def test_a_cell_with_a_fault_changes_nothing():
    """Names, `out` and the example keep their meaning, and later cells build on them."""
    cells = Cells()
    cells.run("x = indices + 1;")
    with pytest.raises(RaspError):
        cells.run('set example "xyz"\nx = tokens; z = 1; y = nosuch;', "ab")
    assert run(cells, "z = x * 2;") == [("z", "hello", [2, 4, 6, 8, 10])]
    with pytest.raises(RaspError):
        cells.run("x = tokens; out = 3;")
    assert run(cells, "out;") == [("out", "hello", [2, 4, 6, 8, 10])]


@pytest.mark.parametrize("cell", ["y = nosuch;", "y = ;", "y = tokens", "a = 1;\ny = nosuch;"])
def test_a_fault_is_placed_in_its_own_cell(cell):
    """Lines and carets are those of the cell, not of all cells together."""
    cells = Cells()
    cells.run("# one\n# two\nx = indices;")
    with pytest.raises(RaspError) as caught:
        cells.run(cell)
    message = str(caught.value)
    assert (
        message.startswith(f"<cell>:{cell.count(chr(10)) + 1}:")
        and cell.splitlines()[-1] in message
    )


def test_a_cell_shows_expressions_and_skips_what_is_no_sop():
    """Assigned numbers, lists and functions are not drawn; an expression is, under its own text.

    What is assigned twice is shown once, as it is at last.
    """
    cells = Cells()
    made = run(cells, "n = 3; l = [1, 2]; def f(a) { return a + n; } indices * 2; f(indices);")
    assert [m[0] for m in made] == ["indices * 2", "f(indices)"] and made[1][2] == [3, 4, 5, 6, 7]
    lines = cells.run('n + 1; l; [indices]; "w"; f; shift;')
    assert lines[:4] == [
        "int n + 1 = 4",
        "list l = [1, 2]",
        "list [indices] = [indices]",
        'str "w" = "w"',
    ]
    assert lines[4:] == ["function f(a)", "function shift(s, n, f)"]
    assert run(cells, "x = indices; y = tokens; x = x + 1;")[0][2] == [1, 2, 3, 4, 5]


def test_a_failing_example_refuses_the_cell():
    """What does not evaluate on the running example is a fault of the cell."""
    cells = Cells()
    with pytest.raises(RaspError):
        cells.run("x = tokens_int + 1;")
    assert run(cells, "x = tokens_int + 1;", "12") == [("x", "12", [2, 3])]


def test_names_and_values_are_escaped():
    """A token cannot become HTML."""
    shown = page(Cells().run('set example ["<b>", "c"]\nx = tokens;'))
    assert "&lt;b&gt;" in shown and "<b>" not in shown


def test_examples_are_set_and_inputs_put_as_in_the_repl():
    """`set example` holds for later cells; an s-op put to an input is shown on that input."""
    cells = Cells()
    cells.run('set example "abc"\nx = tokens;')
    text = 'x; x("de"); x([1, 2]); def f(a) { return a + 1; } f(indices); select(x, x, ==)("aa");'
    views = cells.run(text)
    assert [v.example for v in views] == [
        tuple("abc"),
        tuple("de"),
        (1, 2),
        tuple("abc"),
        tuple("aa"),
    ]
    assert page(views).count("<table") == 3 and views[4].value.tolist() == [[True, True]] * 2


def test_tables_of_different_examples_stay_apart():
    """[1, 2] and ["1", "2"] look alike and are two inputs."""
    views = Cells().run('tokens_asis([1, 2]); tokens_asis(["1", "2"]);')
    assert page(views).count("<table") == 2


def test_load_draw_and_switches_in_cells():
    """A loaded file's names are told and usable; draw gives a picture; examples can be off."""
    cells = Cells()
    views = cells.run('load "paper_examples";')
    assert "s-op hist_nobos" in views and "function dyckk_ptf" in views
    assert cells.names["reverse"]("ab") == ["b", "a"]
    *_, picture = cells.run('draw(reverse, "ab");')
    assert isinstance(picture, Picture) and "<svg" in picture.svg
    assert page([picture]).count(f'src="{PICTURE}') == 1
    assert cells.run("examples off\nx = indices; s = select(x, x, ==);") == ["s-op x", "selector s"]
    assert cells.run("show example") == ["s-op example: 'hello'\nselector example: 'hello'"]


def test_what_a_cell_assigns_is_pythons():
    """S-ops, selectors and plain values by name, `out` for the last value; only what is new."""
    cells = Cells()
    cells.run('n = 3; w = "hi"; x = indices + n; s = select(x, x, ==); l = [x];')
    assert cells.names["n"] == 3 and cells.names["w"] == "hi" and "l" not in cells.names
    assert cells.names["x"]("ab") == [3, 4] and cells.names["s"]("a").tolist() == [[True]]
    cells.run("x * 2;")
    assert set(cells.names) == {"out"} and cells.names["out"]("ab") == [6, 8]
    cells.run("n = 3;")
    assert cells.names["n"] == 3


def test_named_things_read_well_as_text():
    """Where HTML is not shown, the text is that of the REPL or a grid; both forms of a view."""
    cells = Cells()
    views = cells.run("x = indices; s = select(indices, 1, ==);")
    assert str(views[0]) == repr(cells.names["x"]) == 'x("hello") = [0, 1, 2, 3, 4] (ints)'
    assert str(views[1]) == repr(cells.names["s"]) and str(views[1]).startswith('s("hello")\n')
    assert cells.names["s"]._repr_html_() == page(views[1:])


@pytest.fixture
def shell() -> InteractiveShell:
    """A shell with the extension, without a kernel."""
    made = InteractiveShell()
    made.run_cell("%load_ext rasplab")
    return made


def test_the_extension_shows_rasp_errors_without_a_traceback(shell, capsys):
    """In a shell: %%rasp is there, its names are pushed, and a fault prints no traceback."""
    shell.run_cell("%%rasp abc\nback = select(indices, length - 1 - indices, ==);")
    assert shell.user_ns["back"]("ab").tolist() == [[False, True], [True, False]]
    capsys.readouterr()
    shell.run_cell("import rasplab\nrasplab.parse('x = ;')")
    shell.run_cell("1", store_history=True)
    shell.run_cell("%%rasp\nx = ;", store_history=True)
    out = capsys.readouterr()
    assert "Traceback" not in out.out + out.err and "In [2]:1:5" in out.out


def test_a_fault_in_an_earlier_cell_says_which():
    """What fails on a new example is placed where it was written."""
    cells = Cells()
    cells.run("x = tokens_int;", "12", "In [1]")
    with pytest.raises(RaspError, match=r"In \[1\]:1:5: tokens_int cannot read"):
        cells.run("y = x + 1;", "ab", "In [2]")


def test_an_empty_example_is_told_as_a_fault():
    """In cells and in the transcript, which goes on."""
    with pytest.raises(RaspError, match="at least one token"):
        Cells().run('set example ""\nx = tokens;')
    out = io.StringIO()
    main(io.StringIO('set example ""\nx = tokens;\nset example "ab"\nindices;\n'), out)
    assert "non-empty iterables, got: \n" in out.getvalue() and "[0, 1] (ints)" in out.getvalue()


def test_completion_in_cells_knows_the_session(shell):
    """Names of the session, the library and the language; Python's elsewhere, and only there."""
    shell.run_cell("%%rasp\nmy_hist = selector_width(select(tokens, tokens, ==));")
    for code, has, lacks in (
        ("%%rasp\nx = my_", "my_hist", "my_nothing"),
        ("%%rasp\nx = sel", "selector_width", "set"),
        ("%%rasp\nx = sh", "shift", "shell"),
        ("%%rasp\ni", "indices", "import"),
        ("i", "import", "indices"),
    ):
        with provisionalcompleter():
            found = {c.text for c in shell.Completer.completions(code, len(code))}
        assert has in found and lacks not in found, (code, found)


def test_completion_by_place():
    """Files after load; nothing in comments and strings; private names last."""
    session = Session()
    session.run("_a = 1; b = 2;")
    assert "paper_examples" in completions(session, 'load "pa')[1]
    assert completions(session, "x = 1; # se") == completions(session, 'x = "se') == ("", [])
    assert completions(session, "x = 12") == ("", [])
    assert completions(session, "")[1][-1] == "_a"


def test_help_says_how_what_and_where():
    """Signature, kind, comment, source and value; inside a call, of what is called."""
    session = Session()
    session.run("# same tokens\nsame = select(tokens, tokens, ==);\ndef f(a) { return a; }")
    same = help_on(session, "same")
    assert (same.kind, same.meaning) == ("selector", "same tokens")
    assert same.source == "same = select(tokens, tokens, ==);" and "■" in same.value
    assert help_on(session, "f").signature == "f(a)" and help_on(session, "nosuch") is None
    shift = help_at(session, "x = shift(tokens, 1, ", 21)
    assert shift.signature == "shift(s, n, f)" and "positions to the right" in shift.meaning
    assert help_at(session, "select(1, 1, ==)", 3).kind == "form"
    for name in session.names() - {"True", "False", "same", "f"}:
        assert help_on(session, name).meaning, f"{name} has no words"


def test_shift_tab_asks_the_session(shell):
    """The kernel's inspection answers in %%rasp cells, and as before elsewhere."""
    from rasplab.apps.notebook.extension import load_ipython_extension

    class Kernel:
        def do_inspect(self, code, cursor_pos, *args):
            return "python's"

    shell.kernel = Kernel()
    load_ipython_extension(shell)
    reply = shell.kernel.do_inspect("%%rasp\nx = shift(", 17, 0)
    assert reply["found"] and "shift(s, n, f)" in reply["data"]["text/plain"]
    assert "shift(s, n, f)" in reply["data"]["text/html"]
    assert shell.kernel.do_inspect("%%rasp\nnosuch", 12)["found"] is False
    assert shell.kernel.do_inspect("shift", 2) == "python's"


def test_loading_again_begins_anew(shell):
    """%reload_ext: names of the session before are gone from completion, nothing is there twice."""
    shell.run_cell("%%rasp\nbefore_it = indices;")
    shell.run_cell("%reload_ext rasplab")
    shell.run_cell("%%rasp\nbefore_that = indices;")
    with provisionalcompleter():
        found = [c.text for c in shell.Completer.completions("%%rasp\nbefore", 13)]
    assert found == ["before_that"]


@pytest.mark.parametrize(("module", "name", "draw"), FORMATTERS)
def test_every_type_with_a_picture_exists(module, name, draw):
    """Types are registered by name, so that a renamed one would silently show no picture."""
    kind = getattr(import_module(module), name)
    assert kind.__module__ == module and callable(draw)

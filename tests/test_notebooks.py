"""The notebooks run and show what they say; the magic's behaviour, in a shell without a kernel."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from rasplab.errors import RaspError
from rasplab.notebook import Cells, Named, shown

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"


@pytest.fixture(scope="module", params=["1_language", "2_compile_and_compare"])
def outputs(request) -> tuple[str, dict[str, str]]:
    """A notebook's name, and for each code cell (by its text) its outputs as one text."""
    notebook = nbformat.read(FOLDER / f"{request.param}.ipynb", as_version=4)
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(FOLDER)}}).execute()
    cells = [c for c in notebook.cells if c.cell_type == "code"]
    return request.param, {c.source: "\n".join(map(_texts, c.outputs)) for c in cells}


def _texts(output) -> str:
    assert output.output_type != "error", output
    assert output.get("name") != "stderr", output  # a warning is no part of a lesson
    return "\n".join([output.get("text", ""), *map(str, output.get("data", {}).values())])


def test_notebooks_run_and_show_their_results(outputs):
    """Every cell runs; values, tables and pictures are there."""
    name, shown_by = outputs
    wanted = LANGUAGE if name == "1_language" else COMPARE
    for start, words in wanted.items():
        text = next(text for source, text in shown_by.items() if source.startswith(start))
        for word in words:
            assert word in text, (start, word, text[:2000])


def test_notebooks_are_stored_without_outputs():
    """What is stored is the text only."""
    for path in FOLDER.glob("*.ipynb"):
        for cell in nbformat.read(path, as_version=4).cells:
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
    "%%rasp\nwrong": ['<pre class="fault">&lt;cell&gt;:1:', "^"],
    "%%rasp\nordered": ["<th>ordered</th><td>a</td><td>a</td>"],
    "import rasplab": ["['-', 'h', 'e', 'l', 'l']"],
    "trace": ["<th>shifted</th><td>-</td><td>h</td>", PICTURE],
    "program": ["<pre>%0 = "],
}
COMPARE = {
    "about = entry": ["<th>n_layers</th>".replace("<th>n", '<th class="left">n'), "flip"],
    "rasplab.circuit_of": [PICTURE, "rasplab"],
    "model = compiled": ["['d', 'c', 'b', 'a']"],
    'attention(model, "dabc")': ["attention of L0H0", PICTURE],
    "report = ": ["87380 inputs (every input), 0 mismatches"],
    "trained = ": ["['d', 'c', 'b', 'a']"],
    "table = ": ["flip", "rgba(59,130,246"],
    "def without_head": ["L0H0", "L1H1"],
}


def test_a_cell_with_a_fault_changes_nothing():
    """The names from before keep their meaning, and later cells build on them."""
    cells = Cells()
    cells.run("x = indices + 1;")
    with pytest.raises(RaspError):
        cells.run("x = tokens; y = nosuch;")
    assert cells.run("z = x * 2;")[0]("ab") == [2, 4]


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
    """Numbers, lists and functions are kept but not drawn; an expression is drawn under its own
    text.
    """
    cells = Cells()
    made = cells.run("n = 3; l = [1, 2]; def f(a) { return a + n; } indices * 2; f(indices);")
    assert [m.name for m in made] == ["indices * 2", "f(indices)"]
    assert made[1]("ab") == [3, 4]


def test_a_failing_example_refuses_the_cell():
    """What does not evaluate on the running example is a fault of the cell."""
    cells = Cells()
    with pytest.raises(RaspError):
        cells.run("x = tokens_int + 1;")
    cells.example = ("1", "2")
    assert cells.run("x = tokens_int + 1;")[0]("12") == [2, 3]


def test_names_and_values_are_escaped():
    """A token cannot become HTML."""
    (named,) = Cells().run('set example ["<b>", "c"]\nx = tokens;')
    page = shown([named])
    assert isinstance(named, Named) and "&lt;b&gt;" in page and "<b>" not in page


def test_examples_are_set_and_inputs_put_as_in_the_repl():
    """`set example` holds for later cells; an s-op put to an input is shown on that input."""
    cells = Cells()
    cells.run('set example "abc"\nx = tokens;')
    assert cells.example == ("a", "b", "c")
    made = cells.run('x; x("de"); x([1, 2]); def f(a) { return a + 1; } f(indices);')
    assert [m.example for m in made] == [tuple("abc"), tuple("de"), (1, 2), tuple("abc")]
    assert shown(made).count("<table>") == 3


def test_named_things_read_well_as_text():
    """Where HTML is not shown, the text is that of the REPL or a grid."""
    x, s = Cells().run("x = indices; s = select(indices, 1, ==);")
    assert repr(x) == 'x("hello") = [0, 1, 2, 3, 4] (ints)'
    assert repr(s).startswith('s("hello")\n')


def test_the_extension_shows_rasp_errors_without_a_traceback(capsys):
    """In a shell: %%rasp is there, its names are pushed, and a fault prints no traceback."""
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell()
    shell.run_cell("%load_ext rasplab")
    shell.run_cell("%%rasp abc\nback = select(indices, length - 1 - indices, ==);")
    assert shell.user_ns["back"]("ab").tolist() == [[False, True], [True, False]]
    capsys.readouterr()
    shell.run_cell("import rasplab\nrasplab.parse('x = ;')")
    shell.run_cell("%%rasp\nx = ;")
    out = capsys.readouterr()
    assert "Traceback" not in out.out + out.err

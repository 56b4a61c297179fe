"""The house: nine rooms in order, imports downwards only, no circles, and doors that open."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import networkx as nx
import pytest

import rasplab
from rasplab.base.doors import Doors, resolve
from rasplab.compiler.compiled import Compiled
from rasplab.program.graph import Program

ROOT = Path(rasplab.__file__).parent
EXPERIMENTS = Path(__file__).parents[1] / "experiments"
FLOORS = (
    ("base",),
    ("program",),
    ("lang", "transformer"),
    ("compiler",),
    ("model",),
    ("circuit",),
    ("study",),
    ("apps",),
)
"""From the ground up. A room imports only from floors below its own, and from itself."""

FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
FRONT = {"__init__", "__main__", "dsl"}
"""The front door, `python -m rasplab`, and the public path of the dsl: they stand outside."""

MAX_ROOMS = 9


def module_name(path: Path) -> str:
    """The dotted name of a file of the package."""
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_name(path): path for path in sorted(ROOT.rglob("*.py"))}


def imports(path: Path) -> set[str]:
    """The modules of rasplab that a file imports: at the top, in functions, for type checking."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative imports hide where a name comes from"
            if node.module and node.module.split(".")[0] == "rasplab":
                names = {f"{node.module}.{alias.name}" for alias in node.names}
                found |= {name if name in FILES else node.module for name in names}
        elif isinstance(node, ast.Import):
            found |= {a.name for a in node.names if a.name.split(".")[0] == "rasplab"}
    return found


IMPORTS = {name: imports(path) for name, path in FILES.items()}


def room(name: str) -> str:
    """The room of a module: the first part below rasplab, or "" for the package itself."""
    return f"{name}.".split(".")[1]


INSIDE = sorted(name for name in FILES if room(name) and room(name) not in FRONT)


def test_every_room_has_a_floor():
    """The rooms on disk are those of FLOORS."""
    assert {room(name) for name in INSIDE} == set(FLOOR)


@pytest.mark.parametrize("name", INSIDE)
def test_imports_go_down(name):
    """No import upwards, sideways, or of the front door; lazy and type-checking ones count."""
    for other in IMPORTS[name]:
        assert room(other) in FLOOR, f"{name} imports the front door: {other}"
        below = FLOOR[room(other)] < FLOOR[room(name)]
        assert below or room(other) == room(name), f"{name} imports {other}"


def test_there_is_no_circle():
    """No two files import each other, directly or through others."""
    graph = nx.DiGraph((name, other) for name, all_ in IMPORTS.items() for other in all_)
    circles = [c for c in nx.strongly_connected_components(graph) if len(c) > 1]
    assert not circles, f"circles: {circles}"


def test_no_level_has_more_than_nine_rooms():
    """At most nine folders in any folder, and at most nine files or folders at the top."""
    for folder in [ROOT, *(path for path in ROOT.rglob("*") if path.is_dir())]:
        rooms = [path for path in folder.iterdir() if (path / "__init__.py").is_file()]
        assert len(rooms) <= MAX_ROOMS, f"{folder} has {len(rooms)} rooms"


@pytest.mark.parametrize("kind", [Program, Compiled], ids=lambda kind: kind.__name__)
def test_doors_open(kind):
    """Every door leads to a function that takes the object, and is declared for type checkers."""
    tables = [c for c in kind.__mro__ if issubclass(c, Doors) and c.__dict__.get("homes")]
    assert len(tables) == 1, f"{kind.__name__} has {len(tables)} tables of doors"
    declared = signatures(tables[0])
    assert set(declared) == set(tables[0].homes)
    for name, home in tables[0].homes.items():
        assert declared[name] == parameters(resolve(home)), f"{kind.__name__}.{name}: {home}"


def signatures(table: type) -> dict[str, list[tuple]]:
    """The parameters of every method that a table of doors declares under TYPE_CHECKING."""
    functions = {
        node.name: node
        for node in ast.walk(ast.parse(inspect.getsource(table)))
        if isinstance(node, ast.FunctionDef)
    }
    # The declarations are never executed by the package, so they are executed here, on their own.
    scope = dict(vars(inspect.getmodule(table)))
    for node in functions.values():
        node.returns = None
        for argument in ast.walk(node.args):
            if isinstance(argument, ast.arg):
                argument.annotation = None
        exec(compile(ast.Module([node], []), "<doors>", "exec"), scope)
    return {name: parameters(scope[name]) for name in functions}


def parameters(function) -> list[tuple]:
    """Name, kind (positional, keyword only, ...) and default of all parameters but the first."""
    signature = inspect.signature(function).parameters.values()
    return [(p.name, p.kind, p.default) for p in signature][1:]


def test_the_front_door_opens():
    """Every name of `rasplab` resolves, and its docstring names the rooms in order."""
    for name in rasplab.__all__:
        assert getattr(rasplab, name) is not None
    places = [rasplab.__doc__.index(f"\n  {r} ") for rooms in FLOORS for r in rooms]
    assert places == sorted(places)


def test_no_module_is_imported_by_nobody():
    """Every file is imported by another or by an experiment, is a package, or is an entry point."""
    entered = set().union(*IMPORTS.values(), *map(imports, EXPERIMENTS.glob("*.py")))
    entered |= {h.partition(":")[0] for h in homes()}
    for name in INSIDE:
        package = FILES[name].name == "__init__.py"
        assert package or name in entered or name in ENTRY_POINTS, f"nobody imports {name}"


ENTRY_POINTS = {"rasplab.apps.repl.highlight", "rasplab.circuit.evaluation.coverage"}
"""The Pygments lexer of pyproject.toml, loaded by name; what only users of the API call."""


def homes() -> set[str]:
    """Where doors and the front door lead, and the files that the command line loads by name."""
    front = {f"{module}:{name}" for name, module in rasplab._HOMES.items()}
    doors = {h for kind in (Program, Compiled) for h in kind.homes.values()}
    cli = {f"rasplab.apps.cli.{path.stem}:" for path in (ROOT / "apps" / "cli").glob("*.py")}
    return front | doors | cli


FILLER = {"found", "wanted", "came", "kept", "own", "todo"}
"""Names that say nothing of what they hold."""

MAX_FILE, MAX_FUNCTION = 400, 40
"""Lines of a file, and of a function without its docstring."""

TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in FILES.items()}


@pytest.mark.parametrize("name", sorted(FILES))
def test_names_say_what_they_hold(name):
    """No variable, argument or field has a name that would fit anything."""
    bound = {
        node.id
        for node in ast.walk(TREES[name])
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    bound |= {node.arg for node in ast.walk(TREES[name]) if isinstance(node, ast.arg)}
    assert not bound & FILLER


@pytest.mark.parametrize("name", sorted(FILES))
def test_files_and_functions_are_short(name):
    """A file is at most 400 lines, a function fits on a screen, no line evades the formatter."""
    text = FILES[name].read_text(encoding="utf-8")
    assert text.count("\n") <= MAX_FILE
    assert "fmt: skip" not in text and "fmt: off" not in text
    for node in ast.walk(TREES[name]):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            first = node.body[1] if ast.get_docstring(node) and len(node.body) > 1 else node.body[0]
            lines = node.end_lineno - first.lineno + 1
            assert lines <= MAX_FUNCTION, f"{name}: {node.name} has {lines} lines"


ARRAYS = {"ndarray", "Tensor"}
LIGHT = {"base", "lang"}
"""Rooms without arrays."""


def bare_arrays(annotation: ast.expr | None) -> bool:
    """Whether an annotation names an array type outside a jaxtyping shape."""
    match annotation:
        case ast.Name(id) | ast.Attribute(attr=id):
            return id in ARRAYS
        case ast.Subscript(ast.Name(id), _) if id in SHAPES:
            return False
        case None:
            return False
    return any(
        bare_arrays(child)
        for child in ast.iter_child_nodes(annotation)
        if isinstance(child, ast.expr)
    )


SHAPES = {"Float", "Int", "Bool", "Num", "Integer", "Inexact", "Real", "Shaped", "UInt8", "Int64"}
SHAPES |= {"Weights"}  # Weights[Tensor]: its fields have shapes


@pytest.mark.parametrize("name", [name for name in INSIDE if room(name) not in LIGHT])
def test_public_arrays_have_shapes(name):
    """Every array in a public signature or field is annotated with its dtype and shape."""
    bare = []
    for scope in [TREES[name], *(n for n in TREES[name].body if isinstance(n, ast.ClassDef))]:
        if getattr(scope, "name", "").startswith("_"):
            continue
        for node in scope.body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                notes = [a.annotation for a in ast.walk(node.args) if isinstance(a, ast.arg)]
                bare += [node.name for note in [*notes, node.returns] if bare_arrays(note)]
            elif isinstance(node, ast.AnnAssign) and bare_arrays(node.annotation):
                bare.append(ast.unparse(node.target))
    assert not bare, f"{name}: arrays without shapes in {', '.join(bare)}"

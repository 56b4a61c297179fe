"""The front door: what `rasplab` exports, its types for editors, what the README showed of it."""

import ast
import inspect
import subprocess
import sys
from functools import reduce
from importlib import import_module

import pytest

import rasplab

README_NAMES = """
rasplab.load rasplab.parse rasplab.evaluate rasplab.evaluate_many rasplab.equal rasplab.is_raspl
rasplab.limit rasplab.compile rasplab.verify rasplab.train rasplab.match rasplab.judge
rasplab.judge_seeds rasplab.side_by_side rasplab.superpose rasplab.circuit_of
rasplab.effective_circuit rasplab.discover rasplab.score rasplab.load_compiled rasplab.load_model
rasplab.from_tracr rasplab.load_ipython_extension rasplab.RaspError rasplab.CompileError
rasplab.dsl.aggregate rasplab.dsl.indices rasplab.dsl.length rasplab.dsl.program
rasplab.dsl.select rasplab.dsl.tokens rasplab.dsl.max rasplab.dsl.min
rasplab.program.graph.Program.unparse rasplab.program.graph.Program.explain
rasplab.program.interpret.exact.Trace.output rasplab.compiler.compiled.Compiled.n_params
rasplab.compiler.compiled.Compiled.nonzero_params rasplab.compiler.compiled.Compiled.to_model
rasplab.compiler.compiled.Compiled.listing rasplab.compiler.compiled.Compiled.report
rasplab.compiler.compiled.Compiled.stage rasplab.compiler.compiled.Compiled.explain
rasplab.compiler.compiled.Compiled.save rasplab.compiler.compiled.Compiled.rotated
rasplab.compiler.compiled.Compiled.with_noise rasplab.compiler.compiled.Compiled.shuffled_heads
rasplab.model.bridge.LensModel.run rasplab.model.bridge.LensModel.run_all
rasplab.model.bridge.LensModel.patterns
"""
"""What the examples and the text of the README used before the package was laid out in rooms."""

FIELDS = {"rasplab.compiler.compiled.Compiled": {"certificate", "checked", "weights", "seconds"}}
"""Fields that these used, by class."""


def resolve(path: str):
    """The object at a dotted path: the longest prefix that is a module, then attributes."""
    parts = path.split(".")
    for n in reversed(range(1, len(parts) + 1)):
        try:
            return reduce(getattr, parts[n:], import_module(".".join(parts[:n])))
        except ModuleNotFoundError:
            continue
    raise AssertionError(path)


@pytest.mark.parametrize("path", README_NAMES.split())
def test_what_the_readme_used_is_still_there(path):
    """Every name resolves, and has a docstring."""
    assert inspect.getdoc(resolve(path))


def test_the_fields_that_the_readme_used_are_still_there():
    """Fields of dataclasses, which only instances have."""
    for path, fields in FIELDS.items():
        assert fields <= resolve(path).__dataclass_fields__.keys()


def test_type_checkers_see_what_is_loaded_on_use():
    """The imports under TYPE_CHECKING name the modules of _HOMES, each under its own name."""
    tree = ast.parse(inspect.getsource(rasplab))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.asname: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname
    }
    assert seen == rasplab._HOMES


def test_an_unknown_name_says_what_there_is():
    """AttributeError, with the public names; `dir` lists them."""
    with pytest.raises(AttributeError, match="rasplab has no 'campile'; it has .*compile"):
        _ = rasplab.campile
    assert {*rasplab.__all__, "__version__"} == set(dir(rasplab))


def test_importing_rasplab_loads_nothing_heavy():
    """`import rasplab` imports neither numpy nor torch; `python -m rasplab` is the command line."""
    code = "import rasplab, sys; print({'numpy', 'torch', 'lark', 'argparse'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
    code = "import rasplab, sys; print([m for m in sys.modules if m.startswith('rasplab')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "['rasplab.base', 'rasplab.base.version', 'rasplab']\n"
    command = [sys.executable, "-m", "rasplab", "run", "sort", "cab"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == 'sort("cab") = [a, b, c] (strings)\n'

"""Names that a RASP cell gives to a notebook: never those of Python and IPython."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from rasplab.apps.notebook.cells import Cells
from rasplab.apps.notebook.extension import push_names


@pytest.fixture
def shell():
    """A notebook with a variable `model`."""
    variables: dict = {"model": "trained", "get_ipython": "IPython's"}
    hidden = {"get_ipython": None, "quit": None}
    return SimpleNamespace(user_ns=variables, user_ns_hidden=hidden, push=variables.update)


def test_names_of_python_and_ipython_are_never_replaced(shell):
    """open, print, get_ipython: they stay what they are, with a notice each."""
    cells = Cells()
    cells.run("get_ipython = 7; open = indices; In = 2; _1 = 3; mine = 4;")
    notices = push_names(shell, cells)
    assert shell.user_ns["get_ipython"] == "IPython's" and shell.user_ns["mine"] == 4
    assert {"open", "In", "_1"}.isdisjoint(shell.user_ns)
    for name in ("get_ipython", "open", "In"):
        assert any(f"note: {name} stays" in notice for notice in notices), notices


def test_a_variable_is_replaced_with_a_notice(shell):
    """One that Python made, once; one that a cell of RASP made, without."""
    cells = Cells()
    cells.run("model = indices; other = tokens;")
    assert push_names(shell, cells)[-1:] == ["note: model replaces the Python variable model"]
    cells.run("model = indices + 1;")
    assert push_names(shell, cells) == []
    shell.user_ns["other"] = 5
    cells.run("other = indices;")
    assert push_names(shell, cells) == ["note: other replaces the Python variable other"]

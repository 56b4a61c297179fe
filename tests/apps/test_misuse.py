"""Wrong arguments of public functions: one sentence of ours for each, on every parameter."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import rasplab
from rasplab import dsl

SCRIPT = Path(__file__).parents[1] / "support" / "misuse.py"

SLOW = {"train", "judge", "judge_seeds", "superpose", "side_by_side", "discover"}
"""Functions whose calls that succeed take long: the first call of each is tried below."""

SETTINGS = ("recipe", "sweep", "atlas", "methods")
"""Fields of a recipe, parts of a sweep, parameters of an atlas, methods of what functions return;
`make fuzz` also tries options."""

QUICK = [*(set(rasplab.__all__) - SLOW), *(f"dsl.{name}" for name in dsl.__all__), *SETTINGS]


def test_nonsense_for_every_parameter_is_one_sentence():
    """Only RaspError, ValueError and TypeError of ours leave; no raw exception of any library."""
    run = subprocess.run(
        [sys.executable, str(SCRIPT), *sorted(QUICK)], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]


def test_unknown_names_and_numbers_are_refused_with_what_is_accepted():
    """Accessors of results: names and numbers that are none, with those there are."""
    program = rasplab.parse("double = 2 * indices;")
    trace = rasplab.evaluate(program, "ab")
    with pytest.raises(rasplab.RaspError, match=r"no node 'double' in this program; its nodes are"):
        trace.value("double")  # type: ignore
    with pytest.raises(rasplab.RaspError, match="it has: double"):
        trace["doubel"]
    with pytest.raises(rasplab.RaspError, match="it has: double"):
        program.id_of("x")
    model = rasplab.compile(program, "ab", 2).to_model(device="cpu")
    with pytest.raises(TypeError, match="LensModel.to: device is 7; it has to be a device"):
        model.to(7)  # type: ignore
    with pytest.raises(rasplab.RaspError, match="Hook name 'nosuch' does not exist"):
        model.run_hooked("ab", [("nosuch", lambda activation, hook: activation)])
    with pytest.raises(rasplab.RaspError, match=r"\['a'\] \(position 0\) is not in the vocabulary"):
        model.run([["a"], "b"])


@pytest.mark.parametrize("name", sorted(SLOW - {"judge_seeds"}))
def test_slow_functions_name_the_parameter_that_is_wrong(name):
    """The first parameter of each: its name, the value and what is accepted."""
    with pytest.raises(TypeError, match=rf"^{name}: \w+ is None; it has to be "):
        getattr(rasplab, name)(*[None] * (3 if name == "side_by_side" else 2))

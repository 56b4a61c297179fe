"""A program of several outputs is one model that says them all."""

from __future__ import annotations

from dataclasses import replace

import pytest

import rasplab
from rasplab.base.errors import CompileError, RaspNameError

TEXT = """
    hist = selector_width(select(tokens, tokens, ==));
    seen = has_focus(select(tokens, tokens, ==) and select(indices, indices, <));
    back = aggregate(select(indices, length - 1 - indices, ==), tokens);
    share = aggregate(select(indices, indices, <=), indicator(tokens == "a"));
    not_used = indices * 7;
"""
NAMES = ["back", "hist", "seen", "share"]


@pytest.fixture(scope="module")
def program():
    """Strings, numbers, bools and fractions at once."""
    return rasplab.parse(TEXT, output=NAMES)


def test_outputs_are_kept_in_their_order(program):
    """The first is `output`, the others `also`; what none needs is gone."""
    assert [program.labels[i] for i in program.outputs] == NAMES
    assert program.labels[program.output] == "back"
    assert "not_used" not in dict(program.names)
    assert program.digest != rasplab.parse(TEXT, output=NAMES[::-1]).digest
    assert program.digest != rasplab.parse(TEXT, output="back").digest


@pytest.mark.parametrize("basis", ["compact", "one_hot"])
def test_all_outputs_are_exact(program, basis):
    """run gives the first, run_all every one, verify checks them all."""
    model = rasplab.compile(program, "abc", 5, basis=basis).to_model("cpu")
    trace = rasplab.evaluate(program, "abcab")
    assert model.run("abcab") == trace.output
    said = model.run_all("abcab")
    assert list(said) == NAMES
    assert all(said[name] == pytest.approx(trace[name]) for name in NAMES)
    report = rasplab.verify(model)
    assert report.exhaustive and report.mismatches == 0


def test_outputs_share_what_they_have_in_common(program):
    """One model of four outputs is smaller than four models."""
    sizes = [rasplab.compile(rasplab.parse(TEXT, output=n), "abc", 5).n_params for n in NAMES]
    assert rasplab.compile(program, "abc", 5).nonzero_params < sum(sizes)


def test_a_wrong_further_output_is_found(program):
    """With the logits of the last output zeroed, verify names its values."""
    from rasplab.model.native import load_weights

    compiled = rasplab.compile(program, "abc", 4)
    unembed = compiled.weights.W_U.copy()
    unembed[:, -compiled.further[-1].width :] = 0
    model = load_weights(
        replace(compiled.weights, W_U=unembed),
        compiled.domain,
        compiled.readout,
        "cpu",
        compiled=compiled,
        further=compiled.further,
    )
    report = rasplab.verify(model)
    assert report.mismatches > 0 and report.counterexample.expected == (1,)


def test_saved_and_loaded_again(program, tmp_path):
    """The folder holds all outputs."""
    compiled = rasplab.compile(program, "abc", 4)
    compiled.save(tmp_path / "m")
    again = rasplab.load_compiled(tmp_path / "m")
    assert again.program == program and len(again.further) == 3


def test_faults_of_several_outputs(program):
    """An unknown name, a selector among them, no name at all; a text for all."""
    with pytest.raises(RaspNameError, match="nosuch"):
        rasplab.parse(TEXT, output=["hist", "nosuch"])
    with pytest.raises(ValueError, match="output is empty"):
        rasplab.parse(TEXT, output=[])
    both = rasplab.parse("s = select(1, 1, ==); w = selector_width(s);", output=["w", "s"])
    with pytest.raises(CompileError, match="the output is a selector"):
        rasplab.compile(both, "ab", 3)
    again = rasplab.parse(program.unparse(), output=NAMES)
    assert again.digest == program.digest


def test_outputs_on_the_command_line(tmp_path, capsys):
    """--output once or several times; verify checks them all."""
    from rasplab.apps.cli import parser as cli

    path = tmp_path / "mine.rasp"
    path.write_text(TEXT, encoding="utf-8")
    options = [str(path), "--vocab", "ab", "--max-len", "3", "--output", "hist", "--output", "back"]
    assert cli.main(["compile", *options]) == 0
    assert "hist" in capsys.readouterr().out
    assert cli.main(["verify", *options]) == 0
    assert "14 inputs, every one of the domain: 0 mismatches" in capsys.readouterr().out
    assert cli.main(["verify", str(path), "--vocab", "ab", "--max-len", "3", "--output", "no"]) == 1
    assert "no s-op called 'no'" in capsys.readouterr().err

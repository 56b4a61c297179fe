"""What the compiler says of its work: stages, choices, and how an output comes about."""

from __future__ import annotations

import pytest

import rasplab
from rasplab.apps.cli import parser as cli
from rasplab.base.errors import RaspValueError
from rasplab.compiler import STAGE_VIEWS
from rasplab.program.zoo import entries


@pytest.fixture(scope="module")
def reverse():
    """The zoo's reverse over four letters."""
    return rasplab.compile(rasplab.load(entries()["reverse"].path), "abcd", 8)


def test_report_names_choices_and_what_else_there_was(reverse):
    """The equality takes codes of width 2 instead of a table of width 8."""
    text = reverse.report()
    assert "scores of indices == opposite: codes, width 2\n      instead of table, width 8" in text
    assert "length  [reverse.rasp:2:12]\n  count: 1/(1+w)" in text
    assert "precision: float32: error" in text


def test_chosen_score_widths_are_those_of_the_heads(reverse):
    """What the report says of widths is what the heads have, BOS's pair apart."""
    widths = {len(head.pairs) - 1 for _, _, head in reverse.layout.heads if not head.bos_weight}
    assert widths == {2}


def test_neurons_reported_are_neurons_placed(reverse):
    """The number of neurons of the choice is that of the layout."""
    said = [c.chosen for c in reverse.choices if c.about == "neurons"]
    assert [int(text.split()[1]) for text in said] == [len(reverse.layout.neurons)]


@pytest.mark.parametrize("name", STAGE_VIEWS)
def test_every_stage_can_be_printed(reverse, capsys, name):
    """Compiled.stage and `rasplab compile --stage` give the same text."""
    text = reverse.stage(name)
    words = {
        "infer": "length  [reverse.rasp:2:12]\n  8 values",
        "encode": "instead of",
        "lower": "half layer 1\n  head",
        "place": "residual directions",
        "assemble": "W_U    7 x 4",
    }
    assert words[name] in text
    argv = ["compile", "reverse", "--vocab", "abcd", "--max-len", "8", "--stage", name]
    assert cli.main(argv) == 0
    assert text in capsys.readouterr().out


def test_an_unknown_stage_is_named(reverse):
    """The message lists the stages."""
    with pytest.raises(ValueError, match="infer, lower, place, assemble, encode"):
        reverse.stage("polish")


def test_explain_follows_the_output_back(reverse):
    """The selected position, the attention that the weights pay, the value there."""
    text = reverse.explain("dabc", 1)
    assert text.startswith("reverse at position 1 of 'dabc' is 'b'")
    assert "flip at 1 selects position 2\n      L1H0 attends 2: 1; BOS: 0" in text
    assert "query 2, keys [2]" in text


@pytest.mark.parametrize("name", list(entries("zoo")))
def test_explain_tells_what_the_interpreter_says(name):
    """For every zoo program, at every position of its sample: the headline is the output."""
    row = entries()[name]
    compiled = rasplab.compile(
        rasplab.load(row.path), row.domain.vocab, row.domain.max_len, causal=row.domain.causal
    )
    for position, value in enumerate(row.output):
        first = compiled.explain(row.sample, position).splitlines()[0]
        assert first.endswith(f"is {value!r}") or float(first.split()[-1]) == pytest.approx(value)


def test_explain_takes_every_output():
    """A headline and a tree for each output, in their order."""
    program = rasplab.parse("a = indices + 1; b = tokens;", output=["b", "a"])
    text = rasplab.compile(program, "xy", 3).explain("xyx", 2)
    heads = [line for line in text.splitlines() if not line.startswith(" ")]
    assert heads == ["b at position 2 of 'xyx' is 'x'", "a at position 2 of 'xyx' is 3"]


def test_explain_refuses_what_is_outside(reverse, capsys):
    """A position or token outside is one clear message."""
    with pytest.raises(ValueError, match="positions 0 to 2"):
        reverse.explain("abc", 3)
    with pytest.raises(RaspValueError, match="not in the vocabulary"):
        reverse.explain("abz", 0)
    argv = ["compile", "reverse", "--explain", "abc", "--position", "9"]
    assert cli.main(argv) == 1 and "positions 0 to 2" in capsys.readouterr().err


def test_explain_says_where_model_and_interpreter_part(reverse):
    """Of weights that are off, the headline gives both answers."""
    from dataclasses import replace

    wrong = replace(reverse, weights=replace(reverse.weights, W_U=-reverse.weights.W_U))
    first = wrong.explain("dabc", 1).splitlines()[0]
    assert first.endswith("; the interpreter says 'b'")

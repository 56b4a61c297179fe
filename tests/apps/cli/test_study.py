"""train and match from the command line, on a model of a few steps."""

import json

import pytest

from rasplab.apps.cli.parser import main

SMALL = [
    "--steps",
    "3",
    "--layers",
    "1",
    "--heads",
    "1",
    "--d-model",
    "8",
    "--d-mlp",
    "8",
    "--max-len",
    "3",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> str:
    """Where a small model will be."""
    return str(tmp_path_factory.mktemp("train") / "hist")


def test_train_says_what_came_of_it_and_match_reads_it(folder, capsys):
    """The record of a run, the same as text when it is done already, and similarities of heads."""
    train = ["train", "hist", *SMALL, "--train-len", "2", "--device", "cpu", "-o", folder]
    assert main([*train, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["task"], record["step"], record["out"]) == ("hist", 3, folder)
    assert set(record["by_length"]) >= {"2", "3"}
    assert main(train) == 0
    text = capsys.readouterr().out
    assert "after 3 steps" in text and "longer than trained on: 3 " in text and folder in text
    assert main(["match", folder, "hist", "--screen", "--device", "cpu", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["score"]
    assert main(["match", folder, "hist", "--pairs", "5", "--device", "cpu"]) == 0
    assert "L0H0" in capsys.readouterr().out


def test_coverage_trains_nothing(folder, capsys):
    """What the inputs cover, as text and as JSON."""
    coverage = ["train", "hist", *SMALL, "--attn-only", "--coverage"]
    assert main(coverage) == 0 and capsys.readouterr().out
    assert main([*coverage, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["task"] == "hist"


@pytest.mark.parametrize(
    ("options", "message"),
    [(["--supervise", "flip"], "HEAD=SELECTOR"), (["--heads", "3", "--d-model", "8"], "heads")],
)
def test_what_cannot_be_trained_is_refused(options, message, capsys):
    """A supervision without a selector, and widths that do not divide."""
    try:
        code = main(["train", "hist", *options])
    except SystemExit as stop:
        code = stop.code
    assert code and message in capsys.readouterr().err

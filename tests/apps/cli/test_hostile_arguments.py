"""Arguments of the command line that are no sensible values: a sentence and exit code 1 or 2."""

from __future__ import annotations

import pytest

from rasplab.apps.cli.parser import main

NINES = "9" * 5000
HOSTILE: dict[str, list[str]] = {
    "half a surrogate pair": ["run", "reverse", '["\\ud800"]'],
    "half a surrogate pair as JSON": ["run", "reverse", '["\\ud800"]', "--json"],
    "nested deep": ["run", "reverse", "[" * 100_000 + "]" * 100_000],
    "a number of 5,000 digits": ["run", "reverse", f"[{NINES}]"],
    "nan as a token": ["run", "reverse", "[NaN]"],
    "beyond float64": ["run", "reverse", "[1e999]"],
    "no token": ["run", "reverse", ""],
    "an empty vocabulary": ["compile", "reverse", "--vocab", ""],
    "a deep vocabulary": ["compile", "reverse", "--vocab", "[" * 5000 + "]" * 5000],
    "digits in a vocabulary": ["compile", "reverse", "--vocab", f"[{NINES}]"],
    "nan in a vocabulary": ["compile", "reverse", "--vocab", "[NaN, 1]"],
    "surrogates in a vocabulary": ["compile", "reverse", "--vocab", '["\\ud800"]'],
    "a negative seed": ["verify", "reverse", "--seed", "-1"],
    "a huge seed": ["verify", "reverse", "--seed", NINES],
    "a huge limit": ["--limit", f"tokens={NINES}", "run", "reverse", "abc"],
    "a huge max_len": ["compile", "reverse", "--max-len", NINES],
    "a deep input to explain": ["compile", "reverse", "--explain", "[" * 5000 + "]" * 5000],
    "a huge d_model": ["train", "hist", "--d-model", "100000000", "-o", "OUT"],
    "a million layers": ["train", "hist", "--layers", "1000000", "-o", "OUT"],
    "a control character": ["train", "\x01"],
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_arguments_are_one_sentence(name, capsys, tmp_path):
    """No traceback: exit code 1 with a message, or 2 with argparse's usage."""
    argv = [str(tmp_path) if part == "OUT" else part for part in HOSTILE[name]]
    try:
        code = main(argv)
    except SystemExit as exit_:
        code = exit_.code
    error = capsys.readouterr().err
    assert code in (1, 2) and error.strip() and "Traceback" not in error
    assert max(map(len, error.splitlines())) < 400


def test_a_huge_limit_on_bits_is_taken(capsys):
    """Python's own limit on digits is a C int."""
    assert main(["--limit", "bits=9999999999", "run", "reverse", "abc"]) == 0
    assert capsys.readouterr().out

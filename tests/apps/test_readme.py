"""The README says what is so: its examples, its commands, its length."""

import io
import re
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from rasplab.apps.cli import parser as cli

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("code", "shown"), re.findall(r"```python\n(.*?)```\s+```\n(.*?)```", README, re.S)
)
def test_an_example_prints_what_the_readme_shows(code, shown, monkeypatch, tmp_path):
    """A Python block prints the block below it, up to the seconds."""
    (tmp_path / "circuits").symlink_to(ROOT / "circuits")
    monkeypatch.chdir(tmp_path)
    options = ["--vocab", "abcd", "--max-len", "8", "-o", "out/reverse"]
    assert cli.main(["compile", "reverse", *options]) == 0
    with redirect_stdout(io.StringIO()) as out:
        exec(code, {})
    timeless = [re.sub(r"[0-9.]+ s on \w+", "T", text).strip() for text in (out.getvalue(), shown)]
    assert timeless[0] == timeless[1]


@pytest.mark.parametrize("command", re.findall(r"^rasplab (\w+) ", README, re.M))
def test_every_command_of_the_readme_exists(command, capsys):
    """`rasplab COMMAND --help` works for each that the README lists."""
    with pytest.raises(SystemExit) as stop:
        cli.main([command, "--help"])
    assert stop.value.code == 0 and command in capsys.readouterr().out


def test_the_readme_is_short():
    """What a newcomer reads first fits on a few screens; the rest is in docs/."""
    assert README.count("\n") <= 150

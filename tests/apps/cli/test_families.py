"""Families of commands: each registers itself; together they are the commands written down."""

import argparse
import json
from pathlib import Path

import pytest

from rasplab.apps import cli
from rasplab.apps.cli import parser

GOLDEN = Path(__file__).parents[2] / "golden" / "commands.json"
COMMANDS = json.loads(GOLDEN.read_text(encoding="utf-8"))


def rows(command: argparse.ArgumentParser) -> list[list]:
    """The arguments of a parser: names, default, choices, how many values, help."""
    return [
        [
            " ".join(action.option_strings) or action.dest,
            action.default,
            list(action.choices) if action.choices else None,
            action.nargs,
            action.help,
        ]
        for action in command._actions
        if action.dest not in ("help", "command")
    ]


def subparsers() -> argparse._SubParsersAction:
    """The commands of the whole parser."""
    actions = parser.build_parser()._actions
    return next(a for a in actions if isinstance(a, argparse._SubParsersAction))


def test_the_commands_are_those_there_were():
    """None is gone, and a new one is written down in golden/commands.json."""
    helps = {action.dest: action.help for action in subparsers()._choices_actions}
    assert helps == {name: row["help"] for name, row in COMMANDS.items() if row["help"]}
    assert rows(parser.build_parser()) == COMMANDS["rasplab"]["arguments"]


@pytest.mark.parametrize("name", [name for name in COMMANDS if COMMANDS[name]["help"]])
def test_a_command_keeps_its_arguments(name, capsys):
    """Names, defaults, choices and help as written down; --help works."""
    assert rows(subparsers().choices[name]) == COMMANDS[name]["arguments"]
    with pytest.raises(SystemExit, match="0"):
        parser.main([name, "--help"])
    assert f"usage: rasplab {name}" in capsys.readouterr().out


FAMILY = '''"""A family of one command."""

from rasplab.apps.cli.arguments import add_command, add_json


def register(commands):
    add_json(add_command(commands, "greet", greet, "say hello"))


def greet(args):
    print("hello")
    return 3
'''


def test_a_command_is_added_by_a_file_of_its_own(tmp_path, monkeypatch, capsys):
    """A module with `register` in the folder of commands is enough; it comes last in the help."""
    (tmp_path / "greeting.py").write_text(FAMILY, encoding="utf-8")
    (tmp_path / "helpers.py").write_text('"""No family."""\n', encoding="utf-8")
    monkeypatch.setattr(cli, "__path__", [*cli.__path__, str(tmp_path)])
    assert parser.main(["greet"]) == 3 and capsys.readouterr().out == "hello\n"
    assert list(subparsers().choices)[-1] == "greet"

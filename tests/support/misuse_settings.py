"""Wrong settings of runs, sweeps and atlases, and wrong options of the command line, as calls.

Each value is tried where it is checked, before any work: no call here trains more than one step.
`support.misuse` makes the calls and judges how they fail.
"""

from __future__ import annotations

import contextlib
import io
from argparse import ArgumentParser, _SubParsersAction
from collections.abc import Callable, Iterator
from dataclasses import fields
from typing import Any

from rasplab.apps.cli.parser import build_parser, main
from rasplab.model.recipe import Recipe, recipe
from rasplab.study.bench.sweep import sweep_of
from rasplab.study.heads.atlas import atlas

Calls = Iterator[tuple[str, Callable[[], Any]]]

WORDS = ("", "nosuch", "-1", "1.5x", "nan", "1e999", "9" * 5000, "\x00", "\ud800", "[", "{}", "0")
"""What is written for an option or an argument."""

SMALL: dict[str, list[str]] = {
    "run": ["reverse", "abc"],
    "explain": ["reverse"],
    "fmt": ["reverse"],
    "equal": ["reverse", "reverse"],
    "compile": ["reverse", "--max-len", "2"],
    "verify": ["reverse", "--max-len", "2"],
    "circuit": ["reverse", "--max-len", "2"],
    "train": ["hist", "--coverage"],
    "match": ["nosuch", "reverse"],
    "atlas": ["nosuch"],
    "sweep": ["nosuch.toml"],
    "discover": ["nosuch"],
    "score": ["nosuch"],
    "bench": ["circuits", "--programs", "nosuch"],
}
"""Arguments with which a command does little, or finds nothing to work on."""


class ExitCode(Exception):
    """A command ended with an unusual code, or said nothing of why it failed."""


def setting_calls(values: Callable[[], list[Any]], model: Any, selectors: dict[str, Any]) -> Calls:
    """Every field of a recipe, every part of a sweep, every parameter of an atlas."""
    for field in fields(Recipe):
        for value in values():
            yield f"recipe({field.name}=...)", lambda n=field.name, v=value: _recipe(n, v)
            part = {"tasks": ["hist"], "settings": {field.name: value}}
            yield f"sweep(settings {field.name})", lambda p=part: sweep_of(p)
            listed = {"tasks": ["hist"], "grid": {field.name: [value]}}
            yield f"sweep(grid {field.name})", lambda p=listed: sweep_of(p)
    for part in ("tasks", "seeds", "settings", "grid", "other"):
        for value in values():
            yield f"sweep({part}=...)", lambda p=part, v=value: sweep_of({"tasks": ["hist"], p: v})
            yield (
                f"sweep({part}=[...])",
                lambda p=part, v=value: sweep_of({"tasks": ["hist"], p: [v]}),
            )
    arguments = {"model": model, "selectors": selectors, "sequences": 2, "length": 5, "seed": 0}
    arguments["text"] = None
    for name in arguments:
        for value in values():
            yield f"atlas({name}=...)", lambda b=arguments | {name: value}: atlas(**b)


def _recipe(field: str, value: Any) -> Recipe:
    return recipe(value) if field == "task" else recipe("hist", **{field: value})


def option_calls() -> Calls:
    """Every option of every command with each of WORDS, and each of its arguments replaced."""
    for command, words in SMALL.items():
        for place in range(len(words)):
            for word in WORDS:
                argv = [command, *words[:place], word, *words[place + 1 :]]
                yield f"cli({command} argument {place})", lambda a=argv: command_line(a)
        for action in _parser_of(command)._actions:
            option = next(iter(action.option_strings), None)
            paths = option in (None, "-h", "-o", "--out", "--svg", "--html") or action.nargs == 0
            for word in () if paths else WORDS:
                argv = [command, *words, str(option), word]
                yield f"cli({command} {option})", lambda a=argv: command_line(a)


def _parser_of(command: str) -> ArgumentParser:
    parser = build_parser([command])
    (commands,) = (a for a in parser._actions if isinstance(a, _SubParsersAction))
    return commands.choices[command]


def command_line(argv: list[str]) -> None:
    """Run a command; raises ExitCode where it fails without a message, or with another code."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(argv)
        except SystemExit as ending:
            code = ending.code
    if code not in (0, 1, 2) or "Traceback" in err.getvalue():
        raise ExitCode(f"code {code}: {err.getvalue()[-80:]}")
    if code and not (err.getvalue() + out.getvalue()).strip():
        raise ExitCode(f"code {code} without a message")

"""The command line as pages, one a command, read off the argument parser."""

from __future__ import annotations

import argparse

from rasplab.apps.cli.parser import build_parser

FAILED = (
    "an error of the program, the input or a file, as one message on stderr; for `verify` and "
    "`equal` also a difference, for `fmt --check` a file that would change"
)


def subcommands(parser: argparse.ArgumentParser) -> dict[str, tuple[argparse.ArgumentParser, str]]:
    """Every command of a parser: its name -> its own parser and its one-line help."""
    action = next(a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    helps = {choice.dest: choice.help or "" for choice in action._choices_actions}
    return {name: (sub, helps.get(name, "")) for name, sub in action.choices.items()}


def pages() -> dict[str, str]:
    """File name -> Markdown."""
    parser = build_parser()
    commands = subcommands(parser)
    made = {f"{name}.md": command_page(name, *entry) for name, entry in commands.items()}
    rows = [f"| [`rasplab {name}`]({name}.md) | {entry[1]} |" for name, entry in commands.items()]
    toctree = ["```{toctree}", ":hidden:", "", *commands, "```"]
    index = [
        "# Command line",
        "",
        "This page and the pages of the commands are generated from the argument parser.",
        "",
        "| command | what it does |",
        "|---|---|",
        *rows,
        "",
        "`FILE` is a path, or the name of a program in `circuits/`, which brings its vocabulary",
        "and maximum length with it. `TOKENS` is read as characters, or as a JSON list.",
        "`--json` prints one JSON object on stdout.",
        "",
        "## Options before the command",
        "",
        *options_table(parser),
        "",
        "## Exit status",
        "",
        "| status | meaning |",
        "|--:|---|",
        "| 0 | the command did what it says |",
        f"| 1 | {FAILED} |",
        "| 2 | a usage error: an unknown option, a value that cannot be read |",
        "| 130 | interrupted |",
        "",
        *toctree,
        "",
    ]
    return {"index.md": "\n".join(index), **made}


def command_page(name: str, parser: argparse.ArgumentParser, summary: str) -> str:
    """One command: what it does, how it is called, its arguments."""
    usage = " ".join(parser.format_usage().removeprefix("usage: ").split())
    return "\n".join(
        [
            f"# rasplab {name}",
            "",
            f"{summary[:1].upper()}{summary[1:]}.",
            "",
            "```text",
            *wrapped(usage),
            "```",
            "",
            *options_table(parser),
            "",
        ]
    )


def wrapped(usage: str, width: int = 88) -> list[str]:
    """A usage line, broken between arguments."""
    lines, depth, words = [""], 0, []
    for word in usage.split():
        words.append(word)
        depth += word.count("[") - word.count("]")
        if depth == 0:
            piece, words = " ".join(words), []
            if len(lines[-1]) + len(piece) >= width:
                lines.append("   ")
            lines[-1] += f" {piece}" if lines[-1] else piece
    return lines


def options_table(parser: argparse.ArgumentParser) -> list[str]:
    """Arguments and options as a table."""
    rows = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction | argparse._HelpAction):
            continue
        rows.append(f"| {forms(action)} | {described(action)} |")
    return ["| argument | meaning |", "|---|---|", *rows] if rows else []


def forms(action: argparse.Action) -> str:
    """How an argument is written."""
    value = action.metavar or (action.dest.upper() if action.nargs != 0 else "")
    value = "" if action.nargs == 0 else str(value)
    if action.choices:
        value = " | ".join(map(str, action.choices))
    value = value.replace("|", "\\|")
    if not action.option_strings:
        return f"`{value}`"
    return ", ".join(f"`{option} {value}`".replace(" `", "`") for option in action.option_strings)


def described(action: argparse.Action) -> str:
    """The help text of an argument, formatted as argparse does."""
    text = (action.help or "").replace("%%", "%").replace("|", "\\|")
    return f"{text}; may be repeated" if isinstance(action, argparse._AppendAction) else text

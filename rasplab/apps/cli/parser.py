"""The command line: builds the parser from the families of commands, and runs one command.

A family is a module of this package with a function `register(commands)`, which adds its commands,
their arguments and their handlers (`add_command`). Families are found in the package's folder, so
a new command touches no other file. Their top level imports nothing slow: handlers import what
they need, and `rasplab run` never waits for torch.

Exit codes: 0, or what the handler says; 1 with one message on stderr for whatever the user got
wrong; 2 for argparse's usage errors; 130 for an interrupt; 141 where stdout is closed.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from types import ModuleType

from rasplab.apps import cli
from rasplab.apps.cli.arguments import count
from rasplab.base.errors import RaspError
from rasplab.base.limits import limit, names

QUICK = ("run", "repl", "explain", "fmt", "equal")
"""The commands of `language`: where one comes first, the other families are not loaded."""

LAST = 99
"""The place in the help of a family that names none as `ORDER`."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is returned."""
    words = sys.argv[1:] if argv is None else argv
    try:
        if any("\0" in word for word in words):
            return _fail(
                "an argument holds a null character, which no path and no text of ours may"
            )
        args = build_parser(words[:1]).parse_args(words)
        with limit(**dict(args.limit)):
            code = args.handler(args)
        sys.stdout.flush()
        return code
    except RaspError as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        return _fail("stopped", code=130)
    except BrokenPipeError:
        return _reader_gone()
    except OSError as error:
        return _fail(_os_reason(error))
    except UnicodeEncodeError:
        return _fail("the output has characters that UTF-8 cannot write, half of a surrogate pair")
    except RecursionError:
        return _fail("the program or its values nest too deep for this machine's stack")
    except MemoryError:
        return _fail("this takes more memory than there is; a smaller --max-len takes less")
    except OverflowError as error:
        return _fail(f"a number is too large to compute with: {error}")


def _fail(message: str, code: int = 1) -> int:
    with contextlib.suppress(OSError):
        print(message.encode("utf-8", "backslashreplace").decode(), file=sys.stderr)
    return code


def _os_reason(error: OSError) -> str:
    return f"{error.filename}: {error.strerror}" if error.filename else str(error)


def _reader_gone() -> int:
    """Point stdout at nothing: its reader has closed it (`| head`), which is not a fault."""
    # Otherwise the interpreter's last flush raises, and prints a message about it.
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 141


def build_parser(first: Sequence[str] = ()) -> argparse.ArgumentParser:
    """The parser of every command; of a few, where the first word of the line is one of QUICK."""
    parser = argparse.ArgumentParser(
        prog="rasplab",
        description="Write RASP, compile it into transformer weights, compare trained models.",
        epilog="FILE is a path, or the name of a zoo program, which brings its domain with it.",
    )
    parser.add_argument(
        "--limit",
        metavar="NAME=N",
        type=_limit,
        action="append",
        default=[],
        help=f"what a program may take: {', '.join(names())}",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for family in families(only="language" if set(first) & {*QUICK} else None):
        family.register(commands)
    return parser


def families(only: str | None = None) -> list[ModuleType]:
    """The modules beside this one that register commands, in the order of the help.

    only  the name of a single one
    """
    stems = sorted(
        file.removesuffix(".py")
        for folder in cli.__path__
        for file in os.listdir(folder)
        if file.endswith(".py") and file not in ("__init__.py", "parser.py")
    )
    stems = [stem for stem in stems if only in (None, stem)]
    modules = [import_module(f"{cli.__name__}.{stem}") for stem in stems]
    registering = [module for module in modules if hasattr(module, "register")]
    return sorted(registering, key=lambda module: getattr(module, "ORDER", LAST))


def _limit(text: str) -> tuple[str, int]:
    name, _, number = text.partition("=")
    number = number.replace("_", "").replace(",", "")
    if name not in names() or not number.isdecimal():
        raise argparse.ArgumentTypeError(f"{text}: write NAME=N, one of {', '.join(names())}")
    return name, count(number)


if __name__ == "__main__":
    sys.exit(main())

"""Arguments that several commands share, and what they are read into.

The first half adds arguments to a command's parser; the second half turns the parsed texts into
tokens, domains, program files and models. Every reader raises a RaspError for what it cannot read.
"""

from __future__ import annotations

import argparse
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from rasplab.base.errors import FileError, RaspValueError
from rasplab.base.text import clipped
from rasplab.program.values import Atom, typed_key

if TYPE_CHECKING:
    from rasplab.compiler.compiled import Compiled
    from rasplab.model.bridge import LensModel
    from rasplab.program.domain import Domain
    from rasplab.program.zoo import Entry

Commands: TypeAlias = "argparse._SubParsersAction[ArgumentParser]"
"""Where a family of commands registers itself."""

Handler: TypeAlias = Callable[[Namespace], int]
"""Runs a command; returns its exit code."""

MAX_INPUTS = 200_000
"""Inputs that are checked where --max-inputs does not say."""

# Adding arguments -------------------------------------------------------------------------------


def add_command(commands: Commands, name: str, handler: Handler, help: str) -> ArgumentParser:
    """Add the command `name`, which `handler` runs."""
    parser = commands.add_parser(name, help=help)
    parser.set_defaults(handler=handler)
    return parser


def add_file(parser: ArgumentParser) -> None:
    """FILE: a program."""
    parser.add_argument("file", metavar="FILE", help="RASP text, or the name of a zoo program")


def add_json(parser: ArgumentParser) -> None:
    """--json."""
    parser.add_argument("--json", action="store_true", help="print one JSON object on stdout")


def add_device(parser: ArgumentParser) -> None:
    """--device."""
    parser.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), default="auto", help="default: auto"
    )


def add_inputs(parser: ArgumentParser) -> None:
    """--vocab, --max-len and --causal: the domain of a program; see `domain_of`."""
    parser.add_argument(
        "--vocab", metavar="V", help="characters, a comma separated list of them, or a JSON list"
    )
    add_count(parser, "--max-len", "longest input")
    parser.add_argument(
        "--causal", action="store_true", default=None, help="let no head look to the right"
    )


def add_compilation(parser: ArgumentParser) -> None:
    """The domain, --basis and --output: how FILE is compiled; see `compiled_of`."""
    add_inputs(parser)
    parser.add_argument(
        "--basis", choices=("compact", "one_hot"), default="compact", help="default: compact"
    )
    parser.add_argument(
        "--output",
        metavar="NAME",
        action="append",
        dest="outputs",
        help="the s-op to compile (default: the last); again for further outputs",
    )


def add_force(parser: ArgumentParser) -> None:
    """--force."""
    parser.add_argument(
        "--force", action="store_true", help="replace a model of another task or kind in DIR"
    )


def add_seed(parser: ArgumentParser, help: str = "default: 0") -> None:
    """--seed."""
    parser.add_argument("--seed", type=seed, default=0, metavar="N", help=help)


def add_count(
    parser: ArgumentParser, name: str, help: str | None = None, default: int | None = None
) -> None:
    """An option that takes a whole number from 1 on."""
    parser.add_argument(name, type=count, default=default, metavar="N", help=help)


MAX_COUNT = 2**63 - 1
"""The largest number that an option takes: what arrays and random generators hold."""


def count(text: str) -> int:
    """A whole number from 1 on. Raises ArgumentTypeError, which argparse reports."""
    return _whole(text, 1)


def seed(text: str) -> int:
    """A whole number from 0 on. Raises ArgumentTypeError, which argparse reports."""
    return _whole(text, 0)


def _whole(text: str, least: int) -> int:
    try:
        number = int(text)
    except ValueError:
        number = -1
    if not least <= number <= MAX_COUNT:
        shown = text if len(text) <= 40 else f"{text[:37]}..."
        raise argparse.ArgumentTypeError(f"{shown} is not a whole number from {least} on")
    return number


# Reading arguments ------------------------------------------------------------------------------


def read_tokens(text: str) -> list[Atom]:
    """A JSON list of tokens, or the characters of `text`.

    `[]` is read as two brackets, because no input is empty.
    """
    return _json_list(text) or list(text)


def read_vocab(text: str) -> list[Atom]:
    """A JSON list, a comma separated list of characters, or characters.

    Raises RaspValueError for a token written twice.
    """
    parts = text.split(",")
    separated = len(parts) > 1 and all(len(p) == 1 for p in parts)
    vocab: list[Atom] = _json_list(text) or [*(parts if separated else text)]
    for i, token in enumerate(vocab):
        if typed_key(token) in map(typed_key, vocab[:i]):
            raise RaspValueError(
                f"the vocabulary holds {token!r} twice", hint="name each token once"
            )
    return vocab


def _json_list(text: str) -> list[Atom] | None:
    """The list that `text` writes, or None where it is not a JSON list."""
    if not text.lstrip().startswith("["):
        return None
    from rasplab.base.schema import NotJsonError, SchemaError, loads

    try:
        tokens = loads(text)
    except NotJsonError as error:
        if "," in text or '"' in text:
            msg = getattr(error.__cause__, "msg", "")
            reason = f'it is not a JSON list ({msg}); a list looks like [1, 2] or ["a", "b"]'
            print(f"note: {text} is read as characters: {reason}", file=sys.stderr)
        return None
    except SchemaError as error:
        raise RaspValueError(
            f"{clipped(text)} is not a list of tokens: {error}",
            hint='write the tokens as a flat list, as in [1, 2] or ["a", "b"]',
        ) from None
    if not all(isinstance(t, (str, int, float, bool)) for t in tokens):
        raise RaspValueError(
            f"{clipped(text)} holds more than strings, numbers and booleans",
            hint='write the tokens as a flat list, as in [1, 2] or ["a", "b"]',
        )
    return tokens


def program_path(text: str) -> Path:
    """The file that `text` names, by path or by zoo name. Raises FileError or RaspNameError."""
    path = Path(text)
    if path.is_dir():
        raise FileError(f"{text} is a folder", hint="name a file of RASP text")
    if path.is_file():
        return path
    from rasplab.program import zoo

    if path.suffix or len(path.parts) != 1:
        names = ", ".join(zoo.entries("zoo"))
        raise FileError(
            f"no file {text}", hint=f"zoo programs go by name: {names}; and circuits/tasks"
        )
    return zoo.entry(text).path


def zoo_entry(path: Path) -> Entry | None:
    """The zoo's entry for a file, if the file is the zoo's."""
    from rasplab.program.zoo import entries

    resolved = path.resolve()
    return next((e for e in entries().values() if e.path.resolve() == resolved), None)


def domain_of(args: Namespace, entry: Entry | None) -> Domain:
    """The domain of --vocab, --max-len and --causal; what they leave out is the zoo entry's.

    Raises RaspValueError where neither says, or for a vocabulary that cannot be one.
    """
    from rasplab.program.domain import make_domain

    default = entry.domain if entry else None
    if default is None and (args.vocab is None or args.max_len is None):
        raise RaspValueError(
            f"{args.file} does not say which inputs it takes",
            hint="add --vocab and --max-len, as in: --vocab abc --max-len 8",
        )
    vocab = default.vocab if default and args.vocab is None else read_vocab(args.vocab or "")
    max_len = args.max_len or (default.max_len if default else 0)
    causal = default.causal if default and args.causal is None else bool(args.causal)
    try:
        return make_domain(vocab, max_len, causal)
    except ValueError as error:
        raise RaspValueError(str(error), hint="--vocab takes characters or a JSON list") from None


def compiled_of(args: Namespace) -> Compiled:
    """FILE, compiled by the options of `add_compilation`; or the compiled model in DIR."""
    if Path(args.file).is_dir():
        from rasplab.compiler.serialize import load_compiled

        return load_compiled(args.file)
    from rasplab.compiler.pipeline import compile_program
    from rasplab.lang.loading import load

    path = program_path(args.file)
    program = load(path, output=args.outputs)
    return compile_program(program, domain_of(args, zoo_entry(path)), args.basis)


def model_of(args: Namespace) -> LensModel:
    """The model of FILE, compiled; or the compiled or trained model in the folder DIR."""
    if Path(args.file).is_dir():
        return model_in(args.file, args.device)
    return compiled_of(args).to_model(device=args.device)


def model_in(folder: str, device: str) -> LensModel:
    """The model in `folder`, trained or compiled. Raises FileError where there is none."""
    if not Path(folder).is_dir():
        raise FileError(
            f"no model folder {folder}", hint="make one with: rasplab train TASK -o DIR"
        )
    if (Path(folder) / "compiled.json").is_file():
        from rasplab.compiler.serialize import load_compiled

        return load_compiled(folder).to_model(device=device)
    from rasplab.model.checkpoint import load_model

    return load_model(folder, device=device)

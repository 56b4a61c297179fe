"""Commands on programs as texts and functions: run, repl, explain, fmt, equal."""

from __future__ import annotations

import os
import stat
import sys
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rasplab.apps.cli.arguments import (
    MAX_INPUTS,
    Commands,
    add_command,
    add_count,
    add_file,
    add_inputs,
    add_json,
    add_seed,
    domain_of,
    program_path,
    read_tokens,
    zoo_entry,
)
from rasplab.apps.cli.output import print_json, progress_bar
from rasplab.base.errors import FileError

if TYPE_CHECKING:
    from rasplab.program.graph import Program
    from rasplab.program.interpret.exact import Trace
    from rasplab.program.values import Atom

ORDER = 1


def register(commands: Commands) -> None:
    """Add the commands of this family."""
    _add_run(commands)
    add_command(commands, "repl", start_repl, "write RASP line by line")
    _add_explain(commands)
    _add_fmt(commands)
    _add_equal(commands)


def _add_run(commands: Commands) -> None:
    parser = add_command(commands, "run", run_program, "interpret a program on an input")
    add_file(parser)
    parser.add_argument(
        "tokens", metavar="TOKENS", help="a string, read as characters, or a JSON list"
    )
    parser.add_argument(
        "--output",
        metavar="NAME",
        action="append",
        dest="outputs",
        help="the name to show (default: the last s-op assigned); again for further names",
    )
    parser.add_argument("--causal", action="store_true", help="let no selector look to the right")
    parser.add_argument("--trace", action="store_true", help="show every named s-op and selector")
    add_json(parser)


def run_program(args: Namespace) -> int:
    """Interpret a program on an input."""
    from rasplab.lang.loading import load
    from rasplab.program.interpret.exact import evaluate

    program = load(program_path(args.file), output=args.outputs)
    tokens = read_tokens(args.tokens)
    trace = evaluate(program, tokens, causal=args.causal)
    names = args.outputs or [_output_name(program)]
    values = [trace.value(i) for i in program.outputs]
    if args.json:
        further = {"outputs": dict(zip(names, values, strict=True))} if len(names) > 1 else {}
        print_json(name=names[0], tokens=tokens, output=trace.output, **further)
    elif args.trace:
        _print_trace(trace)
    else:
        for name, value in zip(names, values, strict=True):
            _print_value(name, tokens, value)
    return 0


def _print_value(name: str, tokens: list[Atom], value: Any) -> None:
    """An s-op under its tokens, or a selector as a grid."""
    from rasplab.program.values import grid, sop_line, value_text

    if isinstance(value, list):
        print(sop_line(name, tokens, value))
    else:
        texts = [value_text(t) for t in tokens]
        print(f"{name}\n{grid(value, texts, texts)}")


def _print_trace(trace: Trace) -> None:
    """Every named s-op under the tokens, then every named selector as a grid."""
    from rasplab.program.values import aligned, grid, value_text

    texts = [value_text(t) for t in trace.tokens]
    values = [(name, trace.value(i)) for name, i in trace.program.names]
    sops = [(name, value) for name, value in values if isinstance(value, list)]
    print(aligned([("tokens", trace.tokens), *sops]))
    for name, value in values:
        if not isinstance(value, list):
            print(f"\n{name}\n{grid(value, texts, texts)}")


def _output_name(program: Program) -> str:
    """The name of the output in the text: the last one assigned."""
    return next((n for n, i in reversed(program.names) if i == program.output), "output")


def start_repl(args: Namespace) -> int:
    """Read, evaluate, print until the input ends."""
    from rasplab.apps.repl.loop import main

    return main(sys.stdin, sys.stdout)


def _add_explain(commands: Commands) -> None:
    about = "kinds, layers and heads of a program, before it runs"
    parser = add_command(commands, "explain", explain_program, about)
    add_file(parser)
    parser.add_argument(
        "--output",
        metavar="NAME",
        action="append",
        dest="outputs",
        help="the name to explain (default: the last s-op assigned); again for further names",
    )
    parser.add_argument("--causal", action="store_true", help="no selector looks to the right")
    add_json(parser)


def explain_program(args: Namespace) -> int:
    """What is known of a program before it runs."""
    from rasplab.lang.loading import load
    from rasplab.program.analysis.rasp_l import is_raspl

    path = program_path(args.file)
    program = load(path, output=args.outputs)
    entry = zoo_entry(path)
    causal = args.causal or bool(entry and entry.domain.causal)
    explanation, verdict = program.explain(causal), is_raspl(program, causal)
    if args.json:
        print_json(**explanation.to_json(), **verdict.to_json())
    else:
        print(f"{explanation}\n\n{verdict}")
    return 0


def _add_fmt(commands: Commands) -> None:
    parser = add_command(commands, "fmt", format_files, "lay files out anew, comments kept")
    parser.add_argument("files", metavar="FILE", nargs="+", help="files of RASP text")
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit code 1 if a file would change"
    )


def format_files(args: Namespace) -> int:
    """Lay files out anew; exit code 1 if --check finds one that would change."""
    changed = [path for path in map(Path, args.files) if _formatted(path, write=not args.check)]
    for path in changed:
        print(f"{path} would change" if args.check else f"{path} laid out", file=sys.stderr)
    return 1 if args.check and changed else 0


def _formatted(path: Path, write: bool) -> bool:
    """Whether the formatter changes a file. Raises FileError, RaspSyntaxError."""
    from rasplab.base.atomic import write_atomic
    from rasplab.lang.loading import read_source
    from rasplab.lang.printing.format import format_text

    if path.is_dir():
        raise FileError(f"{path} is a folder", hint=f"name files: {path}/*.rasp")
    try:
        text = read_source(path).text
    except FileError as error:
        error.hint = error.hint or f"name files: {path.parent}/*.rasp"
        raise
    laid_out = format_text(text, str(path))
    if write and laid_out != text:
        # the new file gets the old one's mode, and a link stays a link
        mode = stat.S_IMODE(path.stat().st_mode)
        os.chmod(write_atomic(path.resolve(), laid_out), mode)
    return laid_out != text


def _add_equal(commands: Commands) -> None:
    about = "the same function on every input, or a shortest counterexample"
    parser = add_command(commands, "equal", compare_programs, about)
    add_file(parser)
    parser.add_argument("other", metavar="OTHER", help="the other program")
    add_inputs(parser)
    add_count(
        parser,
        "--max-inputs",
        "beyond so many, sample longer inputs (default: 200000)",
        default=MAX_INPUTS,
    )
    add_seed(parser, "of the sample (default: 0)")
    add_json(parser)


def compare_programs(args: Namespace) -> int:
    """Compare two programs on every input; exit code 1 if they differ anywhere."""
    from rasplab.lang.loading import load
    from rasplab.program.analysis.equivalence import equal

    paths = [program_path(text) for text in (args.file, args.other)]
    domain = domain_of(args, zoo_entry(paths[0]) or zoo_entry(paths[1]))
    first, second = map(load, paths)
    with progress_bar("equal") as progress:
        equality = equal(
            first,
            second,
            domain.vocab,
            domain.max_len,
            causal=domain.causal,
            max_inputs=args.max_inputs,
            seed=args.seed,
            progress=progress,
        )
    if args.json:
        print_json(**equality.to_json())
    else:
        print(equality)
    return 0 if equality else 1

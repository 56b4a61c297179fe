"""The commands about programs as texts and functions: explain, fmt, equal."""

from __future__ import annotations

import os
import stat
import sys
from argparse import Namespace
from pathlib import Path

import rasplab
from rasplab.apps.cli.compile import asked_domain, print_json, program_path, progress_bar, zoo_entry
from rasplab.base.errors import FileError


def explain(args: Namespace) -> int:
    """What is known of a program before it runs."""
    from rasplab.program.analysis.rasp_l import is_raspl

    path = program_path(args.file)
    program = rasplab.load(str(path), output=args.output)
    entry = zoo_entry(path)
    causal = args.causal or bool(entry and entry.domain.causal)
    found, verdict = program.explain(causal), is_raspl(program, causal)
    if args.json:
        print_json(**found.to_json(), **verdict.to_json())
    else:
        print(f"{found}\n\n{verdict}")
    return 0


def fmt(args: Namespace) -> int:
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
        mode = stat.S_IMODE(path.stat().st_mode)
        os.chmod(write_atomic(path.resolve(), laid_out), mode)
    return laid_out != text


def equal(args: Namespace) -> int:
    """Hold two programs against each other; exit code 1 if they differ anywhere."""
    from rasplab.program.analysis.equivalence import equal as compared

    paths = [program_path(text) for text in (args.file, args.other)]
    domain = asked_domain(args, zoo_entry(paths[0]) or zoo_entry(paths[1]))
    programs = [rasplab.load(str(path)) for path in paths]
    with progress_bar("equal") as progress:
        asked = {**domain, "max_inputs": args.max_inputs, "seed": args.seed}
        found = compared(*programs, **asked, progress=progress)
    if args.json:
        print_json(**found.to_json())
    else:
        print(found)
    return 0 if found else 1

"""Files and texts to programs: `parse(text)`, `load(path)`."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from os import PathLike
from pathlib import Path

from rasplab.base.errors import (
    FileError,
    RaspNameError,
    RaspTypeError,
    RaspValueError,
    Source,
    Span,
)
from rasplab.lang.elaborate.elaborator import Elaborator, Result
from rasplab.lang.elaborate.library import with_library
from rasplab.lang.elaborate.scope import Scope
from rasplab.lang.elaborate.values import Node, Selector, a_kind, is_atom
from rasplab.lang.syntax.ast import COMMANDS, Leave
from rasplab.lang.syntax.grammar_tables import PACKAGE
from rasplab.lang.syntax.parser import parse_module
from rasplab.program.graph import Program
from rasplab.program.interpret.transcript_faults import with_transcript

SUFFIX = ".rasp"
MAX_NESTED_LOADS = 50


def parse(text: str, output: str | Sequence[str] | None = None, name: str = "<text>") -> Program:
    """The program of a RASP text.

    output   the name of its output, or several names; else the s-op or selector last assigned or
             written as a statement of its own
    name     what to call the text in messages
    Raises   RaspError with the place: syntax, names, kinds; RaspValueError if there is no output
    """
    return _program(Source(name, text), output, Path.cwd())


def load(path: str | PathLike, output: str | Sequence[str] | None = None) -> Program:
    """The program of a RASP file, as `parse`. Raises FileError if it cannot be read."""
    return _program(read_source(Path(path)), output, Path(path).resolve().parent)


def load_selectors(path: str | PathLike) -> dict[str, Program]:
    """Every selector that the RASP text in a file names, each as a program with it as output.

    Raises what `load` raises, and RaspValueError for a text that names none.
    """
    source, loader = read_source(Path(path)), _Loader()
    scope = loader.elaborator.text_scope(source.name)
    loader.run(source, scope, Path(path).parent)
    found = {n: v for n, v in scope.variables.items() if isinstance(v, Selector)}
    if not found:
        raise RaspValueError(
            f"{source.name} names no selector",
            hint="assign one: same = select(tokens, tokens, ==);",
        )
    return {name: loader.elaborator.program(value, scope) for name, value in found.items()}


def read_source(path: Path) -> Source:
    """A file's text. Raises FileError if it is missing or not UTF-8."""
    try:
        return Source(str(path), path.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        raise FileError(f"{path} is not a text file (UTF-8)") from None
    except OSError as fault:
        raise FileError(f"cannot read {path}: {fault.strerror}", hint=_near_files(path)) from None


def _near_files(path: Path) -> str | None:
    if not path.parent.is_dir():
        return f"there is no folder {path.parent}"
    near = get_close_matches(path.name, [p.name for p in path.parent.glob(f"*{SUFFIX}")], n=3)
    return f"did you mean {' or '.join(near)}?" if near else None


def find(name: str, folder: Path, span: Span) -> Path:
    """The file that `load "name";` means: beside the loading file, in the working directory, or a
    shipped circuit."""
    shipped = PACKAGE / "_circuits"
    circuits = shipped if shipped.is_dir() else PACKAGE.parent / "circuits"
    for place in (folder, Path.cwd(), circuits):
        path = place / f"{name}{SUFFIX}"
        if path.is_file():
            return path
    error = FileError(
        f'there is no file "{name}{SUFFIX}"', span, _near_files(folder / f"{name}{SUFFIX}")
    )
    raise with_transcript(error, f"could not find file: {name}{SUFFIX}")


class _Loader:
    """Runs texts, each in its own scope over the library."""

    def __init__(self):
        self.elaborator = with_library(Elaborator(None, self.load))
        self.folders: list[Path] = []

    def run(self, source: Source, scope: Scope, folder: Path) -> None:
        """Execute a text in `scope`; its loads start from `folder`."""
        if len(self.folders) > MAX_NESTED_LOADS:
            raise FileError(
                f"loads are {MAX_NESTED_LOADS} deep at {source.name}: files load each other"
            )
        self.folders.append(folder)
        for item in parse_module(source).items:
            if isinstance(item, Leave):
                break
            if not isinstance(item, COMMANDS):  # what the REPL shows is nothing to a program
                self.elaborator.run(item, scope)
        self.folders.pop()

    def load(self, name: str, scope: Scope, span: Span) -> list[Result]:
        """`load "name";` within `scope`."""
        path = find(name, self.folders[-1], span)
        self.run(read_source(path), self.elaborator.text_scope(name, exports=scope), path.parent)
        return []


def _program(source: Source, output: str | Sequence[str] | None, folder: Path) -> Program:
    loader = _Loader()
    elaborator = loader.elaborator
    scope = elaborator.text_scope(source.name)
    loader.run(source, scope, folder)
    names = [output] if isinstance(output, str) else list(output or [])
    if output is not None and not names:
        raise ValueError("output names no s-op; leave it out for the last one")
    nodes = [_named(name, scope, elaborator) for name in names] or [elaborator.last]
    if nodes[0] is None:
        span = Span(source, 0, 0) if not source.text.strip() else None
        raise RaspValueError("this text makes no s-op", span, "assign one: result = indices;")
    return elaborator.program(nodes[0], scope, nodes[1:])


def _named(output: str, scope: Scope, elaborator: Elaborator) -> Node:
    """The s-op or selector called `output`; a constant becomes an s-op."""
    try:
        value = scope.get(output)
    except RaspNameError:
        made = [name for name, value in scope.variables.items() if isinstance(value, Node)]
        near = get_close_matches(output, made, n=3) or made
        hint = f"it has: {', '.join(near)}" if near else None
        raise RaspNameError(f"the text makes no s-op called {output!r}", hint=hint) from None
    if isinstance(value, Node):
        return value
    if is_atom(value):
        text = Source(output, str(value))
        return elaborator.make.sop(value, Span(text, 0, len(text.text)))
    raise RaspTypeError(f"{output} is {a_kind(value)}; an output is an s-op or a selector")

"""Texts and files to programs: `parse(text)`, `load(path)` -> Program.

In order: the text is parsed to syntax, an elaborator with the library executes its statements, and
the s-op or selector that is asked for, or the last one, becomes the output of the program.
"""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from rasplab.base.arguments import OUTPUT, PATH, TEXT, takes
from rasplab.base.errors import (
    FileError,
    RaspNameError,
    RaspTypeError,
    RaspValueError,
    Source,
    Span,
)
from rasplab.base.text import near_names
from rasplab.lang.elaborate.elaborator import Elaborator
from rasplab.lang.elaborate.library import with_library
from rasplab.lang.elaborate.scope import Scope
from rasplab.lang.elaborate.values import NamedNode, Selector, a_kind, is_atom
from rasplab.lang.syntax.ast import COMMANDS, Leave, Module
from rasplab.lang.syntax.parser import parse_module
from rasplab.program.graph import Program
from rasplab.program.interpret.transcript_faults import with_transcript
from rasplab.program.zoo import shipped

SUFFIX = ".rasp"
BYTE_ORDER_MARK = "\ufeff"
"""What some editors write before a text."""

MAX_NESTED_LOADS = 50
"""How deep files may load files: deeper, they load each other."""


@takes(text=TEXT, output=OUTPUT, name=TEXT)
def parse(text: str, output: str | Sequence[str] | None = None, name: str = "<text>") -> Program:
    """The program of a RASP text.

    output  the name of its output, or several names; by default the s-op or selector last assigned
            or written as a statement of its own
    name    what to call the text in messages

    Raises RaspError, placed, for faults of syntax, names and kinds, and where there is no output.
    """
    return _program(Source(name, text.removeprefix(BYTE_ORDER_MARK)), output, Path.cwd())


@takes(path=PATH, output=OUTPUT)
def load(path: str | PathLike, output: str | Sequence[str] | None = None) -> Program:
    """The program of a RASP file; `output` as for `parse`.

    Raises what `parse` raises, and FileError if the file cannot be read.
    """
    return _program(read_source(Path(path)), output, Path(path).resolve().parent)


def load_selectors(path: str | PathLike) -> dict[str, Program]:
    """Every selector that a RASP file names, as a program with that selector as its output.

    Raises what `load` raises, and RaspValueError if the file names no selector.
    """
    module = parse_module(read_source(Path(path)))
    loader = _Loader()
    scope = loader.run(module, Path(path).parent)
    selectors = {n: v for n, v in scope.variables.items() if isinstance(v, Selector)}
    if not selectors:
        raise RaspValueError(
            f"{module.source.name} names no selector",
            hint="assign one: same = select(tokens, tokens, ==);",
        )
    return {name: loader.elaborator.program(value, scope) for name, value in selectors.items()}


def read_source(path: Path) -> Source:
    """The text of a file.

    Raises FileError if it is missing or not UTF-8.
    """
    try:
        return Source(str(path), path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError:
        raise FileError(f"{path} is not a text file (UTF-8)") from None
    except OSError as fault:
        raise FileError(f"cannot read {path}: {fault.strerror}", hint=_near_files(path)) from None


def _near_files(path: Path) -> str | None:
    if not path.parent.is_dir():
        return f"there is no folder {path.parent}"
    near = near_names(path.name, (p.name for p in path.parent.glob(f"*{SUFFIX}")))
    return f"did you mean {' or '.join(near)}?" if near else None


def find_file(name: str, folder: Path, span: Span) -> Path:
    """The file that `load "name";` means.

    It is looked for in `folder`, that of the loading file, then in the working directory, then
    among the shipped circuits. Raises FileError, placed at `span`, if it is in none of them.
    """
    for place in (folder, Path.cwd(), shipped("circuits")):
        path = place / f"{name}{SUFFIX}"
        if path.is_file():
            return path
    error = FileError(
        f'there is no file "{name}{SUFFIX}"', span, _near_files(folder / f"{name}{SUFFIX}")
    )
    raise with_transcript(error, f"could not find file: {name}{SUFFIX}")


class _Loader:
    """Executes texts with one elaborator; each text has a scope of its own over the library."""

    def __init__(self):
        self.elaborator = with_library(Elaborator(None, self.load))
        self.folders: list[Path] = []

    def run(self, module: Module, folder: Path) -> Scope:
        """Execute a text, whose loads start from `folder`, in a new scope; that scope."""
        scope = self.elaborator.text_scope(module.source.name)
        self._run(module, scope, folder)
        return scope

    def load(self, name: str, scope: Scope, span: Span) -> list[Any]:
        """Execute the file that `load "name";` means; its public names go to `scope` too."""
        path = find_file(name, self.folders[-1], span)
        module = parse_module(read_source(path))
        self._run(module, self.elaborator.text_scope(name, exports=scope), path.parent)
        return []

    def _run(self, module: Module, scope: Scope, folder: Path) -> None:
        if len(self.folders) > MAX_NESTED_LOADS:
            name = module.source.name
            raise FileError(f"loads are {MAX_NESTED_LOADS} deep at {name}: files load each other")
        self.folders.append(folder)
        for item in module.items:
            if isinstance(item, Leave):
                break
            if not isinstance(item, COMMANDS):  # commands only change what a REPL shows
                self.elaborator.run(item, scope)
        self.folders.pop()  # after an error the loader is not used again


def _program(source: Source, output: str | Sequence[str] | None, folder: Path) -> Program:
    module = parse_module(source)
    loader = _Loader()
    elaborator, scope = loader.elaborator, loader.run(module, folder)
    names = [output] if isinstance(output, str) else list(output or [])
    if output is not None and not names:
        raise ValueError("output is empty; name an s-op, or leave it out for the last one")
    first, *others = [_node(name, scope, elaborator) for name in names] or [elaborator.last]
    if first is None:
        span = Span(source, 0, 0) if not source.text.strip() else None
        raise RaspValueError("this text makes no s-op", span, "assign one: result = indices;")
    return elaborator.program(first, scope, [node for node in others if node])


def _node(output: str, scope: Scope, elaborator: Elaborator) -> NamedNode:
    """The s-op or selector called `output`; a constant becomes an s-op."""
    try:
        value = scope.get(output)
    except RaspNameError:
        nodes = [name for name, value in scope.variables.items() if isinstance(value, NamedNode)]
        near = near_names(output, nodes) or nodes
        hint = f"it has: {', '.join(near)}" if near else None
        raise RaspNameError(f"the text makes no s-op called {output!r}", hint=hint) from None
    if isinstance(value, NamedNode):
        return value
    if is_atom(value):
        text = Source(output, str(value))
        return elaborator.make.sop(value, Span(text, 0, len(text.text)))
    raise RaspTypeError(f"{output} is {a_kind(value)}; an output is an s-op or a selector")

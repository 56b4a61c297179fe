"""A session of RASP: a scope that grows, and a running example that everything is evaluated on.

`Session.run(text)` -> Results is for notebooks; the REPL takes one parsed statement or command at
a time by `step`. A session goes on after an error, and files that it loads do too, as in the
reference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rasplab.base.errors import FileError, RaspError, RaspSyntaxError, RaspTypeError, Source, Span
from rasplab.lang.elaborate.elaborator import Elaborator, Result
from rasplab.lang.elaborate.example_check import ExampleCheck
from rasplab.lang.elaborate.library import with_library
from rasplab.lang.elaborate.scope import Scope
from rasplab.lang.elaborate.values import Applied, NamedNode, Value, a_kind, plain_text
from rasplab.lang.loading import MAX_NESTED_LOADS, find_file, read_source
from rasplab.lang.printing.transcript import View
from rasplab.lang.syntax import ast as s
from rasplab.lang.syntax.parser import is_unfinished, parse_module
from rasplab.lang.syntax.vocabulary import assigned_names, prelude
from rasplab.program.graph import Program
from rasplab.program.interpret.exact import check_length
from rasplab.program.interpret.transcript_faults import with_transcript

EXAMPLE = "hello"
"""The running example of a new session."""


@dataclass(frozen=True, slots=True)
class Brief:
    """A result of a loaded file: shown without its example."""

    result: Result


@dataclass(frozen=True, slots=True)
class Failed:
    """A statement of a loaded file that failed; the file went on."""

    error: RaspError


@dataclass(frozen=True, slots=True)
class Examples:
    """The answer to `show example`: pairs of "s-op" or "selector" and its example."""

    pairs: tuple[tuple[str, str | list], ...]


@dataclass(frozen=True, slots=True)
class Left:
    """The end of the session: `exit` or `quit`."""


Outcome = Result | Brief | Failed | Examples | Left


class Session:
    """Runs RASP texts one after the other: `Session("hello").run("a = indices + 1;")`.

    example  the running example: s-ops and selectors that fail on it are refused
    folder   where `load` looks first; by default the working directory
    draw     makes the picture of `draw`: draw(name, program, tokens)
    kinds    whether errors of kinds have the texts that `parse` gives them, not the reference's

    Attributes:
    scope             the names and their values
    places            name -> the statement that last gave it a value, the library's included
    sop_example       what s-ops are shown on, and checked on
    selector_example  what selectors are shown on
    show_sops         whether s-ops are shown on the example; `show_selectors` likewise
    full              whether s-ops are shown on two lines
    """

    def __init__(
        self,
        example: str | list = EXAMPLE,
        folder: Path | None = None,
        draw: Callable[[str, Program, tuple], object] | None = None,
        kinds: bool = False,
    ):
        self.sop_example: str | list = example
        self.selector_example: str | list = example
        self.show_sops = self.show_selectors = True
        self.full = False
        self.check = ExampleCheck(example)
        self.elaborator = with_library(Elaborator(self.check, self._load, kinds))
        self.elaborator.draw = draw
        self.places = {name: item.span for item in prelude().items for name in assigned_names(item)}
        self.scope = self.elaborator.text_scope("console", keep_library=True)
        self.folders = [folder or Path.cwd()]
        self._stored: list[Outcome] = []

    # for notebooks

    def run(self, text: str, name: str = "<cell>") -> list[Result]:
        """Execute a text; the results of its statements, in order.

        Raises RaspError, placed, at the first error; what ran before it stays.
        """
        outcomes: list[Outcome] = []
        for item in parse_module(Source(name, text)).items:
            outcomes += self.step(item)
        for outcome in outcomes:
            if isinstance(outcome, Failed):
                raise outcome.error
        results = [o.result if isinstance(o, Brief) else o for o in outcomes]
        return [r for r in results if isinstance(r, Result)]

    @contextmanager
    def all_or_nothing(self) -> Iterator[None]:
        """Undo what runs inside when it raises: names, `out`, the running examples."""
        names, out, tokens = dict(self.scope.variables), self.scope.out, self.check.tokens
        # Nodes that were made stay in the builder: nothing names them, so no program has them.
        attributes = vars(self) | {"places": dict(self.places)}
        try:
            yield
        except BaseException:
            self.scope.variables, self.scope.out, self.check.tokens = names, out, tokens
            vars(self).update(attributes)
            raise

    def program(self, name: str) -> Program:
        """The program whose output is the s-op or selector called `name`, or "out" for the last.

        Raises RaspNameError for an unknown name, RaspTypeError for another kind of value.
        """
        value = self.scope.get(name)
        if not isinstance(value, NamedNode):
            raise RaspTypeError(f"{name} is {a_kind(value)}, not an s-op or selector")
        return self.elaborator.program(value, self.scope)

    def names(self) -> set[str]:
        """Every name that can be used."""
        return self.scope.names()

    # one statement or command at a time

    def step(self, item: s.Statement | s.Command) -> list[Outcome]:
        """Execute one statement or command.

        Raises RaspError, placed.
        """
        return self._step(item, self.scope)

    def _step(self, item: s.Statement | s.Command, scope: Scope) -> list[Outcome]:
        if isinstance(item, s.COMMANDS):
            return self._command(item, scope)
        # A `load` returns the outcomes of its file, every other statement its Results.
        outcomes: list[Outcome] = self.elaborator.run(item, scope)
        self.places |= dict.fromkeys(assigned_names(item), item.span)
        return outcomes

    def view(self, brief: bool = False) -> View:
        """How values are shown now; `brief` is without the example."""
        sops = self.sop_example if self.show_sops and not brief else None
        selectors = self.selector_example if self.show_selectors and not brief else None
        return View(sops, selectors, self.full, self.check.column)

    def _command(self, item: s.Command, scope: Scope) -> list[Outcome]:
        match item:
            case s.SetExample(which, value):
                self._set_example(which, self.elaborator.evaluate(value, scope), value.span)
            case s.SwitchExamples(which, on):
                self.show_sops = on if which in ("both", "s-op") else self.show_sops
                self.show_selectors = on if which in ("both", "selector") else self.show_selectors
            case s.SwitchDisplay(on):
                self.full = on
            case s.ShowExample(which):
                pairs = (("s-op", self.sop_example), ("selector", self.selector_example))
                return [Examples(tuple(p for p in pairs if which in ("both", p[0])))]
            case s.Leave():
                return [Left()]
        return []

    def _set_example(self, which: str, value: Value, span: Span) -> None:
        if isinstance(value, dict):
            value = list(value)
        if not isinstance(value, str | list):
            error = RaspTypeError(f"an example is a string or a list, not {a_kind(value)}", span)
            raise with_transcript(error, f"example not iterable: {plain_text(value)}")
        check_length(value, span)
        if which in ("both", "s-op"):
            self.sop_example = self.check.tokens = value
        if which in ("both", "selector"):
            self.selector_example = value

    # loading

    def _load(self, name: str, scope: Scope, span: Span) -> list[Outcome]:
        """Execute the file that `load "name";` means; an error in it ends only its statement."""
        path = find_file(name, self.folders[-1], span)
        if len(self.folders) > MAX_NESTED_LOADS:
            raise with_transcript(
                FileError(f"{name} loads itself, directly or through other files", span),
                "load error: circle",
            )
        # What the file's statements show is collected here, apart from the loading text's.
        source, outer = read_source(path), self._stored
        inner = self.elaborator.text_scope(name, exports=scope)
        self.folders.append(path.parent)
        place, self.elaborator.place = self.elaborator.place, None
        shown = self.show_sops, self.show_selectors  # a file's `examples off` ends with the file
        self._stored = []
        self._run_file(source, inner)
        stored, self._stored = self._stored, outer
        self.show_sops, self.show_selectors = shown
        self.elaborator.place = place
        self.folders.pop()
        return _last_of_each_name(stored)

    def _run_file(self, source: Source, scope: Scope) -> None:
        for item in _items(source):
            if isinstance(item, s.Leave):
                break
            try:
                if isinstance(item, RaspError):
                    raise item
                for outcome in self._step(item, scope):
                    if _reaches_top(outcome):
                        is_result = isinstance(outcome, Result)
                        self._stored.append(Brief(outcome) if is_result else outcome)
            except RaspError as error:
                self._stored.append(Failed(error))


def _reaches_top(outcome: Outcome) -> bool:
    """Whether a result of a loaded file is shown: it has a public name."""
    if not isinstance(outcome, Result):
        return True
    private = outcome.name is None or outcome.name.startswith("_") or outcome.name == "out"
    return not private and not isinstance(outcome.value, Applied)


def _last_of_each_name(stored: list[Outcome]) -> list[Outcome]:
    """The outcomes without results whose name comes again later; all of them if one failed."""
    if any(isinstance(o, Failed) for o in stored):
        return stored
    last, seen = [], set()
    for outcome in reversed(stored):
        if isinstance(outcome, Brief):
            if outcome.result.name in seen:
                continue
            seen.add(outcome.result.name)
        last.append(outcome)
    return last[::-1]


def _items(source: Source) -> Iterator[s.Statement | s.Command | RaspError]:
    """The statements of a file, with the errors among them where it does not parse.

    A file with a syntax error is read in units: the fewest lines that are not unfinished.
    """
    try:
        yield from parse_module(source).items
        return
    except RaspSyntaxError:
        pass
    unit = ""
    for line in source.text.splitlines(keepends=True):
        unit += line
        if not unit.strip() or is_unfinished(unit):
            continue
        try:
            yield from parse_module(Source(source.name, unit)).items
        except RaspSyntaxError as error:
            yield error
        unit = ""

"""The REPL: a plain transcript where input or output is not a terminal, else `Terminal`.

`main(stdin, stdout)` runs one session. A `Console` reads statements and lays out values and faults:
`Transcript`, here, reproduces the reference to the byte; `Terminal` is for people.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import Protocol, TextIO

from rasplab.base.errors import RaspError, RaspSyntaxError, Source
from rasplab.lang.elaborate.elaborator import Result
from rasplab.lang.elaborate.values import Applied, describe, plain_text
from rasplab.lang.printing.transcript import View, applied_lines, named_lines
from rasplab.lang.session import Brief, Examples, Failed, Left, Outcome, Session
from rasplab.lang.syntax.parser import is_unfinished, parse_module
from rasplab.program.graph import Program
from rasplab.program.interpret.exact import evaluate
from rasplab.program.interpret.transcript_faults import transcript_of

VERSION = "0.1"
"""The version of the language, as the banner gives it."""

__all__ = ["Session", "main"]


def main(stdin: TextIO, stdout: TextIO) -> int:
    """Read, evaluate and print until the input ends or leaves. Returns the exit status, 0."""
    friendly = stdin.isatty() and stdout.isatty() and os.environ.get("TERM") != "dumb"
    session = Session(draw=draw, kinds=friendly)
    return _Repl(
        session, _terminal(session) if friendly else Transcript(stdin, stdout), stdout
    ).loop()


def _terminal(session: Session) -> Console:
    from rasplab.apps.repl.terminal import Terminal

    return Terminal(session)


class Console(Protocol):
    """Where statements come from, and how values and faults are laid out."""

    def unit(self) -> str:
        """The next whole statements. Raises EOFError at the end."""
        ...

    def lines(self, view: View, result: Result) -> Iterable[str]:
        """A value as lines. Raises RaspError where it cannot be shown on its example."""
        ...

    def fault(self, error: RaspError) -> str:
        """A fault as text."""
        ...

    def unshown(self, error: RaspError) -> str:
        """The fault of a value that was made but cannot be shown on the current example."""
        ...


class Transcript:
    """The plain transcript of the reference, to the byte."""

    def __init__(self, stdin: TextIO, stdout: TextIO):
        self.stdin, self.stdout = stdin, stdout

    def unit(self) -> str:
        """Lines until they make whole statements, or cannot any more."""
        unit, prompt = "", ">> "
        while True:
            line = self._line(prompt + "  " * unit.split().count("def"))
            unit += "\n" if line.lstrip().startswith("#") else line + "\n"
            if unit.strip() and not is_unfinished(unit):
                return unit
            prompt = ".. "

    def _line(self, prompt: str) -> str:
        self.stdout.write(prompt)
        line = self.stdin.readline()
        if not line:
            raise EOFError
        return line.removesuffix("\n")

    def lines(self, view: View, result: Result) -> Iterable[str]:
        """A value under its name, or the result of an s-op applied to an input."""
        if result.name is None and isinstance(result.value, Applied):
            return applied_lines(view, result.value)
        return named_lines(view, result.name, result.value)

    def fault(self, error: RaspError) -> str:
        """A fault in the reference's words."""
        text = transcript_of(error)
        if isinstance(error, RaspSyntaxError):
            return f"\t!! antlr exception: {text} \t-- ignoring input"
        if text.startswith("not implemented"):
            return text
        if error.host:
            return f"something went wrong: {text}"
        return f"\t\t!!ignoring input:\n\t {text}"

    def unshown(self, error: RaspError) -> str:
        """A value's fault in the reference's words."""
        text = transcript_of(error)
        if error.host:
            place = error.span.text if error.span else "?"
            return f"evaluation failed in: [ {place} ] with exception:\n {text}"
        return f"\t!!statement executed, but result fails on evaluation:\n\t\t {text}"


def draw(name: str, program: Program, tokens: tuple) -> None:
    """Write the picture that `draw` asks for; say on stderr where, apart from the transcript."""
    from rasplab.apps.show.program import write_flow

    print(f"drawn: {write_flow(evaluate(program, tokens), name)}", file=sys.stderr)


class _Repl:
    """One loop over a session."""

    def __init__(self, session: Session, console: Console, out: TextIO):
        self.session, self.console, self.out = session, console, out

    def loop(self) -> int:
        self._write([f"RASP {VERSION}", f"running example is: {self.session.sop_example}"])
        while True:
            try:
                if not self._turn(self.console.unit()):
                    return 0
            except EOFError:
                self._write([""])
                return 0
            except KeyboardInterrupt:
                self._write([""])

    def _turn(self, unit: str) -> bool:
        """Run one unit; False if it leaves."""
        try:
            for item in parse_module(Source("<input>", unit)).items:
                for outcome in self.session.step(item):
                    if isinstance(outcome, Left):
                        return False
                    self._show(outcome)
        except RaspError as error:
            self._write([self.console.fault(error)])
        return True

    def _show(self, outcome: Outcome) -> None:
        match outcome:
            case Failed(error):
                self._write([self.console.fault(error)])
            case Examples(pairs):
                self._write([f"\t{which} example: {_example_text(e)}" for which, e in pairs])
            case Brief(result):
                self._show_value(result, brief=True)
            case Result():
                self._show_value(outcome)

    def _show_value(self, result: Result, brief: bool = False) -> None:
        try:
            self._write(self.console.lines(self.session.view(brief), result))
        except RaspError as error:
            self._write([self.console.unshown(error)])

    def _write(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.out.write(line + "\n")
        self.out.flush()


def _example_text(example: str | list) -> str:
    return describe(example) if isinstance(example, str) else plain_text(example)

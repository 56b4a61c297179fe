"""The REPL: a plain transcript when its output is no terminal, a friendlier loop when it is
(floor 7)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TextIO

from rasplab.errors import RaspError, RaspSyntaxError, Source, render
from rasplab.interpret import evaluate
from rasplab.interpret.faults import is_host, transcript_of
from rasplab.lang.display import View, applied_lines, named_lines
from rasplab.lang.parse import is_unfinished, parse_module
from rasplab.lang.session import Brief, Examples, Failed, Left, Outcome, Session
from rasplab.lang.values import Applied, describe, plain_text
from rasplab.program import Program

VERSION = "0.1"
"""Of the language, as the banner says it."""

Read = Callable[[str], str]
"""Writes a prompt, gives the next line without its newline; raises EOFError at the end."""

__all__ = ["Session", "main"]


def main(stdin: TextIO, stdout: TextIO) -> int:
    """Read, evaluate and print until the input ends or leaves. Returns the exit status, 0."""
    if stdin.isatty() and stdout.isatty():
        return _Repl(Session(draw=draw), _terminal_reader(), stdout, friendly_fault).loop()
    return _Repl(Session(draw=draw), _plain_reader(stdin, stdout), stdout, transcript_fault).loop()


def _plain_reader(stdin: TextIO, stdout: TextIO) -> Read:
    def read(prompt: str) -> str:
        stdout.write(prompt)
        line = stdin.readline()
        if not line:
            raise EOFError
        return line.removesuffix("\n")

    return read


def _terminal_reader() -> Read:
    with suppress(ImportError):
        import readline

        readline.parse_and_bind("tab: complete")
    return input


def transcript_fault(error: RaspError) -> str:
    """A fault as the plain transcript tells it."""
    text = transcript_of(error)
    if isinstance(error, RaspSyntaxError):
        return f"\t!! antlr exception: {text} \t-- ignoring input"
    if text.startswith("not implemented"):
        return text
    return (
        f"something went wrong: {text}" if is_host(error) else f"\t\t!!ignoring input:\n\t {text}"
    )


def friendly_fault(error: RaspError) -> str:
    """A fault with its place, caret and hint."""
    return render(error)


def draw(name: str, program: Program, tokens: tuple) -> None:
    """Write the picture that `draw` asks for, and say where, beside the transcript."""
    from rasplab.show.flow import write_flow

    print(f"drawn: {write_flow(evaluate(program, tokens), name)}", file=sys.stderr)


class _Repl:
    """One loop over a session."""

    def __init__(self, session: Session, read: Read, out: TextIO, tell: Callable[[RaspError], str]):
        self.session, self.read, self.out, self.tell = session, read, out, tell

    def loop(self) -> int:
        self._write([f"RASP {VERSION}", f"running example is: {self.session.sop_example}"])
        while True:
            try:
                if not self._turn(self._read_unit()):
                    return 0
            except EOFError:
                self._write([""])
                return 0
            except KeyboardInterrupt:
                self._write([""])

    def _read_unit(self) -> str:
        """Lines until they make whole statements, or cannot any more."""
        unit, prompt = "", ">> "
        while True:
            line = self.read(prompt + "  " * unit.split().count("def"))
            unit += "\n" if line.lstrip().startswith("#") else line + "\n"
            if unit.strip() and not is_unfinished(unit):
                return unit
            prompt = ".. "

    def _turn(self, unit: str) -> bool:
        """Run one unit; False if it leaves."""
        try:
            for item in parse_module(Source("<input>", unit)).items:
                for outcome in self.session.step(item):
                    if isinstance(outcome, Left):
                        return False
                    self._show(outcome)
        except RaspError as error:
            self._write([self.tell(error)])
        return True

    def _show(self, outcome: Outcome) -> None:
        if isinstance(outcome, Failed):
            self._write([self.tell(outcome.error)])
        elif isinstance(outcome, Examples):
            self._write([f"\t{which} example: {_example_text(e)}" for which, e in outcome.pairs])
        else:
            self._show_value(outcome)

    def _show_value(self, outcome: Outcome) -> None:
        result = outcome.result if isinstance(outcome, Brief) else outcome
        view: View = self.session.view(isinstance(outcome, Brief))
        try:
            if result.name is None and isinstance(result.value, Applied):
                self._write(applied_lines(view, result.value))
            else:
                self._write(named_lines(view, result.name, result.value))
        except RaspError as error:
            self._write([_display_fault(error)])

    def _write(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.out.write(line + "\n")
        self.out.flush()


def _example_text(example: str | list) -> str:
    return describe(example) if isinstance(example, str) else plain_text(example)


def _display_fault(error: RaspError) -> str:
    """A value that could be made, and cannot be shown on the example that is set now."""
    text = transcript_of(error)
    if is_host(error):
        place = error.span.text if error.span else "?"
        return f"evaluation failed in: [ {place} ] with exception:\n {text}"
    return f"\t!!statement executed, but result fails on evaluation:\n\t\t {text}"

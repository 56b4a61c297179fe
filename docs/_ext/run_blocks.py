"""Directives that run their content while the site is built and show what it prints.

  {run}    Python, in a folder that has `circuits/`; `:raises: Name` expects that exception
  {rasp}   RASP text: its value on `:tokens:`, the message of `:raises:`, or, with `:vocab:` and
           `:max-len:`, what the compiler says
  {shell}  `rasplab ...` commands, run in this process; `:code: 1` expects that exit status

A block that fails, or that does not fail as declared, is an error of the build.
"""

from __future__ import annotations

import contextlib
import io
import os
import shlex
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

ROOT = Path(__file__).parents[2]
TEXT_NAME = "example.rasp"

WORKPLACE = tempfile.TemporaryDirectory()
"""Where examples run, and what they write; gone when the build ends."""


@contextlib.contextmanager
def workplace(folder: Path) -> Iterator[None]:
    """Work in `folder`, which has the zoo at `circuits/`."""
    link = folder / "circuits"
    if not link.exists():
        link.symlink_to(ROOT / "circuits")
    with contextlib.chdir(folder):
        yield


def captured(action: Callable[[], object], raises: str | None) -> str:
    """What `action` prints, and the message of the exception called `raises`."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        try:
            action()
        except Exception as error:
            if type(error).__name__ != raises:
                raise
            print(f"{raises}: {error}" if raises else error)
        else:
            if raises:
                raise AssertionError(f"the block does not raise {raises}")
    return out.getvalue().rstrip()


def python(code: str, raises: str | None = None) -> str:
    """What a block of Python prints."""
    return captured(lambda: exec(compile(code, "<example>", "exec"), {}), raises)


def rasp(
    text: str,
    raises: str | None = None,
    tokens: str | None = None,
    vocab: str | None = None,
    max_len: int = 8,
    causal: bool = False,
) -> str:
    """What rasplab says of a RASP text: its output on an input, or as a compiled model."""
    import rasplab

    def action() -> None:
        program = rasplab.parse(text, name=TEXT_NAME)
        if vocab is not None:
            compiled = rasplab.compile(program, vocab=vocab, max_len=max_len, causal=causal)
            print(f"{compiled.n_params} parameters, {len(compiled.heads)} heads")
        elif tokens is not None:
            print(rasplab.evaluate(program, tokens).output)

    return captured(action, raises)


def shell(commands: str, code: int = 0) -> str:
    """A transcript of `rasplab` commands; the last one ends with `code`."""
    from rasplab.apps.cli.parser import main

    transcript = []
    lines = [line for line in commands.splitlines() if line.strip()]
    for line in lines:
        name, *arguments = shlex.split(line, comments=True)
        assert name == "rasplab", f"only rasplab commands are run: {line}"
        with (
            contextlib.redirect_stdout(io.StringIO()) as out,
            contextlib.redirect_stderr(io.StringIO()) as err,
        ):
            status = main(arguments)
        expected = code if line == lines[-1] else 0
        assert status == expected, f"{line}: exit status {status}\n{err.getvalue()}"
        message = err.getvalue() if status else ""
        transcript.append(f"$ {line}\n{out.getvalue()}{message}".rstrip())
    return "\n\n".join(transcript)


class Block(SphinxDirective):
    """What the three directives share: run, then show the text and its output."""

    has_content = True
    language = "python"

    def output(self, text: str) -> str:
        """What the block prints."""
        raise NotImplementedError

    def run(self) -> list[nodes.Node]:
        """The block and its output as literal blocks."""
        text = "\n".join(self.content)
        try:
            with workplace(Path(WORKPLACE.name)):
                output = self.output(text)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            raise self.error(f"{type(error).__name__}: {error}") from error
        # What is not RASP cannot be highlighted as RASP.
        language = "text" if self.options.get("raises") == "RaspSyntaxError" else self.language
        shown: list[nodes.Node] = []
        if language != "console":
            shown.append(self.literal(text, language))
        if output:
            printed = self.literal(output, "text" if shown else "console")
            printed["classes"] += ["output", "message"] if "raises" in self.options else ["output"]
            shown.append(printed)
        return shown

    def literal(self, text: str, language: str) -> nodes.literal_block:
        """A block of code, highlighted."""
        node = nodes.literal_block(text, text, language=language)
        self.set_source_info(node)
        return node


class Run(Block):
    """A block of Python and what it prints."""

    option_spec = {"raises": directives.unchanged}

    def output(self, text: str) -> str:
        """What the code prints."""
        return python(text, self.options.get("raises"))


class Rasp(Block):
    """A RASP text and its value, or its message."""

    language = "rasp"
    option_spec = {
        "raises": directives.unchanged,
        "tokens": directives.unchanged,
        "vocab": directives.unchanged,
        "max-len": directives.positive_int,
        "causal": directives.flag,
    }

    def output(self, text: str) -> str:
        """What rasplab says of the text."""
        options = {name.replace("-", "_"): value for name, value in self.options.items()}
        if "causal" in options:
            options["causal"] = True
        return rasp(text, **options)


class Shell(Block):
    """Commands and what they print."""

    language = "console"
    option_spec = {"code": directives.nonnegative_int}

    def output(self, text: str) -> str:
        """The transcript."""
        return shell(text, self.options.get("code", 0))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directives."""
    os.environ.setdefault("OMP_NUM_THREADS", "2")
    for name, directive in (("run", Run), ("rasp", Rasp), ("shell", Shell)):
        app.add_directive(name, directive)
    return {"parallel_read_safe": False, "parallel_write_safe": True}

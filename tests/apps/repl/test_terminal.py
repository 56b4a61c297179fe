"""The REPL on a terminal, keys typed into a pipe: editing, completion, help, history, displays."""

import io
import os
import select
import subprocess
import sys
import time

import pytest
from prompt_toolkit.document import Document
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from rasplab.apps.repl.loop import _Repl
from rasplab.apps.repl.terminal import PLAIN, RED, NameCompleter, Terminal
from rasplab.lang.session import Session

ENTER, TAB, UP, END = "\r", "\t", "\x1b[A", "\x04"


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    """A state folder of its own, and no colours asked for or against."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.delenv("NO_COLOR", raising=False)
    return tmp_path


def typed(keys: str) -> list[str]:
    """What the REPL prints while someone types these keys and then leaves."""
    session, out = Session(kinds=True), io.StringIO()
    with create_pipe_input() as pipe:
        pipe.send_text(keys + END)
        terminal = Terminal(session, input=pipe, output=DummyOutput())
        assert _Repl(session, terminal, out).loop() == 0
    return out.getvalue().splitlines()[2:-1]


def test_a_statement_is_read_and_told():
    """Enter hands over what is whole."""
    assert typed("x = indices + 1;" + ENTER) == ['x("hello") = [1, 2, 3, 4, 5] (ints)']


def test_lines_go_on_until_they_are_whole():
    """Enter within a function starts a line, indented; its end closes it."""
    keys = ENTER.join(["def f(a) {", "b = a + 1;", "return b;", "}", "f(indices);", ""])
    assert typed(keys) == ["function f(a)", 'out("hello") = [1, 2, 3, 4, 5] (ints)']


def test_comments_in_the_middle_and_empty_lines_do_no_harm():
    """A text that begins with a comment is run; an empty line is asked again."""
    keys = ENTER + "# one" + ENTER + "x = 1; # two" + ENTER
    assert typed(keys) == ["int x = 1"]


def test_completion_offers_nothing_before_a_letter():
    """Only when asked; then everything."""
    completer = NameCompleter(Session())

    def offered(text: str, asked: bool) -> list[str]:
        class Event:
            completion_requested = asked

        return [c.text for c in completer.get_completions(Document(text), Event())]

    assert offered("x = ", False) == [] and "select" in offered("x = ", True)
    assert offered("x = sele", False)[0] == "select"


def test_selectors_are_aligned_whatever_the_tokens():
    """Wide and long tokens keep the columns."""
    keys = 'set example ["ab", "日"]' + ENTER + "s = select(indices, 1, ==);" + ENTER
    assert typed(keys) == ['s(["ab", "日"])', "     ab 日", "ab │  ·  ■", "日 │  ·  ■"]


def test_values_put_to_inputs_full_display_and_no_examples():
    """The other forms of a value."""
    lines = ['tokens("ab");', 'select(1, 1, ==)("ab");', "full seq display on", "x = indices;"]
    lines += ["examples off", "x;", "y = select(x, x, ==);", "[x];", ""]
    assert typed(ENTER.join(lines)) == [
        '("ab") = [a, b] (strings)',
        "    a b",
        "a │ ■ ■",
        "b │ ■ ■",
        "   h  e  l  l  o",
        "x  0  1  2  3  4",
        "s-op x",
        "selector y",
        "list out = [x]",
    ]


def test_a_fault_is_red_where_it_matters(monkeypatch):
    """The reason and the carets; nothing is coloured where NO_COLOR says so."""
    lines = typed("x = select(tokens, indices, <);" + ENTER)
    assert lines[0].startswith(RED) and "<input>:1:20: select compares" in lines[0]
    assert lines[2].startswith(RED) and lines[2].endswith("^^^^^^^" + PLAIN)
    assert lines[1].strip() == "x = select(tokens, indices, <);" and "hint" in lines[3]
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in "".join(typed("x = nosuch;" + ENTER))


def test_a_question_mark_asks_for_help(capsys):
    """`name?` tells and runs nothing; an unknown name is a fault of the text."""
    assert typed("shift?" + ENTER) == []
    assert "shift(s, n, f)" in capsys.readouterr().out
    assert "nosuch" in typed("nosuch?" + ENTER)[1]


def test_history_is_kept_between_sessions(state):
    """Up brings back what was typed in another session."""
    typed("x = 41 + 1;" + ENTER)
    assert typed(UP + ENTER) == ["int x = 42"]
    assert (state / "rasplab" / "history").is_file()


def test_a_state_folder_that_cannot_be_written_is_no_fault(state, monkeypatch):
    """Then the history is that of the session."""
    (state / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(state / "file"))
    assert typed("1 + 1;" + ENTER) == ["int out = 2"]


def test_the_toolbar_tells_the_form_at_the_cursor():
    """What stands at the cursor, else the example."""
    with create_pipe_input() as pipe:
        terminal = Terminal(Session(), input=pipe, output=DummyOutput())
    assert "example: 'hello'" in terminal.hint(Document(""))
    assert terminal.hint(Document("x = shift(")).startswith(" shift(s, n, f)   s, n positions")


class Pty:
    """A program on a pseudo-terminal."""

    def __init__(self, *argv: str):
        pty = pytest.importorskip("pty")
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.environ["TERM"] = "xterm"
            os.execv(argv[0], argv)
        self.seen = b""

    def expect(self, wanted: bytes, patience: float = 20) -> None:
        """Read until `wanted` has been written since the last time."""
        end = time.monotonic() + patience
        while wanted not in self.seen:
            ready = select.select([self.terminal], [], [], max(0, end - time.monotonic()))[0]
            assert ready, (wanted, self.seen)
            got = os.read(self.terminal, 4096)
            if b"\x1b[6n" in got:  # where is the cursor?
                os.write(self.terminal, b"\x1b[1;1R")
            self.seen += got
        self.seen = self.seen.partition(wanted)[2]

    def settle(self) -> None:
        """Read until nothing has been written for half a second."""
        while select.select([self.terminal], [], [], 0.5)[0]:
            os.read(self.terminal, 4096)

    def send(self, keys: str) -> None:
        """Type."""
        os.write(self.terminal, keys.encode())


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
def test_a_real_terminal_gets_the_friendly_loop():
    """On a pseudo-terminal: prompt, completion by Tab, an aligned selector, the way out."""
    repl = Pty(sys.executable, "-m", "rasplab.apps.cli.parser", "repl")
    repl.expect(b">>")
    repl.send("my_name = select(1, 1, ==);" + ENTER)
    repl.expect("h │ ■ ■ ■ ■ ■".encode())
    repl.expect(b">>")
    repl.send("my_n")
    repl.settle()
    repl.send(TAB)
    repl.settle()
    repl.send('("ab");' + ENTER)
    repl.expect("b │ ■ ■".encode())
    repl.expect(b">>")
    repl.send(END)
    assert os.waitpid(repl.pid, 0)[1] == 0


def test_a_pipe_needs_no_terminal_library():
    """The plain transcript imports neither prompt_toolkit nor Pygments nor numpy."""
    code = "import sys, io; from rasplab.apps.repl.loop import main; "
    code += "main(io.StringIO(), io.StringIO()); "
    code += "print([m for m in ('prompt_toolkit', 'pygments', 'numpy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "[]\n"

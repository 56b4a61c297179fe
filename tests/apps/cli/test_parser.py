"""The command line: what it prints, its JSON, its exit codes, and faults without a traceback."""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rasplab.apps.cli import arguments, language
from rasplab.apps.cli import parser as cli
from rasplab.base.errors import RaspError

REVERSE = "flip = select(indices, length - 1 - indices, ==);\nreverse = aggregate(flip, tokens);\n"


@pytest.fixture
def reverse(tmp_path) -> str:
    """A program in a file that is not of the zoo."""
    path = tmp_path / "mine.rasp"
    path.write_text(REVERSE)
    return str(path)


def call(capsys, *argv: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of one command."""
    code = cli.main(list(argv))
    out = capsys.readouterr()
    return code, out.out, out.err


def test_run_prints_the_output(capsys, reverse):
    """The output is one line in the form of the REPL."""
    assert call(capsys, "run", reverse, "abc") == (0, 'reverse("abc") = [c, b, a] (strings)\n', "")


def test_run_takes_a_zoo_name_a_json_list_and_an_output(capsys, reverse):
    """FILE may be a zoo name, TOKENS a JSON list, --output a selector."""
    assert (
        call(capsys, "run", "reverse", '["ab", "c"]')[1]
        == 'reverse(["ab", "c"]) = [c, ab] (strings)\n'
    )
    out = call(capsys, "run", reverse, "ab", "--output", "flip")[1]
    assert out == "flip\n    a b\na │ · ■\nb │ ■ ·\n"


def test_run_json_is_one_object(capsys, reverse):
    """--json: name, tokens and output."""
    code, out, _ = call(capsys, "run", reverse, "abc", "--json")
    assert code == 0 and json.loads(out) == {
        "name": "reverse",
        "tokens": ["a", "b", "c"],
        "output": ["c", "b", "a"],
    }


def test_run_json_of_a_selector_is_a_matrix(capsys, reverse):
    """A selector's output is rows of booleans, one per query."""
    out = json.loads(call(capsys, "run", reverse, "ab", "--output", "flip", "--json")[1])
    assert out["output"] == [[False, True], [True, False]]


def test_run_trace_shows_every_name(capsys, reverse):
    """--trace: s-ops aligned under the tokens, selectors as grids."""
    out = call(capsys, "run", reverse, "abc", "--trace")[1]
    assert out.startswith("tokens   a  b  c\nreverse  c  b  a\nlength   3  3  3\n\nflip\n")


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["run", "nothere.rasp", "abc"], ["no file nothere.rasp", "zoo"]),
        (["run", "revers", "abc"], ["revers", "reverse"]),
        (["run", "BAD", "abc"], ["bad.rasp:1:", "^"]),
        (["run", "MINE", "abc", "--output", "nosuch"], ["nosuch"]),
        (["run", ".", "abc"], ["is a folder"]),
        (["compile", "MINE"], ["--vocab", "--max-len"]),
        (["compile", "MINE", "--vocab", "aab", "--max-len", "4"], ["'a' twice"]),
        (["match", "nowhere", "MINE"], ["no model folder nowhere"]),
        (["verify", "MINE", "--vocab", '[{"a": 1}]', "--max-len", "4"], ["more than strings"]),
    ],
)
def test_a_fault_is_one_message_and_exit_code_1(capsys, reverse, tmp_path, argv, words):
    """The reason and a way out on stderr, nothing on stdout, no traceback."""
    bad = tmp_path / "bad.rasp"
    bad.write_text("x = ;\n")
    named = {"MINE": reverse, "BAD": str(bad)}
    code, out, err = call(capsys, *(named.get(a, a) for a in argv))
    assert code == 1 and out == "" and "Traceback" not in err
    assert all(word in err for word in words), err


def test_usage_errors_exit_with_2(capsys):
    """Unknown commands and options are argparse's."""
    for argv in (["walk"], ["compile", "sort", "--max-len", "0"], []):
        with pytest.raises(SystemExit, match="2"):
            cli.main(argv)
    assert "usage: rasplab" in capsys.readouterr().err


def test_an_interrupt_is_one_line_and_130(capsys, monkeypatch):
    """Ctrl-C says that it stopped."""

    def interrupted(args):
        raise KeyboardInterrupt

    monkeypatch.setattr(language, "run_program", interrupted)
    assert call(capsys, "run", "sort", "abc") == (130, "", "stopped\n")


def test_vocabularies_are_read_three_ways():
    """Characters, a comma separated list, or JSON; a comma can be a token too."""
    assert arguments.read_vocab("abc") == arguments.read_vocab("a,b,c") == ["a", "b", "c"]
    assert arguments.read_vocab("[1, 2.5, true]") == [1, 2.5, True]
    assert arguments.read_vocab("a,") == ["a", ","] and arguments.read_vocab("()[]") == list("()[]")
    assert arguments.read_tokens("[]") == ["[", "]"] and arguments.read_tokens("[0, 1]") == [0, 1]
    with pytest.raises(RaspError, match="twice"):
        arguments.read_vocab("[1, 2, 1]")


def test_a_zoo_file_brings_its_domain(reverse):
    """By name or by path; any other file must say --vocab and --max-len."""
    path = arguments.program_path("reverse")
    assert arguments.zoo_entry(path).name == "reverse"
    assert arguments.program_path(reverse) == Path(reverse)
    assert arguments.zoo_entry(Path(reverse)) is None


def test_compile_json_has_the_sizes(capsys, reverse, tmp_path):
    """The keys of the contract; the folder written can be verified."""
    folder = str(tmp_path / "model")
    argv = ["compile", reverse, "--vocab", "abc", "--max-len", "4", "-o", folder, "--json"]
    code, out, _ = call(capsys, *argv)
    sizes = json.loads(out)
    wanted = "n_layers n_heads d_head d_model d_mlp n_params nonzero_params compile_seconds"
    assert (
        code == 0
        and set(wanted.split()) <= set(sizes)
        and sizes["nonzero_params"] < sizes["n_params"]
    )
    code, out, _ = call(capsys, "verify", folder, "--json", "--device", "cpu")
    report = json.loads(out)
    assert code == 0 and report["exhaustive"] and report["counterexample"] is None
    assert (report["checked"], report["mismatches"]) == (3 + 9 + 27 + 81, 0)


def test_verify_says_sample_when_it_was_one(capsys, reverse):
    """Where the domain is larger than --max-inputs the line names the sample's seed."""
    options = "--vocab abcd --max-len 8 --max-inputs 50 --device cpu"
    code, out, _ = call(capsys, "verify", reverse, *options.split())
    assert code == 0 and out.startswith("checked 50 inputs, a sample of seed 0: 0 mismatches")


def test_circuit_as_text_json_and_picture(capsys, tmp_path):
    """The three forms of `rasplab circuit`."""
    assert "unembed.in" in call(capsys, "circuit", "reverse")[1]
    assert set(json.loads(call(capsys, "circuit", "reverse", "--json")[1])) == {
        "edges",
        "labels",
        "places",
    }
    picture = tmp_path / "c.svg"
    assert call(capsys, "circuit", "reverse", "--svg", str(picture))[0] == 0
    assert picture.read_text().startswith("<svg") and "unembed" in picture.read_text()


def test_a_folder_that_cannot_be_written_is_a_fault(capsys, reverse, tmp_path):
    """Writing under a file fails with the system's reason."""
    code, out, err = call(capsys, "circuit", "reverse", "--svg", f"{reverse}/c.svg")
    assert code == 1 and "mine.rasp" in err and "Traceback" not in err


def python(*argv: str, **options) -> subprocess.CompletedProcess:
    """A fresh interpreter."""
    return subprocess.run(
        [sys.executable, *argv], capture_output=True, text=True, check=False, **options
    )


def test_run_does_not_import_torch(reverse):
    """`rasplab run` stays quick: none of the heavy libraries is imported."""
    code = (
        "import sys; from rasplab.apps.cli.parser import main; assert main(sys.argv[1:]) == 0; "
        "heavy = {'torch', 'transformer_lens', 'networkx', 'numpy', 'lark', 'rich', 'IPython'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    assert python("-c", code, "run", reverse, "abc").stdout.splitlines()[-1] == "[]"


def test_run_reads_no_more_modules_than_it_needs(reverse):
    """What only faults, JSON and other families of commands need stays unread."""
    code = (
        "import sys; from rasplab.apps.cli.parser import main; assert main(sys.argv[1:]) == 0; "
        "print(*sorted(m for m in sys.modules if m.startswith('rasplab.')))"
    )
    read = python("-c", code, "run", reverse, "abc").stdout.splitlines()[-1].split()
    assert not {
        "rasplab.base.schema",
        "rasplab.apps.cli.study",
        "rasplab.lang.syntax.syntax_errors",
        "rasplab.lang.syntax.word_help",
    } & {*read}
    assert len(read) <= 45


def test_quick_commands_are_those_of_their_family():
    """QUICK names every command that `language` registers, so that each finds its parser."""
    assert {*_commands(cli.build_parser(["run"]))} == {*cli.QUICK}
    assert {*_commands(cli.build_parser(["train"]))} > {*cli.QUICK}


def _commands(built: argparse.ArgumentParser) -> list[str]:
    return list(next(a for a in built._actions if a.dest == "command").choices or ())


def test_a_fault_in_a_fresh_process(reverse):
    """The exit code and the message as a shell sees them."""
    done = python("-m", "rasplab.apps.cli.parser", "run", reverse, "abc", "--output", "nosuch")
    assert done.returncode == 1 and "nosuch" in done.stderr and "Traceback" not in done.stderr


def test_a_reader_that_leaves_is_no_fault(reverse):
    """`rasplab run ... | true` prints no traceback."""
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "rasplab.apps.cli.parser", "run", reverse, "abc"],
        stdout=write,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(write)
    assert b"Traceback" not in done.stderr and b"Exception" not in done.stderr


def test_the_repl_writes_a_plain_transcript():
    """With no terminal the REPL reads stdin and leaves at its end."""
    done = python("-m", "rasplab.apps.cli.parser", "repl", input="indices;\n")
    assert done.returncode == 0 and "[0, 1, 2, 3, 4] (ints)" in done.stdout

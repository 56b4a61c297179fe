"""The REPL's plain transcript."""

from __future__ import annotations

import io

from rasplab.apps.repl.loop import main


def test_repl_transcript():
    """Banner, prompts, continuation lines, and the newline at the end."""
    out = io.StringIO()
    assert main(io.StringIO("x = 1 +\n2;\nquit\nx;\n"), out) == 0
    banner = "RASP 0.1\nrunning example is: hello\n"
    assert out.getvalue() == banner + ">> .. " + "    value: x =  3\n" + ">> "


def test_transcripts_align_wide_characters():
    """In the padded display and in a selector's matrix."""
    out = io.StringIO()
    text = 'full seq display on\nset example ["a","漢é"]\nindices + 10;\nselect(indices, 0, <=);\n'
    main(io.StringIO(text), out)
    lines = out.getvalue().splitlines()
    assert [line.strip() for line in lines[4:6]] == [
        "input:     a 漢é \t (strings)",
        "output:   10  11 \t (ints)",
    ]
    assert lines[8:11] == [
        " \t\t\t       a 漢é",
        " \t\t\t   a | 1    ",
        " \t\t\t 漢é | 1    ",
    ]

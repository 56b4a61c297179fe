"""The demo: what it prints, and that its report is whole."""

import io
import re

import pytest

from rasplab.apps import demo


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[int, str, str]:
    """Exit code, printed lines and report of a demo on a small sample."""
    from contextlib import redirect_stdout

    path = tmp_path_factory.mktemp("demo") / "out" / "demo.html"
    printed = io.StringIO()
    with redirect_stdout(printed):
        code = demo.run_demo(str(path), max_inputs=2000, device="cpu")
    return code, printed.getvalue(), path.read_text(encoding="utf-8")


def test_the_demo_prints_each_step_and_where_the_report_is(made):
    """Each program's steps in order, the match table, and what to try next."""
    code, printed, _ = made
    assert code == 0
    for name in demo.LEARNED:
        part = printed[printed.index(f"\n{name}: ") :]
        places = [
            part.index(f"\n  {step}")
            for step in ("interpret", "compile", "load", "verify", "trained", "judge", "beside")
        ]
        assert (
            places == sorted(places) and "checked 2,000 inputs" in part and "0 mismatches" in part
        )
    assert re.search(r"L1H0 +-?\d\.\d\d \(\d\.\d\d, \d\.\d\d\)", printed)
    assert "demo.html" in printed.splitlines()[-5] and printed.splitlines()[-4].startswith("Next:")


def test_the_report_has_every_part_of_each_program(made):
    """Source, sample, sizes, verification, circuit, patterns side by side, scores with chance."""
    page = made[2]
    for name in demo.LEARNED:
        part = page[page.index(f"<h2>{name}</h2>") :]
        part = part[: part.index("</article>")]
        for words in (
            "aggregate",
            "parameters",
            "0 mismatches",
            'aria-label="circuit"',
            'class="pair"',
            "chance",
        ):
            assert words in part, (name, words)
        assert part.count(">selector<") == part.count(">compiled L") == part.count(">trained L") > 0
        assert part.count('type="range"') == len(demo.LEARNED[name])
    assert not re.search(r"(?:src|href)\s*=", page)


def test_the_compiled_heads_match_their_selectors(made):
    """The control of the comparison: each selector has its compiled head."""
    scores = [
        float(s)
        for s in re.findall(r">compiled L\d+H\d+</text><text[^>]*>score (\d\.\d\d)", made[2])
    ]
    assert scores and max(scores) > 0.95


def test_what_was_taught_is_found_and_said(made):
    """The model that was trained to attend so implements the selector, the other one does not.

    The page says which is which.
    """
    page = made[2]
    untaught, taught = re.findall(r"<section><h2>reverse, .*?</section>", page, re.DOTALL)
    assert (
        "learned from examples" in untaught
        and "taught where to attend: L1H0 as flip" not in untaught
    )
    assert "to attend as the program selects: L1H0 as flip" in taught
    verdict = r"<code>flip</code> · <b>(\w+)</b>"
    assert re.findall(verdict, taught) == ["implements"]
    assert re.findall(verdict, untaught) and "implements" not in re.findall(verdict, untaught)


def test_a_live_step_draws_a_bar(monkeypatch):
    """In a terminal the bar moves; the note is printed when the step is over."""

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    stream = Terminal()
    with demo.Steps(stream).step("verify") as step:
        step.progress(1, 2)
        step.note = "half"
    assert "verify" in stream.getvalue() and "half" in stream.getvalue()

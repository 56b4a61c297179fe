"""The demo: what it prints, and that its report is whole."""

import io
import re

import numpy as np
import pytest

from rasplab import demo
from rasplab.domain import Domain


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[int, str, str]:
    """Exit code, printed lines and report of a demo on a small sample."""
    from contextlib import redirect_stdout

    path = tmp_path_factory.mktemp("demo") / "out" / "demo.html"
    printed = io.StringIO()
    with redirect_stdout(printed):
        code = demo.run_demo(str(path), max_inputs=2000, device="cpu")
    return code, printed.getvalue(), path.read_text(encoding="utf-8")


def test_the_demo_says_each_stage_and_where_the_report_is(made):
    """Each program's stages in order, the match table, and what to try next."""
    code, printed, _ = made
    assert code == 0
    for name in demo.PROGRAMS:
        part = printed[printed.index(f"\n{name}: ") :]
        places = [
            part.index(f"\n  {stage}")
            for stage in ("interpret", "compile", "load", "verify", "trained", "match", "judge")
        ]
        assert (
            places == sorted(places) and "checked 2,000 inputs" in part and "0 mismatches" in part
        )
    assert re.search(r"L1H0 +-?\d\.\d\d \(\d\.\d\d, \d\.\d\d\)", printed)
    assert "demo.html" in printed.splitlines()[-5] and printed.splitlines()[-4].startswith("Next:")


def test_the_report_has_every_part_of_each_program(made):
    """Source, sample, sizes, verification, circuit, patterns side by side, scores with chance."""
    page = made[2]
    for name in demo.PROGRAMS:
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
    assert not re.search(r"(?:src|href)\s*=", page)


def test_the_compiled_heads_match_their_selectors(made):
    """The control of the comparison: a compiled head is found for every selector that it was made
    from.
    """
    scores = [
        float(s)
        for s in re.findall(r">compiled L\d+H\d+</text><text[^>]*>score (\d\.\d\d)", made[2])
    ]
    assert scores and max(scores) > 0.95


def test_sample_inputs_are_long_and_different():
    """The report's inputs are near the full length and not all alike."""
    samples = demo.sample_inputs(Domain(tuple("abcd"), 8))
    assert len(set(samples)) == demo.N_SAMPLES and all(
        len(t) >= 6 and len(set(t)) > 1 for t in samples
    )


def test_a_selector_gets_a_row_and_a_column_for_bos():
    """BOS selects nothing and is never selected."""
    grown = demo.with_bos(np.ones((2, 2), bool))
    assert grown.tolist() == [[False] * 3, [False, True, True], [False, True, True]]


def test_a_live_stage_draws_a_bar(monkeypatch):
    """In a terminal the bar moves; the note is printed when the stage is over."""

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    stream = Terminal()
    with demo.Stages(stream).stage("verify") as stage:
        stage.progress(1, 2)
        stage.note = "half"
    assert "verify" in stream.getvalue() and "half" in stream.getvalue()


@pytest.mark.parametrize("name", ["sort", "hist", "length"])
def test_counting_heads_are_drawn_as_what_they_count(name):
    """Their weights beside one counted key, joined over the heads, are the selector itself."""
    import rasplab
    from rasplab.demo import compile_at, compiled_side, with_bos
    from rasplab.zoo import entry

    row = entry(name)
    program = rasplab.load(row.path)
    model = compile_at(program, row.domain).to_model(device="cpu")
    table = rasplab.match(model, program)
    tokens = ("b", "a", "b", "c")
    node = model.compiled.layout.heads[0][2].selector
    j = [s.node for s in table.selectors].index(node)
    looks = [model.patterns([tokens])[0]]
    _, note, (drawn,) = compiled_side(model, table, table.heads[0], j, looks)
    wanted = with_bos(rasplab.evaluate(program, tokens).values[node])
    assert "counts" in note
    assert np.allclose(drawn, wanted, atol=1e-3)

"""Selector, compiled head and trained head on one input, and the slider over inputs."""

import json
import re

import numpy as np
import pytest

import rasplab
from rasplab.apps.show.side_by_side import (
    compiled_side,
    side_by_side_html,
    typical_inputs,
    with_bos,
)
from rasplab.base.errors import RaspError
from rasplab.program.domain import Domain
from rasplab.program.zoo import entry, shipped

INPUTS = ("abcdefgh", "ab", "hgh", "aabbccdd")


@pytest.fixture(scope="module")
def reverse():
    """The program, its compiled model at the trained models' domain, and the supervised model."""
    program = rasplab.load(entry("reverse").path)
    compiled = rasplab.compile(program, vocab="abcdefgh", max_len=8).to_model(device="cpu")
    folder = shipped("circuits") / "trained" / "reverse_supervised"
    return program, compiled, rasplab.load_model(folder, device="cpu")


@pytest.fixture(scope="module")
def found(reverse):
    """All three on four inputs of several lengths."""
    return rasplab.side_by_side(*reverse, inputs=INPUTS)


def frames(page: str) -> list[dict]:
    """What the slider brings."""
    return json.loads(re.search(r'<script type="application/json">(.*?)</script>', page)[1])


def test_the_slider_has_the_patterns_of_every_input(reverse, found):
    """Tokens and weights of the selector and of both heads, on each input."""
    program, compiled, trained = reverse
    page = side_by_side_html(found)
    assert f'max="{len(INPUTS) - 1}" value="0"' in page and page.count('type="range"') == 1
    for text, frame in zip(INPUTS, frames(page), strict=True):
        assert frame["input"] == f'"{text}"' and frame["tokens"] == ["BOS", *text]
        trace = rasplab.evaluate(program, text)
        flip = with_bos(trace.values[dict(program.names)["flip"]])
        heads = [model.patterns([text])[0, 1, 0, 1:] for model in (compiled, trained)]
        shown = np.reshape(frame["grids"], (3, len(text), len(text) + 1))
        assert np.allclose(shown, [flip, *heads], atol=1e-4)


def test_the_model_taught_to_attend_implements_its_selector(found):
    """Seeds are fixed: the caption says so, with score and chance."""
    (row,) = found.rows
    assert (row.selector, row.verdict) == ("flip", "implements")
    assert row.words == "The trained L1H0 does this selector's work."
    assert re.fullmatch(r"implements, score (1\.00|0\.9\d) \(chance 0\.\d\d\)", row.captions[2][1])
    assert "flip: compiled L1H0 score 1.00, trained L1H0 implements" in str(found)


def test_without_scripts_the_first_input_is_shown(found):
    """Pictures of the first input as images, its text, and no slider that does nothing."""
    page = re.sub(r"<script.*?</script>", "", found._repr_html_(), flags=re.DOTALL)
    assert page.count('src="data:image/svg+xml;base64,') == 3 and ">&quot;abcdefgh&quot;<" in page
    assert "<label hidden" in page and " id=" not in page and "<style" not in page
    assert not re.search(r"(?:src|href)=\"(?!data:)|https?://", page)


def test_pictures_have_room_for_the_longest_input(reverse):
    """Where the first input is short, the cells of the longest are there, hidden."""
    page = side_by_side_html(rasplab.side_by_side(*reverse, inputs=["ab", "abcd"]), lambda s, _: s)
    picture = page[page.index("<svg") : page.index("</svg>")]
    assert picture.count("<g") == 4 * 5 and picture.count('visibility="hidden"') == 4 * 5 - 2 * 3
    assert picture.count('data-axis="key"') == 5 and picture.count('data-axis="query"') == 4


def test_the_head_can_be_chosen(reverse):
    """By the selector's text; another head gets its own verdict."""
    evidence = rasplab.judge(reverse[2], reverse[0], 40)
    asked = rasplab.side_by_side(*reverse, INPUTS, {"flip": "L0H0"}, evidence)
    assert asked.rows[0].verdict == evidence.of("L0H0", "flip").verdict != "implements"
    assert asked.rows[0].captions[2][0] == "trained L0H0"
    with pytest.raises(RaspError, match="no head 'L7H0'"):
        rasplab.side_by_side(*reverse, INPUTS, {"flip": "L7H0"}, evidence)
    with pytest.raises(RaspError, match="reads no selector 'flop'"):
        rasplab.side_by_side(*reverse, INPUTS, {"flop": "L1H0"}, evidence)
    with pytest.raises(RaspError, match="not in the vocabulary"):
        rasplab.side_by_side(*reverse, ["xyz"], None, evidence)
    with pytest.raises(RaspError, match="no inputs"):
        rasplab.side_by_side(*reverse, [], None, evidence)


def test_inputs_are_those_that_both_models_take(reverse):
    """Of a compiled model for fewer letters, only these."""
    program, _, trained = reverse
    small = rasplab.compile(program, vocab="abcx", max_len=6).to_model(device="cpu")
    found = rasplab.side_by_side(program, small, trained)
    assert len(found.inputs) == 12 and set().union(*found.inputs) == set("abc")
    assert max(map(len, found.inputs)) == 6


def test_typical_inputs_are_long_and_different():
    """Half the full length or more, the long and varied ones first.

    Of one token there is one input of each length.
    """
    found = typical_inputs(Domain(tuple("abcd"), 8))
    assert len(set(found)) == 12 and all(len(t) >= 4 and len(set(t)) > 1 for t in found)
    assert len(found[0]) == 8 == max(map(len, found)) and len(set(found[0])) >= 3
    assert typical_inputs(Domain(("a",), 3))[0] == ("a", "a", "a")


def test_tokens_cannot_break_out_of_the_page(reverse):
    """Not out of the JSON, and not out of the pictures."""
    program = reverse[0]
    vocab = ["</script>", "<b>"]
    compiled = rasplab.compile(program, vocab=vocab, max_len=3).to_model(device="cpu")
    page = side_by_side_html(
        rasplab.side_by_side(program, compiled, compiled, [vocab, vocab[::-1]]), lambda s, _: s
    )
    assert page.count("</script>") == 1 and "<b>" not in page.replace("<b>implements</b>", "")
    assert [f["tokens"][1] for f in frames(page)] == ["</scrip…", "<b>"]


@pytest.mark.parametrize("name", ["sort", "hist", "length"])
def test_counting_heads_are_drawn_as_what_they_count(name):
    """Their weights beside one counted key, joined over the heads, are the selector itself."""
    row = entry(name)
    program = rasplab.load(row.path)
    model = rasplab.compile(program, row.domain.vocab, row.domain.max_len).to_model(device="cpu")
    table = rasplab.match(model, program)
    tokens = ("b", "a", "b", "c")
    node = model.compiled.layout.heads[0][2].selector
    j = [s.node for s in table.selectors].index(node)
    side = compiled_side(model, table, j, [model.patterns([tokens])[0]])
    (drawn,) = side.patterns
    assert "counts" in side.note
    assert np.allclose(drawn, with_bos(rasplab.evaluate(program, tokens).values[node]), atol=1e-3)

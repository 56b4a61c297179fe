"""Compiled models as users meet them: patterns, hook edits, labels, files."""

from __future__ import annotations

import numpy as np
import pytest

import rasplab
from rasplab.model.interventions import attending, with_pattern
from rasplab.program.zoo import entry

TEXT = """flip = select(indices, length - 1 - indices, ==);
reverse = aggregate(flip, tokens, "-");
"""


@pytest.fixture(scope="module")
def compiled():
    """The program above, on abcd up to length 6."""
    return rasplab.compile(rasplab.parse(TEXT), "abcd", 6)


@pytest.fixture(scope="module")
def model(compiled):
    """The same in TransformerLens, on the CPU."""
    return compiled.to_model(device="cpu")


def head_of(compiled, text: str) -> tuple[int, int]:
    """(layer, head) of the head whose label begins with `text`."""
    return next(site for site, label in compiled.heads.items() if label.startswith(text))


def test_run_gives_values(model):
    """model.run returns what the program says, not logits."""
    assert model.run("abc") == ["c", "b", "a"]
    assert model.run_batch(["a", "dcb", ["a", "d"]]) == [["a"], ["b", "c", "d"], ["d", "a"]]


@pytest.mark.parametrize("name", ["reverse", "shift_2", "induction", "dyck2"])
def test_attention_pattern_is_the_selector(name):
    """A head that carries values attends as its selector says, normalised, empty rows on BOS."""
    row = entry(name)
    compiled = rasplab.compile(rasplab.load(row.path), row.domain.vocab, row.domain.max_len)
    trace = rasplab.evaluate(compiled.program, list(row.sample))
    patterns = compiled.to_model(device="cpu").patterns([list(row.sample)])[0]
    carrying = [(layer, i, h) for layer, i, h in compiled.layout.heads if not h.bos_weight]
    assert carrying
    for layer, i, head in carrying:
        want = attending(trace.values[head.selector])
        assert np.abs(patterns[layer, i] - want).max() < 1e-5


@pytest.mark.parametrize("keys", ["indices", "length - 1", "0"])
def test_hook_edit_changes_the_output_as_the_interpreter_says(compiled, model, keys):
    """Imposing another selector on the head gives what the program with that selector gives."""
    layer, head = head_of(compiled, "flip")
    edited = rasplab.parse(TEXT.replace("length - 1 - indices", f"({keys})"))
    trace = rasplab.evaluate(edited, "abcd")
    got = with_pattern(model, "abcd", layer, head, attending(trace["flip"]))
    assert got == trace.output
    assert got != model.run("abcd")


def test_every_part_names_its_s_op_and_place(compiled):
    """Heads, neurons and residual directions name nodes of the program, and these the text."""
    program, layout = compiled.program, compiled.layout
    for direction in layout.directions:
        assert direction.label
        if direction.site in ("head", "mlp"):
            assert program.span(direction.node) is not None
    for _, _, head in layout.heads:
        assert head.nodes and all(program.span(n) for n in (*head.nodes, head.selector))
    for _, _, neuron in layout.neurons:
        assert any(layout.directions[d].node is not None for d in neuron.outs)
    text = compiled.listing()
    assert "flip -> reverse" in text and "<text>:1:8" in text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("s = select(tokens, tokens, ==);", "selector"),
        ('m = aggregate(select(1, 1, ==), tokens, "-");', "fails on the input"),
        ("m = 1 / indices;", "fails on the input"),
        ("m = tokens < 1;", "<"),
    ],
)
def test_programs_without_a_model_are_refused_with_a_place(text, words):
    """Each refusal names file, line and column, and says why."""
    with pytest.raises(rasplab.RaspError, match=words) as error:
        rasplab.compile(rasplab.parse(text), "ab", 3)
    assert "<text>:1:" in str(error.value) and "^" in str(error.value)

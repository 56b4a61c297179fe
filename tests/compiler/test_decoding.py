"""The forward pass of docs/howto/save.md, which needs no rasplab, on saved models."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest

import rasplab
from rasplab.program.interpret.exact import evaluate
from rasplab.program.values import same_value
from rasplab.program.zoo import entries

PAGE = Path(__file__).parents[2] / "docs/howto/save.md"
NUMBERS = {
    "a number of values that are listed": (
        'x = 1000000 * indices + indicator(tokens == "a");',
        list("ab"),
        3,
        None,
    ),
    "a number of values too many to list": (
        "x = aggregate(select(indices, indices, <=), tokens_int);",
        [0, 1, 10, 100, 1000, 10000, 100000],
        6,
        None,
    ),
    "several outputs": (
        'a = 1000000 * indices + indicator(tokens == "a"); b = tokens; c = indices > 1;',
        list("ab"),
        4,
        ["a", "b", "c"],
    ),
}


def code(folder: Path, tokens: list) -> str:
    """The page's code, for the model in `folder` and an input."""
    (block,) = re.findall(r"```\{run\}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    line = 'folder, tokens = "out/reverse", list("dabc")'
    assert block.count(line) == 1
    return block.replace(line, f"folder, tokens = {str(folder)!r}, {tokens!r}")


def check(compiled, folder: Path, inputs) -> None:
    """The page's code decodes every output as the interpreter has it."""
    compiled.save(folder, force=True)
    for ids in inputs:
        tokens = [compiled.domain.vocab[i] for i in ids]
        scope: dict = {}
        with contextlib.redirect_stdout(io.StringIO()):
            exec(code(folder, tokens), scope)  # the page's own text
        trace = evaluate(compiled.program, tokens, causal=compiled.domain.causal)
        for output, node in zip(scope["about"]["outputs"], compiled.program.outputs, strict=True):
            expected = trace.value(node)
            assert all(map(same_value, expected, output["decoded"])), (tokens, expected, output)


@pytest.mark.parametrize("basis", ["compact", "one_hot"])
@pytest.mark.parametrize("kind", NUMBERS)
def test_the_page_decodes_numbers_and_several_outputs(kind, basis, tmp_path):
    """Number read-outs, listed or not, and outputs of several kinds."""
    text, vocab, max_len, output = NUMBERS[kind]
    program = rasplab.parse(text, output=output) if output else rasplab.parse(text)
    compiled = rasplab.compile(program, vocab, max_len, basis=basis)
    check(compiled, tmp_path / "model", compiled.domain.sample(8, 0))


def test_the_page_decodes_every_zoo_program(tmp_path):
    """Every program of the zoo, causal ones too, on sampled inputs."""
    for name, entry in entries().items():
        domain = entry.domain
        program = rasplab.load(entry.path)
        compiled = rasplab.compile(program, domain.vocab, domain.max_len, causal=domain.causal)
        check(compiled, tmp_path / name, domain.sample(3, 0))

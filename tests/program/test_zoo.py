"""Every zoo program: its sample, its compiled model, its circuit on file."""

from __future__ import annotations

import pytest

import rasplab
from rasplab.compiler.pipeline import compile_program
from rasplab.program.zoo import entries, entry, shipped

NAMES = list(entries("zoo"))


@pytest.mark.parametrize("name", NAMES)
def test_sample(name):
    """The index's sample input gives the index's output, value and kind."""
    row = entry(name)
    got = rasplab.evaluate(
        rasplab.load(row.path), list(row.sample), causal=row.domain.causal
    ).output
    assert [(v, type(v) is bool) for v in got] == [(v, type(v) is bool) for v in row.output]


@pytest.mark.parametrize("basis", ["compact", "one_hot"])
@pytest.mark.parametrize("name", NAMES)
def test_compiled_model_is_exact(name, basis):
    """0 mismatches between model and interpreter on 3,000 inputs (all, where there are fewer)."""
    row = entry(name)
    model = compile_program(rasplab.load(row.path), row.domain, basis).to_model(device="cpu")
    report = rasplab.verify(model, max_inputs=3000)
    assert report.mismatches == 0, report.counterexample
    assert report.checked == min(3000, row.domain.size)
    assert report.exhaustive == (row.domain.size <= 3000)


@pytest.mark.parametrize("name", NAMES)
def test_circuit_on_file_is_current(name):
    """circuits/truth/NAME.json is what the compiler gives today (`make circuits`)."""
    row = entry(name)
    circuit = rasplab.circuit_of(compile_program(rasplab.load(row.path), row.domain))
    stored = (shipped("circuits") / "truth" / f"{name}.json").read_text(encoding="utf-8")
    assert circuit.to_json() == stored
    assert type(circuit).from_json(stored) == circuit


@pytest.mark.parametrize("name", ["length", "reverse", "hist", "sort"])
def test_exact_at_vocabulary_16_length_32(name):
    """1,000 random inputs each, where Tracr's default setting is right for `hist` alone."""
    compiled = rasplab.compile(rasplab.load(entry(name).path), "abcdefghijklmnop", 32)
    report = rasplab.verify(compiled.to_model(device="cpu"), max_inputs=1000)
    assert (report.checked, report.mismatches) == (1000, 0), report.counterexample


def test_a_program_without_its_circuit_would_be_noticed():
    """Every file under circuits/truth belongs to a zoo program, and the other way round."""
    files = {p.stem for p in (shipped("circuits") / "truth").glob("*.json")}
    assert files == set(NAMES)

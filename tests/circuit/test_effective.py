"""Truth by ablation, differences of circuits, and what a batch exercises."""

from __future__ import annotations

import networkx
import pytest
from support.compiled import compiled, fresh

import rasplab
from rasplab.circuit.effective import (
    effective_circuit,
    effective_json,
    effective_units,
    stored_effective,
)
from rasplab.circuit.evaluation.coverage import coverage
from rasplab.circuit.graph import Circuit
from rasplab.circuit.patching.experiment import ABLATIONS
from rasplab.circuit.patching.pairs import draw_pairs
from rasplab.circuit.structural import circuit_of, position_units
from rasplab.program.zoo import entries, shipped


@pytest.mark.parametrize("name", list(entries("zoo")))
def test_effective_circuits_on_file_are_what_is_found(name):
    """Files under circuits/effective say what exact patching finds, and lie in the structure."""
    model = compiled(name).to_model(device="cpu")
    path = shipped("circuits") / "effective" / f"{name}.json"
    assert path.read_text(encoding="utf-8") == effective_json(model)
    truth = {str(e) for e in circuit_of(model.compiled).edges}
    for ablation, edges in stored_effective(path).items():
        assert edges <= truth, ablation


def test_every_program_has_its_effective_circuits():
    """Each zoo program has a file with all ablations; zero finds the most, resample the least."""
    for name in entries("zoo"):
        found = stored_effective(shipped("circuits") / "effective" / f"{name}.json")
        assert set(found) == set(ABLATIONS)
        truth = Circuit.from_json(
            (shipped("circuits") / "truth" / f"{name}.json").read_text(encoding="utf-8")
        )
        assert found["zero"] and found["zero"] <= {str(e) for e in truth.edges}, name


def test_positions_vanish_under_resample_only():
    """Positions are equal on all inputs of a length: only resampled positions show their edges."""
    model = compiled("reverse").to_model(device="cpu")
    found = {a: {str(e) for e in effective_circuit(model, None, a).edges} for a in ABLATIONS}
    assert found["resample"] == {"L1H0->unembed.in", "tok_embed->L1H0.v"}
    assert "pos_embed->L1H0.k" in found["resample_positions"]
    assert len(found["zero"]) >= 10 and found["resample"] < found["zero"]


def test_effective_positions_lie_in_the_structural_ones():
    """Position level: no position matters at which the edge carries only zeros."""
    model = compiled("shift_1").to_model(device="cpu")
    allowed = position_units(model.compiled)
    for ablation in ("zero", "resample_positions"):
        found = effective_units(model, None, ablation)
        assert found and found <= allowed
    assert any(name.endswith("@BOS") for name in allowed)
    assert effective_units(model, granularity="node") == {"tok_embed", "L0H0"}


def test_trained_models_have_effective_circuits_too():
    """With LayerNorm and GELU, a random model's edges nearly all matter."""
    found = effective_circuit(fresh("LN"), ablation="mean")
    assert len(found.edges) > 40 and found.label(found.sites[0]) == ""


def test_differences_of_circuits():
    """What is in both, and what only one has."""
    model = compiled("reverse").to_model(device="cpu")
    truth, found = circuit_of(model.compiled), effective_circuit(model, ablation="zero")
    difference = truth.diff(found)
    assert set(difference.both) == set(found.edges) and difference.left and not difference.right
    assert not difference.same and truth.diff(truth).same
    assert str(difference).splitlines()[0] == f"{len(found.edges)} edges in both"
    assert set(truth.kept(difference.left).edges) == set(difference.left)


def test_graphml_reads_back():
    """networkx reads the GraphML text as the same graph, with what edges carry."""
    truth = circuit_of(compiled("sort"))
    graph = networkx.parse_graphml(truth.to_graphml(), force_multigraph=True)
    assert graph.number_of_edges() == len(truth.edges)
    assert set(graph.nodes) == {str(s) for s in truth.sites}
    ports = sorted(row["port"] for _, _, row in graph.edges(data=True))
    assert ports == sorted(e.dst.name for e in truth.edges)
    assert graph.nodes["unembed"]["label"] == truth.label(truth.sites[-1])


def test_coverage_says_what_stays_silent():
    """Inputs of one token exercise no other length, and no position but the first."""
    program, domain = rasplab.load(entries()["sort"].path), entries()["sort"].domain
    full = coverage(program, domain, draw_pairs(domain, 200, seed=1))
    assert full.lengths == (25,) * 8 and not full.notes
    narrow = coverage(program, domain, draw_pairs(domain, 4, lengths=[1]))
    assert narrow.notes[0] == "no input has 2, 3, 4, 5, 6, 7, 8 tokens"
    assert "indices is the same on every input" in narrow.notes


def test_coverage_names_branches_never_taken():
    """A condition that is never true on the batch is named."""
    program = rasplab.parse('x = 1 if tokens == "d" else 0;')
    domain = entries()["sort"].domain
    pairs = draw_pairs(domain, 60, seed=4)
    pairs.clean.tokens.clamp_(max=3)  # no d
    notes = coverage(program, domain, pairs).notes
    assert any(note.startswith('tokens == "d" ') for note in notes), notes

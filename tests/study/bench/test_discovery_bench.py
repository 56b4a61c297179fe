"""The benchmark: its choice of programs, its rows, its tables; published rows beside ours."""

from __future__ import annotations

import json

import pytest

import rasplab
from rasplab.apps.cli.parser import main
from rasplab.compiler.pipeline import compile_program
from rasplab.program.zoo import entry
from rasplab.study.bench.acdc_tables import replicate, replicate_markdown
from rasplab.study.bench.discovery_bench import (
    PROGRAMS,
    Case,
    cases,
    model_of,
    read_rows,
    run_bench,
)
from rasplab.study.bench.discovery_tables import markdown, summary


def test_programs_have_circuits_worth_finding():
    """At least 30; each has two heads or more, and eleven true edges or more."""
    assert len(PROGRAMS) == len(set(PROGRAMS)) >= 30
    for name in PROGRAMS[::6]:
        about = entry(name)
        compiled = compile_program(rasplab.load(about.path), about.domain)
        assert len(compiled.layout.heads) >= 2
        assert len(rasplab.circuit_of(compiled).edges) >= 11


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """A small run, stopped after its first rows and taken up again."""
    out = tmp_path_factory.mktemp("bench")
    wanted = cases(["reverse"], ["plain", "rotated"], ["exact", "eap", "acdc"])
    run_bench(out, wanted[:4])
    with (out / "rows.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"key": "cut sho')  # a stop in the middle of a line
    before = (out / "rows.jsonl").read_text(encoding="utf-8").splitlines()[:4]
    found = run_bench(out, wanted)
    assert [json.loads(line) for line in before] == found[:4]  # not made again
    assert len(list(read_rows(out / "rows.jsonl"))) == len(wanted)
    return found


def test_rows_say_areas_and_costs(rows):
    """Each row has both truths, what it cost, and its model."""
    assert len(rows) == 12
    for row in rows:
        assert 0 <= row["effective"]["pessimistic"] <= row["effective"]["auc"] <= 1
        assert row["forwards"] >= 1 and row["seconds"] > 0 and row["units"] == 26
    exact = [r for r in rows if r["method"] == "exact" and r["ablation"] == "resample"]
    assert all(r["effective"]["auc"] == 1 for r in exact)


def test_another_basis_changes_no_score(rows):
    """Plain and rotated models: patching and gradients do not see the basis."""
    by = {r["key"]: r for r in rows}
    for key, row in by.items():
        if "/plain/" in key:
            turned = by[key.replace("/plain/", "/rotated/")]
            assert row["structural"]["auc"] == pytest.approx(turned["structural"]["auc"], abs=0.02)


def test_tables_average_over_programs(rows):
    """The Markdown has every method once per kind of model; means are those of the rows."""
    lines = summary(rows)
    line = next(
        r
        for r in lines
        if (r["variant"], r["ablation"], r["truth"], r["method"])
        == ("plain", "zero", "structural", "eap")
    )
    row = next(r for r in rows if r["key"] == "reverse/plain/zero/eap")
    assert line["auc"] == row["structural"]["auc"] and line["programs"] == 1
    text = markdown(rows)
    assert text.count("\n| eap |") == 4 and "## rotated models, zero ablation" in text


def test_published_rows_are_met_in_kind():
    """Zero against zero is perfect for ACDC as published, and resample against zero falls below."""
    found = {(r.task, r.method): r for r in replicate()}
    for task in ("xproportion", "reverse"):
        row = found[task, "acdc"]
        assert row.against_zero[0] == row.published[0] == 1
        assert row.against_zero[1] < 0.7 and row.against_own[1] == 1
    assert "| reverse | acdc | 1.000 |" in replicate_markdown(list(found.values()))


def test_the_command_writes_tables_and_pictures(tmp_path, capsys):
    """`rasplab bench circuits`: Markdown, JSON and SVG in the folder; unknown programs are said."""
    out = tmp_path / "bench"
    command = ["bench", "circuits", "--programs", "contains_ab", "--variants", "plain", "-o"]
    assert main([*command, str(out)]) == 0
    assert "written to" in capsys.readouterr().out
    table = json.loads((out / "table.json").read_text(encoding="utf-8"))
    assert {r["method"] for r in table["summary"]} >= {"acdc", "eap", "pruning"}
    assert "<svg" in (out / "effective.svg").read_text(encoding="utf-8")
    assert (out / "table.md").read_text(encoding="utf-8").startswith("# Discovery methods")
    assert main(["bench", "circuits", "--programs", "nosuch", "-o", str(out)]) == 1
    assert "no program 'nosuch'" in capsys.readouterr().err


def test_realistic_models_are_scored_by_trained_sites(tmp_path):
    """Heads and MLPs, the embeddings left out; path patching, which scores edges, is too."""
    wanted = cases(["detect_abc"], ["realistic"], ["exact", "path"])
    assert [case.method for case in wanted] == ["exact", "exact"]
    zero, resample = run_bench(tmp_path, wanted)
    assert zero["structural"]["n_true"] == 3 and zero["effective"] is None
    assert zero["structural"]["auc"] == resample["structural"]["auc"] == 1


def test_every_variant_is_a_model_with_its_structure():
    """Rotated weights say what plain ones say, and a case names its row."""
    rotated, plain = model_of("reverse", "rotated", seed=1)
    assert rotated.run("abca") == plain.run("abca") and plain.compiled is not None
    assert Case("a", "plain", "zero", "eap").key == "a/plain/zero/eap"
    with pytest.raises(rasplab.RaspError, match="unknown variant 'noisy'"):
        model_of("reverse", "noisy")


def test_an_unknown_program_leaves_no_folder(tmp_path):
    """The name is checked before anything is written."""
    from rasplab.apps.cli.parser import main

    out = tmp_path / "new"
    assert main(["bench", "circuits", "--programs", "nosuch", "-o", str(out)]) == 1
    assert not out.exists()


@pytest.mark.parametrize(
    "edit",
    [
        {"method": "<script>alert(1)</script>"},
        {"program": "sort"},
        {"effective": {"auc": 2.0}},
        {"seconds": float("nan")},
        {"forwards": "1"},
    ],
)
def test_a_row_that_the_benchmark_did_not_write_is_refused(rows, tmp_path, edit):
    """Names that are no names or not of the key, areas beyond 1, costs that are no numbers."""
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(rows[0]) + "\n" + json.dumps(rows[1] | edit) + "\n")
    with pytest.raises(rasplab.RaspError, match=r"rows\.jsonl, line 2 is not a row"):
        list(read_rows(path))


def test_names_of_rows_are_escaped_in_tables(rows):
    """Rows from elsewhere: no tag and no further cell in the Markdown."""
    name = "<script>alert(1)</script> | 1"
    text = markdown([row | {"method": name, "program": name} for row in rows[:1]])
    assert "<script" not in text and "&lt;script&gt;alert(1)&lt;/script&gt; &#124; 1" in text

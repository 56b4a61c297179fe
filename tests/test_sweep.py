"""Sweeps: specifications, records, what stopping costs, the index, and tables."""

import json
import sqlite3

import pytest

from rasplab.cli import main
from rasplab.errors import FileError, RaspError, RaspValueError
from rasplab.show.studies import curve_svg, sweep_svg
from rasplab.study import sweep as sweeps
from rasplab.study.sweep import INDEX, RUNS, read_spec, rebuild_index, run_one, run_sweep, sweep_of
from rasplab.study.sweep_text import interval, markdown, rows_of

SMALL = {"vocab": ["a", "b"], "max_len": 3, "d_model": 8, "d_mlp": 8, "batch": 16, "steps": 3}
SPEC = {"tasks": ["hist"], "seeds": [0, 1], "settings": SMALL, "grid": {"layers": [1, 2]}}

TEXT = """
tasks = ["hist"]
seeds = [0, 1]

[settings]
vocab = ["a", "b"]
max_len = 3
d_model = 8
d_mlp = 8
batch = 16
steps = 3

[grid]
layers = [1, 2]
"""


def here(work, todo, workers):
    """A pool without processes."""
    for wanted in todo:
        yield work(wanted)


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch, request):
    """Most tests need no processes of their own."""
    if "processes" not in request.keywords:
        monkeypatch.setitem(sweeps.POOLS, "local", here)


def without_time(record):
    """A record without what differs from run to run."""
    return {k: v for k, v in record.items() if k != "seconds"}


def test_a_specification_is_every_combination_once(tmp_path):
    """Tasks by grid by seeds; the file and the table say the same."""
    (tmp_path / "s.toml").write_text(TEXT)
    found = read_spec(tmp_path / "s.toml").recipes
    assert [(r.layers, r.seed) for r in found] == [(1, 0), (1, 1), (2, 0), (2, 1)]
    assert found == sweep_of(SPEC).recipes
    assert len(sweep_of(SPEC | {"seeds": [0, 0]}).recipes) == 2


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("tasks = [", "no TOML"),
        ("seeds = [1]", "no list of tasks"),
        ('tasks = ["hist"]\nlayer = 2', "layer in it"),
        ('tasks = ["hist"]\n[grid]\nlayer = [2]', "layer, no setting"),
        ('tasks = ["hsit"]', "no program 'hsit'"),
        ('tasks = ["hist"]\n[grid]\nheads = [5]', "heads must divide"),
        ('tasks = ["hist"]\n[settings]\nlayers = "x"', "s.toml"),
    ],
)
def test_a_wrong_specification_is_told(tmp_path, text, reason):
    """With what is wrong in it; nothing is trained."""
    (tmp_path / "s.toml").write_text(text)
    with pytest.raises(RaspError, match=reason):
        read_spec(tmp_path / "s.toml")


def test_a_stopped_sweep_goes_on(tmp_path, monkeypatch):
    """Stopped after two of four runs: these are not run again, and the end is the same."""
    ran = []

    def stopping(work, todo, workers):
        for wanted in todo:
            if len(ran) == 2:
                raise KeyboardInterrupt
            ran.append(wanted)
            yield work(wanted)

    monkeypatch.setitem(sweeps.POOLS, "local", stopping)
    with pytest.raises(KeyboardInterrupt):
        run_sweep(sweep_of(SPEC), tmp_path / "broken")
    assert len(list((tmp_path / "broken" / RUNS).glob("*.json"))) == 2
    monkeypatch.setitem(sweeps.POOLS, "local", here)
    broken = run_sweep(sweep_of(SPEC), tmp_path / "broken")
    whole = run_sweep(sweep_of(SPEC), tmp_path / "whole")
    assert list(map(without_time, broken)) == list(map(without_time, whole))


@pytest.mark.processes
def test_processes_give_what_one_process_gives(tmp_path):
    """Another process, a record equal but for the time."""
    spec = SPEC | {"grid": {"layers": [1]}, "seeds": [0]}
    apart = run_sweep(sweep_of(spec), tmp_path / "apart", workers=2)
    alone = [run_one(r, str(tmp_path / "alone")) for r in sweep_of(spec).recipes]
    assert list(map(without_time, json.loads(json.dumps(apart)))) == [
        without_time(json.loads(json.dumps(r))) for r in alone
    ]


def test_the_index_is_made_from_the_records(tmp_path):
    """Deleted and rebuilt: the same rows; each holds its record."""
    run_sweep(sweep_of(SPEC), tmp_path)
    first = _rows(tmp_path / INDEX)
    (tmp_path / INDEX).unlink()
    rebuild_index(tmp_path)
    assert _rows(tmp_path / INDEX) == first and len(first) == 4
    assert {(r[0], r[1]) for r in first} == {("hist", 1), ("hist", 2)}
    assert not list(tmp_path.glob(".index*"))


def _rows(path):
    with sqlite3.connect(path) as base:
        return base.execute("select task, layers, record from runs order by id").fetchall()


def test_a_diverged_run_is_a_record_too(tmp_path):
    """Its fault instead of an accuracy; the table counts it."""
    spec = SPEC | {"seeds": [0], "grid": {"lr": [1e-3, 1e12]}, "settings": SMALL | {"steps": 60}}
    found = run_sweep(sweep_of(spec), tmp_path)
    assert found[0]["held_out"] is not None and "diverged" in found[1]["fault"]
    assert "0, 1 diverged" in markdown(rows_of(found))


def test_a_damaged_record_is_told(tmp_path):
    """By its path, with what to do."""
    run_sweep(sweep_of(SPEC), tmp_path)
    path = next((tmp_path / RUNS).glob("*.json"))
    path.write_text(path.read_text()[:30])
    with pytest.raises(FileError, match=path.name) as told:
        run_sweep(sweep_of(SPEC), tmp_path)
    assert "delete" in told.value.hint


def test_seeds_of_a_setting_share_a_row():
    """Mean and Student's interval of three runs by hand."""
    mean, low, high = interval((0.9, 0.92, 0.94))
    assert mean == pytest.approx(0.92) and high - mean == pytest.approx(4.303 * 0.02 / 3**0.5)
    assert interval((0.99, 1.0))[2] == 1.0 and low == pytest.approx(2 * mean - high)


def test_the_command(tmp_path, capsys):
    """A table, files beside the records; run again it trains nothing; a fault is one message."""
    (tmp_path / "s.toml").write_text(TEXT)
    out = tmp_path / "out"
    assert main(["sweep", str(tmp_path / "s.toml"), "-o", str(out)]) == 0
    assert "| hist | 2 |" in capsys.readouterr().out
    assert (out / "table.md").is_file() and (out / "plot.svg").read_text().count("<circle") == 4
    times = {p: p.stat().st_mtime_ns for p in (out / RUNS).iterdir()}
    assert main(["sweep", str(tmp_path / "s.toml"), "-o", str(out), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["runs"]) == 4
    assert times == {p: p.stat().st_mtime_ns for p in (out / RUNS).iterdir()}
    assert main(["sweep", str(tmp_path / "no.toml")]) == 1
    assert "no.toml" in capsys.readouterr().err


def test_ray_is_an_extra(monkeypatch, tmp_path):
    """Asked for and not there: said with how to get it."""
    import builtins

    plain = builtins.__import__

    def without_ray(name, *rest, **more):
        if name == "ray":
            raise ImportError(name)
        return plain(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without_ray)
    with pytest.raises(RaspValueError, match="ray is not installed"):
        run_sweep(sweep_of(SPEC), tmp_path, pool="ray")


def test_curves_and_plots_are_drawn():
    """Two lines of as many points as measurements; nothing measured is said."""
    picture = curve_svg(((100, 2.0, 0.3), (200, 1.0, 0.9)))
    assert picture.count("<polyline") == 2 and "200 steps" in picture
    assert "no measurements" in curve_svg(())
    rows = rows_of([{"recipe": {"task": "hist", "seed": 0}, "held_out": 0.5}])
    assert "50.00%" in sweep_svg(rows)

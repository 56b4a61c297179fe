"""Sweeps: specifications, records, what stopping costs, the index, and tables."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time

import pytest

from rasplab.apps.cli.parser import main
from rasplab.apps.show.heads import curve_svg
from rasplab.apps.show.sweeps import lengths_svg, sweep_svg
from rasplab.base.errors import FileError, RaspError, RaspValueError
from rasplab.study.bench import sweep as sweeps
from rasplab.study.bench.sweep import (
    INDEX,
    RUNS,
    read_spec,
    rebuild_index,
    records,
    run_id,
    run_one,
    run_sweep,
    sweep_of,
)
from rasplab.study.bench.sweep_tables import interval, markdown, rows_of

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


def here(work, jobs, workers):
    """An executor without processes."""
    for job in jobs:
        yield work(job)


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch, request):
    """Most tests need no processes of their own; all can do without."""
    monkeypatch.setitem(sweeps.EXECUTORS, "here", here)
    if "processes" not in request.keywords:
        monkeypatch.setitem(sweeps.EXECUTORS, "local", here)


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


WRONG = [
    ("tasks = [", "not valid TOML"),
    ("seeds = [1]", "no list of tasks"),
    ('tasks = "hist"', "no list of tasks"),
    ('tasks = ["hist"]\nlayer = 2', "unknown parts: layer"),
    ('tasks = ["hist"]\n[grid]\nlayer = [2]', "layer, which runs do not have"),
    ('tasks = ["hsit"]', "s.toml: no program 'hsit'"),
    ('tasks = ["hist"]\nseeds = 3', "no list of whole numbers: seeds = 3"),
    ('tasks = ["hist"]\nseeds = "ab"', "no list of whole numbers"),
    ('tasks = ["hist"]\nseeds = [-1]', "seed must be a whole number of at least 0"),
    ('tasks = ["hist"]\nsettings = [1]', "not a table of fields"),
    ('tasks = ["hist"]\n[grid]\nheads = []', "no list of values for heads"),
    ('tasks = ["hist"]\n[grid]\nheads = [5]', "heads must divide"),
    ('tasks = ["hist"]\n[settings]\nheads = 1\n[grid]\nheads = [2]', "heads twice"),
    ('tasks = ["hist"]\n[settings]\nlayers = "x"', "layers must be a whole number"),
    ('tasks = ["hist"]\n[settings]\nsteps = -3', "steps must be a whole number of at least 1"),
    ('tasks = ["hist"]\n[settings]\nlr = "fast"', "lr must be a number"),
    ('tasks = ["hist"]\n[settings]\nvocab = 3', "vocab is a string or a list"),
    ('tasks = ["hist"]\n[settings]\ncausal = "yes"', "causal is true or false"),
    ('tasks = ["hist"]\n[settings]\nsupervise = 3', "pairs of a head and a selector"),
]


@pytest.mark.parametrize(("text", "reason"), WRONG)
def test_a_wrong_specification_is_told(tmp_path, text, reason):
    """With what is wrong in it; nothing is trained."""
    (tmp_path / "s.toml").write_text(text)
    with pytest.raises(RaspError, match=reason):
        read_spec(tmp_path / "s.toml")


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    """A file in the folder's place: said before anything is trained."""
    (tmp_path / "out").write_text("")
    with pytest.raises(FileError, match="cannot write") as told:
        run_sweep(sweep_of(SPEC), tmp_path / "out")
    assert "-o" in told.value.hint


def test_a_fault_of_the_disk_is_no_record(tmp_path, monkeypatch):
    """A checkpoint that cannot be written stops the sweep; the run is not counted as done."""

    def full(*_):
        raise FileError("cannot write: no space left on device")

    monkeypatch.setattr("rasplab.study.training.trainer.save_model", full)
    with pytest.raises(FileError, match="no space"):
        run_sweep(sweep_of(SPEC), tmp_path)
    assert not list((tmp_path / RUNS).iterdir())


def test_a_stopped_sweep_goes_on(tmp_path, monkeypatch):
    """Stopped after two of four runs: these are not run again, and the end is the same."""
    ran = []

    def stopping(work, jobs, workers):
        for job in jobs:
            if len(ran) == 2:
                raise KeyboardInterrupt
            ran.append(job)
            yield work(job)

    monkeypatch.setitem(sweeps.EXECUTORS, "local", stopping)
    with pytest.raises(KeyboardInterrupt):
        run_sweep(sweep_of(SPEC), tmp_path / "broken")
    assert len(list((tmp_path / "broken" / RUNS).glob("*.json"))) == 2
    monkeypatch.setitem(sweeps.EXECUTORS, "local", here)
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


KILLED = """
tasks = ["hist"]
seeds = [0]

[settings]
vocab = ["a", "b"]
max_len = 3
d_model = 8
d_mlp = 8
batch = 16
steps = 800
target = 2.0
"""


@pytest.mark.processes
@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -9), (signal.SIGINT, 130)])
def test_a_killed_sweep_leaves_no_process_and_goes_on(tmp_path, number, code):
    """The sweep's process alone gets the signal, during training; its workers end too.

    What is on disk is whole, and the end is that of an unbroken sweep.
    """
    spec, folder = tmp_path / "s.toml", tmp_path / "broken"
    spec.write_text(KILLED)
    sweep, told = _signalled(spec, folder, number)
    assert sweep.returncode == code and "Traceback" not in told
    _until(lambda: not _alive(sweep.pid))
    assert not list(folder.rglob(".*"))
    broken, whole = (
        run_sweep(read_spec(spec), into, pool="here") for into in (folder, tmp_path / "whole")
    )
    assert list(map(without_time, broken)) == list(map(without_time, whole))
    assert not (folder / "work").exists()


def _signalled(spec, folder, number, tries=3):
    """A sweep in its own process, signalled after its first checkpoint, and its stderr.

    On a busy machine a sweep may be over before the signal: then another is started. It hears
    Ctrl-C even where the tests, started in the background of a script, do not.
    """
    hearing = (
        "import signal, sys; from rasplab.apps.cli.parser import main; "
        "signal.signal(signal.SIGINT, signal.default_int_handler); sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", hearing, "sweep", str(spec), "--workers", "1"]
    for _ in range(tries):
        shutil.rmtree(folder, ignore_errors=True)
        sweep = subprocess.Popen(
            [*command, "-o", str(folder)], start_new_session=True, stderr=subprocess.PIPE, text=True
        )
        _until(lambda: list(folder.glob("work/*/resume.safetensors")) or list(folder.glob("*.md")))
        sweep.send_signal(number)
        told = sweep.communicate(timeout=60)[1]
        if sweep.returncode != 0:
            break
    return sweep, told


def _until(true, seconds=120):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def _alive(group):
    """Whether a process of a group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def ray_or_skip():
    """Ray's module, where Ray is installed and starts.

    On a busy machine it may need longer to start than it gives itself.
    """
    ray = pytest.importorskip("ray", reason="ray is not installed: pip install 'rasplab[ray]'")
    try:
        ray.init(log_to_driver=False, include_dashboard=False)
    except Exception as error:
        pytest.skip(f"Ray itself does not start here: {error}")
    finally:
        ray.shutdown()
    return ray


@pytest.mark.processes
def test_a_cluster_gives_what_one_machine_gives(tmp_path):
    """Ray, where it is installed: the same records but for the time, and no cluster left."""
    ray = ray_or_skip()
    wanted = sweep_of(SPEC | {"grid": {"layers": [1]}})
    spread = run_sweep(wanted, tmp_path / "ray", workers=2, pool="ray")
    alone = run_sweep(wanted, tmp_path / "alone", pool="here")
    assert list(map(without_time, spread)) == list(map(without_time, alone))
    assert not ray.is_initialized()


@pytest.mark.processes
@pytest.mark.parametrize("pool", ["local", "ray"])
def test_faults_cross_from_other_processes(tmp_path, pool):
    """A run whose folder cannot be made stops the sweep with its message."""
    if pool == "ray":
        ray_or_skip()
    (tmp_path / "work").write_text("")
    with pytest.raises(FileError, match="cannot write") as told:
        run_sweep(sweep_of(SPEC), tmp_path, workers=1, pool=pool)
    assert "-o" in told.value.hint


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
    assert "| 0, 1 failed |" in (text := markdown(rows_of(found)))
    assert "lr 1000000000000.0: training of hist diverged at step" in text


def test_a_damaged_record_is_told(tmp_path):
    """By its path, with what to do."""
    run_sweep(sweep_of(SPEC), tmp_path)
    path = next((tmp_path / RUNS).glob("*.json"))
    path.write_text(path.read_text()[:30])
    with pytest.raises(FileError, match=path.name) as told:
        run_sweep(sweep_of(SPEC), tmp_path)
    assert "delete" in told.value.hint


@pytest.mark.parametrize(
    "edit",
    [
        {"held_out": 2.0},
        {"held_out": float("nan")},
        {"held_out": True},
        {"by_length": {"1": 1.3385}},
        {"by_length": [1.0]},
    ],
)
def test_an_accuracy_that_is_no_share_is_refused(tmp_path, edit):
    """An accuracy beyond [0, 1] in a record is not shown as a percentage."""
    recipe = sweep_of(SPEC).recipes[0]
    record = {"id": run_id(recipe), "recipe": recipe.to_json(), "held_out": 1.0} | edit
    (tmp_path / RUNS).mkdir()
    (tmp_path / RUNS / f"{record['id']}.json").write_text(json.dumps(record))
    with pytest.raises(FileError, match="record of a run: (held_out|by_length|it holds NaN)"):
        records(tmp_path)


def test_seeds_of_a_setting_share_a_row():
    """Mean and Student's interval of three runs by hand."""
    mean, low, high = interval((0.9, 0.92, 0.94))
    assert mean == pytest.approx(0.92) and high - mean == pytest.approx(4.302653 * 0.02 / 3**0.5)
    assert interval((0.99, 1.0))[2] == 1.0 and low == pytest.approx(2 * mean - high)


def test_the_command(tmp_path, capsys):
    """A table, files beside the records; run again it trains nothing; a fault is one message."""
    (tmp_path / "s.toml").write_text(TEXT)
    out = tmp_path / "out"
    assert main(["sweep", str(tmp_path / "s.toml"), "-o", str(out)]) == 0
    assert "| hist | 2 |" in capsys.readouterr().out
    assert (out / "table.md").is_file() and (out / "lengths.svg").is_file()
    assert (out / "plot.svg").read_text().count("<circle") == 4
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


def test_longer_inputs_are_told_apart():
    """Lengths beyond train_len in a column of their own, and in the picture."""
    recipe = {"task": "hist", "train_len": 2, "max_len": 4}
    by_length = [{"1": 1.0, "2": 1.0, "3": 0.5, "4": 0.3}, {"1": 1.0, "3": 0.7, "4": 0.1}]
    rows = rows_of(
        [
            {"recipe": recipe | {"seed": s}, "held_out": 0.9, "by_length": of}
            for s, of in enumerate(by_length)
        ]
    )
    assert rows[0].by_length == pytest.approx({1: 1.0, 2: 1.0, 3: 0.6, 4: 0.2})
    assert "| longer inputs | runs |" in markdown(rows) and "| 40.00% | 2 |" in markdown(rows)
    assert lengths_svg(rows).count(">longer<") == 2

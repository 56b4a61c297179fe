"""Sweeps: many training runs from one specification, in parallel, each kept as it comes (floor 6).

A run is a function of its recipe, so it does not matter where or when it runs: a sweep that is
stopped goes on, runs under way from their last checkpoint, and a cluster gives what one machine
gives. A run's record is one JSON file; the index and the tables are made from these files alone.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import tomllib
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import closing
from dataclasses import dataclass, fields
from itertools import product
from multiprocessing import get_context
from pathlib import Path

from rasplab.compiler.files import write_whole
from rasplab.errors import FileError, RaspError, RaspValueError
from rasplab.model.recipe import Recipe, recipe

RUNS, WORK, INDEX = "runs", "work", "index.sqlite"
COLUMNS = ("task", "layers", "heads", "d_model", "d_mlp", "seed")
"""Fields of a recipe that have a column of their own in the index; the rest is in the record."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """The recipes of a specification, each once, in its order."""

    recipes: tuple[Recipe, ...]


def read_spec(path: str | Path) -> Sweep:
    """The sweep that a TOML file specifies.

    tasks     zoo programs
    seeds     whole numbers (default: 0)
    settings  fields of Recipe for all runs
    grid      fields of Recipe with a list of values each: every combination is run
    Raises FileError for a file that is missing or no TOML, RaspError for what is no recipe.
    """
    try:
        spec = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise FileError(f"cannot read {path}: {error.strerror or error}") from None
    except ValueError as error:
        raise FileError(f"{path} is no TOML: {error}") from None
    return sweep_of(spec, str(path))


def sweep_of(spec: dict, name: str = "the specification") -> Sweep:
    """The sweep of a specification as a table; `read_spec` says what it holds."""
    unknown = set(spec) - {"tasks", "seeds", "settings", "grid"}
    if unknown or not isinstance(spec.get("tasks"), list) or not spec["tasks"]:
        what = f"{', '.join(sorted(unknown))} in it" if unknown else "no list of tasks"
        raise RaspValueError(
            f"{name} has {what}",
            hint='write: tasks = ["hist"], seeds = [0, 1], [settings] and [grid] with fields of '
            "a recipe",
        )
    grid = spec.get("grid", {})
    found = {}
    for task, values in product(spec["tasks"], product(*map(_listed, grid.values()))):
        for seed in spec.get("seeds", [0]):
            changes = spec.get("settings", {}) | dict(zip(grid, values, strict=True))
            made = _recipe(task, seed, changes, name)
            found[run_id(made)] = made
    return Sweep(tuple(found.values()))


def _listed(values: object) -> list:
    return values if isinstance(values, list) else [values]


def _recipe(task: str, seed: int, changes: dict, name: str) -> Recipe:
    unknown = set(changes) - {f.name for f in fields(Recipe)} | {"task", "seed"} & set(changes)
    if unknown:
        raise RaspValueError(f"{name} sets {', '.join(sorted(unknown))}, no setting of a run")
    try:
        return recipe(task, seed=seed, **changes)
    except (ValueError, TypeError) as error:
        raise RaspValueError(f"{name}: {error}") from None


def run_id(wanted: Recipe) -> str:
    """A name for a run: the task and a digest of the recipe."""
    text = json.dumps(wanted.to_json(), sort_keys=True)
    return f"{wanted.task}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def run_one(wanted: Recipe, folder: str) -> dict:
    """Train one recipe, and write its record: what is in the JSON file. A diverged run has its
    fault as a record, without an accuracy."""
    import shutil

    from rasplab.study.tasks import task
    from rasplab.study.train import accuracy_by_length, fit

    name = run_id(wanted)
    work = Path(folder) / WORK / name
    record = {"id": name, "recipe": wanted.to_json()}
    try:
        todo = task(wanted.program(), wanted.domain, wanted.inputs)
        model = fit(wanted, todo, work, "cpu")
        came = model.trained
        record |= {
            "held_out": came.held_out, "step": came.step, "n_params": model.n_params,
            "by_length": accuracy_by_length(model, todo), "seconds": round(came.seconds, 1),
        }  # fmt: skip
    except RaspError as error:
        record |= {"held_out": None, "fault": error.message}
    path = Path(folder) / RUNS / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, (json.dumps(record, indent=1, sort_keys=True) + "\n").encode())
    shutil.rmtree(work, ignore_errors=True)
    return record


def run_sweep(
    sweep: Sweep,
    folder: str | Path,
    workers: int | None = None,
    pool: str = "local",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[dict]:
    """Run what has no record in `folder` yet; all records, in the sweep's order.

    workers   processes of one thread each (default: as many as there are cores)
    pool      "local", or "ray" on the cluster that the environment names (the ray extra; the folder
              must be one that its machines share)
    Stopping it at any moment loses no finished run; the others go on from their last checkpoint.
    """
    folder = Path(folder).resolve()
    known = {r["id"] for r in records(folder)}
    todo = [r for r in sweep.recipes if run_id(r) not in known]
    done = len(sweep.recipes) - len(todo)
    progress(done, len(sweep.recipes))
    for _ in POOLS[pool](todo, str(folder), workers or os.cpu_count() or 1):
        done += 1
        progress(done, len(sweep.recipes))
    rebuild_index(folder)
    found = {r["id"]: r for r in records(folder)}
    return [found[run_id(r)] for r in sweep.recipes]


def _local(todo: list[Recipe], folder: str, workers: int) -> Iterator[dict]:
    """Records as they come, from processes of this machine."""
    if not todo:
        return
    pool = ProcessPoolExecutor(min(workers, len(todo)), get_context("spawn"), _one_thread)
    try:
        for future in as_completed([pool.submit(run_one, r, folder) for r in todo]):
            yield future.result()
    finally:
        for process in list((pool._processes or {}).values()):  # those that are still at work
            process.terminate()
        pool.shutdown(wait=True, cancel_futures=True)


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


def _ray(todo: list[Recipe], folder: str, workers: int) -> Iterator[dict]:
    """Records as they come, from a Ray cluster; `workers` is its business."""
    try:
        import ray
    except ImportError:
        raise RaspValueError("ray is not installed", hint="pip install 'rasplab[ray]'") from None
    ray.init(ignore_reinit_error=True, log_to_driver=False)
    remote = ray.remote(num_cpus=1)(run_one)
    waiting = [remote.remote(r, folder) for r in todo]
    while waiting:
        ready, waiting = ray.wait(waiting)
        yield from ray.get(ready)


POOLS = {"local": _local, "ray": _ray}


def records(folder: str | Path) -> list[dict]:
    """Every record in a sweep's folder, by name. Raises FileError for a damaged one."""
    found = []
    for path in sorted((Path(folder) / RUNS).glob("*.json")):
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            Recipe.from_json(record["recipe"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise FileError(
                f"{path} is no record of a run: {error}", hint="delete it to run it again"
            ) from None
        found.append(record)
    return found


def rebuild_index(folder: str | Path) -> Path:
    """Write index.sqlite anew from the records: one row a run, its record as JSON beside."""
    path = Path(folder) / INDEX
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{INDEX}.{os.getpid()}")
    part.unlink(missing_ok=True)
    columns = ", ".join(COLUMNS)
    with closing(sqlite3.connect(part)) as base, base:
        base.execute(f"create table runs (id primary key, {columns}, held_out, step, record)")
        for r in records(folder):
            row = [r["id"], *(r["recipe"][c] for c in COLUMNS), r["held_out"], r.get("step")]
            marks = ", ".join("?" * (len(row) + 1))
            base.execute(f"insert into runs values ({marks})", [*row, json.dumps(r)])
    os.replace(part, path)
    return path

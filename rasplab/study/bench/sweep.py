"""Sweeps: many training runs from one specification, in parallel, each kept as it comes.

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
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, fields
from functools import partial
from itertools import product
from pathlib import Path
from shutil import rmtree

from rasplab.base.atomic import writable, write_atomic
from rasplab.base.errors import FileError, RaspError, RaspNameError, RaspValueError
from rasplab.model.checkpoint import versions
from rasplab.model.recipe import Recipe, recipe
from rasplab.study.bench.executors import POOLS

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
        raise FileError(
            f"cannot read {path}: {error.strerror or error}",
            hint="name a TOML file with " + PARTS,
        ) from None
    except ValueError as error:
        raise FileError(f"{path} is no TOML: {error}", hint="it holds " + PARTS) from None
    return sweep_of(spec, str(path))


def sweep_of(spec: dict, name: str = "the specification") -> Sweep:
    """The sweep of a specification as a table; `read_spec` says what it holds."""
    spec = {"seeds": [0], "settings": {}, "grid": {}} | spec
    wrong = _wrong_part(spec)
    if wrong:
        raise RaspValueError(f"{name} {wrong}", hint="write: " + PARTS)
    grid = spec["grid"]
    found = {}
    for task, values in product(spec["tasks"], product(*grid.values())):
        for seed in spec["seeds"]:
            changes = spec["settings"] | dict(zip(grid, values, strict=True))
            made = _recipe(task, seed, changes, name)
            found[run_id(made)] = made
    return Sweep(tuple(found.values()))


PARTS = 'tasks = ["hist"], seeds = [0, 1], [settings] and [grid] with fields of a recipe'
"""What a specification holds, for hints."""


def _wrong_part(spec: dict) -> str | None:
    """What is wrong with the parts of a specification, in words; None for a right one."""
    unknown = sorted(set(spec) - {"tasks", "seeds", "settings", "grid"})
    if unknown:
        return f"has {', '.join(unknown)} in it"
    for part, kind, of in (("tasks", str, "tasks"), ("seeds", int, "whole numbers")):
        values = spec.get(part)
        if not (isinstance(values, list) and values and all(type(v) is kind for v in values)):
            return f"has no list of {of}" + (f": {part} = {values!r}" if part in spec else "")
    for part in ("settings", "grid"):
        if not isinstance(spec[part], dict):
            return f"has {part} = {spec[part]!r}, which is no table of fields"
    for field, values in spec["grid"].items():
        if not (isinstance(values, list) and values):
            return f"has no list of values for {field} in [grid]: {values!r}"
        if field in spec["settings"]:
            return f"sets {field} twice, in [settings] and in [grid]"
    return None


def _recipe(task: str, seed: int, changes: dict, name: str) -> Recipe:
    unknown = set(changes) - {f.name for f in fields(Recipe)} | {"task", "seed"} & set(changes)
    if unknown:
        known = ", ".join(f.name for f in fields(Recipe) if f.name not in ("task", "seed"))
        raise RaspValueError(
            f"{name} sets {', '.join(sorted(unknown))}, no setting of a run", hint=f"these: {known}"
        )
    try:
        return recipe(task, seed=seed, **changes)
    except ValueError as error:
        raise RaspValueError(f"{name}: {error}") from None
    except RaspNameError as error:
        raise RaspNameError(f"{name}: {error.message}", hint=error.hint) from None


def run_id(wanted: Recipe) -> str:
    """A name for a run: the task and a digest of the recipe."""
    text = json.dumps(wanted.to_json(), sort_keys=True)
    return f"{wanted.task}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def run_one(wanted: Recipe, folder: str) -> dict:
    """Train one recipe, and write its record: what is in the JSON file. A run that cannot be (it
    diverges, say) has its fault as a record, without an accuracy. Raises FileError where files
    cannot be written or read."""
    from rasplab.study.tasks.tasks import task
    from rasplab.study.training.trainer import accuracy_by_length, fit

    name = run_id(wanted)
    work = Path(folder) / WORK / name
    record = {"id": name, "recipe": wanted.to_json(), "versions": versions()}
    try:
        todo = task(wanted.program(), wanted.domain, wanted.inputs)
        model = fit(wanted, todo, work, "cpu")
        came = model.trained
        record |= {
            "held_out": came.held_out, "step": came.step, "n_params": model.n_params,
            "by_length": accuracy_by_length(model, todo), "seconds": round(came.seconds, 1),
        }  # fmt: skip
    except FileError:
        raise
    except RaspError as error:
        record |= {"held_out": None, "fault": error.message}
    part = writable(work) / "record.json"
    part.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    os.replace(part, writable(Path(folder) / RUNS) / f"{name}.json")
    rmtree(work, ignore_errors=True)
    return record


def run_sweep(
    sweep: Sweep,
    folder: str | Path,
    workers: int | None = None,
    pool: str = "local",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[dict]:
    """Run what has no record in `folder` yet; all records, in the sweep's order.

    workers   runs at once, each a process of one thread (default: as many as there are cores)
    pool      "local", or "ray" on the cluster that the environment names (the ray extra; the folder
              must be one that its machines share)
    Stopping it at any moment loses no finished run; the others go on from their last checkpoint.
    A script that calls this does so under `if __name__ == "__main__":`, as processes import it.
    """
    folder = Path(folder).resolve()
    writable(folder / RUNS)
    known = {r["id"] for r in records(folder)}
    for name in known:
        rmtree(folder / WORK / name, ignore_errors=True)  # killed right after the record
    todo = [r for r in sweep.recipes if run_id(r) not in known]
    done = len(sweep.recipes) - len(todo)
    progress(done, len(sweep.recipes))
    for _ in POOLS[pool](partial(run_one, folder=str(folder)), todo, workers):
        done += 1
        progress(done, len(sweep.recipes))
    with suppress(OSError):
        (folder / WORK).rmdir()  # empty, but for runs of another specification
    rebuild_index(folder)
    found = {r["id"]: r for r in records(folder)}
    return [found[run_id(r)] for r in sweep.recipes]


def records(folder: str | Path) -> list[dict]:
    """Every record in a sweep's folder, by name. Raises FileError for a damaged one."""
    found = []
    for path in sorted((Path(folder) / RUNS).glob("*.json")):
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            assert run_id(Recipe.from_json(record["recipe"])) == record["id"] == path.stem
            assert isinstance(record["held_out"], float | None), "no accuracy"
        except (OSError, ValueError, KeyError, TypeError, AssertionError) as error:
            raise FileError(
                f"{path} is no record of a run: {error}", hint="delete it to run it again"
            ) from None
        found.append(record)
    return found


def rebuild_index(folder: str | Path) -> Path:
    """Write index.sqlite anew from the records: one row a run, its record as JSON beside."""
    path = writable(Path(folder)) / INDEX
    columns = ", ".join(COLUMNS)
    with closing(sqlite3.connect(":memory:")) as base, base:
        base.execute(f"create table runs (id primary key, {columns}, held_out, step, record)")
        for r in records(folder):
            row = [r["id"], *(r["recipe"][c] for c in COLUMNS), r["held_out"], r.get("step")]
            marks = ", ".join("?" * (len(row) + 1))
            base.execute(f"insert into runs values ({marks})", [*row, json.dumps(r)])
        base.commit()
        write_atomic(path, base.serialize())
    return path

"""Sweeps: many training runs from one specification, in parallel, each recorded when it ends.

A specification (TOML) -> `read_spec` -> Sweep, a tuple of recipes -> `run_sweep` -> one record per
recipe. A run is a function of its recipe, so it does not matter where or when it runs: a stopped
sweep goes on, unfinished runs from their last checkpoint, and a cluster gives what one machine
gives. In the sweep's folder:

runs/ID.json     the record of a finished run; everything below is made from these files alone
work/ID/         checkpoints of a run in progress
index.sqlite     one row per record
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, fields
from functools import partial
from itertools import product
from pathlib import Path

from rasplab.base.arguments import shown
from rasplab.base.atomic import clear_leftovers, own_folder, remove_tree, writable, write_atomic
from rasplab.base.errors import FileError, RaspError, RaspNameError, RaspValueError
from rasplab.base.folders import require_kind
from rasplab.base.schema import (
    integer,
    mapping,
    nullable,
    number,
    read_json,
    read_toml,
    record,
    string,
)
from rasplab.model.checkpoint import versions
from rasplab.model.recipe import Recipe, recipe_schema
from rasplab.model.recipe import recipe as recipe_of
from rasplab.study.bench.executors import EXECUTORS

RUNS, WORK, INDEX = "runs", "work", "index.sqlite"
COLUMNS = ("task", "layers", "heads", "d_model", "d_mlp", "seed")
"""Fields of a recipe that are columns of the index; the others are in its record."""


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

    Raises FileError for a file that is missing or not TOML, RaspValueError or RaspNameError for a
    specification with wrong parts, unknown tasks or impossible recipes.
    """
    return sweep_of(read_toml(Path(path), hint="name a TOML file with " + PARTS), str(path))


def sweep_of(spec: dict, name: str = "the specification") -> Sweep:
    """The sweep of a specification with the parts of `read_spec`; `name` is for messages."""
    spec = {"seeds": [0], "settings": {}, "grid": {}} | spec
    fault = _wrong_part(spec)
    if fault:
        raise RaspValueError(f"{name} {fault}", hint="write: " + PARTS)
    grid: dict[str, list] = spec["grid"]
    # without a grid the product is one empty combination
    combinations = [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]
    recipes = [
        _recipe(task, seed, spec["settings"] | combination, name)
        for task in spec["tasks"]
        for combination in combinations
        for seed in spec["seeds"]
    ]
    # recipes that come out equal, by a list with a value twice, are one run
    return Sweep(tuple({run_id(recipe): recipe for recipe in recipes}.values()))


PARTS = 'tasks = ["hist"], seeds = [0, 1], [settings] and [grid] with fields of a recipe'
"""What a specification holds, for hints."""


def _wrong_part(spec: dict) -> str | None:
    """What is wrong with the parts of a specification, in words; None where nothing is."""
    unknown = sorted(set(spec) - {"tasks", "seeds", "settings", "grid"})
    if unknown:
        return f"has unknown parts: {', '.join(unknown)}"
    for part, kind, contents in (("tasks", str, "tasks"), ("seeds", int, "whole numbers")):
        values = spec.get(part)
        if not (isinstance(values, list) and values and all(type(v) is kind for v in values)):
            return f"has no list of {contents}" + (
                f": {part} = {shown(values)}" if part in spec else ""
            )
    for part in ("settings", "grid"):
        if not isinstance(spec[part], dict):
            return f"has {part} = {shown(spec[part])}, which is not a table of fields"
    for field, values in spec["grid"].items():
        if not (isinstance(values, list) and values):
            return f"has no list of values for {field} in [grid]: {shown(values)}"
        if field in spec["settings"]:
            return f"sets {field} twice, in [settings] and in [grid]"
    return None


def _recipe(task: str, seed: int, changes: dict, name: str) -> Recipe:
    unknown = set(changes) - {f.name for f in fields(Recipe)} | {"task", "seed"} & set(changes)
    if unknown:
        known = ", ".join(f.name for f in fields(Recipe) if f.name not in ("task", "seed"))
        raise RaspValueError(
            f"{name} sets {', '.join(sorted(map(str, unknown)))}, which runs do not have",
            hint=f"the settings of a run are: {known}",
        )
    try:
        return recipe_of(task, seed=seed, **changes)
    except ValueError as error:
        raise RaspValueError(f"{name}: {error}") from None
    except RaspNameError as error:
        raise RaspNameError(f"{name}: {error.message}", hint=error.hint) from None


def run_id(recipe: Recipe) -> str:
    """A name for a run: the task and a digest of the recipe."""
    text = json.dumps(recipe.to_json(), sort_keys=True)
    return f"{recipe.task}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def run_one(recipe: Recipe, folder: str) -> dict:
    """Train one recipe in a sweep's folder; its record, as it is written to runs/ID.json.

    A run that fails (it diverges, say) is recorded with its fault and without an accuracy.

    Raises FileError where files cannot be written or read: that is not a property of the run.
    """
    name = run_id(recipe)
    work = own_folder(Path(folder) / WORK / name, Path(folder))
    result = {"id": name, "recipe": recipe.to_json(), "versions": versions()}
    try:
        result |= _trained_in(work, recipe)
    except FileError:
        raise
    except RaspError as error:
        result |= {"held_out": None, "fault": error.message}
    # Written beside the checkpoints and then moved: a killed run leaves nothing partial in runs/.
    text = json.dumps(result, indent=1, sort_keys=True) + "\n"
    part = write_atomic(work / "record.json", text)
    os.replace(part, writable(Path(folder) / RUNS) / f"{name}.json")
    remove_tree(work, Path(folder))
    return result


def _trained_in(folder: Path, recipe: Recipe) -> dict:
    """Train with checkpoints in `folder`; what a record says of the model."""
    from rasplab.study.tasks.tasks import task as task_of
    from rasplab.study.training.trainer import accuracy_by_length, fit

    task = task_of(recipe.program(), recipe.domain, recipe.inputs)
    model = fit(recipe, task, folder, "cpu")
    assert model.trained is not None
    return {
        "held_out": model.trained.held_out,
        "step": model.trained.step,
        "n_params": model.n_params,
        "by_length": accuracy_by_length(model, task),
        "seconds": round(model.trained.seconds, 1),
    }


def run_sweep(
    sweep: Sweep,
    folder: str | Path,
    workers: int | None = None,
    pool: str = "local",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[dict]:
    """Run the recipes that have no record in `folder` yet; all records, in the sweep's order.

    workers   runs at once, each a process of one thread (default: as many as there are cores)
    pool      "local", or "ray" on the cluster that the environment names (the ray extra; the folder
              must be one that its machines share)
    progress  called with the number of finished runs and of all, first with those on file

    Stopping it at any moment loses no finished run; the others go on from their last checkpoint.
    A script that calls this does so under `if __name__ == "__main__":`, as processes import it.

    Raises FileError for a folder that cannot be written or holds a damaged record.
    """
    folder = Path(folder).resolve()
    require_kind(folder, "index.sqlite", "runs")
    clear_leftovers(writable(folder / RUNS))
    clear_leftovers(folder)
    finished = {row["id"] for row in records(folder)}
    for name in finished:  # work that a kill right after the record has left
        remove_tree(folder / WORK / name, folder)
    remaining = [recipe for recipe in sweep.recipes if run_id(recipe) not in finished]
    done = len(sweep.recipes) - len(remaining)
    progress(done, len(sweep.recipes))
    for _ in EXECUTORS[pool](partial(run_one, folder=str(folder)), remaining, workers):
        done += 1
        progress(done, len(sweep.recipes))
    with suppress(OSError):  # not empty where a run of another specification is unfinished
        (folder / WORK).rmdir()
    rebuild_index(folder)
    by_id = {row["id"]: row for row in records(folder)}
    return [by_id[run_id(recipe)] for recipe in sweep.recipes]


def records(folder: str | Path) -> list[dict]:
    """Every record in a sweep's folder, in the order of their names.

    Raises FileError for a damaged one.
    """
    intact = []
    for path in sorted((Path(folder) / RUNS).glob("*.json")):
        intact.append(_record_in(path))
    return intact


SHARE = number(0, 1)
RECORD = record(
    {
        "id": string,
        "recipe": recipe_schema,
        "held_out": nullable(SHARE),
    },
    {
        "versions": mapping(string),
        "fault": string,
        "step": integer(0),
        "n_params": integer(0),
        "by_length": mapping(SHARE),
        "seconds": number(0),
    },
    further=False,
)
"""What `run_one` writes: an accuracy with what belongs to it, or null with the fault."""


def _record_in(path: Path) -> dict:
    """The record in a file. Raises FileError where it is damaged, or of another run."""
    fault, hint = "is not the record of a run", "delete it to run it again"
    row = read_json(path, RECORD, hint=hint, fault=fault)
    measured = row["held_out"] is not None
    missing = {"step", "n_params", "by_length", "seconds"} - set(row) if measured else set()
    if missing:
        raise FileError(f"{path} {fault}: it lacks {', '.join(sorted(missing))}", hint=hint)
    if not all(length.isdecimal() for length in row.get("by_length", {})):
        raise FileError(f"{path} {fault}: by_length is not by length", hint=hint)
    try:
        recipe_id = run_id(Recipe.from_json(row["recipe"]))
    except ValueError as error:
        raise FileError(f"{path} {fault}: {error}", hint=hint) from None
    if not recipe_id == row["id"] == path.stem:
        raise FileError(f"{path} {fault}: its recipe is that of {recipe_id}", hint=hint)
    return row


def rebuild_index(folder: str | Path) -> Path:
    """Write index.sqlite anew from the records: one row per run, with its record as JSON."""
    path = writable(Path(folder)) / INDEX
    columns = ", ".join(COLUMNS)
    # in memory first: the file is then replaced as a whole
    with closing(sqlite3.connect(":memory:")) as base, base:
        base.execute(f"create table runs (id primary key, {columns}, held_out, step, record)")
        for row in records(folder):
            fields_shown = [row["recipe"][column] for column in COLUMNS]
            cells = [row["id"], *fields_shown, row["held_out"], row.get("step"), json.dumps(row)]
            marks = ", ".join("?" * len(cells))
            base.execute(f"insert into runs values ({marks})", cells)
        base.commit()
        write_atomic(path, base.serialize())
    return path

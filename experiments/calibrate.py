"""Judge models whose heads are known: `make calibrate`, `python experiments/calibrate.py`.

Every zoo program in every disguise, on as many processes as there are cores, some 5 minutes in all.
Rows go to circuits/calibration.json as they come, and as a table to circuits/calibration.md; a run
that was stopped goes on where it was. Delete circuits/calibration.json to measure everything anew.
The planted models come first, and go to circuits/planted.json and circuits/planted.md.

The rules of the verdicts were chosen with these models in view. `--group tasks --seed 2 --file
out/calibration_tasks.json` judges those of circuits/tasks instead that read a selector, which were
not.
"""

from __future__ import annotations

import argparse
import json
import sys
from functools import partial
from pathlib import Path

from record import CIRCUITS

from rasplab.base.atomic import write_atomic
from rasplab.lang.loading import load
from rasplab.program.zoo import entries, entry
from rasplab.study.bench.calibration import DISGUISES, calibrated, markdown
from rasplab.study.bench.executors import local
from rasplab.study.bench.planted import PLANTS, judged_plant, planted_markdown


def remaining_jobs(rows: dict[str, dict[str, dict]], group: str) -> list[tuple[str, str]]:
    """The pairs of program and disguise that have no row yet; programs that read a selector."""
    return [
        (name, disguise)
        for name in entries(group)
        if has_selector(name)
        for disguise in DISGUISES
        if disguise not in rows.get(name, {})
    ]


def has_selector(name: str) -> bool:
    """Whether a program reads a selector, so that there is something to find."""
    program = load(entry(name).path)
    return any(program.is_selector(i) for i in range(len(program.nodes)))


def judged(job: tuple[str, str], seed: int) -> tuple[str, str, dict]:
    """Program, disguise and their row; a module-level function, as worker processes import it."""
    name, disguise = job
    return name, disguise, calibrated(entry(name), disguise, seed=seed)


def in_order(rows: dict[str, dict[str, dict]], group: str) -> dict[str, dict[str, dict]]:
    """The same rows, programs in the order of their group and disguises in that of DISGUISES."""
    return {
        name: {d: rows[name][d] for d in DISGUISES if d in rows[name]}
        for name in entries(group)
        if name in rows
    }


def planted(name: str) -> tuple[str, dict]:
    """A planted model and its row; a module-level function, as worker processes import it."""
    return name, judged_plant(name)


def measure_planted(path: Path) -> None:
    """Measure the planted models that `path` does not hold yet."""
    rows = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    for name, row in local(planted, [name for name in PLANTS if name not in rows], None):
        rows[name] = row
        in_order_of_plants = {name: rows[name] for name in PLANTS if name in rows}
        write_atomic(path, json.dumps(in_order_of_plants, indent=1) + "\n")
        write_atomic(path.with_suffix(".md"), planted_markdown(in_order_of_plants))
        print(name, row, file=sys.stderr, flush=True)


def main(arguments: list[str]) -> None:
    """Measure what the file and planted.json beside it do not hold yet."""
    parser = argparse.ArgumentParser(prog="calibrate", description="Judge models of known heads.")
    parser.add_argument("--file", type=Path, default=CIRCUITS / "calibration.json")
    parser.add_argument("--group", choices=["zoo", "tasks"], default="zoo")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    if options.seed < 0:
        parser.error(f"--seed is {options.seed}; it has to be at least 0")
    path, group = options.file, options.group
    if group == "zoo":
        measure_planted(path.with_name("planted.json"))
    rows = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    jobs = remaining_jobs(rows, group)
    for name, disguise, row in local(partial(judged, seed=options.seed), jobs, None):
        rows.setdefault(name, {})[disguise] = row
        write_atomic(path, json.dumps(in_order(rows, group), indent=1) + "\n")
        write_atomic(path.with_suffix(".md"), markdown(in_order(rows, group)))
        print(name, disguise, row, file=sys.stderr, flush=True)
    print(f"{path} holds all programs in all disguises", file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1:])

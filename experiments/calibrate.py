"""Judge models whose heads are known: `make calibrate`, `python experiments/calibrate.py`.

Every zoo program in every disguise, on as many processes as there are cores, some 5 minutes in all.
Rows go to circuits/calibration.json as they come, and as a table to circuits/calibration.md; a run
that was stopped goes on where it was. Delete circuits/calibration.json to measure everything anew.
The planted models come first, and go to circuits/planted.json and circuits/planted.md.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from record import CIRCUITS

from rasplab.base.atomic import write_atomic
from rasplab.program.zoo import entries, entry
from rasplab.study.bench.calibration import DISGUISES, calibrated, markdown
from rasplab.study.bench.executors import local
from rasplab.study.bench.planted import PLANTS, judged_plant, planted_markdown


def remaining_jobs(rows: dict[str, dict[str, dict]]) -> list[tuple[str, str]]:
    """The pairs of program and disguise that have no row yet."""
    return [
        (name, disguise)
        for name in entries("zoo")
        for disguise in DISGUISES
        if disguise not in rows.get(name, {})
    ]


def judged(job: tuple[str, str]) -> tuple[str, str, dict]:
    """Program, disguise and their row; a module-level function, as worker processes import it."""
    name, disguise = job
    return name, disguise, calibrated(entry(name), disguise)


def in_order(rows: dict[str, dict[str, dict]]) -> dict[str, dict[str, dict]]:
    """The same rows, programs in the order of the zoo and disguises in that of DISGUISES."""
    return {
        name: {d: rows[name][d] for d in DISGUISES if d in rows[name]}
        for name in entries("zoo")
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


def main(path: Path = CIRCUITS / "calibration.json") -> None:
    """Measure what `path` and planted.json beside it do not hold yet."""
    measure_planted(path.with_name("planted.json"))
    rows = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    for name, disguise, row in local(judged, remaining_jobs(rows), None):
        rows.setdefault(name, {})[disguise] = row
        write_atomic(path, json.dumps(in_order(rows), indent=1) + "\n")
        write_atomic(path.with_suffix(".md"), markdown(in_order(rows)))
        print(name, disguise, row, file=sys.stderr, flush=True)
    print(f"{path} holds all programs in all disguises", file=sys.stderr)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))

"""`python -m rasplab.study.bench.calibration`: the instrument on models whose answer is known.

Every zoo program is compiled and judged as it is and in disguises; the layout says which heads
compute which selector. Written to circuits/calibration.json, one row per model as it comes, so that
a run that is stopped goes on where it was; and, as a table, to circuits/calibration.md.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from rasplab.base.atomic import write_atomic
from rasplab.compiler.compiled import Compiled
from rasplab.compiler.pipeline import compile_program
from rasplab.lang.loading import load
from rasplab.model.bridge import LensModel, reinitialised
from rasplab.model.verify import verify
from rasplab.program.zoo import Entry, entries, entry, shipped
from rasplab.study.bench.executors import local
from rasplab.study.heads.interchange import MIN_PAIRS
from rasplab.study.heads.verdict import Evidence, judge
from rasplab.transformer.sites import Site

NOISES = tuple(10.0**-k for k in range(2, 13))
"""Relative noise of the noisy models: of each program the first that leaves RIGHT of its inputs."""

RIGHT = 0.99


def noisy(compiled: Compiled, seed: int) -> LensModel:
    """The model with as much noise as it takes and still computes its program."""
    return compiled.with_noise(noise_of(compiled, seed), seed).to_model("cpu")


def noise_of(compiled: Compiled, seed: int) -> float:
    """The largest of NOISES under which RIGHT of 500 inputs come out right at every position."""
    for sigma in NOISES:
        found = verify(compiled.with_noise(sigma, seed).to_model("cpu"), max_inputs=500)
        if found.mismatches <= (1 - RIGHT) * found.checked:
            return sigma
    return 0.0


DISGUISES: dict[str, Callable[[Compiled, int], LensModel]] = {
    "plain": lambda compiled, seed: compiled.to_model("cpu"),
    "rotated": lambda compiled, seed: compiled.rotated(seed).to_model("cpu"),
    "noisy": noisy,
    "shuffled": lambda compiled, seed: compiled.shuffled_heads(seed).to_model("cpu"),
    "decoys": lambda compiled, seed: compiled.with_decoys(seed).to_model("cpu"),
    "untrained": lambda compiled, seed: reinitialised(compiled.to_model("cpu"), seed),
}


def true_heads(compiled: Compiled) -> dict[int, set[Site]]:
    """By selector node: the heads that compute it, read off the layout."""
    found: dict[int, set[Site]] = {}
    for layer, i, head in compiled.layout.heads:
        if head.selector is not None:
            found.setdefault(head.selector, set()).add(Site("head", layer, i))
    return found


def compared(evidence: Evidence, true: dict[int, set[Site]]) -> dict:
    """How the verdicts agree with the truth: counts of selectors and of pairs.

    found     selectors of which exactly the true heads have `implements`
    wrong     pairs with `implements` that are not true
    operands  the lowest accuracy of queries alone or keys alone, of those found, where swaps of
              them change enough; None without any
    """
    found, wrong, sides = 0, 0, []
    for selector in evidence.table.selectors:
        heads = set(evidence.implementing(selector.node))
        found += heads == true.get(selector.node, set())
        wrong += len(heads - true.get(selector.node, set()))
        swapped = [evidence.of(head, selector.node).operands for head in heads]
        sides += [side for f in swapped if f for side in (f.queries, f.keys)]
    enough = [side.value for side in sides if side.pairs >= MIN_PAIRS]
    return {
        "accuracy": round(evidence.accuracy.value, 4),
        "selectors": len(evidence.table.selectors),
        "heads": len(evidence.table.heads),
        "found": found,
        "wrong": wrong,
        "operands": round(min(enough), 4) if enough else None,
    }


def calibrated(program: Entry, disguise: str, pairs: int = 200, seed: int = 1) -> dict:
    """One row: a zoo program in one disguise."""
    compiled = compile_program(load(program.path), program.domain)
    model = DISGUISES[disguise](compiled, seed)
    true = {} if disguise == "untrained" else true_heads(model.compiled)
    row = compared(judge(model, compiled.program, pairs, seed), true)
    return row | ({"noise": noise_of(compiled, seed)} if disguise == "noisy" else {})


def markdown(rows: dict[str, dict[str, dict]]) -> str:
    """A table: selectors found of all, by program and disguise; what is wrong is said."""
    lines = [f"| program | {' | '.join(DISGUISES)} |", "|---" * (len(DISGUISES) + 1) + "|"]
    for name, found in rows.items():
        lines.append(f"| {name} | {' | '.join(_cell(found.get(d)) for d in DISGUISES)} |")
    return "\n".join([*lines, "", *REMARKS]) + "\n"


def _cell(row: dict | None) -> str:
    if row is None:
        return ""
    said = f"{row['found']}/{row['selectors']}"
    said += f", {row['wrong']} wrong" if row["wrong"] else ""
    return said + (f" at {row['noise']:.0e}" if "noise" in row else "")


REMARKS = (
    "Selectors whose true heads, and no others, got `implements`, of all that the program reads. "
    "`noisy` says how much relative noise every weight has: the most, in powers of ten, under "
    f"which {RIGHT:.0%} of inputs still come out right. `decoys` has a twin behind every head that "
    "attends alike and is not read. Of `untrained` models nothing is to be found: a selector "
    "counts when no head got `implements`.",
)


def _todo(rows: dict) -> Iterator[tuple[str, str]]:
    for name in entries("zoo"):
        for disguise in DISGUISES:
            if disguise not in rows.get(name, {}):
                yield name, disguise


def _row(job: tuple[str, str]) -> tuple[str, str, dict]:
    name, disguise = job
    return name, disguise, calibrated(entry(name), disguise)


def main(path: Path | None = None) -> None:
    """Every program in every disguise, on as many processes as there are cores."""
    path = path or shipped("circuits") / "calibration.json"
    rows = json.loads(path.read_text()) if path.is_file() else {}
    todo = list(_todo(rows))
    for name, disguise, row in local(_row, todo, None):
        rows.setdefault(name, {})[disguise] = row
        ordered = {n: {d: rows[n][d] for d in DISGUISES if d in rows[n]}
                   for n in entries("zoo") if n in rows}  # fmt: skip
        write_atomic(path, (json.dumps(ordered, indent=1) + "\n").encode())
        write_atomic(path.with_suffix(".md"), markdown(ordered).encode())
        print(name, disguise, row, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()

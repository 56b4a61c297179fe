"""`python -m rasplab.study.calibrate`: the instrument on models whose answer is known (floor 6).

Every zoo program is compiled and judged as it is and in disguises; the layout says which heads
compute which selector. Written to circuits/calibration.json, one row per model as it comes, so that
a run that is stopped goes on where it was.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

from rasplab.compiler import Compiled, compile_program
from rasplab.compiler.files import write_whole
from rasplab.lang import load
from rasplab.model.lens import LensModel, reinitialised
from rasplab.sites import Site
from rasplab.study.judge import Evidence, judge
from rasplab.zoo import Entry, entries, shipped

NOISE = 1e-4
"""Relative noise of the noisy models: more, and most of them stop computing their program."""

DISGUISES: dict[str, Callable[[Compiled, int], LensModel]] = {
    "plain": lambda compiled, seed: compiled.to_model("cpu"),
    "rotated": lambda compiled, seed: compiled.rotated(seed).to_model("cpu"),
    "noisy": lambda compiled, seed: compiled.with_noise(NOISE, seed).to_model("cpu"),
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

    found   selectors of which exactly the true heads have `implements`
    wrong   pairs with `implements` that are not true
    """
    found = wrong = 0
    for selector in evidence.table.selectors:
        heads = set(evidence.implementing(selector.node))
        found += heads == true.get(selector.node, set())
        wrong += len(heads - true.get(selector.node, set()))
    return {
        "accuracy": round(evidence.accuracy.value, 4),
        "selectors": len(evidence.table.selectors),
        "heads": len(evidence.table.heads),
        "found": found,
        "wrong": wrong,
    }


def calibrated(entry: Entry, disguise: str, pairs: int = 200, seed: int = 1) -> dict:
    """One row: a zoo program in one disguise."""
    compiled = compile_program(load(entry.path), entry.domain)
    model = DISGUISES[disguise](compiled, seed)
    true = {} if disguise == "untrained" else true_heads(model.compiled)
    return compared(judge(model, compiled.program, pairs, seed), true)


def main(path: Path | None = None) -> None:
    """Every zoo program in every disguise."""
    path = path or shipped("circuits") / "calibration.json"
    rows = json.loads(path.read_text()) if path.is_file() else {}
    for name, entry in entries().items():
        for disguise in DISGUISES:
            if disguise not in rows.setdefault(name, {}):
                rows[name][disguise] = calibrated(entry, disguise)
                write_whole(path, (json.dumps(rows, indent=1) + "\n").encode())
                print(name, disguise, rows[name][disguise], file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()

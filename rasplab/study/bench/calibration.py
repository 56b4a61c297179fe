"""Calibration of the verdicts: `judge` on compiled models, whose heads are known.

A zoo program and a disguise go in; the row that comes out says how many of the program's selectors
were attributed to exactly the heads that compute them. experiments/calibrate.py measures every
program in every disguise; circuits/calibration.json and .md hold the result.
"""

from __future__ import annotations

from collections.abc import Callable

from rasplab.compiler.compiled import Compiled
from rasplab.compiler.pipeline import compile_program
from rasplab.lang.loading import load
from rasplab.model.bridge import LensModel
from rasplab.model.native import reinitialised
from rasplab.model.verify import verify
from rasplab.program.zoo import Entry
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

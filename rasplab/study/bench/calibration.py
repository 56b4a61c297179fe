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
from rasplab.study.heads.evidence import Evidence
from rasplab.study.heads.interchange import MIN_PAIRS
from rasplab.study.heads.verdict import judge
from rasplab.transformer.sites import Site

NOISES = tuple(10.0**-k for k in range(2, 13))
"""Standard deviations that are tried for the noise on every weight, relative to the weight."""

RIGHT = 0.99
"""The share of inputs that a noisy model must still answer right at every position."""

NOISE_INPUTS = 500
"""Inputs on which that share is measured."""


def noisy(compiled: Compiled, seed: int) -> LensModel:
    """The model with as much noise as it tolerates: see `noise_of`."""
    return compiled.with_noise(noise_of(compiled, seed), seed).to_model("cpu")


def noise_of(compiled: Compiled, seed: int) -> float:
    """The largest of NOISES that leaves the share RIGHT of inputs right; 0 where none does."""
    for sigma in NOISES:  # from the largest down; the first that is tolerated
        report = verify(compiled.with_noise(sigma, seed).to_model("cpu"), max_inputs=NOISE_INPUTS)
        if report.mismatches <= (1 - RIGHT) * report.checked:
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
"""Ways to give the model of a compiled program and a seed; all but `untrained` compute it."""


def true_heads(compiled: Compiled) -> dict[int, set[Site]]:
    """By selector node: the heads that compute it, read off the layout."""
    heads: dict[int, set[Site]] = {}
    for layer, i, head in compiled.layout.heads:
        if head.selector is not None:
            heads.setdefault(head.selector, set()).add(Site("head", layer, i))
    return heads


def compared(evidence: Evidence, true: dict[int, set[Site]]) -> dict:
    """How the verdicts agree with the true heads of each selector; the fields of a row.

    accuracy   share of positions that the model answers right
    selectors, heads  how many there are
    found      selectors of which exactly the true heads have `implements`
    wrong      pairs of head and selector with `implements` that are not true
    operands   the lowest accuracy of queries alone or keys alone over the heads with `implements`,
               where at least MIN_PAIRS swaps of them change the answer; None without any
    """
    exact, wrong, sides = 0, 0, []
    for selector in evidence.table.selectors:
        heads = set(evidence.implementing(selector.node))
        exact += heads == true.get(selector.node, set())
        wrong += len(heads - true.get(selector.node, set()))
        operands = [evidence.of(head, selector.node).operands for head in heads]
        sides += [side for pair in operands if pair for side in (pair.queries, pair.keys)]
    accuracies = [side.value for side in sides if side.pairs >= MIN_PAIRS]
    return {
        "accuracy": round(evidence.accuracy.value, 4),
        "selectors": len(evidence.table.selectors),
        "heads": len(evidence.table.heads),
        "found": exact,
        "wrong": wrong,
        "operands": round(min(accuracies), 4) if accuracies else None,
    }


def calibrated(program: Entry, disguise: str, pairs: int = 200, seed: int = 1) -> dict:
    """One row: a zoo program in one disguise, as `compared` gives it.

    pairs  of inputs per family of interchanges, as in `judge`
    seed   of the disguise and of the judgement

    A noisy model's row also has its `noise`.
    """
    compiled = compile_program(load(program.path), program.domain)
    model = DISGUISES[disguise](compiled, seed)
    # Re-initialised weights compute no selector: every `implements` on them is wrong.
    true = true_heads(model.compiled) if model.compiled and disguise != "untrained" else {}
    row = compared(judge(model, compiled.program, pairs, seed), true)
    return row | ({"noise": noise_of(compiled, seed)} if disguise == "noisy" else {})


def markdown(rows: dict[str, dict[str, dict]]) -> str:
    """A table: selectors found of all and wrong pairs, by program (rows) and disguise (columns)."""
    lines = [f"| program | {' | '.join(DISGUISES)} |", "|---" * (len(DISGUISES) + 1) + "|"]
    for name, by_disguise in rows.items():
        cells = [_cell(by_disguise.get(disguise)) for disguise in DISGUISES]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", *REMARKS]) + "\n"


def _cell(row: dict | None) -> str:
    if row is None:
        return ""
    cell = f"{row['found']}/{row['selectors']}"
    cell += f", {row['wrong']} wrong" if row["wrong"] else ""
    return cell + (f" at {row['noise']:.0e}" if "noise" in row else "")


REMARKS = (
    "Selectors whose true heads, and no others, got `implements`, of all that the program reads. "
    "`noisy` says how much relative noise every weight has: the most, in powers of ten, under "
    f"which {RIGHT:.0%} of inputs still come out right. `decoys` has a twin behind every head that "
    "attends alike and is not read. Of `untrained` models nothing is to be found: a selector "
    "counts when no head got `implements`.",
)

"""Compile generated programs and compare each with the interpreter: `make differential`.

`python experiments/differential.py [FIRST LAST BASIS]` takes the seeds FIRST to LAST - 1 and the
basis "compact" or "one_hot" (defaults: 0 1000 compact). Each program is held against the exact
interpreter on its whole domain or on 300 sampled inputs. Prints every mismatch, then how many
programs were exact and why others were refused; writes nothing.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np

from rasplab.base.errors import CompileError
from rasplab.compiler.pipeline import compile_program
from rasplab.program.domain import Domain
from rasplab.program.inputs import all_ids

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from support.compiled import mismatches
from support.generate import random_program

INPUTS = 300


def main(first: int, last: int, basis: str) -> int:
    """The number of mismatching programs."""
    outcomes: Counter[str] = Counter()
    start = time.perf_counter()
    for seed in range(first, last):
        outcomes.update(outcome(seed, basis))
        if sys.stderr.isatty():
            print(f"\r{seed + 1 - first} of {last - first}", end="", file=sys.stderr, flush=True)
    print(f"{last - first} programs, basis {basis}, {time.perf_counter() - start:.0f} s")
    for words, count in outcomes.most_common():
        print(f"{count:6}  {words}")
    return outcomes["mismatch"]


def outcome(seed: int, basis: str) -> list[str]:
    """What became of the program of `seed`, in the words that are counted."""
    program, domain = random_program(seed)
    try:
        compiled = compile_program(program, domain, basis)
    except CompileError as error:
        return ["refused: " + error.message.partition(" on the input")[0][-60:]]
    wrong = mismatches(compiled, inputs_of(domain, seed))
    if wrong:
        print(f"seed {seed}: {wrong[0]}\n{program.listing()}")
    return ["mismatch" if wrong else "exact", compiled.certificate.dtype]


def inputs_of(domain: Domain, seed: int) -> list[np.ndarray]:
    """Every input, or INPUTS sampled ones where there are more."""
    if domain.size > INPUTS:
        return domain.sample(INPUTS, seed)
    return [ids for batch in all_ids(domain) for ids in batch]


if __name__ == "__main__":
    first, last, basis = (*sys.argv[1:], *("0", "1000", "compact")[len(sys.argv) - 1 :])
    sys.exit(main(int(first), int(last), basis) > 0)

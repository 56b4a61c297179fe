"""A slow study, not a test: `python tests/differential.py FIRST LAST BASIS` compiles generated
programs in a range of seeds and holds each against the exact interpreter, on its whole domain or on
300 sampled inputs; prints every mismatch and what was refused.
"""

from __future__ import annotations

import sys
import time
from collections import Counter

import numpy as np
from support.compiled import mismatches
from support.generate import random_program

from rasplab.base.errors import CompileError
from rasplab.compiler.pipeline import compile_program
from rasplab.program.domain import Domain
from rasplab.program.inputs import all_ids

INPUTS = 300


def main(first: int, last: int, basis: str) -> int:
    """The number of mismatching programs."""
    seen: Counter = Counter()
    start = time.perf_counter()
    for seed in range(first, last):
        program, domain = random_program(seed)
        try:
            compiled = compile_program(program, domain, basis)
        except CompileError as error:
            seen["refused: " + error.message.partition(" on the input")[0][-60:]] += 1
            continue
        wrong = mismatches(compiled, inputs_of(domain, seed))
        seen["mismatch" if wrong else "exact"] += 1
        seen[compiled.certificate.dtype] += 1
        if wrong:
            print(f"seed {seed}: {wrong[0]}\n{program.listing()}")
    print(f"{last - first} programs, basis {basis}, {time.perf_counter() - start:.0f} s")
    for what, count in seen.most_common():
        print(f"{count:6}  {what}")
    return seen["mismatch"]


def inputs_of(domain: Domain, seed: int) -> list[np.ndarray]:
    """Every input, or INPUTS sampled ones."""
    if domain.size > INPUTS:
        return domain.sample(INPUTS, seed)
    return [ids for batch in all_ids(domain) for ids in batch]


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]) > 0)

"""How small the compiled models are, and how fast they come: `make bench-compiler`.

Prints Markdown: for each program, vocabulary and maximum length the size of the model in the
compact basis, the best compile time of five, and the mismatches of 200 sampled inputs; beside it
what Tracr gives, and the ratio. Tracr's numbers are those of its last commit (February 2024), run
on 2 CPU cores, second compilation in one process; it is not installed here.
"""

from __future__ import annotations

import resource
import sys
import time

import rasplab
from rasplab.compiler.pipeline import compile_program
from rasplab.program.domain import make_domain
from rasplab.program.zoo import entries

REPEATS, INPUTS, SEED = 5, 200, 0

TRACR: dict[tuple[str, int, int], tuple[int, int, int, float] | str] = {
    ("reverse", 32, 32): (2_505_135, 5_903, 4, 0.38),
    ("hist", 32, 32): (34_205, 429, 1, 0.04),
    ("sort", 32, 32): (21_450_359, 529_392, 3, 10.76),
    ("sort_by_freq", 32, 32): (39_958_182, 563_211, 5, 9.84),
    ("shuffle_dyck2", 32, 32): (21_565_548, 20_921, 8, 13.53),
    ("frac_prevs", 32, 32): (24_149, 666, 2, 0.02),
    ("pair_balance", 32, 32): (45_848, 1_240, 2, 0.04),
    ("shift_1", 32, 32): (20_596, 229, 1, 0.02),
    ("reverse", 64, 64): (18_371_183, 22_031, 4, 54.18),
    ("hist", 64, 64): (129_757, 845, 1, 0.11),
    ("sort", 64, 64): "201 s, 322 M",
    ("reverse", 256, 256): "not tried",
    ("hist", 256, 256): "not tried",
    ("sort", 256, 256): "not tried",
}
"""Dense, nonzero, layers, seconds; or what became of the attempt."""


def vocabulary(name: str, size: int) -> list:
    """`size` tokens, those that the program speaks of among them."""
    named = {"shuffle_dyck2": "([)]", "pair_balance": "()", "frac_prevs": "x"}.get(name, "")
    return list(named) + [f"t{k}" for k in range(size - len(named))]


def row(name: str, size: int, max_len: int) -> str:
    """One line of the table."""
    program = rasplab.load(entries()[name].path)
    domain = make_domain(vocabulary(name, size), max_len)
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        compiled = compile_program(program, domain)
        seconds.append(time.perf_counter() - start)
    wrong = rasplab.verify(compiled.to_model("cpu"), INPUTS, SEED).mismatches
    shape = compiled.weights.shape()
    ours = (
        f"{compiled.n_params:,} / {compiled.nonzero_params:,} / {shape['n_layers']} / "
        f"{min(seconds) * 1e3:,.0f} ms, {compiled.certificate.dtype}"
    )
    theirs = TRACR[name, size, max_len]
    if isinstance(theirs, str):
        return f"| {name} ({size}, {max_len}) | {ours} | {wrong} | {theirs} | |"
    dense, nonzero, layers, took = theirs
    ratio = f"{dense / compiled.n_params:,.0f}x, {took / min(seconds):,.1f}x"
    return (
        f"| {name} ({size}, {max_len}) | {ours} | {wrong} | "
        f"{dense:,} / {nonzero:,} / {layers} / {took * 1e3:,.0f} ms | {ratio} |"
    )


def main() -> None:
    """The table, row by row as they come."""
    ours = "rasplab: dense / nonzero / layers / compile, dtype"
    print(f"| program (vocabulary, max length) | {ours} | wrong of {INPUTS} | Tracr | ratios |")
    print("|---|---|---|---|---|")
    for name, size, max_len in TRACR:
        print(row(name, size, max_len), flush=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"\nPeak memory of all of it, checks included: {peak:.1f} GiB.", file=sys.stderr)


if __name__ == "__main__":
    main()

"""Sizes and compile times of compiled models: `make bench-compiler`, `python experiments/size.py`.

For each program, vocabulary size and maximum length: the size of the model in the compact basis,
the shortest compile time of five, and the mismatches among 200 sampled inputs; beside it Tracr's
numbers and the ratios. Prints Markdown row by row and writes results/size.json; a minute or two.

Tracr's numbers are those of its last commit (February 2024), measured on 2 CPU cores, second
compilation in one process; it is not installed here.
"""

from __future__ import annotations

import resource
import sys
import time

from record import conditions, write_results

from rasplab.compiler.compiled import Compiled
from rasplab.compiler.pipeline import compile_program
from rasplab.lang.loading import load
from rasplab.model.verify import verify
from rasplab.program.domain import Domain, make_domain
from rasplab.program.graph import Constant, Program
from rasplab.program.zoo import entry

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
"""By program, vocabulary size and maximum length: dense and nonzero parameters, layers, seconds;
or what became of the attempt."""


def vocabulary(program: Program, name: str, size: int) -> list[str]:
    """`size` tokens, those of its zoo domain among them that the text of the program names."""
    constants = {node.value for node in program.nodes if isinstance(node, Constant)}
    named = [token for token in entry(name).domain.vocab if token in constants]
    return [*map(str, named), *(f"t{k}" for k in range(size - len(named)))]


def fastest(program: Program, domain: Domain) -> tuple[Compiled, float]:
    """The compiled model, and the shortest of REPEATS compile times in seconds."""
    runs = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        compiled = compile_program(program, domain)
        runs.append((time.perf_counter() - start, compiled))
    return runs[-1][1], min(seconds for seconds, _ in runs)


def measure(name: str, size: int, max_len: int) -> dict:
    """One program on one domain, as a row of results/size.json."""
    program = load(entry(name).path)
    domain = make_domain(vocabulary(program, name, size), max_len)
    compiled, seconds = fastest(program, domain)
    report = verify(compiled.to_model("cpu"), INPUTS, SEED)
    tracr = TRACR[name, size, max_len]
    if not isinstance(tracr, str):
        tracr = dict(zip(("dense", "nonzero", "layers", "seconds"), tracr, strict=True))
    return {
        "program": name,
        "vocab_size": size,
        "max_len": max_len,
        "dense": compiled.n_params,
        "nonzero": compiled.nonzero_params,
        "layers": compiled.weights.shape()["n_layers"],
        "seconds": seconds,
        "dtype": compiled.certificate.dtype,
        "inputs": report.checked,
        "mismatches": report.mismatches,
        "tracr": tracr,
    }


def line(row: dict) -> str:
    """The row in Markdown: sizes and times of both compilers, and theirs over ours."""
    name = f"{row['program']} ({row['vocab_size']}, {row['max_len']})"
    ours, tracr = f"{_sizes(row)}, {row['dtype']}", row["tracr"]
    if isinstance(tracr, str):
        return f"| {name} | {ours} | {row['mismatches']} | {tracr} | |"
    smaller, faster = tracr["dense"] / row["dense"], tracr["seconds"] / row["seconds"]
    ratios = f"{smaller:,.0f}x, {faster:,.1f}x"
    return f"| {name} | {ours} | {row['mismatches']} | {_sizes(tracr)} | {ratios} |"


def _sizes(row: dict) -> str:
    return (
        f"{row['dense']:,} / {row['nonzero']:,} / {row['layers']} / {row['seconds'] * 1e3:,.0f} ms"
    )


def main() -> None:
    """Print the table row by row, then write the results."""
    measured, rows = conditions(), []
    ours = "rasplab: dense / nonzero / layers / compile, dtype"
    print(f"| program (vocabulary, max length) | {ours} | wrong of {INPUTS} | Tracr | ratios |")
    print("|---|---|---|---|---|")
    for name, size, max_len in TRACR:
        rows.append(measure(name, size, max_len))
        print(line(rows[-1]), flush=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # Linux counts KiB
    print(f"\nPeak memory of all of it, checks included: {peak:.1f} GiB.", file=sys.stderr)
    settings = {"seed": SEED, "repeats": REPEATS, "peak_memory_gib": round(peak, 2)}
    write_results("size", measured, {**settings, "rows": rows})


if __name__ == "__main__":
    main()

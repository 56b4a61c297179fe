"""Growth of compiled models and of compile times: `python experiments/growth.py`.

A part of `make bench-compiler`. Six programs over vocabularies of 4 to 512 tokens, and over maximum
lengths of 8 to 512: CPU seconds of the compiler, dense parameters and dtype, or the refusal; and
the exponents of growth over the last doublings. Each cell is a process of its own, with a limit of
CPU time and memory. Prints row by row and writes results/growth.json; some 7 minutes.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from math import log2
from pathlib import Path
from typing import Any

from record import conditions, write_results
from size import vocabulary

from rasplab.base.errors import CompileError
from rasplab.compiler.compiled import Compiled
from rasplab.compiler.pipeline import compile_program
from rasplab.lang.loading import load
from rasplab.program.domain import make_domain
from rasplab.program.zoo import entry

PROGRAMS = ("reverse", "hist", "sort", "sort_by_freq", "dyck2", "shuffle_dyck2")

VOCAB_SIZES = (4, 8, 16, 32, 64, 128, 256, 512)
LENGTHS = (8, 16, 32, 64, 128, 256, 512)

FIXED_LENGTH, FIXED_VOCAB = 16, 4
"""The maximum length while the vocabulary grows, and the other way round."""

LIMIT_S, LIMIT_BYTES = 30, 8 << 30
"""CPU seconds and bytes of one cell. After a cell beyond them, larger ones are not tried."""

REPEATS, SOON = 3, 0.5
"""Compilations of a cell, of which the fastest counts, until one takes this many seconds."""

DOUBLINGS = 2
"""Doublings of a size over which an exponent is taken."""

Row = dict[str, Any]


def main() -> None:
    """Print the table row by row, then write the results."""
    measured, rows = conditions(), []
    for axis in ("vocab_size", "max_len"):
        print(f"\n| program | {axis} | CPU s | dense | dtype |\n|---|--:|--:|--:|---|")
        for name in PROGRAMS:
            rows += series(name, axis)
    exponents = [
        growth(rows, name, axis) for name in PROGRAMS for axis in ("vocab_size", "max_len")
    ]
    print("\n| program | grows with | exponent of time | of parameters |\n|---|---|--:|--:|")
    for row in exponents:
        print(f"| {row['program']} | {row['axis']} | {row['time']} | {row['dense']} |")
    settings = {"limit_s": LIMIT_S, "fixed_max_len": FIXED_LENGTH, "fixed_vocab": FIXED_VOCAB}
    write_results("growth", measured, {**settings, "rows": rows, "exponents": exponents})


def series(name: str, axis: str) -> list[Row]:
    """The rows of one program along one axis, each printed at once."""
    rows: list[Row] = []
    for size in VOCAB_SIZES if axis == "vocab_size" else LENGTHS:
        domain = (size, FIXED_LENGTH) if axis == "vocab_size" else (FIXED_VOCAB, size)
        stopped = bool(rows) and rows[-1].get("outcome") in ("not tried", "beyond the limit")
        result = {"outcome": "not tried"} if stopped else cell(name, *domain)
        rows.append({"program": name, "axis": axis, "size": size, **result})
        print(line(rows[-1]), flush=True)
    return rows


def cell(name: str, vocab_size: int, max_len: int) -> Row:
    """What a process of its own measures for one domain."""
    command = [sys.executable, str(Path(__file__)), name, str(vocab_size), str(max_len)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return {"outcome": "beyond the limit"}
    return json.loads(done.stdout.splitlines()[-1])


def measured_cell(name: str, vocab_size: int, max_len: int) -> Row:
    """Seconds, size and dtype of one compilation, or the refusal; run within the limits."""
    resource.setrlimit(resource.RLIMIT_CPU, (LIMIT_S, LIMIT_S))
    resource.setrlimit(resource.RLIMIT_AS, (LIMIT_BYTES, LIMIT_BYTES))
    program = load(entry(name).path)
    domain = make_domain(vocabulary(program, name, vocab_size), max_len)
    runs: list[tuple[float, Compiled]] = []
    while len(runs) < REPEATS and (not runs or runs[-1][0] < SOON):
        start = time.process_time()
        try:
            compiled = compile_program(program, domain)
        except CompileError as error:
            return {"outcome": "refused", "reason": error.message}
        runs.append((time.process_time() - start, compiled))
    seconds, compiled = min(runs, key=lambda run: run[0])
    sizes = {"dense": compiled.n_params, "dtype": compiled.certificate.dtype}
    return {"seconds": round(seconds, 4), **sizes}


def growth(rows: list[Row], name: str, axis: str) -> Row:
    """Exponents of time and size along one axis; None where the last sizes do not compile."""
    last = [r for r in rows if (r["program"], r["axis"]) == (name, axis)][-DOUBLINGS - 1 :]
    exponents = {
        kind: round(slope([r[field] for r in last]), 2) if all("dense" in r for r in last) else None
        for kind, field in (("time", "seconds"), ("dense", "dense"))
    }
    return {"program": name, "axis": axis, **exponents}


def slope(numbers: list) -> float:
    """The exponent of growth of numbers taken at doubled sizes: their ratio in doublings."""
    return log2(numbers[-1] / numbers[0]) / (len(numbers) - 1)


def line(row: Row) -> str:
    """The row in Markdown."""
    start = f"| {row['program']} | {row['size']} |"
    if "dense" not in row:
        return f"{start} | | {row['outcome']} |"
    return f"{start} {row['seconds']:.2f} | {row['dense']:,} | {row['dtype']} |"


if __name__ == "__main__":
    if len(sys.argv) == 4:
        print(json.dumps(measured_cell(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
    else:
        main()

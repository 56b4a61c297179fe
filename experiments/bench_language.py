"""How fast the language is: `make bench-language`, or `python tests/bench_language.py`.

Prints one Markdown table per question, every ratio against a plain evaluation cell by cell, written
below, in the same run; and against the reference interpreter where `RASP_support` can be imported.
"""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from statistics import median

import numpy as np

import rasplab
from rasplab.program import zoo
from rasplab.program.functions import CASTS, FUNCTIONS, PREDICATES
from rasplab.program.graph import (
    Aggregate,
    Combine,
    Constant,
    Indices,
    Map,
    Program,
    Select,
    SelectorWidth,
    Tokens,
)

CIRCUITS = zoo.shipped("circuits")
SEED, LONG, BATCH, LENGTH = 0, 1000, 20_000, 32
LETTERS = "abcdefgh"

# Plain evaluation -------------------------------------------------------------------------------


def plain(program: Program, tokens: list) -> list:
    """The output by definition: every cell of every selector, every position of every s-op."""
    values: list = []
    for node in program.nodes:
        values.append(_plain_node(node, values, tokens))
    return values[program.output]


def _plain_node(node, values: list, tokens: list) -> list:
    match node:
        case Tokens(cast):
            return [CASTS[cast](t) for t in tokens]
        case Indices():
            return list(range(len(tokens)))
        case Constant(value):
            return [value for _ in tokens]
        case Map(fn, args):
            return [FUNCTIONS[fn].apply(*at) for at in zip(*[values[a] for a in args], strict=True)]
        case Select(keys, queries, predicate):
            test = PREDICATES[predicate]
            return [[test(k, q) for k in values[keys]] for q in values[queries]]
        case Combine(fn, selectors):
            return _plain_combine(fn, [values[s] for s in selectors])
        case SelectorWidth(selector):
            return [sum(1 for cell in row if cell) for row in values[selector]]
        case Aggregate(selector, sop, default):
            return [_plain_mean(row, values[sop], default) for row in values[selector]]


def _plain_combine(fn: str, matrices: list) -> list:
    join = {"not": lambda a: not a[0], "and": all, "or": any}[fn]
    cells = [[join(at) for at in zip(*rows, strict=True)] for rows in zip(*matrices, strict=True)]
    return cells


def _plain_mean(row: list, values: list, default):
    chosen = [v for v, cell in zip(values, row, strict=True) if cell]
    return default if not chosen else chosen[0] if len(chosen) == 1 else sum(chosen) / len(chosen)


# The reference ----------------------------------------------------------------------------------


def reference() -> Callable[[str, list], tuple[float, list]] | None:
    """run(name, tokens) -> (seconds, output) in the reference interpreter, or None without it."""
    spec = find_spec("RASP_support")
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(spec.submodule_search_locations[0]).parent
    with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()):
        from RASP_support.REPL import REPL

        repl = REPL()
        for line in ('load "paper_examples";', "sorted = sort(tokens, tokens);"):
            repl.run_given_line(line)
    names = {"sort": "sorted", "hist": "hist_nobos"}

    def run(name: str, tokens: list) -> tuple[float, list]:
        found = repl.env.get_variable(names.get(name, name))
        start = time.perf_counter()
        output = found.call(tokens)
        return time.perf_counter() - start, output.get_vals()

    return run


# Questions --------------------------------------------------------------------------------------


def seconds(run: Callable[[], object], times: int = 5) -> float:
    """The median time of a call, after a first one that is not counted."""
    run()
    found = []
    for _ in range(times):
        start = time.perf_counter()
        run()
        found.append(time.perf_counter() - start)
    return median(found)


def once(run: Callable[[], object]) -> tuple[float, object]:
    """The time of one call, and what it gives."""
    start = time.perf_counter()
    found = run()
    return time.perf_counter() - start, found


def long_programs() -> list[tuple[str, Program, list]]:
    """Name, program and 1,000 random tokens of its alphabet."""
    rng = np.random.default_rng(SEED)
    found = []
    for name, file, alphabet in (
        ("sort", "sort", LETTERS),
        ("hist", "hist", LETTERS),
        ("dyck2_ptf", "paper_examples", "(){}"),
        ("sort_by_most_freq", "paper_examples", LETTERS),
    ):
        output = name if file == "paper_examples" else None
        tokens = rng.choice(list(alphabet), LONG).tolist()
        if name == "sort_by_most_freq":
            tokens[0] = "§"
        found.append((name, rasplab.load(CIRCUITS / f"{file}.rasp", output), tokens))
    return found


def bench_long() -> None:
    """One input of 1,000 tokens."""
    refer = reference()
    print(f"One input of {LONG} random tokens (seed {SEED}); seconds, evaluation only\n")
    print("| program | rasplab | cell by cell | ratio | reference | ratio |")
    print("|---|--:|--:|--:|--:|--:|")
    for name, program, tokens in long_programs():
        ours = seconds(lambda: rasplab.evaluate(program, tokens).output)  # noqa: B023
        output = rasplab.evaluate(program, tokens).output
        slow, wanted = once(lambda: plain(program, tokens))  # noqa: B023
        assert output == wanted, name
        theirs, more = _reference_cells(refer, name, tokens, output, ours)
        print(f"| {name} | {ours:.4f} | {slow:.2f} | {slow / ours:.0f} | {theirs} | {more} |")
    print()


def _reference_cells(refer, name: str, tokens: list, output: list, ours: float) -> tuple[str, str]:
    if refer is None:
        return "not installed", ""
    took, found = refer(name, tokens)
    assert list(found) == output, name
    return f"{took:.2f}", f"{took / ours:.0f}"


def bench_batch() -> None:
    """20,000 inputs of 32 tokens; the clock runs from the batch to Python lists of values."""
    ids = np.random.default_rng(SEED).integers(0, len(LETTERS), (BATCH, LENGTH))
    words = ["".join(LETTERS[i] for i in row) for row in ids]
    batches = {
        "ids": (ids, LETTERS),
        "strings": (words, None),
        "lists": ([*map(list, words)], None),
    }
    print(f"{BATCH} inputs of {LENGTH} tokens (seed {SEED}); sequences a second, from the batch to")
    print("Python lists; median of 5, and the first call\n")
    print("| program | batch | rate | first call | cell by cell | ratio |")
    print("|---|---|--:|--:|--:|--:|")
    for name in ("hist", "reverse", "sort"):
        program = rasplab.load(CIRCUITS / f"{name}.rasp")
        slow, wanted = once(lambda: [plain(program, w) for w in words[:200]])  # noqa: B023
        for what, (batch, vocab) in batches.items():
            run = lambda: rasplab.evaluate_many(program, batch, vocab=vocab)  # noqa: B023, E731
            first, found = once(run)
            assert found[:200] == wanted, name
            rate, plainly = BATCH / seconds(run), 200 / slow
            cells = [f"{x:,.0f}" for x in (rate, BATCH / first, plainly, rate / plainly)]
            print(f"| {name} | {what} | {' | '.join(cells)} |")
    print()


def fresh(*argv: str) -> float:
    """The time of a new Python process, median of 5."""
    env = {**os.environ, "PYTHONPATH": str(Path(rasplab.__file__).parents[1])}
    command = [sys.executable, *argv]
    return seconds(lambda: subprocess.run(command, check=True, capture_output=True, env=env))


def bench_start() -> None:
    """Cold starts: parsing, elaborating, the command line."""
    rover = str(CIRCUITS / "rover.rasp")
    code = (
        "import time, rasplab; start = time.perf_counter(); rasplab.load({!r}); "
        "print(time.perf_counter() - start)"
    )
    argv = [sys.executable, "-c", code.format(rover)]
    runs = [float(subprocess.run(argv, capture_output=True, text=True).stdout) for _ in range(5)]
    print("Starting; seconds, median of 5\n")
    print("| what | seconds |")
    print("|---|--:|")
    print(f"| parse and elaborate rover, the first program of its process | {median(runs):.3f} |")
    print(f"| the same again | {seconds(lambda: rasplab.load(rover)):.3f} |")
    print(f"| `python -c 'import rasplab'` | {fresh('-c', 'import rasplab'):.3f} |")
    print(
        f"| `rasplab run sort hello` | {fresh('-m', 'rasplab.apps.cli.parser', 'run', 'sort', 'hello'):.3f} |"
    )


def main() -> int:
    """Every question; returns 0."""
    bench_long()
    bench_batch()
    bench_start()
    return 0


if __name__ == "__main__":
    sys.exit(main())

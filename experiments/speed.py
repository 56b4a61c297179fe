"""Speed of the language: `make bench-language`, `python experiments/speed.py`.

Prints one Markdown table per question and writes results/speed.json; a minute or two. Every ratio
is against a plain evaluation cell by cell (`plain`, below) in the same run, and against the
reference interpreter where `RASP_support` can be imported, else against REFERENCE_SECONDS.
"""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

import numpy as np
from record import CIRCUITS, ROOT, conditions, write_results

from rasplab.lang.loading import load
from rasplab.program.batch.many import evaluate_many
from rasplab.program.functions import CASTS, FUNCTIONS, PREDICATES
from rasplab.program.graph import (
    Aggregate,
    Combine,
    Constant,
    Indices,
    Map,
    Node,
    Program,
    Select,
    SelectorWidth,
    Tokens,
)
from rasplab.program.interpret.exact import evaluate
from rasplab.program.values import Atom

SEED, LONG, BATCH, LENGTH, REPEATS = 0, 1000, 20_000, 32, 5
"""Seed; tokens of the long input; inputs of the batch, and their length; runs behind a median."""

CHECKED = 200
"""Inputs of a batch that are also evaluated cell by cell."""

LETTERS = "abcdefgh"

LONG_PROGRAMS = {
    "sort": ("sort", LETTERS),
    "hist": ("hist", LETTERS),
    "dyck2_ptf": ("paper_examples", "(){}"),
    "sort_by_most_freq": ("paper_examples", LETTERS),
}
"""Program to its file and alphabet; of paper_examples it is the output of that name."""

REFERENCE_SECONDS = {"sort": 13.0, "hist": 7.6, "dyck2_ptf": 21.3, "sort_by_most_freq": 27.8}
"""One input of LONG tokens in the interpreter of the paper's authors, measured once on 2 cores."""

Result = TypeVar("Result")

# Plain evaluation -------------------------------------------------------------------------------


def plain(program: Program, tokens: Sequence[Atom]) -> list:
    """The output by definition: every cell of every selector, every position of every s-op."""
    values: list[list] = []
    for node in program.nodes:
        values.append(_plain_node(node, values, tokens))
    return values[program.output]


def _plain_node(node: Node, values: list[list], tokens: Sequence[Atom]) -> list:
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
    raise TypeError(f"unknown node {node!r}")


def _plain_combine(fn: str, matrices: list[list]) -> list:
    join: Callable[[tuple], bool] = {"not": lambda cells: not cells[0], "and": all, "or": any}[fn]
    return [[join(at) for at in zip(*rows, strict=True)] for rows in zip(*matrices, strict=True)]


def _plain_mean(row: list, values: list, default: Any) -> Any:
    chosen = [v for v, cell in zip(values, row, strict=True) if cell]
    return default if not chosen else chosen[0] if len(chosen) == 1 else sum(chosen) / len(chosen)


# The reference ----------------------------------------------------------------------------------


def reference() -> Callable[[str, list], tuple[float, list]] | None:
    """The reference as a function (program, tokens) -> (seconds, output); None without it."""
    spec = find_spec("RASP_support")
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(spec.submodule_search_locations[0]).parent
    with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()):
        from RASP_support.REPL import REPL  # pyright: ignore[reportMissingImports] (optional)

        repl = REPL()
        for line in ('load "paper_examples";', "sorted = sort(tokens, tokens);"):
            repl.run_given_line(line)
    names = {"sort": "sorted", "hist": "hist_nobos"}

    def evaluate_there(name: str, tokens: list) -> tuple[float, list]:
        sop = repl.env.get_variable(names.get(name, name))
        seconds, output = timed(lambda: sop.call(tokens))
        return seconds, list(output.get_vals())

    return evaluate_there


# Clocks -----------------------------------------------------------------------------------------


def timed(call: Callable[[], Result]) -> tuple[float, Result]:
    """The seconds of one call, and its result."""
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


def seconds(call: Callable[[], object], times: int = REPEATS) -> float:
    """The median seconds of a call, after a first one that is not counted."""
    call()
    return median(timed(call)[0] for _ in range(times))


def process_seconds(*argv: str) -> float:
    """The median seconds of a new Python process with these arguments."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, *argv]
    return seconds(lambda: subprocess.run(command, check=True, capture_output=True, env=env))


# Questions --------------------------------------------------------------------------------------


def long_tokens(name: str, alphabet: str, rng: np.random.Generator) -> list[str]:
    """LONG random tokens; those of sort_by_most_freq begin with the beginning-of-sequence sign."""
    tokens = rng.choice(list(alphabet), LONG).tolist()
    return ["§", *tokens[1:]] if name == "sort_by_most_freq" else tokens


def long_rows() -> list[dict]:
    """Seconds for one input of LONG tokens, evaluation only, in each of the three ways."""
    rng, there, rows = np.random.default_rng(SEED), reference(), []
    for name, (file, alphabet) in LONG_PROGRAMS.items():
        output = name if file == "paper_examples" else None
        program = load(CIRCUITS / f"{file}.rasp", output)
        tokens = long_tokens(name, alphabet, rng)
        ours = seconds(lambda: evaluate(program, tokens))  # noqa: B023 (called at once)
        cell_by_cell, expected = timed(lambda: plain(program, tokens))  # noqa: B023
        assert evaluate(program, tokens).output == expected, name
        theirs = REFERENCE_SECONDS[name]
        if there is not None:
            theirs, values = there(name, tokens)
            assert values == expected, name
        rows.append(
            {"program": name, "seconds": ours, "cell_by_cell": cell_by_cell, "reference": theirs}
            | {"reference_in_this_run": there is not None}
        )
    return rows


def batch_rows() -> list[dict]:
    """Inputs a second for BATCH inputs of LENGTH tokens, from the batch to lists of values."""
    ids = np.random.default_rng(SEED).integers(0, len(LETTERS), (BATCH, LENGTH))
    words = ["".join(LETTERS[i] for i in row) for row in ids]
    batches: dict[str, tuple[Any, str | None]] = {
        "ids": (ids, LETTERS),
        "strings": (words, None),
        "lists": ([list(word) for word in words], None),
    }
    rows = []
    for name in ("hist", "reverse", "sort"):
        program = load(CIRCUITS / f"{name}.rasp")
        slow, expected = timed(lambda: [plain(program, w) for w in words[:CHECKED]])  # noqa: B023
        for kind, (batch, vocab) in batches.items():
            call = lambda: evaluate_many(program, batch, vocab=vocab)  # noqa: B023, E731
            first, outputs = timed(call)
            assert outputs[:CHECKED] == expected, name
            rates = {"rate": BATCH / seconds(call), "first_call": BATCH / first}
            rows.append({"program": name, "batch": kind, **rates, "cell_by_cell": CHECKED / slow})
    return rows


def start_rows() -> list[dict]:
    """Seconds of cold starts: parsing and elaborating, importing, the command line."""
    rover = str(CIRCUITS / "rover.rasp")
    code = (
        "import time, rasplab; start = time.perf_counter(); "
        f"rasplab.load({rover!r}); print(time.perf_counter() - start)"
    )
    argv = [sys.executable, "-c", code]
    first = [float(subprocess.run(argv, capture_output=True).stdout) for _ in range(REPEATS)]
    run = process_seconds("-m", "rasplab", "run", "sort", "hello")
    measured = {
        "parse and elaborate rover, the first program of its process": median(first),
        "the same again": seconds(lambda: load(rover)),
        "`python -c 'import rasplab'`": process_seconds("-c", "import rasplab"),
        "`rasplab run sort hello`": run,
    }
    return [{"what": words, "seconds": value} for words, value in measured.items()]


# Tables -----------------------------------------------------------------------------------------


def long_table(rows: list[dict]) -> list[str]:
    """The rows of `long_rows` in Markdown."""
    lines = [
        f"One input of {LONG} random tokens (seed {SEED}); seconds, evaluation only",
        "",
        "| program | rasplab | cell by cell | ratio | reference | ratio |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        ours, slow, theirs = row["seconds"], row["cell_by_cell"], row["reference"]
        earlier = "" if row["reference_in_this_run"] else " (earlier)"
        lines.append(
            f"| {row['program']} | {ours:.4f} | {slow:.2f} | {slow / ours:.0f} "
            f"| {theirs:.2f}{earlier} | {theirs / ours:.0f} |"
        )
    return lines


def batch_table(rows: list[dict]) -> list[str]:
    """The rows of `batch_rows` in Markdown."""
    lines = [
        f"{BATCH} inputs of {LENGTH} tokens (seed {SEED}); inputs a second, from the batch to",
        f"Python lists; median of {REPEATS}, and the first call",
        "",
        "| program | batch | rate | first call | cell by cell | ratio |",
        "|---|---|--:|--:|--:|--:|",
    ]
    for row in rows:
        numbers = (row["rate"], row["first_call"], row["cell_by_cell"])
        cells = " | ".join(f"{x:,.0f}" for x in (*numbers, row["rate"] / row["cell_by_cell"]))
        lines.append(f"| {row['program']} | {row['batch']} | {cells} |")
    return lines


def start_table(rows: list[dict]) -> list[str]:
    """The rows of `start_rows` in Markdown."""
    lines = [f"Starting; seconds, median of {REPEATS}", "", "| what | seconds |", "|---|--:|"]
    return lines + [f"| {row['what']} | {row['seconds']:.3f} |" for row in rows]


def main() -> None:
    """Measure and print every table, then write the results."""
    measured, content = conditions(), {}
    questions = {
        "long": (long_rows, long_table),
        "batch": (batch_rows, batch_table),
        "start": (start_rows, start_table),
    }
    for name, (measure, table) in questions.items():
        content[name] = measure()
        print("\n".join(table(content[name])), end="\n\n", flush=True)
    sizes = {"seed": SEED, "long_tokens": LONG, "inputs": BATCH, "length": LENGTH}
    write_results("speed", measured, {**sizes, "repeats": REPEATS, **content})


if __name__ == "__main__":
    main()

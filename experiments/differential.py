"""Hold generated programs against what they compute: `make differential`.

`python experiments/differential.py --count N` draws the programs of the seeds 0 to N - 1 (or from
`--first` on; `--kind KIND` for one kind). Each runs on its whole domain through both interpreters,
the compiled weights of both bases with their certificates and, for every `--verify`-th one,
TransformerLens: see `tests/support/outcomes.py`. Prints every failure as it comes, progress on the
error stream, and at the end how many programs ended how. With `--file PATH` outcomes are appended
there, one line each, and seeds that it holds are not run again. A program takes some 0.2 s of CPU
time; `--jobs N` runs them in as many processes.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from support.generate import random_program
from support.grammar_kinds import KINDS, drawn
from support.outcomes import FAILURES, graph_outcome, outcome

GRAPHS = "graphs"
"""The kind of programs that are drawn as graphs, of every type of node (`support.generate`)."""

MEMORY = 8 << 30
"""Bytes of address space of one process: a program that takes more is a failure of its own."""

Row = tuple[int, str, str, float]
"""Seed, the word of an outcome, its detail, and CPU seconds."""


def main(arguments: list[str]) -> int:
    """1 where a program failed, else 0."""
    options = parsed(arguments)
    known = rows_of(options.file)
    seeds = [s for s in range(options.first, options.first + options.count) if s not in known]
    counts = Counter(described(row) for row in known.values())
    failures = sum(row[1] in FAILURES for row in known.values())
    start, slowest = time.perf_counter(), (0.0, 0)
    for done, row in enumerate(results(seeds, options), 1):
        counts[described(row)] += 1
        slowest = max(slowest, (row[3], row[0]))
        if row[1] in FAILURES:
            failures += 1
            report(row, options.kind)
        if done % 50 == 0 or done == len(seeds):
            seconds = time.perf_counter() - start
            text = f"{done} of {len(seeds)} programs, {failures} failures, {seconds:.0f} s"
            print(text, file=sys.stderr, flush=True)
    for words, count in counts.most_common():
        print(f"{count:6}  {words}")
    print(f"slowest: seed {slowest[1]}, {slowest[0]:.1f} s of CPU time")
    print(f"{sum(counts.values())} programs, {failures} failures")
    return int(failures > 0)


def parsed(arguments: list[str]) -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(prog="differential", description=__doc__)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--kind", choices=[*KINDS, GRAPHS], default=None)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--verify", type=int, default=20)
    parser.add_argument("--file", type=Path, default=None)
    return parser.parse_args(arguments)


def results(seeds: list[int], options: argparse.Namespace) -> Iterator[Row]:
    """The outcome of each seed, in the order in which they come."""
    run = partial(one, kind=options.kind, verify=options.verify)
    with get_context("spawn").Pool(options.jobs, prepare, [options.verify]) as pool:
        for row in pool.imap_unordered(run, seeds, chunksize=5):
            if options.file:
                with options.file.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row) + "\n")
            yield row


def prepare(verify: int) -> None:
    """Import what a program's time should not hold; make one that takes all memory fail alone."""
    if verify:
        import_module("rasplab.model.native")
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def one(seed: int, kind: str | None, verify: int) -> Row:
    """What became of the program of a seed."""
    start = time.process_time()
    if kind == GRAPHS:
        result = graph_outcome(seed)
    else:
        result = outcome(drawn(seed, kind), bool(verify) and seed % verify == 0)
    return seed, result.word, result.detail, round(time.process_time() - start, 2)


def rows_of(file: Path | None) -> dict[int, Row]:
    """The outcomes that a file holds, by seed."""
    if file is None or not file.exists():
        return {}
    lines = file.read_text(encoding="utf-8").splitlines()
    return {row[0]: row for row in map(json.loads, lines)}


def described(row: Row) -> str:
    """An outcome in the words that are counted: refusals by their reason."""
    return f"{row[1]}: {row[2]}" if row[1] == "refused" else row[1]


def report(row: Row, kind: str | None) -> None:
    """Print a failure with its program."""
    if kind == GRAPHS:
        listing = random_program(row[0])[0].listing()
        print(f"seed {row[0]}, {row[1]}: {row[2]}\n{listing}\n", flush=True)
        return
    program = drawn(row[0], kind)
    where = f"vocab {list(program.vocab)}, max_len {program.max_len}, causal {program.causal}"
    print(
        f"seed {row[0]}, {program.kind}, {where}\n{row[1]}: {row[2]}\n{program.text}\n", flush=True
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

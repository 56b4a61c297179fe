"""Results of the benchmarks: size, growth, speed and discovery, from experiments/results/NAME.json.

The files are written by experiments/size.py, growth.py, speed.py and discovery.py, each with the
conditions of its measurement.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import seeds_pages
from tables import absent, conditions, page, source, table

Rows = list[dict[str, Any]]


def pages(results: Path) -> dict[str, str]:
    """File name -> Markdown."""
    return {f"{name}.md": bench_page(results / f"{name}.json", *BENCHES[name]) for name in BENCHES}


def bench_page(path: Path, title: str, command: str, parts_of: Any) -> str:
    """A page: the tables, where they come from, and the conditions of the measurement."""
    if not path.exists():
        return absent(title, path, command)
    data = json.loads(path.read_text("utf-8"))
    where = source(f"experiments/results/{path.name}", command)
    parts = [*parts_of(data), "## Conditions", where, conditions(data)]
    if path.stem == "discovery":
        parts += seeds_pages.seconds(path.with_name("seeds.json"))
    return page(title, *parts)


def size(data: dict[str, Any]) -> list[str]:
    """Compiled models, and beside Tracr's."""
    ours, ratios = [], []
    for row in data["rows"]:
        name = f"{row['program']} ({row['vocab_size']}, {row['max_len']})"
        wrong = f"{row['mismatches']} of {row['inputs']}"
        ours.append((name, *sizes(row), row["dtype"], wrong))
        tracr = row["tracr"]
        if isinstance(tracr, str):
            ratios.append((name, tracr, "", "", "", "", ""))
        else:
            smaller, faster = tracr["dense"] / row["dense"], tracr["seconds"] / row["seconds"]
            ratios.append((name, *sizes(tracr), f"{smaller:,.0f}x", f"{faster:,.1f}x"))
    head = ("program (vocab, length)", "dense", "nonzero", "layers", "compile, ms")
    return [
        "Models in the compact basis, the fastest of several compilations; `wrong` counts sampled "
        "inputs that were compared with the interpreter.",
        table((*head, "dtype", "wrong"), ours, 6),
        "## Tracr",
        "The same programs, compiled by the last version of Tracr at its default setting. Its "
        "models of `reverse`, `sort` and `sort_by_freq` at (32, 32) are wrong on every input. The "
        "last two columns are its dense size and its compile time over ours.",
        table((*head, "size ratio", "time ratio"), ratios, 6),
    ]


def growth(data: dict[str, Any]) -> list[str]:
    """Compile time and size, along vocabularies and along lengths, with the exponents."""
    parts = [
        "One dimension grows, the other is fixed. Each entry is a process of its own with "
        f"{data['limit_s']} CPU seconds. Exponents of growth are taken over the last two "
        "doublings: 1 is linear, 2 quadratic."
    ]
    fixed = {"vocab_size": f"maximum length {data['fixed_max_len']}"}
    fixed["max_len"] = f"{data['fixed_vocab']} tokens"
    names = {"vocab_size": "vocabulary", "max_len": "length"}
    for axis, title in names.items():
        rows = [row for row in data["rows"] if row["axis"] == axis]
        exponents = {row["program"]: row for row in data["exponents"] if row["axis"] == axis}
        head = ("program", *dict.fromkeys(f"{row['size']}" for row in rows), "exponent")
        parts.append(f"## By {title}, at {fixed[axis]}")
        for what, field in (("CPU seconds", "time"), ("Dense parameters", "dense")):
            lines = [
                (
                    f"`{name}`",
                    *(entry_of(r, field) for r in rows if r["program"] == name),
                    row[field],
                )
                for name, row in exponents.items()
            ]
            parts += [f"{what}:", table(head, lines, len(head) - 1)]
    refused = {(r["program"], r["reason"]): None for r in data["rows"] if "reason" in r}
    return [*parts, *(f"`{name}` is refused where {reason}." for name, reason in refused)]


def entry_of(row: dict[str, Any], field: str) -> str:
    """Seconds, or parameters with the dtype where it is float64; else what became of it."""
    if "dense" not in row:
        return str(row["outcome"])
    if field == "time":
        return f"{row['seconds']:.2f}"
    return f"{row['dense']:,}" + (" (float64)" if row["dtype"] == "float64" else "")


def sizes(row: dict[str, Any]) -> tuple[str, ...]:
    """Dense and nonzero parameters, layers, milliseconds."""
    counts = (f"{row['dense']:,}", f"{row['nonzero']:,}", f"{row['layers']}")
    return (*counts, f"{row['seconds'] * 1e3:,.0f}")


def speed(data: dict[str, Any]) -> list[str]:
    """Programs on one long input and on a batch, and cold starts."""
    long = []
    for row in data["long"]:
        ours, slow, theirs = row["seconds"], row["cell_by_cell"], row["reference"]
        earlier = "" if row["reference_in_this_run"] else " (earlier)"
        ratios = (f"{slow / ours:,.0f}x", f"{theirs / ours:,.0f}x")
        times = (f"{slow:.2f}", ratios[0], f"{theirs:.2f}{earlier}", ratios[1])
        long.append((f"`{row['program']}`", f"{ours:.4f}", *times))
    rates = ("rate", "first_call", "cell_by_cell")
    batch = [
        (f"`{r['program']}`", r["batch"], *(f"{r[k]:,.0f}" for k in rates)) for r in data["batch"]
    ]
    start = [(r["what"], f"{r['seconds']:.3f}") for r in data["start"]]
    head = ("program", "rasplab, s", "cell by cell, s", "ratio", "the paper's, s", "ratio")
    return [
        f"## One input of {data['long_tokens']:,} random tokens",
        "`cell by cell` is the definition of the language in plain Python; `the paper's` is the "
        "interpreter of the paper's authors, in an earlier run where it says so.",
        table(head, long, 5),
        f"## {data['inputs']:,} inputs of {data['length']} tokens",
        "Inputs per second, from the batch to lists of values.",
        table(("program", "batch", "rate", "first call", "cell by cell"), batch, 3),
        "## Starting",
        table(("what", "seconds"), start, 1),
    ]


def discovery(data: dict[str, Any]) -> list[str]:
    """Mean areas by method, for each kind of model and ablation; then ACDC's tasks."""
    parts = [DISCOVERY]
    summary: Rows = data["summary"]
    for variant in dict.fromkeys(row["variant"] for row in summary):
        for ablation in dict.fromkeys(row["ablation"] for row in summary):
            rows = [r for r in summary if (r["variant"], r["ablation"]) == (variant, ablation)]
            if rows:
                parts += [f"## {variant.capitalize()} models, {ablation} ablation", methods(rows)]
    if data.get("acdc"):
        parts += ["## ACDC's Tracr tasks", ACDC, acdc(data["acdc"])]
    return parts


DISCOVERY = """Every discovery method on models whose circuit is known: compiled ones, plain and in
a rotated basis, by edges; realistic ones by heads and MLPs, against the circuit that they were
trained to have. Areas are the mean AUC over models with its 95% interval; `worst` counts every tie
against the method. Effective truth is what exact patching of that ablation finds, structural truth
what is wired: no method can do much better than 0.70 against structural truth under `resample`,
since most wired edges carry the same on every input of a length. Compiled heads saturate their
softmax, which is what EAP misses."""

ACDC = """The two Tracr tasks of the ACDC paper (Conmy et al. 2023), on models compiled here. `zero`
and `resample` are scores of that ablation against the edges that matter under zero ablation, as in
the paper; `own truth` is against the edges that matter under resampling. `published`: the paper's
numbers for zero and corrupted. Differences: edges go into q, k and v ports; there are two embedding
sites; ties count at their average rank; `pruning` prunes edges, where their subnetwork probing
prunes nodes."""


def methods(rows: Rows) -> str:
    """One table: a line per method, effective and structural truth side by side."""
    lines = []
    for method in dict.fromkeys(row["method"] for row in rows):
        by_truth = {row["truth"]: row for row in rows if row["method"] == method}
        first = next(iter(by_truth.values()))
        areas = [area(by_truth.get(truth)) for truth in ("effective", "structural")]
        cost = (f"{first['forwards']:.0f}", f"{first['seconds']:.2f}")
        lines.append((f"`{method}`", first["programs"], *areas, *cost))
    return table(("method", "models", "effective", "structural", "forwards", "s"), lines, 2)


def area(row: dict[str, Any] | None) -> str:
    """Mean AUC, its interval, and the pessimistic mean."""
    if row is None:
        return ""
    interval = f"[{row['low']:.3f}, {row['high']:.3f}]"
    return f"{row['auc']:.3f} {interval}, worst {row['pessimistic']:.3f}"


def acdc(rows: Rows) -> str:
    """The published numbers beside our own."""
    lines = []
    for row in rows:
        ours = [f"{x:.3f}" for x in (*row["against_zero"], row["against_own"][1])]
        published = ", ".join(f"{x:.3f}" for x in row["published"])
        lines.append((row["task"], f"`{row['method']}`", *ours, published))
    head = ("task", "method", "zero", "resample", "resample, own truth", "published")
    return table(head, lines, 4)


BENCHES = {
    "size": ("Size of compiled models", "make bench-compiler", size),
    "growth": ("Growth of compiled models", "make bench-compiler", growth),
    "speed": ("Speed of the language", "make bench-language", speed),
    "discovery": ("Discovery methods", "make bench-circuits", discovery),
}
"""By the name of the file: title of the page, the command that measures, and the tables."""

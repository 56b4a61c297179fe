"""Results as pages: tables and figures from experiments/results and circuits, none typed by hand.

One function makes each page. A page whose file is absent says so, with the command that makes the
file.
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import bench_pages
import seeds_pages
from tables import absent, page, percent, source, table


def pages(root: Path) -> dict[str, str]:
    """File name -> Markdown."""
    results = root / "experiments" / "results"
    return {
        "reproduction.md": reproduction(results),
        "trained.md": trained(results / "models.json"),
        "calibration.md": calibration(root / "circuits" / "calibration.json")
        + planted(root / "circuits" / "planted.json"),
        "realistic.md": realistic(root / "circuits" / "realistic"),
        "seeds.md": seeds_pages.over_seeds(results / "seeds.json"),
        **bench_pages.pages(results),
    }


def reproduction(results: Path) -> str:
    """Accuracy of trained models at a program's sizes and below, in full and quick form."""
    title = "Reproduction"
    question = (
        "The RASP paper's question, on its seven tasks: are a program's depth and number of heads "
        "what a trained transformer needs? Accuracy is the share of held-out positions that are "
        "right, the mean over seeds with its 95% interval (Student's t). `as the program`: layers "
        "and heads that the RASP program needs; training ends at the recipe's target."
    )
    parts = [question]
    for name, heading in (("full", "Three seeds each"), ("quick", "The quick form")):
        path = results / f"{name}.json"
        if not path.exists():
            return absent(title, path, "make reproduce")
        rows = [
            (
                row["task"],
                f"{row['layers']}, {row['heads']}",
                row["size"],
                percent(row["mean"]),
                interval(row),
                row["target reached"],
                row["steps"],
            )
            for row in json.loads(path.read_text("utf-8"))
        ]
        head = ("task", "layers, heads", "size", "accuracy", "95% interval", "target", "steps")
        command = "make reproduce" if name == "full" else "make reproduce-quick"
        parts += [f"## {heading}", table(head, rows, 1)]
        if (results / f"{name}.svg").exists():
            parts.append(f"![Accuracy by task and size](../../../experiments/results/{name}.svg)")
        parts.append(source(f"experiments/results/{name}.json", command))
    return page(title, *parts, *remarks(results / "full.md"))


def remarks(path: Path) -> list[str]:
    """What experiments/reproduce.py writes below its table."""
    paragraphs = path.read_text("utf-8").split("\n\n") if path.exists() else []
    return ["## Remarks", *(p.strip() for p in paragraphs if p.strip() and p[0] not in "|#!")]


def interval(row: dict[str, Any]) -> str:
    """The 95% interval of a row, where it has one."""
    low, high = row.get("low"), row.get("high")
    return "" if low is None or high is None else f"{percent(low)} to {percent(high)}"


def trained(path: Path) -> str:
    """The models of circuits/trained, as measured on held-out inputs."""
    title, command = "Trained models", "make trained"
    if not path.exists():
        return absent(title, path, command)
    rows = [
        (
            f"`{model['name']}`",
            f"{model['layers']}, {model['heads']}",
            f"{model['d_model']}, {model['d_mlp']}",
            f"{model['vocab_size']}, {model['max_len']}",
            ", ".join("=".join(pair) for pair in model["supervise"]),
            model["n_params"],
            model["step"],
            percent(model["held_out"]),
            percent(min(model["by_length"].values())),
        )
        for model in json.loads(path.read_text("utf-8"))["models"]
    ]
    head = ("model", "layers, heads", "d_model, d_mlp", "vocab, length", "supervised", "parameters")
    text = (
        "Models trained on the answers of zoo programs. Accuracy is the share of held-out "
        "positions that are right; the last column has the length on which it is lowest."
    )
    where = source(f"experiments/results/{path.name}", command)
    return page(title, text, table((*head, "steps", "accuracy", "worst length"), rows, 4), where)


def calibration(path: Path) -> str:
    """Verdicts on models whose heads are known."""
    programs = json.loads(path.read_text("utf-8"))
    variants = list(next(iter(programs.values())))
    rows = [
        [name, *(verdict_cell(row.get(variant)) for variant in variants)]
        for name, row in programs.items()
    ]
    known = [v for v in variants if v != "untrained"]
    cells = [row[v] for row in programs.values() for v in known if v in row]
    right = sum(cell["found"] == cell["selectors"] and not cell["wrong"] for cell in cells)
    blank = [row["untrained"] for row in programs.values() if "untrained" in row]
    none = sum(not cell["wrong"] for cell in blank)
    text = (
        "Verdicts on compiled models, whose heads are known: as compiled, in a rotated basis, with "
        "noise on every weight, with heads shuffled, beside decoys, and with weights initialised "
        "again. A cell says for how many of the program's selectors exactly the true heads, and no "
        "others, got `implements`; of `untrained` models a selector counts when no head got it. "
        "`noisy` also says the largest relative noise, in powers of ten, under which 99% of inputs "
        "come out right. The rules on rivals and on single positions were chosen with these "
        "models in view, so the table is no independent check of those rules."
    )
    summary = (
        f"In {right} of {len(cells)} compiled models exactly the true heads got `implements`, for "
        f"every selector; in {none} of {len(blank)} untrained ones no head did."
    )
    where = source("circuits/calibration.json", "make calibrate")
    return page("Calibration", text, summary, table(["program", *variants], rows), where)


def planted(path: Path) -> str:
    """Verdicts on the models that are planted to mislead them."""
    rows = json.loads(path.read_text("utf-8"))
    false = sum(bool(row["false_implements"] or row["false_refuted"]) for row in rows.values())
    text = (
        "Models made from compiled weights whose heads share their work, vote, back each other up, "
        "act through BOS, or do their work on a part of the domain only. `implements` is false for "
        "a head that does not do what the selector says on the whole domain, `refuted` for a head "
        f"that the answers rest on. Of {len(rows)} models {false} have a false verdict."
    )
    cells = [
        [name, f"{row['accuracy']:.3f}", ", ".join(row["implements"]) or "none"]
        for name, row in rows.items()
    ]
    lines = table(["planted", "accuracy over the domain", "`implements`"], cells)
    where = source("circuits/planted.json", "make calibrate")
    return "\n".join(["", "## Planted models", "", text, "", lines, "", where, ""])


def verdict_cell(cell: dict[str, Any] | None) -> str:
    """Right selectors of all, and the noise."""
    if cell is None:
        return ""
    noise = f" at {cell['noise']:.0e}" if "noise" in cell else ""
    return f"{cell['found']}/{cell['selectors']}{noise}"


def realistic(folder: Path) -> str:
    """The models of circuits/realistic, as measured on held-out pairs."""
    recipes = tomllib.loads((folder / "index.toml").read_text("utf-8"))
    rows = []
    for name in recipes:
        path = folder / name / "measured.json"
        if path.exists():
            row = json.loads(path.read_text("utf-8"))
            recipe = row["recipe"]
            rows.append(
                (
                    f"`{name}`",
                    f"{len(recipe['vocab'])}, {recipe['max_len']}",
                    percent(row["behaviour"]),
                    percent(min(row["interchange"].values())),
                    percent(max(row["effect"].values(), default=0.0)),
                )
            )
    head = ("model", "vocab, length", "answers right", "worst site of the circuit", "worst other")
    text = (
        "Models with ordinary weights (GELU, no norm, one more head per layer than needed), "
        "trained by strict interchange interventions to have a compiled model's circuit. On "
        "held-out pairs: answers that are right; answers as the compiled model gives them when one "
        "site of the circuit is swapped (the worst site); answers that change when any other site "
        "is swapped (the worst)."
    )
    where = source("circuits/realistic/*/measured.json", "make realistic")
    return page("Realistic models", text, table(head, rows, 3), where)

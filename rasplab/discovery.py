"""The commands discover, score and bench: arguments in, text or JSON out (floor 7)."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from pathlib import Path

import numpy as np

import rasplab
from rasplab.commands import compile_asked, load_any, only_json, print_json, progress_bar
from rasplab.errors import FileError, RaspValueError


def discover(args: Namespace) -> int:
    """Score every unit of a model by one method, and keep the scores if asked."""
    from rasplab.show.text import write_whole

    settings = {
        name: value
        for name in ("thresholds", "points", "steps")
        if (value := getattr(args, name)) is not None
    }
    with only_json(args.json):
        model = asked_model(args)
        with progress_bar(args.method) as bar:
            found = rasplab.discover(
                model, args.method, _pairs(args, model), args.ablation, args.metric,
                args.granularity, args.seed, bar, **settings,
            )  # fmt: skip
    for note in found.notes:
        print(f"note: {note}", file=sys.stderr)
    if args.out:
        write_whole(args.out, found.to_json())
    if args.json:
        print(found.to_json(), end="")
    else:
        lines = str(found).splitlines()
        print("\n".join(line for line in lines if not line.startswith("note: ")))
        if args.out:
            print(f"written to {args.out}; score it with: rasplab score {args.out} {args.file}")
    return 0


def asked_model(args: Namespace):
    """The model of FILE, or in the folder DIR, compiled or trained."""
    if Path(args.file).is_dir():
        return load_any(args.file, args.device)
    return compile_asked(args).to_model(device=args.device)


def _pairs(args: Namespace, model):
    from rasplab.circuit.pairs import draw_pairs

    lengths = args.lengths or None
    return draw_pairs(model.domain, args.pairs, args.seed, lengths, model.device)


def score(args: Namespace) -> int:
    """Hold scores against the true circuit of a model; draw both if asked."""
    from rasplab.circuit.score import score as scored
    from rasplab.circuit.score import truth_of

    with only_json(args.json):
        scores, model = read_scores(args.scores), asked_model(args)
        _same_model(scores, model)
        truth = truth_of(model, args.truth, scores.granularity, scores.seed)
        found = scored(scores, truth, mixed=args.mixed)
        areas = _curves(scores, model) if args.curves else None
    if args.json:
        print_json(**found.to_json(), curves=areas)
    else:
        print(found)
        for size, *row in zip(*(areas[n] for n in areas or ()), strict=True):
            print(f"{size:6d} kept: " + "  ".join(f"{x:.3f}" for x in row))
    if args.svg or args.html:
        _draw(args, scores, model, truth, found)
    return 0


def read_scores(path: str):
    """The scores in a file. Raises FileError."""
    from rasplab.circuit.scores import EdgeScores

    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise FileError(
            f"no scores at {path}", hint="make them: rasplab discover FILE -o F"
        ) from None
    return EdgeScores.from_json(text, path)


def _same_model(scores, model) -> None:
    from rasplab.circuit.flow import flow_of

    if flow_of(model.lens).digest != scores.model:
        raise RaspValueError(
            "the scores are of another model: their digests differ",
            hint="discover again with the same FILE, vocabulary and maximum length",
        )


def _curves(scores, model) -> dict[str, tuple]:
    from dataclasses import asdict

    from rasplab.circuit.curves import curves

    return asdict(curves(model, scores))


def _draw(args: Namespace, scores, model, truth, found) -> None:
    """The found circuit over the true one, as SVG and as a page."""
    from rasplab.circuit.graph import Circuit
    from rasplab.circuit.truth import circuit_of
    from rasplab.show.overlay import edge_of, overlay_page, overlay_svg
    from rasplab.show.text import value_text, write_whole

    if model.compiled is not None:
        true = circuit_of(model.compiled).kept(map(edge_of, truth.units))
    else:
        edges = tuple(sorted(map(edge_of, truth.units)))
        true = Circuit(edges, ((),) * len(edges), ())
    svg = overlay_svg(scores, true, args.keep, f"{Path(args.file).stem} by {scores.method}")
    if args.svg:
        print(f"written to {write_whole(args.svg, svg)}", file=sys.stderr)
    if args.html:
        sample = _sample(model.domain, scores.seed)
        tokens = ["BOS", *map(value_text, sample)]
        title = f"{Path(args.file).stem}: {scores.method}"
        patterns = model.patterns([sample])[0]
        page = overlay_page(svg, patterns, tokens, title, str(found).splitlines())
        print(f"written to {write_whole(args.html, page)}", file=sys.stderr)


def _sample(domain, seed: int) -> list:
    """One random input of up to six tokens."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, len(domain.vocab), min(6, domain.max_len))
    return [domain.vocab[i] for i in ids]


def bench(args: Namespace) -> int:
    """Every method on every benchmark model; resumable, rows kept in DIR."""
    from rasplab.show.text import write_whole
    from rasplab.study import bench as benches
    from rasplab.study.bench_tables import markdown, summary
    from rasplab.study.replicate import replicate, replicate_markdown

    programs = args.programs or (benches.QUICK if args.quick else benches.PROGRAMS)
    wanted = benches.cases(programs, args.variants or benches.VARIANTS)
    out = Path(args.out)
    with only_json(args.json):
        with progress_bar("bench circuits") as bar:
            rows = benches.run_bench(out, wanted, args.seed, _told(bar))
        text = markdown(rows, args.seed) + "\n" + replicate_markdown(replicate(args.seed))
        table = summary(rows, args.seed)
        write_whole(out / "table.md", text)
        write_whole(out / "table.json", json.dumps({"summary": table, "rows": rows}, indent=1))
        for truth in ("effective", "structural"):
            write_whole(out / f"{truth}.svg", bench_svg(table, truth))
    if args.json:
        print_json(out=str(out), summary=table)
    else:
        print(f"{text}\nwritten to {out}: table.md, table.json, effective.svg, structural.svg")
    return 0


def _told(bar):
    """The bar, and where stderr is no terminal, a line now and then."""

    def tell(done: int, total: int) -> None:
        bar(done, total)
        if not sys.stderr.isatty() and (done % 100 == 0 or done == total):
            print(f"bench circuits: {done} of {total} rows", file=sys.stderr, flush=True)

    return tell


def bench_svg(table: list[dict], truth: str) -> str:
    """Mean AUC of each method, a colour for each kind of model and ablation."""
    from rasplab.show.dots import dots_svg

    some = [row for row in table if row["truth"] == truth]
    kinds = list(dict.fromkeys((r["variant"], r["ablation"]) for r in some))
    found = {(r["method"], r["variant"], r["ablation"]): r for r in some}
    rows = [
        (m, [_point(found.get((m, *kind))) for kind in kinds])
        for m in dict.fromkeys(row["method"] for row in some)
    ]
    return dots_svg([", ".join(k) for k in kinds], rows, f"ROC AUC against {truth} truth")


def _point(row: dict | None) -> tuple[float, float, float] | None:
    return (row["auc"], row["low"], row["high"]) if row else None

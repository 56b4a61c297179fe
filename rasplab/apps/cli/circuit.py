"""The commands discover, score and bench: arguments in, text or JSON out."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from pathlib import Path

import numpy as np

import rasplab
from rasplab.apps.cli.compile import compile_asked, load_any, only_json, print_json, progress_bar
from rasplab.base.errors import FileError, RaspValueError


def discover(args: Namespace) -> int:
    """Score every unit of a model by one method, and keep the scores if asked."""
    from rasplab.base.atomic import write_atomic

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
        write_atomic(args.out, found.to_json())
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
    from rasplab.circuit.patching.pairs import draw_pairs

    lengths = args.lengths or None
    return draw_pairs(model.domain, args.pairs, args.seed, lengths, model.device)


def score(args: Namespace) -> int:
    """Hold scores against the true circuit of a model; draw both if asked."""
    from rasplab.circuit.evaluation.score import score as scored
    from rasplab.circuit.evaluation.score import truth_of

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
    from rasplab.circuit.discovery.edge_scores import EdgeScores

    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise FileError(
            f"no scores at {path}", hint="make them: rasplab discover FILE -o F"
        ) from None
    return EdgeScores.from_json(text, path)


def _same_model(scores, model) -> None:
    from rasplab.circuit.patching.edge_model import edge_model_of

    if edge_model_of(model.lens).digest != scores.model:
        raise RaspValueError(
            "the scores are of another model: their digests differ",
            hint="discover again with the same FILE, vocabulary and maximum length",
        )


def _curves(scores, model) -> dict[str, tuple]:
    from dataclasses import asdict

    from rasplab.circuit.evaluation.curves import curves

    return asdict(curves(model, scores))


def _draw(args: Namespace, scores, model, truth, found) -> None:
    """The found circuit over the true one, as SVG and as a page."""
    from rasplab.apps.show.circuit_overlay import edge_of, overlay_page, overlay_svg
    from rasplab.base.atomic import write_atomic
    from rasplab.circuit.graph import Circuit
    from rasplab.circuit.structural import circuit_of
    from rasplab.program.values import value_text

    if model.compiled is not None:
        true = circuit_of(model.compiled).kept(map(edge_of, truth.units))
    else:
        edges = tuple(sorted(map(edge_of, truth.units)))
        true = Circuit(edges, ((),) * len(edges), ())
    svg = overlay_svg(scores, true, args.keep, f"{Path(args.file).stem} by {scores.method}")
    if args.svg:
        print(f"written to {write_atomic(args.svg, svg)}", file=sys.stderr)
    if args.html:
        sample = _sample(model.domain, scores.seed)
        tokens = ["BOS", *map(value_text, sample)]
        title = f"{Path(args.file).stem}: {scores.method}"
        patterns = model.patterns([sample])[0]
        page = overlay_page(svg, patterns, tokens, title, str(found).splitlines())
        print(f"written to {write_atomic(args.html, page)}", file=sys.stderr)


def _sample(domain, seed: int) -> list:
    """One random input of up to six tokens."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, len(domain.vocab), min(6, domain.max_len))
    return [domain.vocab[i] for i in ids]


def bench(args: Namespace) -> int:
    """Every method on every benchmark model; resumable, rows kept in DIR."""
    from rasplab.base.atomic import write_atomic
    from rasplab.study.bench import discovery_bench as benches
    from rasplab.study.bench.acdc_tables import replicate, replicate_markdown
    from rasplab.study.bench.discovery_tables import markdown, summary

    programs = args.programs or (benches.QUICK if args.quick else benches.PROGRAMS)
    wanted = benches.cases(programs, args.variants or benches.VARIANTS)
    out = Path(args.out)
    with only_json(args.json):
        with progress_bar("bench circuits") as bar:
            rows = benches.run_bench(out, wanted, args.seed, _told(bar))
        text = markdown(rows, args.seed) + "\n" + replicate_markdown(replicate(args.seed))
        table = summary(rows, args.seed)
        write_atomic(out / "table.md", text)
        write_atomic(out / "table.json", json.dumps({"summary": table, "rows": rows}, indent=1))
        for truth in ("effective", "structural"):
            write_atomic(out / f"{truth}.svg", bench_svg(table, truth))
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
    from rasplab.apps.show.dots import dots_svg

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

"""Commands on the discovery of circuits: discover, score, bench."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rasplab.apps.cli.arguments import (
    Commands,
    add_command,
    add_compilation,
    add_count,
    add_device,
    add_json,
    add_seed,
    count,
    model_of,
)
from rasplab.apps.cli.output import only_json, print_json, progress_bar, write_noted
from rasplab.base.errors import FileError, RaspValueError

if TYPE_CHECKING:
    from rasplab.circuit.discovery.edge_scores import EdgeScores
    from rasplab.circuit.evaluation.score import Score, Truth
    from rasplab.circuit.graph import Circuit
    from rasplab.circuit.patching.pairs import Pairs
    from rasplab.model.bridge import LensModel
    from rasplab.program.values import Atom

ORDER = 4

PLOTS = ("effective", "structural")
"""The truths that `bench` plots, a file each."""


def register(commands: Commands) -> None:
    """Add the commands of this family."""
    _add_discover(commands)
    _add_score(commands)
    _add_bench(commands)


def _add_discover(commands: Commands) -> None:
    about = "score the edges of a model by a discovery method"
    parser = add_command(commands, "discover", discover_edges, about)
    parser.add_argument("file", metavar="FILE|DIR", help="a program, or a model's folder")
    add_compilation(parser)
    parser.add_argument(
        "--method",
        default="acdc",
        metavar="M",
        help="exact | activation | path | acdc | eap | eap_ig | eap_ig_activations | "
        "mask_ig | pruning | hisp (default: acdc)",
    )
    parser.add_argument(
        "--ablation",
        default="resample",
        metavar="A",
        help="zero | mean | resample | resample_positions (default: resample)",
    )
    _add_measurement(parser)
    add_seed(parser)
    parser.add_argument("-o", "--out", metavar="F", help="write the scores to F")
    add_device(parser)
    add_json(parser)


def _add_measurement(parser: ArgumentParser) -> None:
    """What is measured, on which pairs of inputs, and the numbers that a method takes."""
    parser.add_argument("--metric", metavar="M", help="label | logit | kl | mse")
    parser.add_argument(
        "--granularity", metavar="G", help="node | component | edge | position (default: edge)"
    )
    add_count(parser, "--pairs", "pairs of clean and corrupted inputs (default: 48)", default=48)
    parser.add_argument(
        "--lengths",
        type=count,
        nargs="+",
        metavar="N",
        help="of the inputs (default: 1 to the longest)",
    )
    for name, owner in SETTINGS.items():
        add_count(parser, f"--{name}", f"of {owner}")


SETTINGS = {"thresholds": "acdc", "points": "integrals", "steps": "pruning"}
"""Numbers that a method takes, and which one; left out, the method's defaults hold."""


def discover_edges(args: Namespace) -> int:
    """Score every unit of a model by one method; write the scores with --out."""
    from rasplab.base.atomic import write_atomic

    with only_json(args.json):
        scores = _discovered(args)
    for note in scores.notes:
        print(f"note: {note}", file=sys.stderr)
    if args.out:
        write_atomic(args.out, scores.to_json())
    if args.json:
        print(scores.to_json(), end="")
    else:
        lines = str(scores).splitlines()
        print("\n".join(line for line in lines if not line.startswith("note: ")))
        if args.out:
            print(f"written to {args.out}; score it with: rasplab score {args.out} {args.file}")
    return 0


def _discovered(args: Namespace) -> EdgeScores:
    from rasplab.circuit.discovery.discover import discover

    settings = {name: getattr(args, name) for name in SETTINGS if getattr(args, name) is not None}
    model = model_of(args)
    with progress_bar(args.method) as bar:
        return discover(
            model,
            args.method,
            _pairs(args, model),
            args.ablation,
            args.metric,
            args.granularity,
            args.seed,
            bar,
            **settings,
        )


def _pairs(args: Namespace, model: LensModel) -> Pairs:
    from rasplab.circuit.patching.pairs import draw_pairs

    return draw_pairs(model.domain, args.pairs, args.seed, args.lengths or None, model.device)


def _add_score(commands: Commands) -> None:
    about = "hold scores against a model's true circuit"
    parser = add_command(commands, "score", score_edges, about)
    parser.add_argument("scores", metavar="SCORES", help="what discover -o wrote")
    parser.add_argument("file", metavar="FILE|DIR", help="the program or model they are of")
    add_compilation(parser)
    parser.add_argument(
        "--truth",
        default="structural",
        metavar="T",
        help="structural, or an ablation: zero | mean | resample | "
        "resample_positions (default: structural)",
    )
    parser.add_argument(
        "--mixed", action="store_true", help="let scores and truth be of different ablations"
    )
    parser.add_argument(
        "--curves",
        action="store_true",
        help="faithfulness, completeness and minimality by size",
    )
    add_count(parser, "--keep", "edges in the picture (default: as many as are true)")
    parser.add_argument("--svg", metavar="F", help="draw found over true: hit, missed, false")
    parser.add_argument("--html", metavar="F", help="the same as a page; heads show their patterns")
    add_device(parser)
    add_json(parser)


def score_edges(args: Namespace) -> int:
    """Compare scores with the true circuit of a model; draw both with --svg and --html."""
    from rasplab.circuit.evaluation.score import score, truth_of

    with only_json(args.json):
        scores, model = read_scores(args.scores), model_of(args)
        _check_same_model(scores, model)
        truth = truth_of(model, args.truth, scores.granularity, scores.seed)
        result = score(scores, truth, mixed=args.mixed)
        points = _curves(scores, model) if args.curves else None
    if args.json:
        print_json(**result.to_json(), curves=points)
    else:
        print(result)
        for size, *row in zip(*(points or {}).values(), strict=True):
            print(f"{size:6d} kept: " + "  ".join(f"{x:.3f}" for x in row))
    if args.svg or args.html:
        _draw(args, scores, model, truth, result)
    return 0


def read_scores(path: str) -> EdgeScores:
    """The scores in a file. Raises FileError."""
    from rasplab.circuit.discovery.edge_scores import EdgeScores

    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise FileError(
            f"no scores at {path}", hint="make them: rasplab discover FILE -o F"
        ) from None
    return EdgeScores.from_json(text, path)


def _check_same_model(scores: EdgeScores, model: LensModel) -> None:
    """Raises RaspValueError where the scores are of another model."""
    from rasplab.circuit.patching.from_bridge import edge_model_of

    if edge_model_of(model.lens).digest != scores.model:
        raise RaspValueError(
            "the scores are of another model: their digests differ",
            hint="discover again with the same FILE, vocabulary and maximum length",
        )


def _curves(scores: EdgeScores, model: LensModel) -> dict[str, tuple]:
    from dataclasses import asdict

    from rasplab.circuit.evaluation.curves import curves

    return asdict(curves(model, scores))


def _draw(
    args: Namespace, scores: EdgeScores, model: LensModel, truth: Truth, result: Score
) -> None:
    """The discovered circuit over the true one, as SVG and as a page."""
    from rasplab.apps.show.circuit_overlay import overlay_page, overlay_svg
    from rasplab.program.values import value_text

    program = Path(args.file).stem
    svg = overlay_svg(
        scores, _true_circuit(model, truth), args.keep, f"{program} by {scores.method}"
    )
    if args.svg:
        write_noted(args.svg, svg)
    if args.html:
        sample = _sample(model, scores.seed)
        tokens = ["BOS", *map(value_text, sample)]
        lines = str(result).splitlines()
        patterns = model.patterns([sample])[0]
        page = overlay_page(svg, patterns, tokens, f"{program}: {scores.method}", lines)
        write_noted(args.html, page)


def _true_circuit(model: LensModel, truth: Truth) -> Circuit:
    """The edges of the truth; with what they carry where the model was compiled."""
    from rasplab.apps.show.circuit_overlay import edge_of
    from rasplab.circuit.graph import Circuit
    from rasplab.circuit.structural import circuit_of

    if model.compiled is not None:
        return circuit_of(model.compiled).kept(map(edge_of, truth.units))
    edges = tuple(sorted(map(edge_of, truth.units)))
    return Circuit(edges, ((),) * len(edges), ())


def _sample(model: LensModel, seed: int) -> list[Atom]:
    """One random input of up to six tokens."""
    import numpy as np

    domain = model.domain
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, len(domain.vocab), min(6, domain.max_len))
    return [domain.vocab[i] for i in ids]


def _add_bench(commands: Commands) -> None:
    about = "discovery methods on models whose circuit is known"
    parser = add_command(commands, "bench", bench_circuits, about)
    parser.add_argument("what", choices=("circuits",), metavar="circuits", help="what is measured")
    parser.add_argument(
        "-o",
        "--out",
        metavar="DIR",
        default="out/bench_circuits",
        help="rows of a run that was stopped are kept there (default: out/bench_circuits)",
    )
    parser.add_argument("--quick", action="store_true", help="three programs")
    parser.add_argument("--programs", nargs="+", metavar="NAME", help="zoo programs or tasks")
    parser.add_argument(
        "--variants", nargs="+", choices=("plain", "rotated", "realistic"), help="of the models"
    )
    add_seed(parser)
    add_json(parser)


def bench_circuits(args: Namespace) -> int:
    """Run every method on every benchmark model; resumable: rows are kept in DIR."""
    from rasplab.apps.show.sweeps import bench_svg
    from rasplab.base.atomic import write_atomic
    from rasplab.study.bench.acdc_tables import replicate, replicate_markdown
    from rasplab.study.bench.discovery_tables import markdown, summary

    out = Path(args.out)
    with only_json(args.json):
        rows = _bench_rows(args, out)
        text = markdown(rows, args.seed) + "\n" + replicate_markdown(replicate(args.seed))
        table = summary(rows, args.seed)
        write_atomic(out / "table.md", text)
        write_atomic(out / "table.json", json.dumps({"summary": table, "rows": rows}, indent=1))
        for truth in PLOTS:
            write_atomic(out / f"{truth}.svg", bench_svg(table, truth))
    if args.json:
        print_json(out=str(out), summary=table)
    else:
        print(f"{text}\nwritten to {out}: table.md, table.json, effective.svg, structural.svg")
    return 0


def _bench_rows(args: Namespace, out: Path) -> list[dict[str, Any]]:
    """The measured rows, those kept in `out` among them."""
    from rasplab.study.bench import discovery_bench

    programs = discovery_bench.QUICK if args.quick else discovery_bench.PROGRAMS
    cases = discovery_bench.cases(
        args.programs or programs, args.variants or discovery_bench.VARIANTS
    )
    with progress_bar("bench circuits") as bar:
        return discovery_bench.run_bench(out, cases, args.seed, _with_lines(bar))


def _with_lines(bar: Callable[[int, int], None]) -> Callable[[int, int], None]:
    """The bar; where stderr is not a terminal, a line every 100 rows as well."""

    def progress(done: int, total: int) -> None:
        bar(done, total)
        if not sys.stderr.isatty() and (done % 100 == 0 or done == total):
            print(f"bench circuits: {done} of {total} rows", file=sys.stderr, flush=True)

    return progress

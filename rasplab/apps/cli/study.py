"""Commands on trained models: train, match, atlas, sweep."""

from __future__ import annotations

import argparse
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rasplab.apps.cli.arguments import (
    Commands,
    add_command,
    add_count,
    add_device,
    add_file,
    add_force,
    add_json,
    add_seed,
    model_in,
    program_path,
)
from rasplab.apps.cli.output import only_json, print_json, progress_bar, write_noted
from rasplab.base.errors import FileError, RaspValueError

if TYPE_CHECKING:
    from rasplab.model.bridge import LensModel
    from rasplab.model.recipe import Recipe
    from rasplab.program.graph import Program
    from rasplab.study.bench.across_seeds import Seeds
    from rasplab.study.heads.evidence import Evidence
    from rasplab.study.heads.screen import MatchTable

ORDER = 3

SIZES = ("steps", "layers", "heads", "d_model", "d_mlp", "max_len", "train_len")
"""The fields of a recipe that are numbers on the command line."""


def register(commands: Commands) -> None:
    """Add the commands of this family."""
    _add_train(commands)
    _add_match(commands)
    _add_atlas(commands)
    _add_sweep(commands)


def _add_train(commands: Commands) -> None:
    about = "train a small model on a zoo program's answers"
    parser = add_command(commands, "train", train_model, about)
    parser.add_argument("task", metavar="TASK", help="the name of a zoo program")
    parser.add_argument(
        "-o",
        "--out",
        metavar="DIR",
        help="write the model here (default: out/TASK); a run that was stopped there goes on",
    )
    add_force(parser)
    add_seed(parser)
    for name in SIZES:
        add_count(parser, f"--{name.replace('_', '-')}")
    parser.add_argument("--norm", metavar="NAME", help="LN, LNPre, RMS, RMSPre or none")
    parser.add_argument("--act", metavar="NAME", help="gelu, gelu_new, relu or silu")
    parser.add_argument("--attn-only", action="store_true", help="no MLPs")
    parser.add_argument("--causal", action="store_true", default=None, help="no head looks right")
    parser.add_argument(
        "--supervise",
        metavar="HEAD=SELECTOR",
        type=_supervision,
        action="append",
        help="train a head to attend as a selector, as in L1H0=flip; several times for several",
    )
    parser.add_argument("--coverage", action="store_true", help="what inputs cover; no training")
    add_device(parser)
    add_json(parser)


def _supervision(text: str) -> tuple[str, str]:
    """Head and selector of HEAD=SELECTOR. Raises ArgumentTypeError."""
    head, sign, selector = text.partition("=")
    if not (head and sign and selector):
        raise argparse.ArgumentTypeError(f"{text!r} is not HEAD=SELECTOR, as in L1H0=flip")
    return head, selector


def train_model(args: Namespace) -> int:
    """Train a model on a zoo program's answers, and write it."""
    from rasplab.study.training.trainer import train

    changes = _recipe_changes(args)
    _recipe(args, changes)  # bad sizes are reported before anything slow
    if args.coverage:
        return _print_coverage(args, changes)
    out = args.out or f"out/{args.task}"
    with only_json(args.json):
        model = train(
            args.task,
            seed=args.seed,
            out=out,
            device=args.device,
            force=args.force,
            **changes,
        )
        lengths = _accuracies(model)
    trained = model.trained
    assert trained is not None
    if args.json:
        print_json(
            task=args.task,
            held_out=trained.held_out,
            step=trained.step,
            seconds=trained.seconds,
            out=out,
            by_length=lengths,
        )
    else:
        _print_trained(args.task, model, lengths, out)
    return 0


def _print_trained(task: str, model: LensModel, lengths: dict[int, float], out: str) -> None:
    """Print the accuracies of a trained model, and where it was written."""
    trained = model.trained
    assert trained and model.recipe
    accuracy = f"{trained.held_out:.2%} of held-out positions right"
    print(f"{task}: {accuracy} after {trained.step} steps")
    for title, accuracies in _by_reach(lengths, model.recipe.trained_lengths).items():
        print(f"{title}: {', '.join(f'{n} {right:.2%}' for n, right in accuracies.items())}")
    print(f"written to {out}; compare it with: rasplab match {out} {task}")


def _recipe_changes(args: Namespace) -> dict[str, Any]:
    """The fields of a recipe that the arguments set; None leaves the task's value."""
    changes = {name: getattr(args, name) for name in (*SIZES, "act", "causal", "supervise")}
    if args.attn_only:
        changes["d_mlp"] = 0
    return changes | {"norm": args.norm}


def _recipe(args: Namespace, changes: Mapping[str, Any]) -> Recipe:
    """The recipe of the arguments. Raises RaspError for sizes that cannot be."""
    from rasplab.model.recipe import recipe

    try:
        return recipe(args.task, seed=args.seed, **changes)
    except ValueError as error:
        raise RaspValueError(str(error)) from None


def _accuracies(model: LensModel) -> dict[int, float]:
    """Accuracy on fresh inputs, by their length."""
    from rasplab.study.tasks.tasks import task
    from rasplab.study.training.trainer import accuracy_by_length

    recipe = model.recipe
    assert recipe
    return accuracy_by_length(model, task(recipe.program(), recipe.domain, recipe.inputs))


def _by_reach(lengths: dict[int, float], trained: range) -> dict[str, dict[int, float]]:
    """Accuracies of trained lengths and of longer ones; nothing where there are no longer ones."""
    longer = {n: right for n, right in lengths.items() if n not in trained}
    within = {n: right for n, right in lengths.items() if n in trained}
    return {"by length": within, "longer than trained on": longer} if longer else {}


def _print_coverage(args: Namespace, changes: Mapping[str, Any]) -> int:
    """Print what the examples that the recipe would train on meet."""
    from rasplab.study.tasks.coverage import coverage
    from rasplab.study.tasks.tasks import task
    from rasplab.study.training.trainer import TRAINING_INPUTS

    recipe = _recipe(args, changes)
    examples = task(recipe.program(), recipe.domain, recipe.inputs)
    sample = examples.sample(TRAINING_INPUTS, recipe.seed, lengths=recipe.trained_lengths)
    result = coverage(examples, sample)
    if args.json:
        print_json(task=args.task, **result.to_json())
    else:
        print(result)
    return 0


def _add_match(commands: Commands) -> None:
    about = "hold a model's heads against a program's selectors"
    parser = add_command(commands, "match", match_heads, about)
    parser.add_argument("model", metavar="MODEL", help="a trained or compiled model's folder")
    add_file(parser)
    parser.add_argument("--screen", action="store_true", help="similarity only: no verdicts")
    add_count(
        parser, "--pairs", "pairs of inputs for each kind of swap (default: 200)", default=200
    )
    add_seed(parser, "of the inputs (default: 0)")
    add_count(parser, "--seeds", "train its recipe on seeds 0 to N-1 and judge each")
    parser.add_argument("-o", "--out", default="out/seeds", metavar="DIR", help="for those models")
    add_device(parser)
    add_json(parser)


def match_heads(args: Namespace) -> int:
    """Heads by selectors: what each implements, with the evidence; or similarities alone."""
    from rasplab.lang.loading import load

    path = program_path(args.file)
    with only_json(args.json):
        program = load(path)
        result = _matched(model_in(args.model, args.device), program, args)
    if args.json:
        print_json(**result.to_json())
    else:
        print(result)
    return 0


def _matched(model: LensModel, program: Program, args: Namespace) -> Seeds | MatchTable | Evidence:
    """The verdicts over --seeds, the similarities of --screen, or the verdicts on one model."""
    from rasplab.study.bench.across_seeds import judge_seeds
    from rasplab.study.heads.screen import match
    from rasplab.study.heads.verdict import judge

    if args.seeds:
        if model.recipe is None:
            raise RaspValueError(
                f"{args.model} has no recipe, so it cannot be trained on other seeds",
                hint="--seeds takes a model that rasplab train made",
            )
        return judge_seeds(model.recipe, program, range(args.seeds), args.out, args.pairs)
    if args.screen:
        return match(model, program, seed=args.seed)
    with progress_bar("match") as bar:
        return judge(model, program, args.pairs, args.seed, bar)


def _add_atlas(commands: Commands) -> None:
    about = "every head of any model against RASP selectors"
    parser = add_command(commands, "atlas", match_library, about)
    parser.add_argument(
        "model",
        metavar="MODEL",
        help="a rasplab folder, a Hugging Face folder, or a name that TransformerLens knows",
    )
    parser.add_argument(
        "--programs",
        metavar="FILE",
        default="heads",
        help="RASP text that names selectors (default: heads, the library in circuits/)",
    )
    parser.add_argument("--text", metavar="FILE", help="read this text, not random tokens")
    for name, default in (("sequences", 64), ("length", 40)):
        add_count(parser, f"--{name}", f"default: {default}", default=default)
    add_seed(parser)
    parser.add_argument("--svg", metavar="F", help="write the map of layers and heads to F")
    parser.add_argument("--html", metavar="F", help="write a page to F: the map, and every score")
    add_device(parser)
    add_json(parser)


def match_library(args: Namespace) -> int:
    """Every head of a model against every selector that a text names."""
    from rasplab.apps.show.heads import atlas_page, atlas_svg
    from rasplab.lang.loading import load_selectors
    from rasplab.model.open_models import load_any_model
    from rasplab.program.zoo import shipped
    from rasplab.study.heads.atlas import atlas

    library = shipped("circuits") / "heads.rasp" if args.programs == "heads" else args.programs
    with only_json(args.json):
        selectors = load_selectors(library)
        text = _read_text(args.text) if args.text else None
        model = load_any_model(args.model, args.device)
        result = atlas(model, selectors, args.sequences, args.length, args.seed, text)
    for path, drawing in ((args.svg, atlas_svg), (args.html, atlas_page)):
        if path:
            write_noted(path, drawing(result))
    if args.json:
        print_json(**result.to_json())
    else:
        print(result)
    return 0


def _read_text(path: str) -> str:
    """The text of the file that --text names. Raises FileError."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise FileError(
            f"cannot read {path}: {reason}", hint="--text takes a file of plain text"
        ) from None


def _add_sweep(commands: Commands) -> None:
    parser = add_command(commands, "sweep", sweep_runs, "many training runs from one specification")
    parser.add_argument("spec", metavar="SPEC.toml", help="tasks, seeds, [settings] and [grid]")
    parser.add_argument("-o", "--out", metavar="DIR", help="records (default: out/SPEC); goes on")
    add_count(parser, "--workers", "processes (default: cores)")
    parser.add_argument("--pool", choices=("local", "ray"), default="local", help="default: local")
    add_json(parser)


def sweep_runs(args: Namespace) -> int:
    """Train every run of a specification that has no record yet; write a table and plots of all."""
    from rasplab.apps.show.sweeps import lengths_svg, sweep_svg
    from rasplab.base.atomic import write_atomic
    from rasplab.study.bench.sweep import read_spec, run_sweep
    from rasplab.study.bench.sweep_tables import markdown, rows_of

    spec = read_spec(args.spec)
    out = Path(args.out or f"out/{Path(args.spec).stem}")
    with only_json(args.json), progress_bar("sweep") as bar:
        records = run_sweep(spec, out, args.workers, args.pool, bar)
    rows = rows_of(records)
    table = markdown(rows)
    write_atomic(out / "table.md", table)
    write_atomic(out / "plot.svg", sweep_svg(rows))
    write_atomic(out / "lengths.svg", lengths_svg(rows))
    if args.json:
        print_json(out=str(out), runs=records)
    else:
        print(table)
        print(f"written to {out}: runs/, index.sqlite, table.md, plot.svg, lengths.svg")
    return 0

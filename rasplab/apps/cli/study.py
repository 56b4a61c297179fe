"""The commands of trained models, train | match | atlas | sweep: arguments in, text or JSON out."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path

import rasplab
from rasplab.apps.cli.compile import load_any, only_json, print_json, program_path, progress_bar
from rasplab.base.errors import FileError, RaspValueError
from rasplab.program.zoo import shipped

SIZES = ("steps", "layers", "heads", "d_model", "d_mlp", "max_len", "train_len")
"""The fields of a recipe that are numbers on the command line."""


def train(args: Namespace) -> int:
    """Train a model on a zoo program's answers, and keep it."""
    changes = asked_changes(args)
    asked_recipe(args, changes)  # faults before anything slow
    if args.coverage:
        return _coverage(args, changes)
    out = args.out or f"out/{args.task}"
    with only_json(args.json):
        model = rasplab.train(args.task, seed=args.seed, out=out, device=args.device, **changes)
        lengths = _lengths(model)
    came = model.trained
    if args.json:
        print_json(
            task=args.task, held_out=came.held_out, step=came.step, seconds=came.seconds, out=out,
            by_length=lengths,
        )  # fmt: skip
        return 0
    print(f"{args.task}: {came.held_out:.2%} of held-out positions right after {came.step} steps")
    for words, of in _by_reach(lengths, model.recipe.trained_lengths).items():
        print(f"{words}: {', '.join(f'{n} {right:.2%}' for n, right in of.items())}")
    print(f"written to {out}; compare it with: rasplab match {out} {args.task}")
    return 0


def asked_changes(args: Namespace) -> dict:
    """The fields of a recipe that the arguments set; the others keep the task's own."""
    changes = {name: getattr(args, name) for name in (*SIZES, "act", "causal", "supervise")}
    if args.attn_only:
        changes["d_mlp"] = 0
    return changes | {"norm": args.norm}


def asked_recipe(args: Namespace, changes: dict):
    """The recipe of the arguments. Raises RaspError for sizes that cannot be."""
    from rasplab.model.recipe import recipe

    try:
        return recipe(args.task, seed=args.seed, **changes)
    except ValueError as error:
        raise RaspValueError(str(error)) from None


def _lengths(model) -> dict[int, float]:
    from rasplab.study.tasks.tasks import task
    from rasplab.study.training.trainer import accuracy_by_length

    wanted = model.recipe
    return accuracy_by_length(model, task(wanted.program(), wanted.domain, wanted.inputs))


def _by_reach(lengths: dict[int, float], trained: range) -> dict[str, dict[int, float]]:
    """Accuracies by length, those of lengths that were trained on apart from longer ones; nothing
    where there are no longer ones."""
    longer = {n: right for n, right in lengths.items() if n not in trained}
    within = {n: right for n, right in lengths.items() if n in trained}
    return {"by length": within, "longer than trained on": longer} if longer else {}


def _coverage(args: Namespace, changes: dict) -> int:
    """What the examples that the recipe would train on meet."""
    from rasplab.study.tasks.coverage import coverage
    from rasplab.study.tasks.tasks import task
    from rasplab.study.training.trainer import POOL

    wanted = asked_recipe(args, changes)
    todo = task(wanted.program(), wanted.domain, wanted.inputs)
    found = coverage(todo, todo.sample(POOL, wanted.seed, lengths=wanted.trained_lengths))
    if args.json:
        print_json(task=args.task, **found.to_json())
    else:
        print(found)
    return 0


def match(args: Namespace) -> int:
    """Heads by selectors: what each implements, with the evidence; or similarities alone."""
    path = program_path(args.file)
    with only_json(args.json):
        program = rasplab.load(str(path))
        model = load_any(args.model, args.device)
        if args.seeds:
            found = _judge_seeds(model, program, args)
        elif args.screen:
            found = rasplab.match(model, program, seed=args.seed)
        else:
            with progress_bar("match") as bar:
                found = rasplab.judge(model, program, args.pairs, args.seed, bar)
    if args.json:
        print_json(**found.to_json())
    else:
        print(found)
    return 0


def _judge_seeds(model, program, args: Namespace):
    from rasplab.study.bench.across_seeds import judge_seeds

    if model.recipe is None:
        raise RaspValueError(
            f"{args.model} has no recipe, so it cannot be trained on other seeds",
            hint="--seeds takes a model that rasplab train made",
        )
    return judge_seeds(model.recipe, program, range(args.seeds), args.out, args.pairs)


def atlas(args: Namespace) -> int:
    """Every head of a model against every selector that a text names."""
    from rasplab.apps.show.heads import atlas_page, atlas_svg
    from rasplab.base.atomic import write_atomic
    from rasplab.lang.loading import load_selectors
    from rasplab.model.open_models import load_any_model
    from rasplab.study.heads.atlas import atlas as drawn

    path = shipped("circuits") / "heads.rasp" if args.programs == "heads" else args.programs
    with only_json(args.json):
        selectors = load_selectors(path)
        text = _read(args.text) if args.text else None
        model = load_any_model(args.model, args.device)
        found = drawn(model, selectors, args.sequences, args.length, args.seed, text)
    for path, drawing in ((args.svg, atlas_svg), (args.html, atlas_page)):
        if path:
            print(f"written to {write_atomic(path, drawing(found))}", file=sys.stderr)
    if args.json:
        print_json(**found.to_json())
    else:
        print(found)
    return 0


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "it is no UTF-8 text"
        raise FileError(
            f"cannot read {path}: {why}", hint="--text takes a file of plain text"
        ) from None


def sweep(args: Namespace) -> int:
    """Train every run of a specification that has no record yet; a table and a plot of all."""
    from rasplab.apps.show.sweeps import lengths_svg, sweep_svg
    from rasplab.base.atomic import write_atomic
    from rasplab.study.bench.sweep import read_spec, run_sweep
    from rasplab.study.bench.sweep_tables import markdown, rows_of

    wanted = read_spec(args.spec)
    out = Path(args.out or f"out/{Path(args.spec).stem}")
    with only_json(args.json), progress_bar("sweep") as bar:
        found = run_sweep(wanted, out, args.workers, args.pool, bar)
    rows = rows_of(found)
    table = markdown(rows)
    write_atomic(out / "table.md", table)
    write_atomic(out / "plot.svg", sweep_svg(rows))
    write_atomic(out / "lengths.svg", lengths_svg(rows))
    if args.json:
        print_json(out=str(out), runs=found)
    else:
        print(table)
        print(f"written to {out}: runs/, index.sqlite, table.md, plot.svg, lengths.svg")
    return 0

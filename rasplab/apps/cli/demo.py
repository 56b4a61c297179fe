"""The command demo."""

from __future__ import annotations

from argparse import Namespace

from rasplab.apps.cli.arguments import (
    MAX_INPUTS,
    Commands,
    add_command,
    add_count,
    add_device,
)

ORDER = 5


def register(commands: Commands) -> None:
    """Add the command of this family."""
    about = "the whole way once, on sort and reverse, with a report"
    parser = add_command(commands, "demo", demonstrate, about)
    parser.add_argument(
        "-o", "--out", metavar="F", default="out/demo.html", help="default: out/demo.html"
    )
    parser.add_argument(
        "--retrain", action="store_true", help="train the models anew (some minutes)"
    )
    add_count(
        parser,
        "--max-inputs",
        "inputs checked per program at most (default: 200000)",
        default=MAX_INPUTS,
    )
    add_device(parser)


def demonstrate(args: Namespace) -> int:
    """Study the demo's programs and write the report; exit code 1 if a compiled model is wrong."""
    from rasplab.apps.demo import run_demo

    return run_demo(args.out, args.retrain, args.max_inputs, args.device)

"""Commands on compiled models: compile, verify, circuit."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from rasplab.apps.cli.arguments import (
    MAX_INPUTS,
    Commands,
    add_command,
    add_compilation,
    add_count,
    add_device,
    add_file,
    add_force,
    add_json,
    add_seed,
    compiled_of,
    read_tokens,
)
from rasplab.apps.cli.output import only_json, print_json, verification_line
from rasplab.base.errors import RaspValueError
from rasplab.compiler import STAGE_VIEWS

if TYPE_CHECKING:
    from rasplab.circuit.graph import Circuit
    from rasplab.compiler.compiled import Compiled

ORDER = 2


def register(commands: Commands) -> None:
    """Add the commands of this family."""
    _add_compile(commands)
    _add_verify(commands)
    _add_circuit(commands)


def _add_compile(commands: Commands) -> None:
    about = "compile a program into transformer weights"
    parser = add_command(commands, "compile", compile_model, about)
    add_file(parser)
    add_compilation(parser)
    parser.add_argument("-o", "--out", metavar="DIR", help="write the compiled model here")
    add_force(parser)
    parser.add_argument(
        "--stage",
        choices=STAGE_VIEWS,
        help="show the result of a stage; encode: the decisions taken when lowering",
    )
    parser.add_argument(
        "--explain", metavar="TOKENS", help="show how an output of this input comes about"
    )
    parser.add_argument(
        "--position", type=int, default=0, metavar="I", help="which output --explain tells of"
    )
    add_json(parser)


def compile_model(args: Namespace) -> int:
    """Compile a program; print its sizes and one stage or explanation; write it with --out."""
    with only_json(args.json):
        compiled = compiled_of(args)
        if args.out:
            compiled.save(args.out, args.force)
    sizes = {
        **compiled.weights.shape(),
        "n_params": compiled.n_params,
        "nonzero_params": compiled.nonzero_params,
    }
    if args.json:
        print_json(**sizes, compile_seconds=round(compiled.seconds, 4), out=args.out)
        return 0
    if args.explain is not None:
        print(_explanation(compiled, args))
        return 0
    print(compiled.stage(args.stage or "place"))
    listed = ", ".join(f"{name} {size:,}" for name, size in sizes.items())
    print(f"\n{listed}; compiled in {compiled.seconds:.3f} s")
    if args.out:
        print(f"written to {args.out}; check it with: rasplab verify {args.out}")
    return 0


def _explanation(compiled: Compiled, args: Namespace) -> str:
    """How an output of --explain comes about. Raises RaspValueError for a bad input or position."""
    try:
        return compiled.explain(read_tokens(args.explain), args.position)
    except ValueError as error:
        raise RaspValueError(str(error)) from error


def _add_verify(commands: Commands) -> None:
    about = "hold a compiled model against the interpreter"
    parser = add_command(commands, "verify", verify_model, about)
    parser.add_argument("file", metavar="FILE|DIR", help="a program, or a compiled model's folder")
    add_compilation(parser)
    add_count(
        parser, "--max-inputs", "all inputs, or a sample of N (default: 200000)", default=MAX_INPUTS
    )
    add_seed(parser, "of the sample (default: 0)")
    add_device(parser)
    add_json(parser)


def verify_model(args: Namespace) -> int:
    """Compare a compiled model with the interpreter; exit code 1 if they differ anywhere."""
    from rasplab.model.verify import verify

    with only_json(args.json):
        model = compiled_of(args).to_model(device=args.device)
        report = verify(model, max_inputs=args.max_inputs, seed=args.seed)
    if args.json:
        print_json(**report.to_json())
    else:
        # the report's first line says the same; the further ones are the counterexample
        duration = f"({report.seconds:.1f} s on {report.device})"
        print(f"{verification_line(report)} {duration}", *str(report).splitlines()[1:], sep="\n")
    return 1 if report.mismatches else 0


def _add_circuit(commands: Commands) -> None:
    parser = add_command(commands, "circuit", print_circuit, "the circuit of a compiled program")
    parser.add_argument("file", metavar="FILE|DIR", help="a program, or a compiled model's folder")
    add_compilation(parser)
    parser.add_argument(
        "--ablation",
        metavar="A",
        help="only edges that matter under zero | mean | resample | resample_positions ablation",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--svg", metavar="F", help="write a picture to F")
    form.add_argument("--graphml", metavar="F", help="write GraphML to F")
    form.add_argument("--json", action="store_true", help="print the circuit as JSON")


def print_circuit(args: Namespace) -> int:
    """The circuit, structural or effective: edges as text, JSON, GraphML, or a picture."""
    from rasplab.base.atomic import write_atomic

    with only_json(args.json):
        circuit = _circuit(args)
    if args.json:
        print(circuit.to_json(), end="")
    elif args.svg:
        from rasplab.apps.show.circuit import circuit_svg

        print(f"written to {write_atomic(args.svg, circuit_svg(circuit, Path(args.file).stem))}")
    elif args.graphml:
        print(f"written to {write_atomic(args.graphml, circuit.to_graphml())}")
    else:
        print(_circuit_text(circuit))
    return 0


def _circuit(args: Namespace) -> Circuit:
    """The structural circuit, or with --ablation the effective one."""
    from rasplab.circuit.effective import effective_circuit
    from rasplab.circuit.structural import circuit_of

    compiled = compiled_of(args)
    if args.ablation:
        return effective_circuit(compiled.to_model(), ablation=args.ablation)
    return circuit_of(compiled)


def _circuit_text(circuit: Circuit) -> str:
    """A table of sites with what they compute, and a table of edges with what they carry."""
    from rasplab.base.text import table

    places = dict(circuit.places)
    sites = [[str(s), circuit.label(s), places.get(s, "")] for s in circuit.sites]
    edges = [
        [str(edge.src), str(edge.dst), ", ".join(carries)]
        for edge, carries in zip(circuit.edges, circuit.carries, strict=True)
    ]
    return (
        table(["site", "computes", "place"], sites)
        + "\n\n"
        + table(["from", "to", "carries"], edges)
    )

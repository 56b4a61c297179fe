"""The command line: run | repl | compile | verify | train | match | circuit | demo.

Each command imports what it needs when it runs: `rasplab run` never waits for torch. Whatever the
user got wrong is one message on stderr and exit code 1; argparse's own usage errors exit with 2, an
interrupt with 130.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from importlib import import_module

from rasplab.base.errors import RaspError
from rasplab.base.limits import limit, names


def main(argv: list[str] | None = None) -> int:
    """Run one command; the exit code is returned."""
    try:
        args = build_parser().parse_args(argv)
        with limit(**dict(args.limit)):
            code = getattr(import_module(f"rasplab.apps.cli.{args.module}"), args.command)(args)
        sys.stdout.flush()
        return code
    except RaspError as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        return _fail("stopped", code=130)
    except BrokenPipeError:
        return _reader_gone()
    except OSError as error:
        return _fail(_os_reason(error))


def _fail(message: str, code: int = 1) -> int:
    with contextlib.suppress(OSError):
        print(message, file=sys.stderr)
    return code


def _os_reason(error: OSError) -> str:
    return f"{error.filename}: {error.strerror}" if error.filename else str(error)


def _reader_gone() -> int:
    """The reader of our output has closed it (`| head`): that is no fault, and the exit must not
    say it is one.
    """
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 141


def build_parser() -> argparse.ArgumentParser:
    """Every command with its arguments."""
    parser = argparse.ArgumentParser(
        prog="rasplab",
        description="Write RASP, compile it into transformer weights, compare trained models.",
        epilog="FILE is a path, or the name of a zoo program, which brings its domain with it.",
    )
    parser.add_argument(
        "--limit", metavar="NAME=N", type=_limit, action="append", default=[],
        help=f"what a program may take: {', '.join(names())}",
    )  # fmt: skip
    parser.set_defaults(module="compile")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for add in (
        _add_run,
        _add_repl,
        _add_explain,
        _add_fmt,
        _add_equal,
        _add_compile,
        _add_verify,
        _add_train,
        _add_match,
        _add_atlas,
        _add_sweep,
        _add_circuit,
        _add_discover,
        _add_score,
        _add_bench,
        _add_demo,
    ):
        add(commands)
    return parser


def _add_run(commands) -> None:
    run = commands.add_parser("run", help="interpret a program on an input")
    _file(run)
    run.add_argument(
        "tokens", metavar="TOKENS", help="a string, read as characters, or a JSON list"
    )
    run.add_argument(
        "--output", metavar="NAME", help="the name to show (default: the last s-op assigned)"
    )
    run.add_argument("--causal", action="store_true", help="let no selector look to the right")
    run.add_argument("--trace", action="store_true", help="show every named s-op and selector")
    _json(run)


def _add_repl(commands) -> None:
    commands.add_parser("repl", help="write RASP line by line")


def _add_explain(commands) -> None:
    explain = commands.add_parser(
        "explain", help="kinds, layers and heads of a program, before it runs"
    )
    explain.set_defaults(module="language")
    _file(explain)
    explain.add_argument(
        "--output", metavar="NAME", help="the name to explain (default: the last s-op assigned)"
    )
    explain.add_argument("--causal", action="store_true", help="no selector looks to the right")
    _json(explain)


def _add_fmt(commands) -> None:
    fmt = commands.add_parser("fmt", help="lay files out anew, comments kept")
    fmt.set_defaults(module="language")
    fmt.add_argument("files", metavar="FILE", nargs="+", help="files of RASP text")
    fmt.add_argument(
        "--check", action="store_true", help="write nothing; exit code 1 if a file would change"
    )


def _add_equal(commands) -> None:
    equal = commands.add_parser(
        "equal", help="the same function on every input, or a shortest counterexample"
    )
    equal.set_defaults(module="language")
    _file(equal)
    equal.add_argument("other", metavar="OTHER", help="the other program")
    _inputs(equal)
    equal.add_argument("--max-inputs", type=_count, default=200_000, metavar="N",
                       help="beyond so many, sample longer inputs (default: 200000)")  # fmt: skip
    equal.add_argument("--seed", type=int, default=0, help="of the sample (default: 0)")
    _json(equal)


def _add_compile(commands) -> None:
    compile_ = commands.add_parser("compile", help="compile a program into transformer weights")
    _file(compile_)
    _domain(compile_)
    compile_.add_argument("-o", "--out", metavar="DIR", help="write the compiled model here")
    compile_.add_argument(
        "--stage",
        choices=("infer", "encode", "lower", "place"),
        help="show what stands after this stage: values, choices, parts, places",
    )
    compile_.add_argument(
        "--explain", metavar="TOKENS", help="show how an output of this input comes about"
    )
    compile_.add_argument(
        "--position", type=int, default=0, metavar="I", help="which output --explain tells of"
    )
    _json(compile_)


def _add_verify(commands) -> None:
    verify = commands.add_parser("verify", help="hold a compiled model against the interpreter")
    verify.add_argument("file", metavar="FILE|DIR", help="a program, or a compiled model's folder")
    _domain(verify)
    verify.add_argument("--max-inputs", type=_count, default=200_000, metavar="N",
                        help="all inputs, or a sample of N (default: 200000)")  # fmt: skip
    verify.add_argument("--seed", type=int, default=0, help="of the sample (default: 0)")
    _device(verify)
    _json(verify)


def _add_train(commands) -> None:
    train = commands.add_parser("train", help="train a small model on a zoo program's answers")
    train.set_defaults(module="study")
    train.add_argument("task", metavar="TASK", help="the name of a zoo program")
    train.add_argument(
        "-o", "--out", metavar="DIR",
        help="write the model here (default: out/TASK); a run that was stopped there goes on",
    )  # fmt: skip
    train.add_argument("--seed", type=int, default=0, help="default: 0")
    for name in ("steps", "layers", "heads", "d-model", "d-mlp", "max-len", "train-len"):
        train.add_argument(f"--{name}", type=_count, metavar="N")
    train.add_argument("--norm", metavar="NAME", help="LN, LNPre, RMS, RMSPre or none")
    train.add_argument("--act", metavar="NAME", help="gelu, gelu_new, relu or silu")
    train.add_argument("--attn-only", action="store_true", help="no MLPs")
    train.add_argument("--causal", action="store_true", default=None, help="no head looks right")
    train.add_argument(
        "--supervise", metavar="HEAD=SELECTOR", type=_pair, action="append",
        help="train a head to attend as a selector, as in L1H0=flip; several times for several",
    )  # fmt: skip
    train.add_argument("--coverage", action="store_true", help="what inputs cover; no training")
    _device(train)
    _json(train)


def _pair(text: str) -> tuple[str, str]:
    head, sign, selector = text.partition("=")
    if not (head and sign and selector):
        raise argparse.ArgumentTypeError(f"{text!r} is not HEAD=SELECTOR, as in L1H0=flip")
    return head, selector


def _add_match(commands) -> None:
    match = commands.add_parser("match", help="hold a model's heads against a program's selectors")
    match.set_defaults(module="study")
    match.add_argument("model", metavar="MODEL", help="a trained or compiled model's folder")
    _file(match)
    match.add_argument("--screen", action="store_true", help="similarity only: no verdicts")
    match.add_argument("--pairs", type=_count, default=200, metavar="N",
                       help="pairs of inputs for each kind of swap (default: 200)")  # fmt: skip
    match.add_argument("--seed", type=int, default=0, help="of the inputs (default: 0)")
    match.add_argument("--seeds", type=_count, metavar="N",
                       help="train its recipe on seeds 0 to N-1 and judge each")  # fmt: skip
    match.add_argument("-o", "--out", default="out/seeds", metavar="DIR", help="for those models")
    _device(match)
    _json(match)


def _add_atlas(commands) -> None:
    atlas = commands.add_parser("atlas", help="every head of any model against RASP selectors")
    atlas.set_defaults(module="study")
    atlas.add_argument(
        "model", metavar="MODEL",
        help="a rasplab folder, a Hugging Face folder, or a name that TransformerLens knows",
    )  # fmt: skip
    atlas.add_argument(
        "--programs", metavar="FILE", default="heads",
        help="RASP text that names selectors (default: heads, the library in circuits/)",
    )  # fmt: skip
    atlas.add_argument("--text", metavar="FILE", help="read this text, not random tokens")
    for name, default in (("sequences", 64), ("length", 40)):
        atlas.add_argument(f"--{name}", type=_count, default=default, metavar="N",
                           help=f"default: {default}")  # fmt: skip
    atlas.add_argument("--seed", type=int, default=0, help="default: 0")
    atlas.add_argument("--svg", metavar="F", help="write the map of layers and heads to F")
    atlas.add_argument("--html", metavar="F", help="write a page to F: the map, and every score")
    _device(atlas)
    _json(atlas)


def _add_sweep(commands) -> None:
    sweep = commands.add_parser("sweep", help="many training runs from one specification")
    sweep.set_defaults(module="study")
    sweep.add_argument("spec", metavar="SPEC.toml", help="tasks, seeds, [settings] and [grid]")
    sweep.add_argument("-o", "--out", metavar="DIR", help="records (default: out/SPEC); goes on")
    sweep.add_argument("--workers", type=_count, metavar="N", help="processes (default: cores)")
    sweep.add_argument("--pool", choices=("local", "ray"), default="local", help="default: local")
    _json(sweep)


def _add_circuit(commands) -> None:
    circuit = commands.add_parser("circuit", help="the circuit of a compiled program")
    circuit.add_argument("file", metavar="FILE|DIR", help="a program, or a compiled model's folder")
    _domain(circuit)
    circuit.add_argument(
        "--ablation", metavar="A",
        help="only edges that matter under zero | mean | resample | resample_positions ablation",
    )  # fmt: skip
    form = circuit.add_mutually_exclusive_group()
    form.add_argument("--svg", metavar="F", help="write a picture to F")
    form.add_argument("--graphml", metavar="F", help="write GraphML to F")
    form.add_argument("--json", action="store_true", help="print the circuit as JSON")


def _add_discover(commands) -> None:
    find = commands.add_parser("discover", help="score the edges of a model by a discovery method")
    find.set_defaults(module="circuit")
    find.add_argument("file", metavar="FILE|DIR", help="a program, or a model's folder")
    _domain(find)
    find.add_argument("--method", default="acdc", metavar="M",
                      help="exact | activation | path | acdc | eap | eap_ig | eap_ig_activations | "
                           "mask_ig | pruning | hisp (default: acdc)")  # fmt: skip
    find.add_argument(
        "--ablation", default="resample", metavar="A",
        help="zero | mean | resample | resample_positions (default: resample)",
    )  # fmt: skip
    find.add_argument("--metric", metavar="M", help="label | logit | kl | mse")
    find.add_argument(
        "--granularity", metavar="G", help="node | component | edge | position (default: edge)"
    )
    find.add_argument("--pairs", type=_count, default=48, metavar="N",
                      help="pairs of clean and corrupted inputs (default: 48)")  # fmt: skip
    find.add_argument("--lengths", type=_count, nargs="+", metavar="N",
                      help="of the inputs (default: 1 to the longest)")  # fmt: skip
    for name, of in (("thresholds", "acdc"), ("points", "integrals"), ("steps", "pruning")):
        find.add_argument(f"--{name}", type=_count, metavar="N", help=f"of {of}")
    find.add_argument("--seed", type=int, default=0, help="default: 0")
    find.add_argument("-o", "--out", metavar="F", help="write the scores to F")
    _device(find)
    _json(find)


def _add_score(commands) -> None:
    score = commands.add_parser("score", help="hold scores against a model's true circuit")
    score.set_defaults(module="circuit")
    score.add_argument("scores", metavar="SCORES", help="what discover -o wrote")
    score.add_argument("file", metavar="FILE|DIR", help="the program or model they are of")
    _domain(score)
    score.add_argument("--truth", default="structural", metavar="T",
                       help="structural, or an ablation: zero | mean | resample | "
                            "resample_positions (default: structural)")  # fmt: skip
    score.add_argument(
        "--mixed", action="store_true", help="let scores and truth be of different ablations"
    )
    score.add_argument("--curves", action="store_true",
                       help="faithfulness, completeness and minimality by size")  # fmt: skip
    score.add_argument("--keep", type=_count, metavar="N",
                       help="edges in the picture (default: as many as are true)")  # fmt: skip
    score.add_argument("--svg", metavar="F", help="draw found over true: hit, missed, false")
    score.add_argument("--html", metavar="F", help="the same as a page; heads show their patterns")
    _device(score)
    _json(score)


def _add_bench(commands) -> None:
    bench = commands.add_parser("bench", help="discovery methods on models whose circuit is known")
    bench.set_defaults(module="circuit")
    bench.add_argument("what", choices=("circuits",), metavar="circuits", help="what is measured")
    bench.add_argument("-o", "--out", metavar="DIR", default="out/bench_circuits",
                       help="rows of a run that was stopped are kept there (default: "
                            "out/bench_circuits)")  # fmt: skip
    bench.add_argument("--quick", action="store_true", help="three programs")
    bench.add_argument("--programs", nargs="+", metavar="NAME", help="zoo programs or tasks")
    bench.add_argument(
        "--variants", nargs="+", choices=("plain", "rotated", "realistic"), help="of the models"
    )
    bench.add_argument("--seed", type=int, default=0, help="default: 0")
    _json(bench)


def _add_demo(commands) -> None:
    demo = commands.add_parser(
        "demo", help="the whole way once, on sort and reverse, with a report"
    )
    demo.add_argument(
        "-o", "--out", metavar="F", default="out/demo.html", help="default: out/demo.html"
    )
    demo.add_argument("--retrain", action="store_true", help="train the models anew (some minutes)")
    demo.add_argument("--max-inputs", type=_count, default=200_000, metavar="N",
                      help="inputs checked per program at most (default: 200000)")  # fmt: skip
    _device(demo)


def _file(parser) -> None:
    parser.add_argument("file", metavar="FILE", help="RASP text, or the name of a zoo program")


def _json(parser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON object on stdout")


def _device(parser) -> None:
    parser.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), default="auto", help="default: auto"
    )


def _inputs(parser) -> None:
    parser.add_argument(
        "--vocab", metavar="V", help="characters, a comma separated list of them, or a JSON list"
    )
    parser.add_argument("--max-len", type=_count, metavar="N", help="longest input")
    parser.add_argument(
        "--causal", action="store_true", default=None, help="let no head look to the right"
    )


def _domain(parser) -> None:
    _inputs(parser)
    parser.add_argument(
        "--basis", choices=("compact", "one_hot"), default="compact", help="default: compact"
    )
    parser.add_argument(
        "--output", metavar="NAME", action="append", dest="outputs",
        help="the s-op to compile (default: the last); again for further outputs",
    )  # fmt: skip


def _limit(text: str) -> tuple[str, int]:
    name, _, number = text.partition("=")
    number = number.replace("_", "").replace(",", "")
    if name not in names() or not number.isdecimal():
        raise argparse.ArgumentTypeError(f"{text}: write NAME=N, one of {', '.join(names())}")
    return name, _count(number)


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not a whole number from 1 on")
    return number


if __name__ == "__main__":
    sys.exit(main())

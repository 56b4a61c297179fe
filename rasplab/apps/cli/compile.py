"""What each command of the command line does: arguments in, text or JSON out, exit code back."""

from __future__ import annotations

import contextlib
import json
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import rasplab
from rasplab.base.errors import FileError, RaspValueError
from rasplab.program.values import Value

if TYPE_CHECKING:
    from rasplab.program.zoo import Entry

# Reading arguments ------------------------------------------------------------------------------


def read_tokens(text: str) -> list[Value]:
    """A JSON list of tokens, else the characters of `text`; `[]` is two brackets, as no input is
    empty.
    """
    tokens = _json_list(text)
    return tokens or list(text)


def read_vocab(text: str) -> list[Value]:
    """A JSON list, a comma separated list of characters, or characters.

    Raises RaspValueError for a token written twice.
    """
    parts = text.split(",")
    several = len(parts) > 1 and all(len(p) == 1 for p in parts)
    vocab = _json_list(text) or (parts if several else list(text))
    for i, token in enumerate(vocab):
        if any(type(t) is type(token) and t == token for t in vocab[:i]):
            raise RaspValueError(
                f"the vocabulary holds {token!r} twice", hint="name each token once"
            )
    return vocab


def _json_list(text: str) -> list | None:
    try:
        found = json.loads(text) if text.lstrip().startswith("[") else None
    except json.JSONDecodeError as error:
        if "," in text or '"' in text:
            hint = f'it is no JSON list ({error.msg}); a list looks like [1, 2] or ["a", "b"]'
            print(f"note: {text} is read as characters: {hint}", file=sys.stderr)
        return None
    if found and not all(isinstance(t, (str, int, float, bool)) for t in found):
        raise RaspValueError(f"{text} holds more than strings, numbers and booleans")
    return found


def program_path(text: str) -> Path:
    """The file that `text` names, by path or by zoo name. Raises FileError or RaspNameError."""
    path = Path(text)
    if path.is_dir():
        raise FileError(f"{text} is a folder", hint="name a file of RASP text")
    if path.is_file():
        return path
    from rasplab.program import (
        zoo,
    )

    if path.suffix or len(path.parts) != 1:
        names = ", ".join(zoo.entries("zoo"))
        raise FileError(
            f"no file {text}", hint=f"zoo programs go by name: {names}; and circuits/tasks"
        )
    return zoo.entry(text).path


def zoo_entry(path: Path) -> Entry | None:
    """The zoo's entry for a file, if the file is the zoo's."""
    from rasplab.program.zoo import entries

    here = path.resolve()
    return next((e for e in entries().values() if e.path.resolve() == here), None)


def asked_domain(args: Namespace, entry: Entry | None) -> dict:
    """vocab, max_len and causal for rasplab.compile: as asked, else the zoo's.

    Raises RaspValueError where neither says.
    """
    domain = entry.domain if entry else None
    if args.vocab is None and domain is None or args.max_len is None and domain is None:
        raise RaspValueError(
            f"{args.file} does not say which inputs it takes",
            hint="add --vocab and --max-len, as in: --vocab abc --max-len 8",
        )
    return {
        "vocab": read_vocab(args.vocab) if args.vocab is not None else domain.vocab,
        "max_len": args.max_len or domain.max_len,
        "causal": domain.causal if args.causal is None and domain else bool(args.causal),
    }


def compile_asked(args: Namespace):
    """The compiled model of FILE and the domain's options, or of a compiled model's folder."""
    if Path(args.file).is_dir():
        return rasplab.load_compiled(args.file)
    path = program_path(args.file)
    program = rasplab.load(str(path), output=args.outputs)
    return rasplab.compile(program, basis=args.basis, **asked_domain(args, zoo_entry(path)))


@contextlib.contextmanager
def only_json(wanted: bool) -> Iterator[None]:
    """Keep stdout for the one JSON object: what libraries print meanwhile goes to stderr."""
    with contextlib.redirect_stdout(sys.stderr) if wanted else contextlib.nullcontext():
        yield


def print_json(**fields) -> None:
    """One JSON object on stdout."""
    print(json.dumps(fields, ensure_ascii=False, default=_plain))


def _plain(value):
    """Arrays, tuples and dataclasses as JSON knows them."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if hasattr(value, "__dataclass_fields__"):
        return {name: getattr(value, name) for name in value.__dataclass_fields__}
    return list(value) if isinstance(value, (set, frozenset)) else str(value)


# Commands ---------------------------------------------------------------------------------------


def run(args: Namespace) -> int:
    """Interpret a program on an input."""
    from rasplab.program.values import aligned, grid, sop_line, value_text

    path = program_path(args.file)
    program = rasplab.load(str(path), output=args.output)
    tokens = read_tokens(args.tokens)
    trace = rasplab.evaluate(program, tokens, causal=args.causal)
    name = args.output or output_name(program)
    if args.json:
        print_json(name=name, tokens=tokens, output=trace.output)
        return 0
    texts = [value_text(t) for t in tokens]
    if args.trace:
        sops = [(n, trace.values[i]) for n, i in program.names if not program.is_selector(i)]
        print(aligned([("tokens", tokens), *sops]))
        for n, i in program.names:
            if program.is_selector(i):
                print(f"\n{n}\n{grid(trace.values[i], texts, texts)}")
    elif program.is_selector(program.output):
        print(f"{name}\n{grid(trace.values[program.output], texts, texts)}")
    else:
        print(sop_line(name, tokens, trace.output))
    return 0


def output_name(program) -> str:
    """What the output is called in the text."""
    return next((n for n, i in reversed(program.names) if i == program.output), "output")


def repl(args: Namespace) -> int:
    """Read, evaluate, print."""
    from rasplab.apps.repl.loop import main

    main(sys.stdin, sys.stdout)
    return 0


def compile(args: Namespace) -> int:
    """Compile a program; say how large it is; write it if asked."""
    with only_json(args.json):
        compiled = compile_asked(args)
        if args.out:
            compiled.save(args.out)
    sizes = {
        **compiled.weights.shape(),
        "n_params": compiled.n_params,
        "nonzero_params": compiled.nonzero_params,
    }
    if args.json:
        print_json(**sizes, compile_seconds=round(compiled.seconds, 4), out=args.out)
        return 0
    if args.explain is not None:
        print(_explained(compiled, args))
        return 0
    print(compiled.stage(args.stage or "place"))
    shown = ", ".join(f"{k} {v:,}" for k, v in sizes.items())
    print(f"\n{shown}; compiled in {compiled.seconds:.3f} s")
    if args.out:
        print(f"written to {args.out}; check it with: rasplab verify {args.out}")
    return 0


def _explained(compiled, args: Namespace) -> str:
    """compiled.explain, its ValueError made the user's."""
    try:
        return compiled.explain(read_tokens(args.explain), args.position)
    except ValueError as error:
        raise RaspValueError(str(error)) from error


def verify(args: Namespace) -> int:
    """Hold a compiled model against the interpreter; exit code 1 if they differ anywhere."""
    with only_json(args.json):
        model = compile_asked(args).to_model(device=args.device)
        report = rasplab.verify(model, max_inputs=args.max_inputs, seed=args.seed)
    if args.json:
        print_json(**report.to_json())
    else:
        took = f"({report.seconds:.1f} s on {report.device})"
        print("\n".join([f"{verification_line(report)} {took}", *str(report).splitlines()[1:]]))
    return 1 if report.mismatches else 0


def verification_line(report) -> str:
    """`checked 87,380 inputs, every one of the domain: 0 mismatches`."""
    scope = "every one of the domain" if report.exhaustive else f"a sample of seed {report.seed}"
    return f"checked {report.checked:,} inputs, {scope}: {report.mismatches:,} mismatches"


@contextlib.contextmanager
def progress_bar(name: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr, where that is a terminal; called with what is done, and of how much."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn

    console = Console(file=sys.stderr)
    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bars:
        task = bars.add_task(name, total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)


def load_any(folder: str, device: str):
    """The model in `folder`, trained or compiled. Raises FileError where there is none."""
    if not Path(folder).is_dir():
        raise FileError(
            f"no model folder {folder}", hint="make one with: rasplab train TASK -o DIR"
        )
    if (Path(folder) / "compiled.json").is_file():
        return rasplab.load_compiled(folder).to_model(device=device)
    from rasplab.model.checkpoint import load_model

    return load_model(folder, device=device)


def circuit(args: Namespace) -> int:
    """The circuit, structural or effective: edges as text, JSON, GraphML, or a picture."""
    with only_json(args.json):
        compiled = compile_asked(args)
        if args.ablation:
            found = rasplab.effective_circuit(compiled.to_model(), ablation=args.ablation)
        else:
            found = rasplab.circuit_of(compiled)
    if args.json:
        print(found.to_json(), end="")
    elif args.svg:
        from rasplab.apps.show.svg import circuit_svg
        from rasplab.base.atomic import write_atomic

        print(f"written to {write_atomic(args.svg, circuit_svg(found, Path(args.file).stem))}")
    elif args.graphml:
        from rasplab.base.atomic import write_atomic

        print(f"written to {write_atomic(args.graphml, found.to_graphml())}")
    else:
        print(circuit_text(found))
    return 0


def circuit_text(found) -> str:
    """Sites with what they do, then edges with what they carry."""
    from rasplab.base.text import table

    places = dict(found.places)
    sites = [[str(s), found.label(s), places.get(s, "")] for s in found.sites]
    edges = [
        [str(e.src), str(e.dst), ", ".join(c)]
        for e, c in zip(found.edges, found.carries, strict=True)
    ]
    return (
        table(["site", "computes", "place"], sites)
        + "\n\n"
        + table(["from", "to", "carries"], edges)
    )


def demo(args: Namespace) -> int:
    """The whole way once."""
    from rasplab.apps.demo import run_demo

    return run_demo(args.out, args.retrain, args.max_inputs, args.device)

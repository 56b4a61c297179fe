"""`rasplab demo`: the whole way once, on reverse and sort, and a report of it."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import rasplab
from rasplab.apps.cli.output import verification_line
from rasplab.apps.show.heads import curve_svg, evidence_svg
from rasplab.apps.show.report import Learned, Study, demo_report
from rasplab.base.atomic import write_atomic
from rasplab.program.values import sop_line
from rasplab.program.zoo import Entry, entry, shipped

LEARNED = {"reverse": ("reverse", "reverse_supervised"), "sort": ("sort",)}
"""The programs, and the trained models that each is held against."""
JUDGED_PAIRS = 100
"""Pairs of inputs for each kind of swap."""


class Stages:
    """Says what is being done and how long it took: a live line in a terminal, plain lines
    elsewhere.
    """

    def __init__(self, stream):
        self.stream, self.live = stream, stream.isatty()

    def say(self, text: str = "") -> None:
        """Some lines."""
        print(text, file=self.stream, flush=True)

    @contextmanager
    def stage(self, name: str) -> Iterator[Stage]:
        """One stage; its note is printed when it is over."""
        stage, start = Stage(), time.perf_counter()
        with self._bar(name) if self.live else _no_bar() as stage.progress:
            yield stage
        took = f"{time.perf_counter() - start:.1f} s"
        self.say(f"  {name:<10} {stage.note}  ({took})")

    @contextmanager
    def _bar(self, name: str):
        from rich.progress import BarColumn, Progress, SpinnerColumn, TimeElapsedColumn

        columns = (SpinnerColumn(), "{task.description}", BarColumn(), TimeElapsedColumn())
        with Progress(*columns, transient=True) as bars:
            task = bars.add_task(f"  {name}", total=None)
            yield lambda done, total: bars.update(task, completed=done, total=total)


class Stage:
    """A stage under way: `note` is what it found, `progress(done, total)` moves its bar."""

    note = ""
    progress = None


@contextmanager
def _no_bar():
    yield None


def run_demo(
    out: str, retrain: bool = False, max_inputs: int = 200_000, device: str = "auto"
) -> int:
    """Study each program, write the report to `out`; 1 if a compiled model is wrong anywhere."""
    stages, start = Stages(sys.stdout), time.perf_counter()
    folder = Path(out).parent / "trained" if retrain else None
    studies = [study(name, stages, folder, max_inputs, device) for name in LEARNED]
    path = write_atomic(
        out, demo_report(studies, f"Made by: rasplab demo, version {rasplab.__version__}.")
    )
    stages.say(f"\nDone in {time.perf_counter() - start:.0f} s. The report: {path.resolve()}")
    stages.say("Next:  rasplab repl                       write RASP line by line")
    stages.say("       rasplab run sort dcab --trace      every s-op and selector of a program")
    stages.say("       rasplab circuit hist --svg h.svg   another program's circuit")
    stages.say("       make lab                           the notebooks")
    return 0 if all(s.exact for s in studies) else 1


def study(name: str, stages: Stages, retrain: Path | None, max_inputs: int, device: str) -> Study:
    """One program all the way, each stage said as it goes."""
    about = entry(name)
    stages.say(f"\n{name}: {about.summary}")
    program, output = _interpreted(about, stages)
    compiled, sizes = _compiled(program, about, stages)
    model, checked = _verified(compiled, stages, max_inputs, device)
    learned = tuple(
        _learned(each, program, model, stages, retrain, device) for each in LEARNED[name]
    )
    return Study(
        name, about.summary, about.path.read_text(encoding="utf-8"), about.sample, output, sizes,
        verification_line(checked), checked.mismatches == 0, rasplab.circuit_of(compiled), learned,
    )  # fmt: skip


def _interpreted(about: Entry, stages: Stages):
    """The program, and its output on the zoo's sample."""
    with stages.stage("interpret") as stage:
        program = rasplab.load(str(about.path))
        output = rasplab.evaluate(program, about.sample, causal=about.domain.causal).output
        stage.note = sop_line(about.name, about.sample, output)
    return program, tuple(output)


def _compiled(program, about: Entry, stages: Stages):
    """The compiled model, and its sizes as text."""
    with stages.stage("compile") as stage:
        compiled = compile_at(program, about.domain)
        sizes = sizes_of(compiled)
        stage.note = ", ".join(f"{k} {v}" for k, v in sizes.items() if k != "compiled in")
    return compiled, sizes


def _verified(compiled, stages: Stages, max_inputs: int, device: str):
    """The model in TransformerLens, and how it compares with the interpreter."""
    with stages.stage("load") as stage:
        model = compiled.to_model(
            device=device
        )  # the first time, it is libraries that take seconds
        stage.note = f"the weights are in TransformerLens, on {model.device}"
    with stages.stage("verify") as stage:
        report = rasplab.verify(model, max_inputs=max_inputs, progress=stage.progress)
        stage.note = verification_line(report)
    return model, report


def _learned(name: str, program, model, stages: Stages, retrain: Path | None, device: str):
    """One trained model, held against the program and the compiled model."""
    with stages.stage("train" if retrain else "trained") as stage:
        trained = trained_model(name, retrain, device)
        stage.note = training_line(trained)
    with stages.stage("judge") as stage:
        evidence = rasplab.judge(trained, program, JUDGED_PAIRS, progress=stage.progress or _no)
        found = [f"{f.head} {f.verdict} {f.selector}" for row in evidence.findings for f in row
                 if f.verdict != "refuted"]  # fmt: skip
        stage.note = "; ".join(found) or "no head does what a selector of the program says"
    table = evidence.table
    stages.say(_indented(str(table)))
    with stages.stage("beside") as stage:
        if trained.domain != model.domain:
            model = compile_at(program, trained.domain).to_model(device=device)
        beside = rasplab.side_by_side(program, model, trained, evidence=evidence)
        stage.note = f"{len(beside.rows)} selectors on {len(beside.inputs)} inputs"
    curve = trained.trained.curve if trained.trained else ()
    return Learned(
        *said(trained), training_line(trained), tuple(map(str, table.selectors)),
        match_rows(table), beside, evidence_svg(evidence),
        curve_svg(curve, "Held-out accuracy, loss"),
    )  # fmt: skip


def _no(done: int, total: int) -> None:
    """No bar."""


def compile_at(program, domain):
    """The program compiled for a domain."""
    return rasplab.compile(
        program, vocab=domain.vocab, max_len=domain.max_len, causal=domain.causal
    )


def sizes_of(compiled) -> dict[str, str]:
    """The sizes that the report shows, as text."""
    shape = compiled.weights.shape()
    sizes = {name: str(shape[f"n_{name}"]) for name in ("layers", "heads")}
    sizes |= {name: str(shape[name]) for name in ("d_model", "d_head", "d_mlp")}
    sizes |= {"parameters": f"{compiled.n_params:,}", "not zero": f"{compiled.nonzero_params:,}"}
    return sizes | {"compiled in": f"{compiled.seconds:.2f} s"}


def trained_model(name: str, retrain: Path | None, device: str):
    """The model in the repository; or one trained anew, kept in the folder `retrain`."""
    if retrain:
        return rasplab.train(name, out=retrain / name, device=device)
    return rasplab.load_model(shipped("circuits") / "trained" / name, device=device)


def said(model) -> tuple[str, str]:
    """A trained model's title, and in words what it was trained on."""
    task = model.recipe.task
    if not model.recipe.supervise:
        return (
            f"{task}, learned from examples",
            "This transformer was trained on inputs and their answers only. It has never seen the "
            "program; how it attends is its own way.",
        )
    pairs = ", ".join(f"{head} as {selector}" for head, selector in model.recipe.supervise)
    return (
        f"{task}, taught where to attend",
        f"This transformer was trained on the same answers, and besides to attend as the program "
        f"selects: {pairs}. What its training put there the comparison must find; it is no "
        f"evidence that a model finds this way by itself.",
    )


def training_line(model) -> str:
    """What was trained, and how well it does on inputs that it has not seen."""
    heads = f"{model.n_heads} head{'s' * (model.n_heads > 1)}"
    text = f"{model.n_layers} layers of {heads}, {model.n_params:,} parameters"
    came = model.trained
    if not came:
        return text
    return f"{text}, {came.held_out:.2%} of held-out positions right after {came.step:,} steps"


def match_rows(table) -> tuple:
    """The rows of the report's match table."""
    return tuple(
        (
            str(head),
            tuple(zip(map(float, table.score[i]), map(float, table.chance[i]), strict=True)),
        )
        for i, head in enumerate(table.heads)
    )


def _indented(text: str) -> str:
    return "\n".join("    " + line for line in text.splitlines())

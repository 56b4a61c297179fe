"""`rasplab demo`: every stage once, on reverse and sort, and a report of it.

`run_demo` studies each program of `LEARNED`: interpret, compile, load into TransformerLens, verify,
then for each trained model judge its heads and lay them beside the compiled ones. Each step prints
a line; the results become `Study` objects, from which `show.report` makes one HTML page.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from rasplab.apps.cli.output import verification_line
from rasplab.apps.show.heads import curve_svg, evidence_svg
from rasplab.apps.show.report import Learned, MatchRow, Study, demo_report
from rasplab.apps.show.side_by_side import side_by_side
from rasplab.base.atomic import write_atomic
from rasplab.base.version import __version__
from rasplab.circuit.structural import circuit_of
from rasplab.compiler.compiled import Compiled
from rasplab.compiler.pipeline import compile_program
from rasplab.lang.loading import load
from rasplab.model.bridge import LensModel
from rasplab.model.checkpoint import load_model
from rasplab.model.verify import Report, verify
from rasplab.program.domain import Domain
from rasplab.program.graph import Program
from rasplab.program.interpret.exact import evaluate
from rasplab.program.values import sop_line
from rasplab.program.zoo import Entry, entry, shipped
from rasplab.study.heads.evidence import Evidence
from rasplab.study.heads.screen import MatchTable
from rasplab.study.heads.verdict import judge
from rasplab.study.training.trainer import train

LEARNED = {"reverse": ("reverse", "reverse_supervised"), "sort": ("sort",)}
"""The programs, and the trained models that each is compared with."""
JUDGED_PAIRS = 100
"""Pairs of inputs for each kind of swap."""

Progress = Callable[[int, int], None]
"""Called with what is done, and of how much."""


def _no_progress(done: int, total: int) -> None:
    """Where there is no bar to move."""


@dataclass
class Step:
    """A step under way: `note` is its result in a line, `progress` moves its bar if it has one."""

    note: str = ""
    progress: Progress = _no_progress


class Steps:
    """Prints each step with its note and duration; in a terminal a bar runs meanwhile."""

    def __init__(self, stream: TextIO):
        self.stream, self.live = stream, stream.isatty()

    def write(self, text: str = "") -> None:
        """Print lines."""
        print(text, file=self.stream, flush=True)

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """One step; its note is printed when it is over."""
        step, start = Step(), time.perf_counter()
        with self._bar(name) if self.live else nullcontext(_no_progress) as step.progress:
            yield step
        duration = f"{time.perf_counter() - start:.1f} s"
        self.write(f"  {name:<10} {step.note}  ({duration})")

    @contextmanager
    def _bar(self, name: str) -> Iterator[Progress]:
        from rich.progress import BarColumn, SpinnerColumn, TimeElapsedColumn
        from rich.progress import Progress as Bars

        columns = (SpinnerColumn(), "{task.description}", BarColumn(), TimeElapsedColumn())
        with Bars(*columns, transient=True) as bars:
            task = bars.add_task(f"  {name}", total=None)
            yield lambda done, total: bars.update(task, completed=done, total=total)


NEXT = (
    "Next:  rasplab repl                       write RASP line by line",
    "       rasplab run sort dcab --trace      every s-op and selector of a program",
    "       rasplab circuit hist --svg h.svg   another program's circuit",
    "       make lab                           the notebooks",
)


def run_demo(
    out: str, retrain: bool = False, max_inputs: int = 200_000, device: str = "auto"
) -> int:
    """Study each program, write the report to `out`; returns the exit code.

    retrain     train the models anew, in a folder beside `out`, instead of loading the shipped ones
    max_inputs  inputs per program that are verified at most

    The exit code is 1 if a compiled model is wrong on any input, else 0.
    """
    steps, start = Steps(sys.stdout), time.perf_counter()
    folder = Path(out).parent / "trained" if retrain else None
    studies = [study_program(name, steps, folder, max_inputs, device) for name in LEARNED]
    page = demo_report(studies, f"Made by: rasplab demo, version {__version__}.")
    path = write_atomic(out, page)
    duration = f"{time.perf_counter() - start:.0f} s"
    steps.write(f"\nDone in {duration}. The report: {path.resolve()}")
    for line in NEXT:
        steps.write(line)
    return 0 if all(s.exact for s in studies) else 1


def study_program(
    name: str, steps: Steps, retrain: Path | None, max_inputs: int, device: str
) -> Study:
    """Take one program through every stage, printing each step."""
    about = entry(name)
    steps.write(f"\n{name}: {about.summary}")
    program, output = _interpret(about, steps)
    compiled, sizes = _compile(program, about, steps)
    model, verification = _verify(compiled, steps, max_inputs, device)
    learned = tuple(
        _learned(trained, program, model, steps, retrain, device) for trained in LEARNED[name]
    )
    return Study(
        name=name,
        summary=about.summary,
        source=about.path.read_text(encoding="utf-8"),
        tokens=about.sample,
        output=output,
        sizes=sizes,
        verification=verification_line(verification),
        exact=verification.mismatches == 0,
        circuit=circuit_of(compiled),
        learned=learned,
    )


def _interpret(about: Entry, steps: Steps) -> tuple[Program, tuple]:
    """The program, and its output on the zoo's sample."""
    with steps.step("interpret") as step:
        program = load(about.path)
        output = tuple(evaluate(program, about.sample, causal=about.domain.causal).output)
        step.note = sop_line(about.name, about.sample, output)
    return program, output


def _compile(program: Program, about: Entry, steps: Steps) -> tuple[Compiled, dict[str, str]]:
    """The compiled model, and its sizes as text."""
    with steps.step("compile") as step:
        compiled = compile_program(program, about.domain)
        sizes = sizes_of(compiled)
        step.note = ", ".join(f"{k} {v}" for k, v in sizes.items() if k != "compiled in")
    return compiled, sizes


def _verify(
    compiled: Compiled, steps: Steps, max_inputs: int, device: str
) -> tuple[LensModel, Report]:
    """The model in TransformerLens, and how it compares with the interpreter."""
    with steps.step("load") as step:  # the first time this imports TransformerLens: seconds
        model: LensModel = compiled.to_model(device=device)
        step.note = f"the weights are in TransformerLens, on {model.device}"
    with steps.step("verify") as step:
        report = verify(model, max_inputs=max_inputs, progress=step.progress)
        step.note = verification_line(report)
    return model, report


def _learned(
    name: str,
    program: Program,
    model: LensModel,
    steps: Steps,
    retrain: Path | None,
    device: str,
) -> Learned:
    """One trained model, compared with the program and the compiled model."""
    with steps.step("train" if retrain else "trained") as step:
        trained = trained_model(name, retrain, device)
        step.note = training_line(trained)
    evidence = _judge(trained, program, steps)
    with steps.step("beside") as step:
        compiled = _for_domain(model, program, trained.domain, device)
        beside = side_by_side(program, compiled, trained, evidence=evidence)
        step.note = f"{len(beside.rows)} selectors on {len(beside.inputs)} inputs"
    title, how = training_words(trained)
    return Learned(
        title=title,
        how=how,
        training=training_line(trained),
        selectors=tuple(map(str, evidence.table.selectors)),
        match=match_rows(evidence.table),
        beside=beside,
        verdicts=evidence_svg(evidence),
        curve=curve_svg(trained.trained.curve if trained.trained else (), CURVE_TITLE),
    )


CURVE_TITLE = "Held-out accuracy, loss"


def _judge(trained: LensModel, program: Program, steps: Steps) -> Evidence:
    """The verdicts on a trained model's heads; prints those not refuted, and the match table."""
    with steps.step("judge") as step:
        evidence = judge(trained, program, JUDGED_PAIRS, progress=step.progress)
        verdicts = [
            f"{finding.head} {finding.verdict} {finding.selector}"
            for row in evidence.findings
            for finding in row
            if finding.verdict != "refuted"
        ]
        step.note = "; ".join(verdicts) or "no head does what a selector of the program says"
    steps.write(_indented(str(evidence.table)))
    return evidence


def _for_domain(model: LensModel, program: Program, domain: Domain, device: str) -> LensModel:
    """The compiled model, compiled again where it takes other inputs than those of `domain`."""
    if model.domain == domain:
        return model
    return compile_program(program, domain).to_model(device=device)


def sizes_of(compiled: Compiled) -> dict[str, str]:
    """The sizes that the report shows, as text."""
    shape = compiled.weights.shape()
    sizes = {name: str(shape[f"n_{name}"]) for name in ("layers", "heads")}
    sizes |= {name: str(shape[name]) for name in ("d_model", "d_head", "d_mlp")}
    sizes |= {"parameters": f"{compiled.n_params:,}", "not zero": f"{compiled.nonzero_params:,}"}
    return sizes | {"compiled in": f"{compiled.seconds:.2f} s"}


def trained_model(name: str, retrain: Path | None, device: str) -> LensModel:
    """The shipped model; or one trained anew, written into the folder `retrain`."""
    if retrain:
        return train(name, out=retrain / name, device=device)
    return load_model(shipped("circuits") / "trained" / name, device=device)


def training_words(model: LensModel) -> tuple[str, str]:
    """A trained model's title, and in words what it was trained on."""
    assert model.recipe, "trained models have a recipe"
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


def training_line(model: LensModel) -> str:
    """What was trained, and its accuracy on held-out inputs."""
    heads = f"{model.n_heads} head{'s' * (model.n_heads > 1)}"
    text = f"{model.n_layers} layers of {heads}, {model.n_params:,} parameters"
    if not (trained := model.trained):
        return text
    accuracy = f"{trained.held_out:.2%} of held-out positions right"
    return f"{text}, {accuracy} after {trained.step:,} steps"


def match_rows(table: MatchTable) -> tuple[MatchRow, ...]:
    """The rows of the report's match table: (head, (score, chance) by selector)."""
    return tuple(
        (str(head), tuple(zip(map(float, scores), map(float, chances), strict=True)))
        for head, scores, chances in zip(table.heads, table.score, table.chance, strict=True)
    )


def _indented(text: str) -> str:
    return "\n".join("    " + line for line in text.splitlines())

"""`rasplab demo`: the whole way once, on sort and reverse, and a report of it (floor 7)."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

import rasplab
from rasplab.commands import verification_line
from rasplab.show.report import Pair, Patterns, Study, demo_report
from rasplab.show.studies import curve_svg, evidence_svg
from rasplab.show.text import sop_line, write_whole
from rasplab.sites import Site
from rasplab.zoo import Entry, entry, shipped

PROGRAMS = ("sort", "reverse")
N_SAMPLES = 4
"""Inputs whose patterns the report shows."""
SAMPLE_SEED = 1
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
    studies = [study(name, stages, folder, max_inputs, device) for name in PROGRAMS]
    path = write_whole(
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
    trained = _trained(about, stages, retrain, device)
    own, own_table, table = _matched(program, model, trained, stages, device)
    return Study(
        name, about.summary, about.path.read_text(encoding="utf-8"), about.sample, output, sizes,
        verification_line(checked), checked.mismatches == 0, rasplab.circuit_of(compiled),
        training_line(trained), tuple(map(str, table.selectors)), match_rows(table),
        pairs(program, own, own_table, trained, table), _judged(program, trained, stages),
        curve_svg(trained.trained.curve if trained.trained else (), "Held-out accuracy, loss"),
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


def _trained(about: Entry, stages: Stages, retrain: Path | None, device: str):
    """The trained model."""
    with stages.stage("train" if retrain else "trained") as stage:
        model = trained_model(about, retrain, device)
        stage.note = training_line(model)
    return model


def _matched(program, model, trained, stages: Stages, device: str):
    """The compiled model at the trained model's domain, its match table, and the trained one's."""
    with stages.stage("match") as stage:
        if trained.domain != model.domain:
            model = compile_at(program, trained.domain).to_model(device=device)
        own, table = rasplab.match(model, program), rasplab.match(trained, program)
        stage.note = f"{len(table.heads)} trained heads with {len(table.selectors)} selectors:"
    stages.say(_indented(str(table)))
    return model, own, table


def _judged(program, trained, stages: Stages) -> str:
    """The verdicts on the trained heads, as a picture."""
    with stages.stage("judge") as stage:
        evidence = rasplab.judge(trained, program, JUDGED_PAIRS, progress=stage.progress or _no)
        found = [f"{f.head} {f.verdict} {f.selector}" for row in evidence.findings for f in row
                 if f.verdict != "refuted"]  # fmt: skip
        stage.note = "; ".join(found) or "no head does what a selector of the program says"
    return evidence_svg(evidence)


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


def trained_model(about: Entry, retrain: Path | None, device: str):
    """The model in the repository; or one trained anew, kept in the folder `retrain`."""
    if retrain:
        return rasplab.train(about.name, out=retrain / about.name, device=device)
    from rasplab.model.store import load_model

    return load_model(shipped("circuits") / "trained" / about.name, device=device)


def training_line(model) -> str:
    """What was trained, and how well it does on inputs that it has not seen."""
    text = f"{model.n_layers} layers of {model.n_heads} heads, {model.n_params:,} parameters"
    came = model.trained
    return f"{text}, {came.held_out:.2%} of held-out positions right" if came else text


def match_rows(table) -> tuple:
    """The rows of the report's match table."""
    return tuple(
        (
            str(head),
            tuple(zip(map(float, table.score[i]), map(float, table.chance[i]), strict=True)),
        )
        for i, head in enumerate(table.heads)
    )


def pairs(program, own, own_table, trained, table) -> tuple[Pair, ...]:
    """For each selector the compiled head and the trained head matched with it."""
    samples = sample_inputs(trained.domain)
    looks = [(own.patterns([t])[0], trained.patterns([t])[0]) for t in samples]
    traces = [rasplab.evaluate(program, t, causal=trained.domain.causal) for t in samples]
    found = []
    for j, selector in enumerate(table.selectors):
        if all(trace.values[selector.node].all() for trace in traces):
            continue  # what selects everything is matched by anything
        mine, theirs = matched(own_table, j), matched(table, j)
        name, note, compiled = compiled_side(own, own_table, mine, j, [a for a, _ in looks])
        patterns = tuple(
            Patterns(t, with_bos(trace.values[selector.node]), a, b[theirs.layer, theirs.head])
            for t, trace, a, (_, b) in zip(samples, traces, compiled, looks, strict=True)
        )
        score, chance = map(float, cell(table, theirs, j))
        found.append(Pair(str(selector), name, note, str(theirs), score, chance, patterns))
    return tuple(found)


def compiled_side(own, table, mine: Site, j: int, looks: list[np.ndarray]):
    """The compiled heads of selector j: their names, a note, and what to draw on each input."""
    node = table.selectors[j].node
    counting = [
        (Site("head", layer, i), head.bos_weight)
        for layer, i, head in own.compiled.layout.heads
        if head.selector == node and head.bos_weight
    ]
    if not counting:
        score = float(table.score[table.heads.index(mine), j])
        return str(mine), f"score {score:.2f}", [a[mine.layer, mine.head] for a in looks]
    names = " + ".join(str(site) for site, _ in counting)
    drawn = [np.max([counted(a[s.layer, s.head], w) for s, w in counting], axis=0) for a in looks]
    return names, "counts: each key beside one counted key", drawn


def counted(pattern: np.ndarray, bos_weight: float) -> np.ndarray:
    """A counting head's pattern [query, key] with BOS, as the weight of each key beside one that is
    counted: 1 where the selector selects, else 0. BOS, which may outweigh all keys, is left out.
    """
    weights = np.clip(pattern / pattern[:, :1] * bos_weight, 0, 1)
    weights[:, 0] = 0
    weights[0] = 0
    return weights


def matched(table, j: int) -> Site:
    """The head assigned to selector j; where the heads have run out, the one with the highest
    score.
    """
    assigned = {best.selector.node: best.head for best in table.best()}
    return assigned.get(table.selectors[j].node, table.heads[int(np.argmax(table.score[:, j]))])


def cell(table, head: Site, j: int) -> tuple[float, float]:
    """Score and chance of a head and selector j."""
    i = table.heads.index(head)
    return table.score[i, j], table.chance[i, j]


def sample_inputs(domain) -> list[tuple]:
    """A few inputs of the full length or near it, different from each other."""
    drawn = [tuple(domain.vocab[i] for i in ids) for ids in domain.sample(200, SAMPLE_SEED)]
    long = [t for t in dict.fromkeys(drawn) if len(t) >= domain.max_len - 2 and len(set(t)) > 1]
    return long[:N_SAMPLES]


def with_bos(selector: np.ndarray) -> np.ndarray:
    """A selector [query, key] with a first row and column for BOS, which it never selects."""
    return np.pad(np.asarray(selector, bool), ((1, 0), (1, 0)))


def _indented(text: str) -> str:
    return "\n".join("    " + line for line in text.splitlines())

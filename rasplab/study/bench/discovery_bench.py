"""The benchmark of discovery methods: models whose circuit is known -> one row of areas per case.

`cases` lists what to run (program, variant, ablation, method); `run_bench` runs each on its
`Subject` (model, pairs of inputs, truths) and appends the row to rows.jsonl as soon as it is
measured. The programs are those whose compiled circuits have depth, several heads, selectors that
share work or stand in for each other, and parts that only positions reach.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TextIO

from rasplab.base.errors import FileError, RaspError, RaspValueError
from rasplab.base.schema import (
    NotJsonError,
    SchemaError,
    integer,
    loads,
    nullable,
    one_of,
    read_text,
    record,
    string,
)
from rasplab.base.schema import number as finite_number
from rasplab.base.text import clipped
from rasplab.circuit.discovery.discover import METHODS as DISCOVERY_METHODS
from rasplab.circuit.discovery.discover import discover
from rasplab.circuit.discovery.edge_scores import EdgeScores
from rasplab.circuit.effective import effective_units
from rasplab.circuit.evaluation.score import STRUCTURAL, Truth, score, truth_of
from rasplab.circuit.graph import GRANULARITIES
from rasplab.circuit.patching.from_bridge import edge_model_of
from rasplab.circuit.patching.pairs import draw_longer, draw_pairs
from rasplab.compiler.pipeline import compile_program
from rasplab.lang.loading import load
from rasplab.model.bridge import LensModel
from rasplab.program.zoo import entry
from rasplab.study.training.siit_zoo import load_realistic, recipes

PROGRAMS = (
    "reverse",
    "double_hist",
    "sort",
    "sort_by_freq",
    "most_freq",
    "dyck1",
    "dyck2",
    "shuffle_dyck2",
    "induction",
    "detect_abc",
    "associative_recall",
    "balanced",
    "place_in_run",
    "median",
    "run_length",
    "running_maximum",
    "between_equal",
    "maximum",
    "sort_down",
    "palindrome",
    "hamming_to_reverse",
    "starts_and_ends_alike",
    "peaks",
    "run_number",
    "argmax",
    "minimum",
    "mirror",
    "swap_ends",
    "count_runs",
    "is_sorted",
    "mirror_match",
    "bracket_depth",
    "contains_ab",
    "a_before_b",
    "rotate_left",
    "count_distinct",
    "copy_last",
    "all_distinct",
    "first_position_of",
)
"""Programs of the zoo and its tasks with two heads or more and eleven edges or more."""

QUICK = ("reverse", "sort", "detect_abc")
"""The programs of a quick run."""

VARIANTS = ("plain", "rotated", "realistic")
"""Compiled; compiled, in another basis of the residual stream; trained to have the circuit."""

ABLATIONS = ("zero", "resample")
METHODS = (
    "exact",
    "acdc",
    "path",
    "eap",
    "eap_ig",
    "eap_ig_activations",
    "mask_ig",
    "pruning",
    "hisp",
)
PAIRS = 24
"""Pairs of inputs per model: every length at least twice."""

RESAMPLES = 200
"""Bootstrap resamples behind the interval of one area."""

KEPT = ("auc", "pessimistic", "low", "high", "ap", "n_true")
"""Fields of a Score that a row keeps."""


@dataclass(frozen=True, slots=True)
class Case:
    """One row to measure: a method on a model, under an ablation."""

    program: str
    variant: str
    ablation: str
    method: str

    @property
    def key(self) -> str:
        """The name of the row."""
        return "/".join((self.program, self.variant, self.ablation, self.method))


def cases(
    programs: Iterable[str] = PROGRAMS,
    variants: Iterable[str] = VARIANTS,
    methods: Iterable[str] = METHODS,
) -> list[Case]:
    """Every case, model by model.

    Realistic models are there only for programs that have one, and without path patching: they are
    scored by node, and path patching scores edges.

    Raises RaspNameError for a program that is not in the zoo.
    """
    programs = [entry(program).name for program in programs]
    return [
        Case(program, variant, ablation, method)
        for program in programs
        for variant in variants
        if variant != "realistic" or program in recipes()
        for ablation in ABLATIONS
        for method in methods
        if variant != "realistic" or method != "path"
    ]


def run_bench(
    out: Path,
    cases: Sequence[Case],
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> list[dict]:
    """The row of every case; rows that `out` holds for the same model and seed are not redone.

    out       a folder; rows.jsonl in it gets one line per row as soon as it is measured
    progress  called with the number of rows done and of all
    """
    out.mkdir(parents=True, exist_ok=True)
    path = out / "rows.jsonl"
    # The digest of the weights is in the key: rows of another model of that name are not reused.
    known = {(row["key"], row["seed"], row.get("model")): row for row in read_rows(path)}
    subject, rows = None, []
    with path.open("a+", encoding="utf-8") as file:
        _end_cut_line(path, file)
        for done, case in enumerate(cases, 1):
            # cases come model by model, so each model is built once
            if subject is None or subject.name != (case.program, case.variant):
                subject = Subject(case.program, case.variant, seed)
            row = known.get((case.key, seed, subject.digest))
            if row is None:
                row = subject.row(case)
                file.write(json.dumps(row) + "\n")
                file.flush()
            rows.append(row)
            if progress:
                progress(done, len(cases))
    return rows


def _end_cut_line(path: Path, file: TextIO) -> None:
    """End a last line that a stop has cut short, so that the next row gets its own line."""
    text = path.read_text(encoding="utf-8")
    if text and not text.endswith("\n"):
        file.write("\n")


def read_rows(path: Path) -> Iterator[dict]:
    """The rows of a file, none where it is missing; lines cut short by a stop are left out.

    Raises FileError for a line that is JSON, and not a row of this benchmark.
    """
    hint = "delete the line to measure it again"
    lines = read_text(path, hint=hint).splitlines() if path.is_file() else []
    for number, line in enumerate(lines, 1):
        try:
            row = row_schema(loads(line), "")
        except NotJsonError:
            continue
        except SchemaError as error:
            reason = f"{path}, line {number} is not a row of the benchmark: {error}"
            raise FileError(reason, hint=hint) from None
        yield row


def row_schema(value: Any, where: str) -> dict:
    """What `Subject.row` makes: a case with its areas and costs."""
    share = finite_number(0, 1)
    areas = nullable(record(dict.fromkeys(KEPT, share) | {"n_true": integer(0)}, further=False))
    row = record(
        {
            "key": string,
            "seed": integer(0),
            **dict.fromkeys(("forwards", "backwards", "units"), integer(0)),
            "seconds": finite_number(0),
            "health": string,
            "structural": areas,
            "effective": areas,
            "program": string,
            "variant": one_of(*VARIANTS),
            "ablation": one_of(*ABLATIONS),
            "method": one_of(*DISCOVERY_METHODS),
            "granularity": one_of(*GRANULARITIES),
        },
        {"model": string},
        further=False,
    )(value, where)
    if row["key"] != "/".join(row[name] for name in ("program", "variant", "ablation", "method")):
        raise SchemaError(f"its key {clipped(row['key'])} is not of its names")
    return row


class Subject:
    """A model with its pairs of inputs and its truths, for all cases on it.

    name         program and variant
    granularity  "node" for realistic models, which were trained site by site, else "edge"
    circuit      the compiled model that has its structure; of a plain one, the model itself
    """

    def __init__(self, program: str, variant: str, seed: int):
        self.seed, self.name = seed, (program, variant)
        self.granularity = "node" if variant == "realistic" else "edge"
        self.model, self.circuit = model_of(program, variant, seed)
        self.digest = edge_model_of(self.model.lens).digest
        # realistic models were trained on swaps from inputs that may be longer
        draw = draw_longer if variant == "realistic" else draw_pairs
        self.pairs = draw(self.model.domain, PAIRS, seed)
        self._truths: dict[str, Truth] = {}

    def truth(self, ablation: str) -> Truth:
        """The structural truth of the compiled model, or the effective one on the same pairs."""
        if ablation not in self._truths:
            if ablation == STRUCTURAL:
                self._truths[ablation] = truth_of(self.circuit, STRUCTURAL, self.granularity)
            else:
                # on the pairs that the methods see: an edge that
                # matters on others only cannot be found here
                units = effective_units(self.model, self.pairs, ablation, self.granularity)
                self._truths[ablation] = Truth(units, ablation, self.granularity)
        return self._truths[ablation]

    def row(self, case: Case) -> dict:
        """The areas and the cost of one method on this model.

        A realistic model is held against its structural truth alone, the circuit that it was
        trained to have: every site of it has some small effect, so an effective truth has none out.
        """
        scores = discover(
            self.model,
            case.method,
            self.pairs,
            case.ablation,
            seed=self.seed,
            granularity=self.granularity,
            max_seconds=None,
        )
        realistic = case.variant == "realistic"
        return {
            "key": case.key,
            "seed": self.seed,
            "model": self.digest,
            "program": case.program,
            "variant": case.variant,
            "ablation": case.ablation,
            "method": case.method,
            "granularity": self.granularity,
            "forwards": scores.forwards,
            "backwards": scores.backwards,
            "seconds": scores.seconds,
            "units": len(scores.names),
            "health": scores.health,
            "structural": self._areas(scores, STRUCTURAL),
            "effective": None if realistic else self._areas(scores, case.ablation),
        }

    def _areas(self, scores: EdgeScores, ablation: str) -> dict | None:
        """The areas against one truth; None where all units are in it, or none is."""
        truth = self.truth(ablation)
        if self.granularity == "node":
            scores, truth = _without_embeddings(scores, truth)
        try:
            areas = score(scores, truth, seed=self.seed, resamples=RESAMPLES).to_json()
        except RaspValueError:
            return None
        return {name: round(areas[name], 4) for name in KEPT}


def _without_embeddings(scores: EdgeScores, truth: Truth) -> tuple[EdgeScores, Truth]:
    """Scores and truth of heads and MLPs alone: embeddings were never swapped in training."""
    ranked = [
        (name, value)
        for name, value in zip(scores.names, scores.scores, strict=True)
        if not name.endswith("_embed")
    ]
    units = frozenset(name for name in truth.units if not name.endswith("_embed"))
    names, values = tuple(name for name, _ in ranked), tuple(value for _, value in ranked)
    return replace(scores, names=names, scores=values), replace(truth, units=units)


def model_of(program: str, variant: str, seed: int = 0) -> tuple[LensModel, LensModel]:
    """A benchmark model, and the compiled model that has its structure.

    seed  of the rotation of a rotated model

    Raises RaspNameError for an unknown program, RaspError for an unknown variant.
    """
    about = entry(program)
    if variant == "realistic":
        model = load_realistic(program)
        return model, compile_program(load(about.path), model.domain).to_model(device="cpu")
    compiled = compile_program(load(about.path), about.domain)
    plain = compiled.to_model(device="cpu")
    if variant == "rotated":
        return compiled.rotated(seed).to_model(device="cpu"), plain
    if variant == "plain":
        return plain, plain
    raise RaspError(f"unknown variant {variant!r}; the variants are {', '.join(VARIANTS)}")

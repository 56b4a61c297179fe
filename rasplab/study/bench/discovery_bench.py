"""The benchmark of discovery methods: known circuits, plain and in disguise.

Programs are those whose compiled circuits have depth, several heads, selectors that share work or
stand in for each other, and parts that only positions reach; none is a lone MLP. Each row is one
method on one model under one ablation, written down as soon as it is known.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from rasplab.base.errors import RaspError, RaspValueError
from rasplab.circuit.discovery.discover import discover
from rasplab.circuit.discovery.edge_scores import EdgeScores
from rasplab.circuit.effective import effective_units
from rasplab.circuit.evaluation.score import STRUCTURAL, Truth, score, truth_of
from rasplab.circuit.patching.edge_model import edge_model_of
from rasplab.circuit.patching.pairs import draw_longer, draw_pairs
from rasplab.compiler.pipeline import compile_program
from rasplab.lang.loading import load
from rasplab.program.zoo import entry
from rasplab.study.training.siit_zoo import load_realistic, recipes

PROGRAMS = (
    "reverse", "double_hist", "sort", "sort_by_freq", "most_freq", "dyck1", "dyck2",
    "shuffle_dyck2", "induction", "detect_abc", "associative_recall", "balanced", "place_in_run",
    "median", "run_length", "running_maximum", "between_equal", "maximum", "sort_down",
    "palindrome", "hamming_to_reverse", "starts_and_ends_alike", "peaks", "run_number", "argmax",
    "minimum", "mirror", "swap_ends", "count_runs", "is_sorted", "mirror_match", "bracket_depth",
    "contains_ab", "a_before_b", "rotate_left", "count_distinct", "copy_last", "all_distinct",
    "first_position_of",
)  # fmt: skip
"""Two heads or more, eleven edges or more; from the zoo and its tasks."""

QUICK = ("reverse", "sort", "detect_abc")
VARIANTS = ("plain", "rotated", "realistic")
ABLATIONS = ("zero", "resample")
METHODS = (
    "exact", "acdc", "path", "eap", "eap_ig", "eap_ig_activations", "mask_ig", "pruning", "hisp",
)  # fmt: skip
PAIRS = 24
"""Pairs of inputs per model: enough for every length twice."""


@dataclass(frozen=True, slots=True)
class Case:
    """One row to be: which method on which model, under which ablation."""

    program: str
    variant: str
    ablation: str
    method: str

    @property
    def key(self) -> str:
        """Names the row."""
        return "/".join((self.program, self.variant, self.ablation, self.method))


def cases(
    programs: Iterable[str] = PROGRAMS,
    variants: Iterable[str] = VARIANTS,
    methods: Iterable[str] = METHODS,
) -> list[Case]:
    """Every case, model by model; realistic models only where one is shipped, by node.

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
    wanted: list[Case],
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> list[dict]:
    """Every case's row; rows that `out` holds of the same models are not made again.

    out  a folder; rows.jsonl in it gets one line per row, as soon as there is one
    """
    out.mkdir(parents=True, exist_ok=True)
    path = out / "rows.jsonl"
    known = {(row["key"], row["seed"], row.get("model")): row for row in read_rows(path)}
    subject, rows = None, []
    with path.open("a+", encoding="utf-8") as file:
        _whole_lines(path, file)
        for done, case in enumerate(wanted, 1):
            if subject is None or subject.place != (case.program, case.variant):
                subject = Subject(case.program, case.variant, seed)
            row = known.get((case.key, seed, subject.digest))
            if row is None:
                row = subject.row(case)
                file.write(json.dumps(row) + "\n")
                file.flush()
            rows.append(row)
            if progress:
                progress(done, len(wanted))
    return rows


def _whole_lines(path: Path, file) -> None:
    """End a line that a stop has cut short."""
    text = path.read_text(encoding="utf-8")
    if text and not text.endswith("\n"):
        file.write("\n")


def read_rows(path: Path) -> Iterator[dict]:
    """The rows of a file; a last line cut short by a stop is left out."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    for line in lines:
        try:
            yield json.loads(line)
        except ValueError:
            continue


class Subject:
    """A model with its pairs and its truths, for all cases on it."""

    def __init__(self, program: str, variant: str, seed: int):
        self.seed, self.place = seed, (program, variant)
        self.granularity = "node" if variant == "realistic" else "edge"
        self.model, self.circuit = model_of(program, variant, seed)
        self.digest = edge_model_of(self.model.lens).digest
        drawn = draw_longer if variant == "realistic" else draw_pairs  # as it was trained
        self.pairs = drawn(self.model.domain, PAIRS, seed)
        self.truths: dict[str, Truth] = {}

    def truth(self, ablation: str) -> Truth:
        """Structural, as its program's compiled model has it, or effective on the same pairs."""
        if ablation not in self.truths:
            if ablation == STRUCTURAL:
                self.truths[ablation] = truth_of(self.circuit, STRUCTURAL, self.granularity)
            else:
                found = effective_units(self.model, self.pairs, ablation, self.granularity)
                self.truths[ablation] = Truth(found, ablation, self.granularity)
        return self.truths[ablation]

    def row(self, case: Case) -> dict:
        """What the method scores on this model. A realistic model's truth is the circuit that it
        was trained to have: in it every site has some small effect, so none is by effect.
        """
        found = discover(
            self.model, case.method, self.pairs, case.ablation, seed=self.seed,
            granularity=self.granularity, max_seconds=None,
        )  # fmt: skip
        row = {
            "key": case.key, "seed": self.seed, "model": self.digest, "program": case.program,
            "variant": case.variant, "ablation": case.ablation, "method": case.method,
            "granularity": self.granularity,
        }  # fmt: skip
        cost = {name: getattr(found, name) for name in ("forwards", "backwards", "seconds")}
        row |= cost | {"units": len(found.names), "health": found.health}
        row["structural"] = self._scored(found, STRUCTURAL)
        row["effective"] = (
            None if case.variant == "realistic" else self._scored(found, case.ablation)
        )
        return row

    def _scored(self, found, ablation: str) -> dict | None:
        """The areas against one truth; None where it has nothing to rank."""
        truth = self.truth(ablation)
        if self.granularity == "node":
            found, truth = _trained(found, truth)
        try:
            row = score(found, truth, seed=self.seed, resamples=200).to_json()
        except RaspValueError:
            return None
        kept = ("auc", "pessimistic", "low", "high", "ap", "n_true")
        return {name: round(row[name], 4) for name in kept}


def _trained(found: EdgeScores, truth: Truth) -> tuple[EdgeScores, Truth]:
    """Scores and truth of heads and MLPs: embeddings are always there, and were never swapped."""
    kept = [i for i, name in enumerate(found.names) if not name.endswith("_embed")]
    names, scores = (tuple(row[i] for i in kept) for row in (found.names, found.scores))
    units = frozenset(name for name in truth.units if not name.endswith("_embed"))
    return replace(found, names=names, scores=scores), replace(truth, units=units)


def model_of(program: str, variant: str, seed: int = 0):
    """A benchmark model, and the compiled model that says its structure."""
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
    raise RaspError(f"{variant!r} is no variant", hint=f"it can be {', '.join(VARIANTS)}")

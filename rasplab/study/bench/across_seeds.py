"""One recipe trained on several seeds, each model judged against the program.

A verdict on one model may be an accident of its seed; here a selector is accepted when some head
implements it on every one of MIN_SEEDS seeds or more. A recipe and seeds -> `judge_seeds` -> Seeds,
which has the evidence of each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rasplab.base.arguments import FLAG, PATH, PROGRAM, RECIPE, SEEDS, takes, whole
from rasplab.base.errors import FileError, RaspValueError
from rasplab.base.text import lined_up
from rasplab.model.bridge import LensModel
from rasplab.model.checkpoint import load_model
from rasplab.model.recipe import Recipe
from rasplab.model.training_state import STATE
from rasplab.program.graph import Program
from rasplab.study.bench.sweep import run_id
from rasplab.study.heads.evidence import Evidence, Finding
from rasplab.study.heads.screen import Selector
from rasplab.study.heads.verdict import judge
from rasplab.study.training.trainer import trained

MIN_SEEDS = 3
"""Seeds on which a selector must be implemented to be accepted, at least."""

ORDER = ("implements", "consistent", "undecided", "refuted")
"""Verdicts, the strongest first."""


@dataclass(frozen=True, eq=False)
class Seeds:
    """The evidence of each seed, in the order of `seeds`.

    Selectors are compared, not heads: L0H0 of one seed has no relation to L0H0 of another.
    """

    seeds: tuple[int, ...]
    evidence: tuple[Evidence, ...]

    @property
    def selectors(self) -> tuple[Selector, ...]:
        """The selectors of the program."""
        return self.evidence[0].table.selectors

    def best(self, selector: str | int) -> tuple[Finding, ...]:
        """The best head of each seed: by verdict, then by interchange accuracy."""
        return tuple(
            min((e.of(h, selector) for h in e.table.heads), key=_rank) for e in self.evidence
        )

    def accepted(self, selector: str | int) -> bool:
        """Whether some head implements the selector on every seed, of MIN_SEEDS or more."""
        verdicts = [f.verdict for f in self.best(selector)]
        return len(verdicts) >= MIN_SEEDS and set(verdicts) == {"implements"}

    def to_json(self) -> dict:
        """The seeds, the accepted selectors and all evidence, as plain values."""
        return {
            "seeds": list(self.seeds),
            "accepted": {str(s): self.accepted(s.node) for s in self.selectors},
            "evidence": [e.to_json() for e in self.evidence],
        }

    def best_text(self, selector: str | int) -> list[str]:
        """Head, verdict and interchange accuracy of `best`, for each seed."""
        return [f"{f.head} {f.verdict} {f.accuracy.worst}" for f in self.best(selector)]

    def __str__(self) -> str:
        rows = [["selector", *(f"seed {s}" for s in self.seeds), ""]]
        for s in self.selectors:
            accepted = "accepted" if self.accepted(s.node) else ""
            rows.append([str(s), *self.best_text(s.node), accepted])
        accuracies = ", ".join(f"{e.accuracy.value:.2f}" for e in self.evidence)
        legend = (
            f"best head of each seed; the models are right on {accuracies} of positions; "
            f"accepted: a head implements it on each of {MIN_SEEDS} seeds or more"
        )
        return "\n".join([*lined_up(rows), legend])


def _rank(finding: Finding) -> tuple[int, float]:
    """What `best` sorts by: the verdict, then the accuracy in the worst family, downwards."""
    worst = finding.accuracy.worst
    return ORDER.index(finding.verdict), -worst.value if worst.pairs else 1.0


@takes(recipe=RECIPE, program=PROGRAM, seeds=SEEDS, folder=PATH, pairs=whole(1), progress=FLAG)
def judge_seeds(
    recipe: Recipe,
    program: Program,
    seeds: Sequence[int] = (0, 1, 2),
    folder: str | Path = "out/seeds",
    pairs: int = 200,
    progress: bool = True,
) -> Seeds:
    """Train `recipe` on every seed and judge each model against `program`.

    folder    of the models, one for each recipe: those that are there are not trained again, one
              that was stopped goes on
    pairs     of inputs per family of interchanges, as in `judge`
    progress  a bar for each training

    Raises RaspValueError for fewer than two seeds or equal ones, and as `train` and `judge` do.
    """
    if len(seeds) < 2 or len(set(seeds)) < len(seeds):
        raise RaspValueError(
            f"two or more different seeds are compared, got {list(seeds)}",
            hint=f"a selector is accepted on {MIN_SEEDS}: --seeds {MIN_SEEDS}",
        )
    evidence = tuple(
        judge(kept_model(replace(recipe, seed=seed), folder, progress), program, pairs)
        for seed in seeds
    )
    return Seeds(tuple(seeds), evidence)


def kept_model(recipe: Recipe, folder: str | Path, progress: bool = True) -> LensModel:
    """The model of a recipe, from its place in `folder` or trained into it."""
    place = Path(folder) / run_id(recipe)
    if finished(place, recipe):
        return load_model(place, "cpu")
    return trained(recipe, place, "cpu", progress)


def finished(folder: Path, recipe: Recipe) -> bool:
    """Whether `folder` holds the model of a recipe, trained to the end."""
    # A folder with a training state holds a checkpoint of a run that is not over.
    try:
        return load_model(folder, "cpu").recipe == recipe and not (folder / STATE).exists()
    except FileError:
        return False

"""One recipe trained on several seeds, each model judged: a verdict that one model gives may be an
accident of its seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rasplab.base.errors import FileError, RaspValueError
from rasplab.base.text import lined_up
from rasplab.model.bridge import LensModel
from rasplab.model.checkpoint import load_model
from rasplab.model.recipe import Recipe
from rasplab.model.resume import STATE
from rasplab.program.graph import Program
from rasplab.study.bench.sweep import run_id
from rasplab.study.heads.screen import Selector
from rasplab.study.heads.verdict import Evidence, Finding, judge
from rasplab.study.training.trainer import trained

FEWEST_SEEDS = 3
"""Seeds on which a selector must be implemented to be accepted."""

ORDER = ("implements", "consistent", "undecided", "refuted")


@dataclass(frozen=True, eq=False)
class Seeds:
    """The evidence of each seed, in the order of `seeds`; heads of different seeds have nothing to
    do with each other, so selectors are compared."""

    seeds: tuple[int, ...]
    evidence: tuple[Evidence, ...]

    @property
    def selectors(self) -> tuple[Selector, ...]:
        """The program's."""
        return self.evidence[0].table.selectors

    def best(self, selector: str | int) -> tuple[Finding, ...]:
        """On each seed, the head that does best: by verdict, then by interchange accuracy."""
        return tuple(
            min((e.of(h, selector) for h in e.table.heads), key=_rank) for e in self.evidence
        )

    def accepted(self, selector: str | int) -> bool:
        """Whether some head implements the selector on every seed, of FEWEST_SEEDS or more."""
        verdicts = [f.verdict for f in self.best(selector)]
        return len(verdicts) >= FEWEST_SEEDS and set(verdicts) == {"implements"}

    def to_json(self) -> dict:
        """Everything, as plain values."""
        return {
            "seeds": list(self.seeds),
            "accepted": {str(s): self.accepted(s.node) for s in self.selectors},
            "evidence": [e.to_json() for e in self.evidence],
        }

    def __str__(self) -> str:
        rows = [["selector", *(f"seed {s}" for s in self.seeds), ""]]
        for s in self.selectors:
            found = [f"{f.head} {f.verdict} {f.accuracy.worst}" for f in self.best(s.node)]
            rows.append([str(s), *found, "accepted" if self.accepted(s.node) else ""])
        lines = lined_up(rows)
        right = ", ".join(f"{e.accuracy.value:.2f}" for e in self.evidence)
        return "\n".join(
            [*lines, f"best head of each seed; the models are right on {right} of positions; "
             f"accepted: a head implements it on each of {FEWEST_SEEDS} seeds or more"]
        )  # fmt: skip


def _rank(finding: Finding) -> tuple:
    worst = finding.accuracy.worst
    return ORDER.index(finding.verdict), -worst.value if worst.pairs else 1.0


def judge_seeds(
    wanted: Recipe,
    program: Program,
    seeds: Sequence[int] = (0, 1, 2),
    folder: str | Path = "out/seeds",
    pairs: int = 200,
    progress: bool = True,
) -> Seeds:
    """Train `wanted` on every seed and judge each model against `program`.

    folder    of the models, one for each recipe: those that are there are not trained again, one
              that was stopped goes on
    progress  a bar for each training
    Raises RaspValueError for fewer than two seeds or one twice, and what `train` and `judge` raise.
    """
    if len(seeds) < 2 or len(set(seeds)) < len(seeds):
        raise RaspValueError(
            f"different seeds are compared, two or more; got {list(seeds)}",
            hint=f"a selector is accepted on {FEWEST_SEEDS}: --seeds {FEWEST_SEEDS}",
        )
    found = []
    for seed in seeds:
        found.append(judge(_model(replace(wanted, seed=seed), folder, progress), program, pairs))
    return Seeds(tuple(seeds), tuple(found))


def _model(wanted: Recipe, folder: str | Path, progress: bool) -> LensModel:
    """The model of a recipe, from `folder` or trained into it."""
    place = Path(folder) / run_id(wanted)
    if finished(place, wanted):
        return load_model(place, "cpu")
    return trained(wanted, place, "cpu", progress)


def finished(folder: Path, wanted: Recipe) -> bool:
    """Whether `folder` holds the model of a recipe, trained to the end."""
    try:
        return load_model(folder, "cpu").recipe == wanted and not (folder / STATE).exists()
    except FileError:
        return False

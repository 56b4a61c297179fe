"""EdgeScores: what a discovery method says of each unit of a model."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

import numpy as np

from rasplab.base.errors import FileError

SHOWN = 30
"""The strongest units, printed."""


@dataclass(frozen=True, slots=True)
class EdgeScores:
    """A score per unit; larger in size means more important. Ties stay ties.

    method, metric, ablation, granularity, seed   how they were found
    model     the digest of the model's weights
    names     every unit of the model, in forward order
    scores    of each: signed where the method's are; `strength` is what ranks
    pairs     how many inputs; forwards, backwards: passes over all of them; seconds
    health    of the gradients that were used: shares that are 0; empty where none were
    notes     what is doubtful, in words
    """

    method: str
    metric: str
    ablation: str
    granularity: str
    seed: int
    model: str
    names: tuple[str, ...]
    scores: tuple[float, ...]
    pairs: int
    forwards: int
    backwards: int
    seconds: float
    health: str = ""
    notes: tuple[str, ...] = ()

    @property
    def strength(self) -> np.ndarray:
        """The size of each score [unit]."""
        return np.abs(np.array(self.scores))

    def ranked(self) -> list[tuple[str, float]]:
        """Units with their scores, strongest first; ties in forward order."""
        order = np.argsort(-self.strength, kind="stable")
        return [(self.names[i], self.scores[i]) for i in order]

    def top(self, n: int) -> frozenset[str]:
        """The `n` strongest units."""
        return frozenset(name for name, _ in self.ranked()[:n])

    def to_json(self) -> str:
        """Everything as text; `from_json` gives equal scores back."""
        return json.dumps(asdict(self), indent=1) + "\n"

    @staticmethod
    def from_json(text: str, where: str = "the text") -> EdgeScores:
        """The scores of `to_json`. Raises FileError for anything else."""
        try:
            rows = json.loads(text)
            lists = {name: tuple(rows[name]) for name in ("names", "scores", "notes")}
            found = EdgeScores(**(rows | lists))
            assert len(found.names) == len(found.scores)
            found.strength.sum()
        except (ValueError, TypeError, KeyError, AssertionError):
            raise FileError(
                f"{where} holds no scores", hint="make them: rasplab discover FILE -o F"
            ) from None
        return found

    def __str__(self) -> str:
        head = (
            f"{self.method}, {self.ablation} ablation, {self.metric}, {len(self.names)} "
            f"{self.granularity}s, {self.pairs} pairs: {self.forwards} forwards, "
            f"{self.backwards} backwards, {self.seconds:.2f} s"
        )
        lines = [head, *([self.health] if self.health else [])]
        lines += [f"note: {note}" for note in self.notes]
        ranked = [(name, score) for name, score in self.ranked() if score]
        lines += [f"{score:12.5g}  {name}" for name, score in ranked[:SHOWN]]
        rest = (f"{len(ranked) - SHOWN} more", f"{len(self.names) - len(ranked)} are 0")
        return "\n".join([*lines, "; ".join(rest[len(ranked) <= SHOWN :])])

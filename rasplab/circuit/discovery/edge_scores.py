"""EdgeScores: the score that a discovery method gives to each unit of a model."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from rasplab.base.arguments import TEXT, takes, whole
from rasplab.base.schema import (
    SchemaError,
    array,
    integer,
    number,
    parse_json,
    record,
    string,
)

SHOWN = 30
"""How many units are printed, strongest first."""

AGAIN = "make them: rasplab discover FILE -o F"

_FIELDS = record(
    {
        **dict.fromkeys(("method", "metric", "ablation", "granularity", "model"), string),
        "seed": integer(0),
        "names": array(string),
        "scores": array(number()),
        **dict.fromkeys(("pairs", "forwards", "backwards"), integer(0)),
        "seconds": number(0),
        "health": string,
        "notes": array(string),
    },
    further=False,
)


def scores_schema(value: Any, where: str) -> dict[str, Any]:
    """What `to_json` writes: every field, and as many scores as names, each name once."""
    rows = _FIELDS(value, where)
    names, scores = rows["names"], rows["scores"]
    if len(names) != len(scores) or len(set(names)) != len(names):
        raise SchemaError(f"it has {len(scores)} scores for {len(set(names))} names")
    return rows


@dataclass(frozen=True, slots=True)
class EdgeScores:
    """A score per unit; the larger its absolute value, the more important the unit.

    method, metric, ablation, granularity, seed   the arguments of `discover`
    model     the digest of the model's weights
    names     every unit of the model, in forward order
    scores    of each unit, signed where the method's are; `strength` ranks them
    pairs     the number of inputs
    forwards, backwards   passes over all pairs, counted by variant
    seconds   wall time
    health    the shares of gradients that are 0 and of saturated attention rows; empty for methods
              that use no gradients
    notes     warnings, as sentences
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
    def strength(self) -> Float[np.ndarray, " unit"]:
        """The absolute value of each score."""
        return np.abs(np.array(self.scores, np.float64))

    def ranked(self) -> list[tuple[str, float]]:
        """Units with their scores, strongest first; ties in forward order."""
        order = np.argsort(-self.strength, kind="stable")
        return [(self.names[i], self.scores[i]) for i in order]

    @takes(n=whole(0))
    def top(self, n: int) -> frozenset[str]:
        """The `n` strongest units."""
        return frozenset(name for name, _ in self.ranked()[:n])

    def to_json(self) -> str:
        """All fields as JSON text; `from_json` gives equal scores back."""
        return json.dumps(asdict(self), indent=1) + "\n"

    @staticmethod
    @takes(text=TEXT, where=TEXT)
    def from_json(text: str, where: str = "the text") -> EdgeScores:
        """The scores that `to_json` wrote.

        where  the file's name, for the error

        Raises FileError for any other text.
        """
        rows = parse_json(text, scores_schema, where=where, hint=AGAIN, fault="holds no scores")
        lists = {name: tuple(rows[name]) for name in ("names", "scores", "notes")}
        return EdgeScores(**(rows | lists))

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

"""An atlas: every head of a model against a library of RASP selectors.

`atlas` runs a model on random sequences or on a text, evaluates the selectors on the same
sequences, and scores every pair with the measure of `similarity`, with intervals over sequences. It
is a screen: it says where heads look, not what for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

from rasplab.base.arguments import PROGRAM, SEED, TEXT, Kind, optional, takes, whole
from rasplab.base.errors import RaspValueError
from rasplab.base.rng import stream
from rasplab.base.stats import bootstrap_counts, percentiles
from rasplab.base.text import lined_up
from rasplab.program.batch.evaluate import evaluate_batch
from rasplab.program.graph import Program
from rasplab.study.heads.similarity import controls, corrected, overlaps, without_bos
from rasplab.transformer.sites import Site, all_heads

BOOTSTRAP_SAMPLES = 400
"""Bootstrap samples of an interval."""

MAX_DISTINCT_TOKENS = 64
"""Different tokens in random sequences, at most, so that tokens repeat."""

MIN_NAMED_SCORE = 0.4
"""Score that the interval's lower end must reach for a head to be named after a selector."""


@runtime_checkable
class PatternModel(Protocol):
    """What an atlas needs of a model; `model.open_models.AnyModel` has it."""

    @property
    def name(self) -> str:
        """The name that the atlas shows."""
        ...

    @property
    def n_ctx(self) -> int:
        """Tokens that the model takes, with the one that is put before each sequence."""
        ...

    @property
    def n_layers(self) -> int:
        """Layers of heads."""
        ...

    @property
    def n_heads(self) -> int:
        """Heads in each layer."""
        ...

    @property
    def causal(self) -> bool:
        """Whether queries see earlier keys only."""
        ...

    @property
    def ids(self) -> range:
        """The token ids that random sequences are drawn from."""
        ...

    def patterns(
        self, ids: Int[np.ndarray, "batch pos"]
    ) -> Float[np.ndarray, "batch head query key"]:
        """Attention on sequences, heads layer by layer; query and key 0 are the first token."""
        ...

    def encoded(self, text: str, n_pos: int) -> Int[np.ndarray, "batch n_pos"]:
        """A text as token ids, in pieces of `n_pos`."""
        ...


@dataclass(frozen=True, slots=True)
class Entry:
    """One head against one selector: chance-corrected score with its 95% interval."""

    selector: str
    score: float
    low: float
    high: float
    similarity: float
    chance: float


@dataclass(frozen=True, eq=False)
class Atlas:
    """Scores of every head against every selector.

    score, similarity, chance  as in MatchTable; of with and without BOS's column, the better
    low, high                  the 95% interval of the score, over sequences
    length                     tokens of each sequence
    source                     what was read: "random tokens" or "text"
    """

    model: str
    heads: tuple[Site, ...]
    selectors: tuple[str, ...]
    score: Float[np.ndarray, "head selector"]
    low: Float[np.ndarray, "head selector"]
    high: Float[np.ndarray, "head selector"]
    similarity: Float[np.ndarray, "head selector"]
    chance: Float[np.ndarray, "head selector"]
    sequences: int
    length: int
    source: str
    seed: int

    def best(self, head: Site | str) -> Entry:
        """The selector that a head scores highest on."""
        i = [str(h) for h in self.heads].index(str(head))
        return self.entry(i, int(self.score[i].argmax()))

    def entry(self, i: int, j: int) -> Entry:
        """Head number i against selector number j."""
        numbers = (self.score, self.low, self.high, self.similarity, self.chance)
        return Entry(self.selectors[j], *(float(a[i, j]) for a in numbers))

    def heads_of(self, selector: str) -> tuple[Site, ...]:
        """The heads that score highest on `selector` and surely MIN_NAMED_SCORE, best first."""
        j = self.selectors.index(selector)
        named = (self.low[:, j] >= MIN_NAMED_SCORE) & (self.score.argmax(1) == j)
        ranked = sorted(np.flatnonzero(named).tolist(), key=lambda i: -self.score[i, j])
        return tuple(self.heads[i] for i in ranked)

    def __str__(self) -> str:
        return atlas_text(self)

    def to_json(self) -> dict[str, Any]:
        """Everything, as plain values; numbers to six digits."""
        names = ("score", "low", "high", "similarity", "chance")
        return {name: getattr(self, name).round(6).tolist() for name in names} | {
            "model": self.model,
            "heads": [str(h) for h in self.heads],
            "selectors": list(self.selectors),
            "best": {str(h): self.best(h).selector for h in self.heads},
            "found": {s: [str(h) for h in self.heads_of(s)] for s in self.selectors},
            "sequences": self.sequences,
            "length": self.length,
            "source": self.source,
            "seed": self.seed,
        }


def _is_library(value: Any) -> bool:
    names = isinstance(value, Mapping) and all(isinstance(name, str) for name in value)
    return names and all(map(PROGRAM.test, value.values()))


MODEL = Kind("a model of patterns, as load_any_model makes", lambda v: isinstance(v, PatternModel))
SELECTORS = Kind("a dict of name and Program, not empty", _is_library, bool)


@takes(
    model=MODEL,
    selectors=SELECTORS,
    sequences=whole(1),
    length=whole(1),
    seed=SEED,
    text=optional(TEXT),
)
def atlas(
    model: PatternModel,
    selectors: Mapping[str, Program],
    sequences: int = 64,
    length: int = 40,
    seed: int = 0,
    text: str | None = None,
) -> Atlas:
    """Screen every head of a model for every selector.

    selectors  programs whose output is a selector, by name
    sequences  how many are read, at most
    length     tokens of each sequence, at most what the model takes
    text       what is read, in pieces of `length`; by default random tokens, half of the sequences
               repeating with different periods, the other half over few different tokens
    Raises TypeError and ValueError for wrong arguments; RaspValueError for a model that takes fewer
    than 4 tokens, and for a text that is too
    short or has no tokenizer; and what the interpreter raises.
    """
    length = min(length, model.n_ctx - 1)
    if length < 3:
        raise RaspValueError(f"{model.name} takes {model.n_ctx} tokens; an atlas needs 4 or more")
    rng = stream(seed, "atlas")
    if text is None:
        ids = random_sequences(model.ids, sequences, length, rng)
    else:
        ids = model.encoded(text, length)[:sequences]
    patterns = model.patterns(ids)[:, :, 1:]
    columns = [
        _better_view(patterns, _evaluated(program, ids, model.causal), rng)
        for program in selectors.values()
    ]
    score, low, high, similar, chance = (np.stack(a, 1) for a in zip(*columns, strict=True))
    return Atlas(
        model=model.name,
        heads=all_heads(model.n_layers, model.n_heads),
        selectors=tuple(selectors),
        score=score,
        low=low,
        high=high,
        similarity=similar,
        chance=chance,
        sequences=len(ids),
        length=length,
        source="random tokens" if text is None else "text",
        seed=seed,
    )


def random_sequences(
    known: range, count: int, length: int, rng: np.random.Generator
) -> Int[np.ndarray, "batch pos"]:
    """`count` random sequences of ids in `known`, in which tokens repeat.

    The even ones repeat a stretch of different tokens, each with a period of its own, so that no
    fixed distance serves all; the odd ones are random over few tokens.
    """
    pool = rng.choice(known, min(MAX_DISTINCT_TOKENS, len(known)), replace=False)
    # a random permutation of the pool for each sequence
    order = rng.random((count, len(pool))).argsort(1)
    longest = max(2, min(len(pool), length // 2))
    period = rng.integers(2, longest + 1, (count, 1))
    few = rng.integers(2, longest + 1, (count, 1))
    places = np.where(
        np.arange(count)[:, None] % 2 == 0,
        np.arange(length) % period,
        (rng.random((count, length)) * few).astype(int),
    )
    # a pool of a single token has no second place
    return pool[np.take_along_axis(order, places % len(pool), 1)]


def _evaluated(program: Program, ids: np.ndarray, causal: bool) -> np.ndarray:
    """The selector on the sequences, bool [batch or 1, query, key]; tokens are ids as text."""
    distinct, codes = np.unique(ids, return_inverse=True)
    vocab = tuple(map(str, distinct.tolist()))
    trace = evaluate_batch(program, codes.reshape(ids.shape), vocab, causal)
    trace.raise_first_fault()
    return trace.selector(program.output)


def _better_view(
    patterns: np.ndarray, selector: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, ...]:
    """`_estimates` with or without BOS's column, for each head the one with the higher score."""
    full = _estimates(patterns, selector, True, rng)
    bare = _estimates(without_bos(patterns), selector, False, rng)
    better = full[0] >= bare[0]
    return tuple(np.where(better, a, b) for a, b in zip(full, bare, strict=True))


def _estimates(
    patterns: np.ndarray, selector: np.ndarray, with_bos: bool, rng: np.random.Generator
) -> tuple[np.ndarray, ...]:
    """Score, low, high, similarity and chance, each [head], of patterns [batch, head, query, key].

    0 throughout where no control differs from the selector.
    """
    overlap, rows = overlaps(patterns, selector, with_bos)
    wrong = [overlaps(patterns, control, with_bos) for control in controls(selector)]
    wrong_overlap = np.mean([o for o, _ in wrong], 0)
    wrong_rows = np.mean([n for _, n in wrong], 0)
    # row 0 takes each sequence once: the estimate itself; the others are bootstrap samples
    draws = bootstrap_counts(len(overlap), BOOTSTRAP_SAMPLES, rng)
    draws = np.concatenate([np.ones((1, len(overlap))), draws])
    # a ratio of sums over sequences; the bound keeps 0 / 0 from being nan
    similar = (draws @ overlap) / np.maximum(draws @ rows, 1e-9)[:, None]
    chance = (draws @ wrong_overlap) / np.maximum(draws @ wrong_rows, 1e-9)[:, None]
    score = corrected(similar, chance)
    low, high = percentiles(score[1:])
    return score[0], low, high, similar[0], chance[0]


def atlas_text(atlas: Atlas) -> str:
    """The best selector by layer and head, and by selector its heads with their numbers."""
    lines = [f"{atlas.model}: {atlas.sequences} sequences of {atlas.length} {atlas.source}", ""]
    lines += lined_up(_map_rows(atlas))
    lines += ["", "selector, head, score [95% interval], similarity, chance"]
    rows = [row for j, name in enumerate(atlas.selectors) for row in _selector_rows(atlas, j, name)]
    return "\n".join(lines + lined_up(rows))


def _map_rows(atlas: Atlas) -> list[list[str]]:
    n_heads = 1 + max(h.head for h in atlas.heads)
    rows = [["", *(f"H{h}" for h in range(n_heads))]]
    for layer in range(1 + max(h.layer for h in atlas.heads)):
        best = [atlas.best(Site("head", layer, h)) for h in range(n_heads)]
        rows.append([f"L{layer}", *(f"{e.selector} {e.score:.2f}" for e in best)])
    return rows


def _selector_rows(atlas: Atlas, j: int, name: str) -> list[list[str]]:
    rows = []
    for head in atlas.heads_of(name):
        e = atlas.entry(atlas.heads.index(head), j)
        score = f"{e.score:.2f} [{e.low:.2f}, {e.high:.2f}]"
        similar, chance = f"{e.similarity:.2f}", f"{e.chance:.2f}"
        rows.append(["" if rows else name, str(head), score, similar, chance])
    return rows or [[name, "none", "", "", ""]]

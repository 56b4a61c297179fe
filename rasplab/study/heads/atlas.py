"""An atlas: every head of a model against a library of RASP selectors.

A screen, as match.py is: it says where heads look. Scores are corrected for chance by the same
controls, with intervals over sequences; the selectors are evaluated by the interpreter on the
sequences that the model reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rasplab.base.errors import RaspValueError
from rasplab.base.rng import stream
from rasplab.base.stats import bootstrap_counts, percentiles
from rasplab.base.text import lined_up
from rasplab.model.open_models import AnyModel
from rasplab.program.batch.evaluate import evaluate_batch
from rasplab.program.graph import Program
from rasplab.study.heads.similarity import controls, overlaps, without_bos
from rasplab.transformer.sites import Site, all_heads

RESAMPLES = 400
"""Bootstrap samples, of sequences."""

DISTINCT = 64
"""Different tokens in random sequences, at most: so that some repeat."""

SEEN = 0.4
"""Score whose lower bound a head must reach to be named after a selector."""


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
    """Scores of every head against every selector, all arrays [head, selector].

    similarity and chance as in MatchTable; the better of with and without the BOS column is shown
    """

    model: str
    heads: tuple[Site, ...]
    selectors: tuple[str, ...]
    score: np.ndarray
    low: np.ndarray
    high: np.ndarray
    similarity: np.ndarray
    chance: np.ndarray
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
        """The heads that look like a selector beyond doubt, and like no other one more; best
        first."""
        j = self.selectors.index(selector)
        found = [i for i in range(len(self.heads))
                 if self.low[i, j] >= SEEN and self.score[i].argmax() == j]  # fmt: skip
        return tuple(self.heads[i] for i in sorted(found, key=lambda i: -self.score[i, j]))

    def __str__(self) -> str:
        return atlas_text(self)

    def to_json(self) -> dict:
        """Everything, as plain values."""
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


def atlas(
    model: AnyModel,
    selectors: Mapping[str, Program],
    sequences: int = 64,
    length: int = 40,
    seed: int = 0,
    text: str | None = None,
) -> Atlas:
    """Screen every head of a model.

    selectors  programs whose output is a selector, by name
    length     tokens of each sequence, at most what the model takes
    text       read in pieces of `length` instead of random tokens; half of the random sequences
               repeat with different periods, the other half use few different tokens
    Raises RaspValueError for a model too short or without tokenizer for text, and what the
    interpreter raises.
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
    found = [_scores(patterns, _selector(p, ids, model.causal), rng) for p in selectors.values()]
    score, low, high, similar, chance = (np.stack(a, 1) for a in zip(*found, strict=True))
    heads = all_heads(model.n_layers, model.n_heads)
    source = "random tokens" if text is None else "text"
    return Atlas(
        model.name, heads, tuple(selectors), score, low, high, similar, chance, len(ids), length,
        source, seed,
    )  # fmt: skip


def random_sequences(known: range, count: int, length: int, rng: np.random.Generator) -> np.ndarray:
    """Ids [count, length]: half of them a stretch of different tokens over and over, the period
    another in each; half random over a few tokens."""
    pool = rng.choice(known, min(DISTINCT, len(known)), replace=False)
    order = rng.random((count, len(pool))).argsort(1)
    longest = max(2, min(len(pool), length // 2))
    period = rng.integers(2, longest + 1, (count, 1))
    few = rng.integers(2, min(len(pool), length // 2) + 1, (count, 1))
    places = np.where(
        np.arange(count)[:, None] % 2 == 0,
        np.arange(length) % period,
        (rng.random((count, length)) * few).astype(int),
    )
    return pool[np.take_along_axis(order, places, 1)]


def _selector(program: Program, ids: np.ndarray, causal: bool) -> np.ndarray:
    """bool [batch or 1, query, key]; tokens are their ids as text."""
    distinct, codes = np.unique(ids, return_inverse=True)
    vocab = tuple(map(str, distinct.tolist()))
    trace = evaluate_batch(program, codes.reshape(ids.shape), vocab, causal)
    trace.raise_first_fault()
    return trace.selector(program.output)


def _scores(
    patterns: np.ndarray, selector: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, ...]:
    """score, low, high, similarity, chance [head], of the better of with and without BOS."""
    kept = _corrected(patterns, selector, True, rng)
    bare = _corrected(without_bos(patterns), selector, False, rng)
    better = kept[0] >= bare[0]
    return tuple(np.where(better, a, b) for a, b in zip(kept, bare, strict=True))


def _corrected(
    shown: np.ndarray, selector: np.ndarray, with_bos: bool, rng: np.random.Generator
) -> tuple[np.ndarray, ...]:
    """The same for one of the two; 0 throughout where no control differs from the selector."""
    own, rows = overlaps(shown, selector, with_bos)
    wrong = [overlaps(shown, c, with_bos) for c in controls(selector)]
    other = sum(o for o, _ in wrong) / max(1, len(wrong))
    counted = sum(n for _, n in wrong) / max(1, len(wrong))
    draws = bootstrap_counts(len(own), RESAMPLES, rng)
    draws = np.concatenate([np.ones((1, len(own))), draws])
    similar = (draws @ own) / np.maximum(draws @ rows, 1e-9)[:, None]
    chance = (draws @ other) / np.maximum(draws @ counted, 1e-9)[:, None]
    room = 1 - chance
    score = np.where(room > 1e-6, (similar - chance) / np.maximum(room, 1e-6), 0.0)
    low, high = percentiles(score[1:])
    return score[0], low, high, similar[0], chance[0]


def atlas_text(atlas: Atlas) -> str:
    """Best selector by layer and head, and for each selector its heads with score and interval."""
    lines = [f"{atlas.model}: {atlas.sequences} sequences of {atlas.length} {atlas.source}", ""]
    lines += lined_up(_map(atlas))
    lines += ["", "selector, head, score [95% interval], similarity, chance"]
    rows = [row for j, name in enumerate(atlas.selectors) for row in _found(atlas, j, name)]
    return "\n".join(lines + lined_up(rows))


def _map(atlas: Atlas) -> list[list[str]]:
    n_heads = 1 + max(h.head for h in atlas.heads)
    rows = [["", *(f"H{h}" for h in range(n_heads))]]
    for layer in range(1 + max(h.layer for h in atlas.heads)):
        best = [atlas.best(Site("head", layer, h)) for h in range(n_heads)]
        rows.append([f"L{layer}", *(f"{e.selector} {e.score:.2f}" for e in best)])
    return rows


def _found(atlas: Atlas, j: int, name: str) -> list[list[str]]:
    heads = atlas.heads_of(name)
    rows = []
    for k, head in enumerate(heads):
        e = atlas.entry(atlas.heads.index(head), j)
        score = f"{e.score:.2f} [{e.low:.2f}, {e.high:.2f}]"
        rows.append([name if not k else "", str(head), score, f"{e.similarity:.2f}",
                     f"{e.chance:.2f}"])  # fmt: skip
    return rows or [[name, "none", "", "", ""]]

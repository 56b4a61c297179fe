"""Which head attends as which selector selects: a screen, corrected for chance.

A high score says that a head looks like a selector, not that it computes it: that takes
interventions (substitution.py, interchange.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from rasplab.base.errors import RaspValueError
from rasplab.base.rng import stream
from rasplab.base.text import lined_up
from rasplab.model.bridge import LensModel
from rasplab.model.interventions import value_norms
from rasplab.model.native import require_numbers
from rasplab.program.batch.evaluate import evaluate_batch
from rasplab.program.graph import Program, effective_selectors
from rasplab.program.inputs import even_ids
from rasplab.study.heads.similarity import Sums, unambiguous, without_bos
from rasplab.study.tasks.tasks import DRAWN, inputs_of, require_vocab
from rasplab.transformer.sites import Site, all_heads

ALIKE = 0.5
"""Score from which a head counts as one that looks like a selector."""

VIEWS = ("pattern", "without BOS", "written")
"""What of a head is compared with a selector.

pattern      attention, BOS's column among it, where a row that selects nothing belongs
without BOS  attention but BOS's column, rescaled; rows that select nothing are left out
written      the same of attention times the norm of what the key gives, v W_O (norm-based
             attention: Kobayashi et al. 2020, arXiv:2004.10102): heads that count attend to BOS,
             and read next to nothing there
"""

GAIN = 0.05
"""Score that a head must add to join others in a split."""


@dataclass(frozen=True, slots=True)
class Selector:
    """A selector that the program reads: its node, its text,
    and whether it is the same for all inputs of a length."""

    node: int
    label: str
    positional: bool

    def __str__(self) -> str:
        return self.label


@dataclass(frozen=True, slots=True)
class Best:
    """The head assigned to a selector; and the heads that look like it together, if more than one
    does better than each."""

    selector: Selector
    head: Site
    score: float
    similarity: float
    chance: float
    mass: float
    split: Split | None


@dataclass(frozen=True, slots=True)
class Split:
    """Heads that look like a selector together: what they write added up, key by key, as norms."""

    heads: tuple[Site, ...]
    score: float


@dataclass(frozen=True, eq=False)
class MatchTable:
    """Heads against selectors, on the same inputs; every array is [head, selector].

    mass        attention on selected keys, over queries that select something;
                BOS counts as not selected
    similarity  1 - total variation distance from the row-normalised selector, mean over queries
    chance      the same against controls: the selector on another input,
                or with its rows in another order
    score       (similarity - chance) / (1 - chance): 1 is the selector itself,
                0 what a wrong one would get
    view        the place in VIEWS of what is compared; the one with the higher score is shown
    splits      by selector, where heads together score at least GAIN higher than the best alone
    """

    heads: tuple[Site, ...]
    selectors: tuple[Selector, ...]
    mass: np.ndarray
    similarity: np.ndarray
    chance: np.ndarray
    score: np.ndarray
    view: np.ndarray
    splits: tuple[Split | None, ...]
    inputs: int
    seed: int

    def best(self) -> tuple[Best, ...]:
        """Each selector with its own head, so that the scores' sum is largest;
        without one where heads run out."""
        return tuple(
            Best(
                self.selectors[j], self.heads[i], *(float(a[i, j]) for a in self._numbers()),
                self.splits[j],
            )
            for i, j in assignment(self.score)
        )  # fmt: skip

    def alike(self, j: int) -> tuple[Site, ...]:
        """Every head that looks like selector j, alone or together with others: several may repeat
        or share its work."""
        split = self.splits[j]
        shared = split.heads if split and split.score >= ALIKE else ()
        scored = zip(self.heads, self.score[:, j], strict=True)
        return tuple(h for h, s in scored if s >= ALIKE or h in shared)

    def _numbers(self) -> tuple[np.ndarray, ...]:
        return self.score, self.similarity, self.chance, self.mass

    def to_json(self) -> dict:
        """Everything, as plain values."""
        arrays = {
            name: getattr(self, name).tolist() for name in ("mass", "similarity", "chance", "score")
        }
        return arrays | {
            "view": [[VIEWS[v] for v in row] for row in self.view],
            "heads": [str(h) for h in self.heads],
            "selectors": [str(s) for s in self.selectors],
            "positional": [s.positional for s in self.selectors],
            "best": {str(b.selector): str(b.head) for b in self.best()},
            "splits": {
                str(s): {"heads": [str(h) for h in split.heads], "score": split.score}
                for s, split in zip(self.selectors, self.splits, strict=True) if split
            },
            "inputs": self.inputs,
            "seed": self.seed,
        }  # fmt: skip

    def __str__(self) -> str:
        rows = [["head", *map(str, self.selectors)]]
        for i, head in enumerate(self.heads):
            rows.append([str(head), *(self._cell(i, j) for j in range(len(self.selectors)))])
        lines = lined_up(rows)
        lines.append(
            "score (similarity, chance); * without BOS, + as what is written; "
            f"{self.inputs} inputs, seed {self.seed}"
        )
        positional = [str(s) for s in self.selectors if s.positional]
        if positional:
            lines.append(f"of positions alone, chance from other orders: {', '.join(positional)}")
        for b in self.best():
            lines.append(f"{b.selector}: {b.head}  score {b.score:.2f}  mass {b.mass:.2f}")
            if b.split:
                who = " + ".join(map(str, b.split.heads))
                lines.append(f"  {who}: what they write together scores {b.split.score:.2f}")
        return "\n".join(lines)

    def _cell(self, i: int, j: int) -> str:
        star = ("", "*", "+")[self.view[i, j]]
        return (
            f"{self.score[i, j]:.2f} ({self.similarity[i, j]:.2f}, {self.chance[i, j]:.2f}){star}"
        )


def match(model: LensModel, program: Program, n: int = 512, seed: int = 0) -> MatchTable:
    """Compare every head of `model` with every selector that `program` reads,
    on about `n` random inputs.

    Lengths from 2 to the model's longest come alike often.
    Raises RaspValueError for a program that reads no selector,
    and what the interpreter raises on the inputs.
    """
    require_numbers(model)
    require_vocab(program, model.domain)
    wanted = effective_selectors(program)
    if not wanted:
        raise RaspValueError(
            "the program reads no selector, so there is nothing to match heads with"
        )
    groups = list(_groups(model, program, wanted, n, seed))
    on, rows = (np.sum(part, 0) for part in zip(*(g.masses() for g in groups), strict=True))
    positional = np.all([[len(s) == 1 for s in g.selectors] for g in groups], 0)
    similar, chance, score, view = _scores(groups)
    selectors = tuple(
        Selector(i, program.labels[i], bool(p)) for i, p in zip(wanted, positional, strict=True)
    )
    heads = all_heads(model.n_layers, model.n_heads)
    splits = tuple(_split(groups, heads, score[:, j], j) for j in range(len(wanted)))
    return MatchTable(
        heads, selectors, on / np.maximum(rows, 1), similar, chance, score, view, splits,
        sum(len(g.patterns) for g in groups), seed,
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Group:
    """Inputs of one length.

    patterns   [batch, head, query, key], without BOS's query row
    written    patterns times the norms of what the keys give, the same shape
    selectors  each bool [batch or 1, query, key]
    telling    each bool [batch, query]: the rows that count
    """

    patterns: np.ndarray
    written: np.ndarray
    selectors: list[np.ndarray]
    informative_pairs: list[np.ndarray]

    def views(self) -> tuple[np.ndarray, ...]:
        """The patterns to compare, in the order of VIEWS."""
        return self.patterns, without_bos(self.patterns), without_bos(_shares(self.written))

    def joint(self, heads: list[int], j: int) -> _Group:
        """What some heads write together, as the pattern of one head; and one selector."""
        written = self.written[:, heads].sum(1, keepdims=True)
        return _Group(_shares(written), written, [self.selectors[j]], [self.informative_pairs[j]])

    def masses(self) -> tuple[np.ndarray, np.ndarray]:
        """Attention on selected keys, summed over batch and query [head, selector];
        rows that select anything [selector]."""
        keys = self.patterns[..., 1:]
        total = np.stack([(keys * s[:, None]).sum((0, 2, 3)) for s in self.selectors], -1)
        rows = [
            np.broadcast_to(s.any(-1), (len(keys), s.shape[1])).sum() for s in self.selectors
        ]  # fmt: skip
        return total, np.array(rows, float)


def _shares(written: np.ndarray) -> np.ndarray:
    """Rows that sum to 1; rows of nothing stay 0."""
    return written / np.maximum(written.sum(-1, keepdims=True), 1e-30)


def _groups(
    model: LensModel, program: Program, wanted: list[int], n: int, seed: int
) -> Iterator[_Group]:
    """About `n` inputs, by length."""
    domain, rng = model.domain, stream(seed, "screen")
    count = -(-n * domain.max_len // max(1, domain.max_len - 1))
    for ids in even_ids(domain, count, rng, DRAWN[inputs_of(model)]):
        if ids.shape[1] == 1 and domain.max_len > 1:
            continue
        trace = evaluate_batch(program, ids, domain.vocab, domain.causal)
        trace.raise_first_fault()
        patterns = model.patterns_of(ids)[..., 1:, :]  # [batch, layer, head, query, key]
        written = patterns * value_norms(model, ids)[..., None, :]
        yield _Group(
            *(p.reshape(len(ids), -1, *p.shape[-2:]) for p in (patterns, written)),
            [trace.selector(i) for i in wanted],
            [unambiguous(trace, i) for i in wanted],
        )


def _scores(groups: list[_Group]) -> tuple[np.ndarray, ...]:
    """similarity, chance, score and view [head, selector], in the view that scores highest; of
    equal ones in that of the higher similarity, then the first."""
    shape = groups[0].patterns.shape[1], len(groups[0].selectors)
    sums = [Sums(*shape) for _ in VIEWS]
    for group in groups:
        for k, (kept, shown) in enumerate(zip(sums, group.views(), strict=True)):
            kept.add(shown, group.selectors, group.informative_pairs, with_bos=k == 0)
    similar, chance, score = (np.stack(a) for a in zip(*(s.result() for s in sums), strict=True))
    view = (score.round(6) + 1e-7 * similar.round(3)).argmax(0)
    return *(np.take_along_axis(a, view[None], 0)[0] for a in (similar, chance, score)), view


def _split(
    groups: list[_Group], heads: tuple[Site, ...], alone: np.ndarray, j: int
) -> Split | None:
    """Heads that score at least GAIN higher on selector j together than the best alone: grown from
    that one, each head that joins adding as much; None without any."""
    chosen, score = [int(alone.argmax())], float(alone.max())
    while len(chosen) < len(heads):
        others = [i for i in range(len(heads)) if i not in chosen]
        joint = [_joint(groups, [*chosen, i], j) for i in others]
        if max(joint) < score + GAIN:
            break
        chosen, score = [*chosen, others[int(np.argmax(joint))]], max(joint)
    return Split(tuple(heads[i] for i in sorted(chosen)), score) if len(chosen) > 1 else None


def _joint(groups: list[_Group], heads: list[int], j: int) -> float:
    """The score of heads taken together on selector j."""
    return float(_scores([g.joint(heads, j) for g in groups])[2].item())


def assignment(score: np.ndarray) -> list[tuple[int, int]]:
    """(head, selector) pairs, each at most once, as many as there can be, of the largest total;
    by selector."""
    import networkx

    graph = networkx.Graph()
    for i, j in np.ndindex(*score.shape):
        graph.add_edge(("head", i), ("selector", j), weight=float(score[i, j]))
    pairs = networkx.max_weight_matching(graph, maxcardinality=True)
    ordered = [sorted(pair) for pair in pairs]
    return sorted(((i, j) for (_, i), (_, j) in ordered), key=lambda pair: pair[1])

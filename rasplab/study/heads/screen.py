"""The screen: which head attends as which selector selects, corrected for chance.

`match` compares every head of a model with every selector of a program on random inputs, and
returns a MatchTable. The measure is in `similarity`. A high score says that a head looks like a
selector, not that it computes it: that takes interventions (`interchange`, `substitution`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from rasplab.base.arguments import INT, MODEL, PROGRAM, SEED, shown, takes, whole
from rasplab.base.errors import RaspValueError
from rasplab.base.rng import stream
from rasplab.base.text import lined_up
from rasplab.model.bridge import LensModel, require_numbers
from rasplab.model.interventions import value_norms
from rasplab.program.graph import Program, effective_selectors
from rasplab.program.inputs import even_ids
from rasplab.program.semantics import Semantics
from rasplab.study.heads.similarity import SimilaritySums, unambiguous, without_bos
from rasplab.study.tasks.tasks import DRAWINGS, inputs_of, require_vocab
from rasplab.transformer.sites import Site, all_heads

MIN_ALIKE_SCORE = 0.5
"""Score from which a head, or several together, count as alike to a selector."""

MIN_SPLIT_GAIN = 0.05
"""Score that a head must add to join others in a split."""

VIEWS = ("pattern", "without BOS", "written")
"""What of a head is compared with a selector.

pattern      attention with BOS's column, where a row that selects nothing belongs
without BOS  attention without it, rescaled; rows that select nothing are left out
written      the same of attention times |v W_O|, the norm of what the key writes (norm-based
             attention: Kobayashi et al. 2020, arXiv:2004.10102): heads that count attend to BOS,
             and read next to nothing there
"""


@dataclass(frozen=True, slots=True)
class Selector:
    """A selector that the program reads.

    node        its id in the program
    label       its text
    positional  whether it is the same for all inputs of a length
    """

    node: int
    label: str
    positional: bool

    def __str__(self) -> str:
        return self.label


@dataclass(frozen=True, slots=True)
class Split:
    """Heads that look like a selector together, by the sum of what they write at each key."""

    heads: tuple[Site, ...]
    score: float


@dataclass(frozen=True, slots=True)
class BestHead:
    """The head assigned to a selector, its numbers in the table, and the split if there is one."""

    selector: Selector
    head: Site
    score: float
    similarity: float
    chance: float
    mass: float
    split: Split | None


@dataclass(frozen=True, eq=False)
class MatchTable:
    """Heads against selectors, all on the same inputs.

    mass        attention on selected keys, mean over queries that select something; BOS counts as
                not selected; in [0, 1]
    similarity  1 - total variation distance between the pattern and the row-normalised selector,
                mean over queries; in [0, 1]
    chance      the same for control selectors: of another input, or the rows in another order
    score       (similarity - chance) / (1 - chance): 1 is the selector itself, 0 a wrong one
    view        index into VIEWS of what was compared: the view with the highest score
    splits      by selector: heads that together score MIN_SPLIT_GAIN more than the best alone
    inputs      how many were compared
    """

    heads: tuple[Site, ...]
    selectors: tuple[Selector, ...]
    mass: Float[np.ndarray, "head selector"]
    similarity: Float[np.ndarray, "head selector"]
    chance: Float[np.ndarray, "head selector"]
    score: Float[np.ndarray, "head selector"]
    view: Int[np.ndarray, "head selector"]
    splits: tuple[Split | None, ...]
    inputs: int
    seed: int

    def best(self) -> tuple[BestHead, ...]:
        """Each selector with a head of its own, so that the sum of scores is largest.

        Selectors that no head is left for are missing.
        """
        return tuple(
            BestHead(
                self.selectors[j],
                self.heads[i],
                float(self.score[i, j]),
                float(self.similarity[i, j]),
                float(self.chance[i, j]),
                float(self.mass[i, j]),
                self.splits[j],
            )
            for i, j in assignment(self.score)
        )

    @takes(j=INT)
    def alike(self, j: int) -> tuple[Site, ...]:
        """Every head that looks like selector j, alone or in a split; they may share its work.

        j  the place of a selector in `selectors`
        """
        if not 0 <= j < len(self.selectors):
            raise ValueError(
                f"no selector {shown(j)}; the table has 0 to {len(self.selectors) - 1}"
            )
        split = self.splits[j]
        together = split.heads if split and split.score >= MIN_ALIKE_SCORE else ()
        scored = zip(self.heads, self.score[:, j], strict=True)
        return tuple(h for h, s in scored if s >= MIN_ALIKE_SCORE or h in together)

    def to_json(self) -> dict[str, Any]:
        """Everything, as plain values."""
        splits = zip(self.selectors, self.splits, strict=True)
        return {
            "mass": self.mass.tolist(),
            "similarity": self.similarity.tolist(),
            "chance": self.chance.tolist(),
            "score": self.score.tolist(),
            "view": [[VIEWS[v] for v in row] for row in self.view],
            "heads": [str(h) for h in self.heads],
            "selectors": [str(s) for s in self.selectors],
            "positional": [s.positional for s in self.selectors],
            "best": {str(b.selector): str(b.head) for b in self.best()},
            "splits": {
                str(s): {"heads": [str(h) for h in split.heads], "score": split.score}
                for s, split in splits
                if split
            },
            "inputs": self.inputs,
            "seed": self.seed,
        }

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
                names = " + ".join(map(str, b.split.heads))
                lines.append(f"  {names}: what they write together scores {b.split.score:.2f}")
        return "\n".join(lines)

    def _cell(self, i: int, j: int) -> str:
        mark = ("", "*", "+")[self.view[i, j]]
        score, similar, chance = self.score[i, j], self.similarity[i, j], self.chance[i, j]
        return f"{score:.2f} ({similar:.2f}, {chance:.2f}){mark}"


@takes(model=MODEL, program=PROGRAM, n=whole(1), seed=SEED)
def match(model: LensModel, program: Program, n: int = 512, seed: int = 0) -> MatchTable:
    """Compare every head of `model` with every selector that `program` reads.

    n     random inputs, about; lengths from 2 to the model's longest are equally frequent
    seed  of the inputs
    Raises RaspValueError for a program that reads no selector, or refuses a token of the model's
    vocabulary, and for weights that are not finite; and what the interpreter raises on the inputs.
    """
    return screen(model, comparable(model, program), n, seed)


def comparable(model: LensModel, program: Program) -> Semantics:
    """The meaning of `program` on the domain of `model`, after checks that both can be compared.

    Raises RaspValueError as `match` does.
    """
    require_numbers(model)
    semantics = Semantics(program, model.domain)
    require_vocab(semantics)
    if not effective_selectors(program):
        raise RaspValueError(
            "the program reads no selector, so there is nothing to match heads with",
            hint="match needs a program with an aggregate or a selector_width",
        )
    return semantics


def screen(model: LensModel, semantics: Semantics, n: int, seed: int) -> MatchTable:
    """`match` for a program's meaning on the domain of the model."""
    nodes, labels = effective_selectors(semantics.program), semantics.program.labels
    groups = list(_groups(model, semantics, nodes, n, seed))
    mass, rows = (np.sum(part, 0) for part in zip(*(g.masses() for g in groups), strict=True))
    positional = np.all([[len(s) == 1 for s in g.selectors] for g in groups], 0)
    similar, chance, score, view = _best_view(groups)
    heads = all_heads(model.n_layers, model.n_heads)
    return MatchTable(
        heads,
        tuple(Selector(i, labels[i], bool(p)) for i, p in zip(nodes, positional, strict=True)),
        mass / np.maximum(rows, 1),
        similar,
        chance,
        score,
        view,
        tuple(_split(groups, heads, score[:, j], j) for j in range(len(nodes))),
        sum(len(g.patterns) for g in groups),
        seed,
    )


@dataclass(frozen=True, eq=False)
class PatternGroup:
    """Inputs of one length: the model's patterns and the program's selectors on them.

    patterns     attention with BOS as key 0, without BOS's query
    written      patterns times the norm of what each key writes
    selectors    per selector; a batch of 1 where all inputs have the same
    informative  per selector: the rows that count, see `unambiguous`
    """

    patterns: Float[np.ndarray, "batch head query key_bos"]
    written: Float[np.ndarray, "batch head query key_bos"]
    selectors: list[Bool[np.ndarray, "#batch query key"]]
    informative: list[Bool[np.ndarray, "batch query"]]

    def views(self) -> tuple[Float[np.ndarray, "batch head query _"], ...]:
        """The patterns to compare, in the order of VIEWS."""
        return self.patterns, without_bos(self.patterns), without_bos(_shares(self.written))

    def joint(self, heads: list[int], j: int) -> PatternGroup:
        """What some heads write together, as the pattern of one head; and selector j alone."""
        written = self.written[:, heads].sum(1, keepdims=True)
        selectors, informative = [self.selectors[j]], [self.informative[j]]
        return PatternGroup(_shares(written), written, selectors, informative)

    def masses(self) -> tuple[Float[np.ndarray, "head selector"], Float[np.ndarray, " selector"]]:
        """Attention on selected keys summed over batch and query, and rows that select anything."""
        keys = self.patterns[..., 1:]
        mass = np.stack([(keys * s[:, None]).sum((0, 2, 3)) for s in self.selectors], -1)
        shape = (len(keys), keys.shape[2])
        rows = [np.broadcast_to(s.any(-1), shape).sum() for s in self.selectors]
        return mass, np.array(rows, float)


def _shares(written: np.ndarray) -> np.ndarray:
    """Rows rescaled to sum 1; rows of zeros stay 0."""
    # the bound only keeps 0 / 0 from being nan
    return written / np.maximum(written.sum(-1, keepdims=True), 1e-30)


def _groups(
    model: LensModel, semantics: Semantics, nodes: list[int], n: int, seed: int
) -> Iterator[PatternGroup]:
    """About `n` inputs, by length.

    Length 1, where a head has no choice, is left out unless it is the only one.
    """
    domain, rng = semantics.domain, stream(seed, "screen")
    # lengths share the inputs equally: so many that n are left without those of length 1
    count = -(-n * domain.max_len // max(1, domain.max_len - 1))
    for ids in even_ids(domain, count, rng, DRAWINGS[inputs_of(model)]):
        if ids.shape[1] == 1 and domain.max_len > 1:
            continue
        trace = semantics.checked(ids)
        patterns = model.patterns_of(ids)[..., 1:, :]  # [batch, layer, head, query, key]
        written = patterns * value_norms(model, ids)[..., None, :]
        by_head = (len(ids), -1, *patterns.shape[-2:])
        yield PatternGroup(
            patterns.reshape(by_head),
            written.reshape(by_head),
            [trace.selector(i) for i in nodes],
            [unambiguous(trace, i) for i in nodes],
        )


def _best_view(groups: list[PatternGroup]) -> tuple[np.ndarray, ...]:
    """Similarity, chance, score and view, each [head, selector], in the view that scores highest.

    Among equal scores the higher similarity counts, then the first view.
    """
    n_heads, n_selectors = groups[0].patterns.shape[1], len(groups[0].selectors)
    sums = [SimilaritySums(n_heads, n_selectors) for _ in VIEWS]
    for group in groups:
        for view, (total, patterns) in enumerate(zip(sums, group.views(), strict=True)):
            total.add(patterns, group.selectors, group.informative, with_bos=view == 0)
    results = zip(*(total.result() for total in sums), strict=True)
    similar, chance, score = (np.stack(views) for views in results)
    # score decides, then similarity (its weight is below the resolution of the score); both are
    # rounded, so that the last bits of floats decide nothing
    view = (score.round(6) + 1e-7 * similar.round(3)).argmax(0)
    best = (np.take_along_axis(a, view[None], 0)[0] for a in (similar, chance, score))
    return *best, view


def _split(
    groups: list[PatternGroup], heads: tuple[Site, ...], alone: np.ndarray, j: int
) -> Split | None:
    """The heads that together score more on selector j than the best alone; None if there are none.

    Grown greedily from the best head; each head that joins must add MIN_SPLIT_GAIN.

    alone  the score of each head
    """
    chosen, score = [int(alone.argmax())], float(alone.max())
    while len(chosen) < len(heads):
        others = [i for i in range(len(heads)) if i not in chosen]
        joint = [_joint_score(groups, [*chosen, i], j) for i in others]
        if max(joint) < score + MIN_SPLIT_GAIN:
            break
        chosen, score = [*chosen, others[int(np.argmax(joint))]], max(joint)
    return Split(tuple(heads[i] for i in sorted(chosen)), score) if len(chosen) > 1 else None


def _joint_score(groups: list[PatternGroup], heads: list[int], j: int) -> float:
    """The score of heads taken together on selector j."""
    return float(_best_view([g.joint(heads, j) for g in groups])[2].item())


def assignment(score: Float[np.ndarray, "head selector"]) -> list[tuple[int, int]]:
    """Pairs (head, selector) of the largest total score, by selector.

    Every head and selector occurs at most once, in as many pairs as possible.
    """
    import networkx

    graph = networkx.Graph()
    for i, j in np.ndindex(*score.shape):
        graph.add_edge(("head", i), ("selector", j), weight=float(score[i, j]))
    # maxcardinality: a selector gets a head even where all of its scores are 0 or below
    pairs = networkx.max_weight_matching(graph, maxcardinality=True)
    ordered = [sorted(pair) for pair in pairs]  # "head" sorts before "selector"
    return sorted(((i, j) for (_, i), (_, j) in ordered), key=lambda pair: pair[1])

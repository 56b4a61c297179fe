"""Models planted to mislead a verdict: heads that vote, back up, act through BOS or in part.

`calibration` disguises compiled models whose heads do their whole work alone. The models here are
made from compiled weights as well, so that what each head does is known; `PLANTS` makes them, and
`judged_plant` counts the verdicts that are false: `implements` for a head that does not do what the
selector says on the whole domain, `refuted` for one that the answers rest on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rasplab.compiler.compiled import Compiled
from rasplab.compiler.pipeline import compile_program
from rasplab.lang.loading import load, parse
from rasplab.model.bridge import LensModel
from rasplab.model.native import load_weights
from rasplab.program.domain import Domain, make_domain
from rasplab.program.graph import Program
from rasplab.program.zoo import entry
from rasplab.study.bench.edited_heads import Head, heads_of, widened, with_heads
from rasplab.study.heads.evidence import Evidence
from rasplab.study.heads.verdict import judge
from rasplab.transformer.sites import Site
from rasplab.transformer.weights import Weights

STRONG = 1e6
"""A score that no compiled score comes near to."""

BLUR = 0.05
"""Of the gap between compiled scores, what is left in a head that attends to all tokens."""

LETTERS = "abcd"
"""The vocabulary of the planted models, except where a token has to be rare."""


@dataclass(frozen=True, eq=False)
class Plant:
    """A model, and what is true of its heads.

    program   what it is judged against
    selector  the text of the selector in question
    true      the heads that do what the selector says on the whole domain: only these may have
              `implements`
    carrying  the heads that the answers rest on, alone or with others: none may be `refuted`
    """

    model: LensModel
    program: Program
    selector: str
    true: frozenset[Site]
    carrying: frozenset[Site]


def _reverse(letters: Iterable[str] = LETTERS) -> Compiled:
    domain = make_domain(letters, 8)
    return compile_program(load(entry("reverse").path), domain, basis="one_hot")


def _site(compiled: Compiled, selector: str) -> Site:
    """The one head that computes a selector."""
    labels = compiled.program.labels
    sites = {
        Site("head", layer, i)
        for layer, i, head in compiled.layout.heads
        if head.selector is not None and labels[head.selector] == selector
    }
    (site,) = sites
    return site


def _plant(
    compiled: Compiled,
    weights: Weights,
    selector: str,
    true: Iterable[Site],
    carrying: Iterable[Site],
) -> Plant:
    model = load_weights(weights, compiled.domain, compiled.readout, "cpu", "float64")
    return Plant(model, compiled.program, selector, frozenset(true), frozenset(carrying))


def sharing(factors: Iterable[float]) -> Plant:
    """reverse whose last head is there several times, each copy writing a factor of the whole."""
    compiled = _reverse()
    site, layers = _site(compiled, "flip"), heads_of(compiled.weights)
    head = layers[site.layer].pop(site.head or 0)
    first = len(layers[site.layer])
    copies = [head.writing(factor) for factor in factors]
    layers[site.layer] += copies
    sites = [Site("head", site.layer, first + i) for i in range(len(copies))]
    return _plant(compiled, with_heads(compiled.weights, layers), "flip", sites, sites)


def backup() -> Plant:
    """reverse with a head that does the same more weakly: it decides only where the first fails."""
    plant = sharing((0.75, 0.25))
    first = min(plant.true)
    return replace(plant, true=frozenset({first}))


def blurred_backup() -> Plant:
    """reverse with a backup that attends to all tokens, most to the right one: it looks unlike."""
    compiled = _reverse()
    site, layers = _site(compiled, "flip"), heads_of(compiled.weights)
    head = layers[site.layer][site.head or 0]
    blurred = replace(head, W_Q=BLUR * head.W_Q, b_Q=BLUR * head.b_Q).writing(0.6)
    layers[site.layer].append(blurred)
    sites = [site, Site("head", site.layer, len(layers[site.layer]) - 1)]
    return _plant(compiled, with_heads(compiled.weights, layers), "flip", [site], sites)


def counting_in_shares() -> Plant:
    """hist whose head is there three times, each with a third of the count."""
    about = entry("hist")
    compiled = compile_program(load(about.path), about.domain)
    site, layers = _site(compiled, "same"), heads_of(compiled.weights)
    head = layers[site.layer].pop(site.head or 0)
    first = len(layers[site.layer])
    layers[site.layer] += [head.writing(1 / 3)] * 3
    sites = [Site("head", site.layer, first + i) for i in range(3)]
    return _plant(compiled, with_heads(compiled.weights, layers), "same", sites, sites)


def negative_writing() -> Plant:
    """reverse whose last head writes the negative of its output, which is read as a negative."""
    compiled = _reverse()
    site, layers = _site(compiled, "flip"), heads_of(compiled.weights)
    head = layers[site.layer][site.head or 0]
    layers[site.layer][site.head or 0] = head.writing(-1.0)
    written = np.abs(head.W_O).sum(0) > 0
    weights = with_heads(compiled.weights, layers)
    sign = np.where(written, -1.0, 1.0)[:, None]
    later = (np.arange(weights.n_layers) >= site.layer)[:, None, None]
    weights = replace(
        weights, W_U=weights.W_U * sign, W_in=np.where(later, weights.W_in * sign, weights.W_in)
    )
    return _plant(compiled, weights, "flip", {site}, {site})


def queries_divided(shares: Sequence[float] = (1.0,)) -> Plant:
    """reverse with heads for the even positions and for the odd; each writes 0 elsewhere.

    shares  what each of the heads for the same positions writes
    """
    compiled = _reverse()
    site = _site(compiled, "flip")
    weights = widened(compiled.weights, 3)
    bos, flags = weights.W_E.shape[1] - 3, weights.W_E.shape[1] - 2
    weights.W_E[0, bos] = 1
    weights.W_pos[1::2, flags] = 1  # row 1 is position 0
    weights.W_pos[2::2, flags + 1] = 1
    layers = heads_of(weights)
    head = layers[site.layer].pop(site.head or 0)
    first = len(layers[site.layer])
    layers[site.layer] += [
        _gated(head.writing(share), flag, bos) for flag in (flags + 1, flags) for share in shares
    ]
    sites = [Site("head", site.layer, first + i) for i in range(2 * len(shares))]
    return _plant(compiled, with_heads(weights, layers), "flip", sites, sites)


def _gated(head: Head, flag: int, bos: int) -> Head:
    """The head attending to BOS, and so writing 0, where the query has a flag."""
    wide = {name: np.pad(getattr(head, name), ((0, 0), (0, 1))) for name in ("W_Q", "W_K", "W_V")}
    wide |= {name: np.pad(getattr(head, name), (0, 1)) for name in ("b_Q", "b_K", "b_V")}
    wide["W_Q"][flag, -1] = STRONG
    wide["W_K"][bos, -1] = 1
    return Head(**wide, W_O=np.pad(head.W_O, ((0, 1), (0, 0))))


def overwritten() -> Plant:
    """reverse whose head is erased by the next layer, where another head does the work again."""
    compiled = _reverse()
    site = _site(compiled, "flip")
    n_ctx = compiled.weights.W_pos.shape[0]
    weights = widened(compiled.weights, n_ctx)
    places = weights.W_E.shape[1] - n_ctx
    weights.W_pos[:, places:] = np.eye(n_ctx)
    layers = heads_of(weights)
    head = layers[site.layer][site.head or 0]
    rows = np.linalg.svd(head.W_O)[2][: np.linalg.matrix_rank(head.W_O)]
    # the eraser attends to its own position: queries and keys are the places
    width, rank = max(n_ctx, len(rows)), len(rows)
    places_read = np.zeros((weights.W_E.shape[1], width))
    places_read[places:, :n_ctx] = np.eye(n_ctx)
    read, write = np.zeros_like(places_read), np.zeros_like(places_read.T)
    read[:, :rank], write[:rank] = rows.T, -rows
    none = np.zeros(width)
    layers.append([head, Head(STRONG * places_read, places_read, read, none, none, none, write)])
    again = Site("head", len(layers) - 1, 0)
    return _plant(compiled, with_heads(weights, layers), "flip", {again}, {again})


def through_bos() -> Plant:
    """length whose count is read at BOS alone: a head of a further layer brings it everywhere."""
    about = entry("length")
    compiled = compile_program(load(about.path), about.domain)
    ((layer, i, head),) = compiled.layout.heads
    assert head.selector is not None
    weights = _counting_at_bos(compiled.weights)
    # what the logits read of heads and neurons; of embeddings they read their own position
    embedded = (np.abs(weights.W_E).sum(0) + np.abs(weights.W_pos).sum(0)) > 0
    read = np.flatnonzero((np.abs(weights.W_U).sum(1) > 0) & ~embedded)
    old, count = weights.W_E.shape[1], len(read)
    weights = widened(weights, count + 1)
    bos, new = old + count, old + np.arange(count)
    weights.W_E[0, bos] = 1
    zeros = np.zeros((old + count + 1, count))
    keys, values, query, none = zeros.copy(), zeros.copy(), np.zeros(count), np.zeros(count)
    keys[bos, 0], query[0] = 1, STRONG
    values[read, np.arange(count)] = 1
    writes = np.zeros_like(zeros.T)
    writes[np.arange(count), new] = 1
    layers = [*heads_of(weights), [Head(zeros, keys, values, query, none, none, writes)]]
    weights = with_heads(weights, layers)
    weights.W_U[new], weights.W_U[read] = weights.W_U[read], 0
    carrying = {Site("head", layer, i), Site("head", len(layers) - 1, 0)}
    return _plant(compiled, weights, compiled.program.labels[head.selector], set(), carrying)


def _counting_at_bos(weights: Weights) -> Weights:
    """The weights with BOS as a query and in neurons like a token: it is told apart as a key only.

    The direction that tells tokens from BOS becomes a part of the biases of what reads it there.
    """
    (real,) = np.flatnonzero((weights.W_E[0] == 0) & (weights.W_E[1:] == 1).all(0))
    copies = {n: getattr(weights, n).copy() for n in ("W_Q", "b_Q", "W_in", "b_in")}
    copies["b_Q"] += copies["W_Q"][:, :, real]
    copies["b_in"] += copies["W_in"][:, real]
    copies["W_Q"][:, :, real] = 0
    copies["W_in"][:, real] = 0
    return replace(weights, **copies)


def _otherwise(text: str, domain: Domain, selectors: Iterable[str] = ("flip",)) -> Plant:
    """The model of a program that is reverse in other words or in part, judged against reverse.

    selectors  those of `text` whose heads do a part of the work of `flip`
    """
    compiled = compile_program(parse(text), domain)
    sites = frozenset(_site(compiled, selector) for selector in selectors)
    model = load_weights(compiled.weights, domain, compiled.readout, "cpu", "float64")
    return Plant(model, load(entry("reverse").path), "flip", frozenset(), sites)


def at_lengths(lengths: Iterable[int]) -> Plant:
    """Reverse at these lengths; at the others the tokens as they are."""
    right = " or ".join(f"length == {n}" for n in lengths)
    text = f"""place = length - 1 - indices if {right} else indices;
flip = select(indices, place, ==);
reverse = aggregate(flip, tokens, "-");
"""
    return _otherwise(text, make_domain(LETTERS, 8))


def but_one_position() -> Plant:
    """Reverse, except that position 5 has its own token."""
    text = """place = length - 1 - indices if indices != 5 else indices;
flip = select(indices, place, ==);
reverse = aggregate(flip, tokens, "-");
"""
    return _otherwise(text, make_domain(LETTERS, 8))


def rare_token_apart() -> Plant:
    """reverse whose head does not select the last of 26 letters; a second head selects only it."""
    text = """place = length - 1 - indices;
flip = select(indices, place, ==) and select(tokens, "z", !=);
rest = select(indices, place, ==) and select(tokens, "z", ==);
most = aggregate(flip, tokens, "-");
reverse = "z" if aggregate(rest, indicator(tokens == "z")) > 0 else most;
"""
    return _otherwise(text, make_domain("abcdefghijklmnopqrstuvwxyz", 8), ("flip", "rest"))


def without_a_token() -> Plant:
    """Reverse, except that the last of twelve letters is never selected."""
    text = """flip = select(indices, length - 1 - indices, ==) and select(tokens, "l", !=);
reverse = aggregate(flip, tokens, "a");
"""
    return _otherwise(text, make_domain("abcdefghijkl", 8))


PLANTS: dict[str, Callable[[], Plant]] = {
    "right at lengths 3, 5, 6, 8": lambda: at_lengths((3, 5, 6, 8)),
    "wrong at the longest": lambda: at_lengths(range(1, 8)),
    "a rare token": without_a_token,
    "wrong at a position": but_one_position,
    "two halves": lambda: sharing((0.5, 0.5)),
    "three voters": lambda: sharing([1 / 3] * 3),
    "five voters": lambda: sharing([1 / 5] * 5),
    "nine voters": lambda: sharing([1 / 9] * 9),
    "unequal voters": lambda: sharing((0.42, 0.3, 0.28)),
    "a backup": backup,
    "a blurred backup": blurred_backup,
    "a backup for each half": lambda: queries_divided((0.75, 0.25)),
    "a head for a rare token": rare_token_apart,
    "shares of a count": counting_in_shares,
    "read at BOS": through_bos,
    "negative writing": negative_writing,
    "half the queries each": queries_divided,
    "overwritten": overwritten,
}
"""The planted models, by what they do."""


def compared(evidence: Evidence, plant: Plant) -> dict:
    """The verdicts of a planted model against the truth; the fields of a row.

    accuracy    over the domain
    implements  heads with that verdict on the selector
    false_implements, false_refuted  heads whose verdict the truth forbids
    """
    findings = {f.head: f for row in evidence.findings for f in row}
    findings = {h: evidence.of(h, plant.selector) for h in findings}
    implements = {h for h, f in findings.items() if f.verdict == "implements"}
    refuted = {h for h, f in findings.items() if f.verdict == "refuted"}
    return {
        "accuracy": round(evidence.accuracy.value, 4),
        "implements": sorted(map(str, implements)),
        "false_implements": sorted(map(str, implements - plant.true)),
        "false_refuted": sorted(map(str, refuted & plant.carrying)),
    }


def judged_plant(name: str, pairs: int = 60, seed: int = 1) -> dict:
    """The row of a planted model, as `compared` gives it; pairs and seed as in `judge`."""
    plant = PLANTS[name]()
    return compared(judge(plant.model, plant.program, pairs, seed), plant)


def planted_markdown(rows: dict[str, dict]) -> str:
    """A table of the planted models with their verdicts."""
    lines = ["| planted | accuracy | `implements` | false `implements` | false `refuted` |"]
    lines.append("|---" * 5 + "|")
    for name, row in rows.items():
        cells = [", ".join(row[key]) or "none" for key in ("implements", *FALSE)]
        lines.append(f"| {name} | {row['accuracy']:.3f} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


FALSE = ("false_implements", "false_refuted")
"""The fields of a row that are empty where every verdict is true."""

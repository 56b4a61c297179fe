"""The compiler's third stage: what is read gets a layer, an index and a residual dimension.

Input: Lowered. Output: Layout, over the directions that the logits depend on, numbered anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from rasplab.compiler.lower.lower import Lowered
from rasplab.compiler.lower.residual import (
    TOKEN_FLAG,
    Direction,
    Head,
    LinearForm,
    Neuron,
    ResidualStream,
)
from rasplab.transformer.sites import Site

Part = TypeVar("Part", Head, Neuron)


@dataclass(frozen=True)
class Layout:
    """Every part of a model with its place.

    directions  the residual directions, in the order of residual dimensions
    writers     the site that writes each direction
    heads       (layer, head index, head)
    neurons     (layer, neuron index, neuron)
    read_out    one form per logit
    Forms of heads, neurons and read_out are over positions in `directions`.
    """

    directions: tuple[Direction, ...]
    writers: tuple[Site, ...]
    heads: tuple[tuple[int, int, Head], ...]
    neurons: tuple[tuple[int, int, Neuron], ...]
    n_layers: int
    n_heads: int
    d_head: int
    d_mlp: int
    read_out: tuple[LinearForm, ...]

    @property
    def d_model(self) -> int:
        """The number of residual directions."""
        return len(self.directions)


def place(lowered: Lowered) -> Layout:
    """The parts that the logits depend on, each with its place."""
    stream = lowered.stream
    needed = sorted(_needed(stream, lowered.logits))
    ids = {old: new for new, old in enumerate(needed)}
    heads = [_renumbered_head(h, ids) for h in stream.heads if any(d in ids for _, d in h.outs)]
    neurons = [_renumbered_neuron(n, ids) for n in stream.neurons if any(d in ids for d in n.outs)]
    # Half layers to layers: heads of layer l are at 2l+1, its neurons at 2l+2.
    placed_heads = _numbered(heads, lambda h: (h.time - 1) // 2)
    placed_neurons = _numbered(neurons, lambda n: n.time // 2 - 1)
    layers = [layer for layer, _, _ in (*placed_heads, *placed_neurons)]
    return Layout(
        tuple(stream.directions[old] for old in needed),
        _writers(stream, ids, placed_heads),
        tuple(placed_heads),
        tuple(placed_neurons),
        n_layers=max(layers, default=0) + 1,
        n_heads=max((i + 1 for _, i, _ in placed_heads), default=1),
        # pairs of q and k, and values, share one width of the head
        d_head=max((max(len(h.pairs), len(h.outs)) for h in heads), default=1),
        d_mlp=max((i + 1 for _, i, _ in placed_neurons), default=1),
        read_out=tuple(_renumbered(form, ids) for form in lowered.logits),
    )


def _needed(stream: ResidualStream, logits: Sequence[LinearForm]) -> set[int]:
    """The directions that the logits depend on, through heads and neurons; and the token flag."""
    producers: dict[int, list[LinearForm]] = {}
    for head in stream.heads:
        for value, direction in head.outs:
            # one head writes a direction of attention; many neurons add up to one of an MLP
            producers[direction] = [value, *(f for pair in head.pairs for f in pair)]
    for neuron in stream.neurons:
        for direction in neuron.outs:
            producers.setdefault(direction, []).append(neuron.pre)
    needed, waiting = {TOKEN_FLAG}, [d for form in logits for d, _ in form.terms]
    # Whatever a needed direction is computed from is needed too.
    while waiting:
        direction = waiting.pop()
        if direction not in needed:
            needed.add(direction)
            waiting += [d for form in producers.get(direction, []) for d, _ in form.terms]
    return needed


def _renumbered(form: LinearForm, ids: dict[int, int]) -> LinearForm:
    return LinearForm(tuple((ids[d], c) for d, c in form.terms), form.const)


def _renumbered_head(head: Head, ids: dict[int, int]) -> Head:
    pairs = [(_renumbered(q, ids), _renumbered(k, ids)) for q, k in head.pairs]
    outs = [(_renumbered(v, ids), ids[d]) for v, d in head.outs if d in ids]
    return Head(
        head.label, head.nodes, head.selector, head.time, head.bos_weight, pairs, head.error, outs
    )


def _renumbered_neuron(neuron: Neuron, ids: dict[int, int]) -> Neuron:
    outs = {ids[d]: w for d, w in neuron.outs.items() if d in ids}
    return Neuron(_renumbered(neuron.pre, ids), neuron.time, neuron.node, outs)


def _numbered(parts: list[Part], layer_of: Callable[[Part], int]) -> list[tuple[int, int, Part]]:
    """(layer, index within the layer, part), in the order given."""
    counts: dict[int, int] = {}
    placed = []
    for part in parts:
        layer = layer_of(part)
        placed.append((layer, counts.get(layer, 0), part))
        counts[layer] = counts.get(layer, 0) + 1
    return placed


def _writers(
    stream: ResidualStream, ids: dict[int, int], placed_heads: list[tuple[int, int, Head]]
) -> tuple[Site, ...]:
    by_head = {d: Site("head", layer, i) for layer, i, h in placed_heads for _, d in h.outs}
    sites: list[Site] = []
    for old, new in ids.items():
        direction = stream.directions[old]
        match direction.site:
            case "tok":
                sites.append(Site("tok_embed"))
            case "pos":
                sites.append(Site("pos_embed"))
            case "head":
                sites.append(by_head[new])
            case _:
                sites.append(Site("mlp", direction.time // 2 - 1))
    return tuple(sites)

"""From the designed stream to a layout: what is never read is dropped, the rest gets layers, heads,
indices.
"""

from __future__ import annotations

from dataclasses import dataclass

from rasplab.compiler.lower.residual import (
    REAL,
    Direction,
    Head,
    LinearForm,
    Neuron,
    ResidualStream,
)
from rasplab.transformer.sites import Site


@dataclass(frozen=True)
class Layout:
    """Every part with its place.

    directions  the residual directions that are kept, in order; `old` ids are renamed in all forms
    heads       (layer, head index, head); neurons: (layer, neuron index, neuron)
    """

    directions: tuple[Direction, ...]
    writers: tuple[Site, ...]
    heads: tuple[tuple[int, int, Head], ...]
    neurons: tuple[tuple[int, int, Neuron], ...]
    n_layers: int
    n_heads: int
    d_head: int
    d_mlp: int

    @property
    def d_model(self) -> int:
        """How many residual directions there are."""
        return len(self.directions)


def place(stream: ResidualStream, read_out: list[LinearForm]) -> tuple[Layout, list[LinearForm]]:
    """The layout, and the read-out forms over the kept directions."""
    kept = sorted(_needed(stream, read_out))
    ids = {old: new for new, old in enumerate(kept)}
    heads = [_kept_head(h, ids) for h in stream.heads if any(d in ids for _, d in h.outs)]
    neurons = [_kept_neuron(n, ids) for n in stream.neurons if any(d in ids for d in n.outs)]
    placed_heads = _numbered(heads, lambda h: (h.time - 1) // 2)
    placed_neurons = _numbered(neurons, lambda n: n.time // 2 - 1)
    layers = [layer for layer, _, _ in (*placed_heads, *placed_neurons)]
    layout = Layout(
        tuple(stream.directions[old] for old in kept),
        _writers(stream, kept, ids, placed_heads),
        tuple(placed_heads),
        tuple(placed_neurons),
        n_layers=max(layers, default=0) + 1,
        n_heads=max((i + 1 for _, i, _ in placed_heads), default=1),
        d_head=max((max(len(h.pairs), len(h.outs)) for h in heads), default=1),
        d_mlp=max((i + 1 for _, i, _ in placed_neurons), default=1),
    )
    return layout, [_renamed(f, ids) for f in read_out]


def _needed(stream: ResidualStream, read_out: list[LinearForm]) -> set[int]:
    """The directions that the read-out depends on, through heads and neurons."""
    producers: dict[int, list[LinearForm]] = {}
    for head in stream.heads:
        for value, direction in head.outs:
            producers[direction] = [value, *(f for pair in head.pairs for f in pair)]
    for neuron in stream.neurons:
        for direction in neuron.outs:
            producers.setdefault(direction, []).append(neuron.pre)
    needed, waiting = {REAL}, [d for form in read_out for d, _ in form.terms]
    while waiting:
        direction = waiting.pop()
        if direction not in needed:
            needed.add(direction)
            waiting += [d for form in producers.get(direction, []) for d, _ in form.terms]
    return needed


def _renamed(form: LinearForm, ids: dict[int, int]) -> LinearForm:
    return LinearForm(tuple((ids[d], c) for d, c in form.terms), form.const)


def _kept_head(head: Head, ids: dict[int, int]) -> Head:
    pairs = [(_renamed(q, ids), _renamed(k, ids)) for q, k in head.pairs]
    outs = [(_renamed(v, ids), ids[d]) for v, d in head.outs if d in ids]
    return Head(
        head.label, head.nodes, head.selector, head.time, head.bos_weight, pairs, head.error, outs
    )


def _kept_neuron(neuron: Neuron, ids: dict[int, int]) -> Neuron:
    outs = {ids[d]: w for d, w in neuron.outs.items() if d in ids}
    return Neuron(_renamed(neuron.pre, ids), neuron.time, neuron.node, outs)


def _numbered(items: list, layer_of) -> list[tuple]:
    counts: dict[int, int] = {}
    placed = []
    for item in items:
        layer = layer_of(item)
        placed.append((layer, counts.get(layer, 0), item))
        counts[layer] = counts.get(layer, 0) + 1
    return placed


def _writers(
    stream: ResidualStream, kept: list[int], ids: dict[int, int], placed_heads
) -> tuple[Site, ...]:
    by_head = {d: Site("head", layer, i) for layer, i, h in placed_heads for _, d in h.outs}
    sites = []
    for old in kept:
        direction = stream.directions[old]
        match direction.site:
            case "tok":
                sites.append(Site("tok_embed"))
            case "pos":
                sites.append(Site("pos_embed"))
            case "head":
                sites.append(by_head[ids[old]])
            case _:
                sites.append(Site("mlp", direction.time // 2 - 1))
    return tuple(sites)

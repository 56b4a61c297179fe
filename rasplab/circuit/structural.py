"""Structural truth: the circuit of a compiled model, read off its layout without any run."""

from __future__ import annotations

from rasplab.base.arguments import COMPILED, takes
from rasplab.circuit.graph import Circuit, unit_name
from rasplab.compiler.compiled import Compiled
from rasplab.compiler.lower.residual import TOKEN_FLAG, Direction, LinearForm
from rasplab.transformer.sites import Edge, Port, Site


@takes(compiled=COMPILED)
def circuit_of(compiled: Compiled) -> Circuit:
    """The circuit with an edge wherever a port reads a residual direction that a site writes.

    The direction that is 1 at tokens and 0 at BOS belongs to tok_embed; edges that carry only it
    serve as bias and are labelled so.
    """
    carried: dict[Edge, set[str]] = {}
    layout = compiled.layout

    def read(port: Port, forms: list[LinearForm]) -> None:
        for form in forms:
            for direction, _ in form.terms:
                edge = Edge(layout.writers[direction], port)
                carried.setdefault(edge, set()).add(layout.directions[direction].label)

    for layer, i, head in layout.heads:
        site = Site("head", layer, i)
        read(Port(site, "q"), [q for q, _ in head.pairs])
        read(Port(site, "k"), [k for _, k in head.pairs])
        read(Port(site, "v"), [v for v, _ in head.outs])
    for layer, _, neuron in layout.neurons:
        read(Port(Site("mlp", layer), "in"), [neuron.pre])
    # a constant part of a logit is that multiple of the token flag (see layout/assemble.py)
    constants = any(form.const for form in compiled.read_out)
    flag = [LinearForm.of(TOKEN_FLAG)] if constants else []
    read(Port(Site("unembed"), "in"), [*compiled.read_out, *flag])
    edges = tuple(sorted(carried))
    labels, places = _labels(compiled)
    used = {e.src for e in edges} | {e.dst.site for e in edges}
    return Circuit(
        edges,
        tuple(tuple(sorted(carried[e])) for e in edges),
        tuple((s, labels[s]) for s in sorted(used)),
        tuple((s, places[s]) for s in sorted(used) if s in places),
    )


def position_units(compiled: Compiled) -> frozenset[str]:
    """Structural truth by position: `edge@position` where what the edge carries may differ from 0.

    For embeddings that is known position by position; for heads and MLPs it is known at BOS, and
    every token position is counted.
    """
    layout, units = compiled.layout, set()
    positions = range(compiled.domain.max_len + 1)
    written: dict[str, list[int]] = {}
    for direction in layout.directions:
        # several directions may share a label, as parts of one s-op do; their positions are joined
        nonzero = [p for p in positions if _may_write(direction, p)]
        written.setdefault(direction.label, []).extend(nonzero)
    circuit = circuit_of(compiled)
    for edge, carries in zip(circuit.edges, circuit.carries, strict=True):
        for p in {p for label in carries for p in written[label]}:
            units.add(unit_name(edge, "position", p))
    return frozenset(units)


def _may_write(direction: Direction, position: int) -> bool:
    """Whether the direction may differ from 0 at a position; 0 is BOS."""
    if position == 0:
        return direction.bos != 0
    if direction.site == "pos":
        # tables have no row for BOS
        return direction.table[position - 1] != 0
    return direction.site != "tok" or any(direction.table)


def _labels(compiled: Compiled) -> tuple[dict[Site, str], dict[Site, str]]:
    """What each site does, and where in the source it comes from."""
    program = compiled.program
    labels = {
        Site("tok_embed"): "tokens",
        Site("pos_embed"): "indices",
        Site("unembed"): program.labels[program.output],
    }
    places = {}
    for site, nodes in compiled.site_nodes().items():
        labels[site] = ", ".join(dict.fromkeys(program.labels[n] for n in nodes))
        spans = [span.place for n in nodes if (span := program.span(n))]
        if spans:
            places[site] = spans[0]
    for layer, i, _ in compiled.layout.heads:
        labels[Site("head", layer, i)] = compiled.heads[layer, i]
    for layer in range(compiled.layout.n_layers):
        labels.setdefault(Site("mlp", layer), "")
    if span := program.span(program.output):
        places[Site("unembed")] = span.place
    return labels, places

"""Circuit: a set of edges between sites, with labels; JSON, GraphML and networkx forms."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rasplab.base.arguments import A_CIRCUIT, EDGES, SITE, TEXT, shown, takes
from rasplab.base.errors import FileError, RaspValueError
from rasplab.base.schema import array, mapping, parse_json, record, row, string
from rasplab.base.text import printable
from rasplab.program.domain import BOS
from rasplab.transformer.sites import Edge, Port, Site

if TYPE_CHECKING:
    from networkx import MultiDiGraph

GRANULARITIES = ("node", "component", "edge", "position")
"""The units that patching acts on.

node: all that a site writes; component: from site to site; edge: into one port (q, k, v or in);
position: an edge at one position."""


def unknown(kind: str, name: object, known: Iterable[str]) -> RaspValueError:
    """The error for a name that is not one of `known`."""
    return RaspValueError(f"unknown {kind} {name!r}", hint=f"it can be {', '.join(known)}")


def unit_name(edge: Edge, granularity: str, position: int = 0) -> str:
    """The unit that an edge belongs to.

    position  of the model's input, for granularity "position": 0 is BOS

    Raises RaspValueError for a granularity that is not one of GRANULARITIES.
    """
    match granularity:
        case "node":
            return str(edge.src)
        case "component":
            return f"{edge.src}->{edge.dst.site}"
        case "edge":
            return str(edge)
        case "position":
            return f"{edge}@{position - 1 if position else BOS}"
    raise unknown("granularity", granularity, GRANULARITIES)


AGAIN = "write it again: rasplab circuit FILE --json"

CIRCUIT = record(
    {
        "edges": array(row(string, string, array(string))),
        "labels": mapping(string),
        "places": mapping(string),
    }
)
"""What `Circuit.to_json` writes."""


@dataclass(frozen=True, slots=True)
class Difference:
    """The edges of two circuits, each sorted: in both, only in the left, only in the right one."""

    both: tuple[Edge, ...]
    left: tuple[Edge, ...]
    right: tuple[Edge, ...]

    @property
    def same(self) -> bool:
        """Whether the circuits have the same edges."""
        return not (self.left or self.right)

    def __str__(self) -> str:
        lines = [f"{len(self.both)} edges in both"]
        lines += [f"- {edge}" for edge in self.left] + [f"+ {edge}" for edge in self.right]
        return "\n".join(lines)


@dataclass(frozen=True)
class Circuit:
    """A sub-graph of a transformer.

    edges    sorted, each once
    carries  what each edge carries: labels of s-ops, in the order of `edges`
    labels   (site, what it does) for every site of an edge, sorted
    places   (site, "file:line:column" of its source) for the sites that have one
    """

    edges: tuple[Edge, ...]
    carries: tuple[tuple[str, ...], ...]
    labels: tuple[tuple[Site, str], ...]
    places: tuple[tuple[Site, str], ...] = ()

    @property
    def sites(self) -> tuple[Site, ...]:
        """Every site of an edge, in forward order."""
        return tuple(sorted({e.src for e in self.edges} | {e.dst.site for e in self.edges}))

    @takes(site=SITE)
    def label(self, site: Site) -> str:
        """What `site` does; empty when nothing is known."""
        return dict(self.labels).get(site, "")

    def to_json(self) -> str:
        """Sorted, indented JSON; `Circuit.from_json` gives an equal circuit back."""
        rows = {
            "edges": [
                [str(e.src), str(e.dst), list(c)]
                for e, c in zip(self.edges, self.carries, strict=True)
            ],
            "labels": {str(s): text for s, text in self.labels},
            "places": {str(s): text for s, text in self.places},
        }
        return json.dumps(rows, indent=1, sort_keys=True, ensure_ascii=False) + "\n"

    @staticmethod
    @takes(text=TEXT, where=TEXT)
    def from_json(text: str, where: str = "the text") -> Circuit:
        """The circuit written by `to_json`.

        where  the file's name, for the error

        Raises FileError for any other text.
        """
        rows = parse_json(text, CIRCUIT, where=where, hint=AGAIN, fault="holds no circuit")
        try:
            return Circuit._from_rows(rows)
        except ValueError as error:
            raise FileError(f"{where} holds no circuit: {error}", hint=AGAIN) from None

    @staticmethod
    def _from_rows(rows: dict[str, Any]) -> Circuit:
        pairs = sorted((Edge(Site.parse(s), Port.parse(d)), tuple(c)) for s, d, c in rows["edges"])
        return Circuit(
            tuple(e for e, _ in pairs),
            tuple(c for _, c in pairs),
            tuple(sorted((Site.parse(s), t) for s, t in rows["labels"].items())),
            tuple(sorted((Site.parse(s), t) for s, t in rows["places"].items())),
        )

    @takes(edges=EDGES)
    def kept(self, edges: Iterable[Edge]) -> Circuit:
        """The sub-circuit of those of its edges that are in `edges`."""
        selected = set()
        for edge in edges:
            if not isinstance(edge, Edge):
                raise TypeError(f"Circuit.kept: edges holds {shown(edge)}; it has to hold Edges")
            selected.add(edge)
        pairs = [p for p in zip(self.edges, self.carries, strict=True) if p[0] in selected]
        used = {e.src for e, _ in pairs} | {e.dst.site for e, _ in pairs}
        return Circuit(
            tuple(e for e, _ in pairs),
            tuple(c for _, c in pairs),
            tuple((s, t) for s, t in self.labels if s in used),
            tuple((s, t) for s, t in self.places if s in used),
        )

    @takes(other=A_CIRCUIT)
    def diff(self, other: Circuit) -> Difference:
        """The edges that this circuit (left) and `other` (right) share, and those of only one."""
        mine, theirs = set(self.edges), set(other.edges)
        return Difference(
            tuple(sorted(mine & theirs)),
            tuple(sorted(mine - theirs)),
            tuple(sorted(theirs - mine)),
        )

    def to_graphml(self) -> str:
        """GraphML text: nodes have label, layer and kind; edges have port and carries."""
        import networkx

        graph = self.to_networkx()
        for _, _, port, attributes in graph.edges(keys=True, data=True):
            attributes.update(port=port, carries=", ".join(attributes["carries"]))
        return printable("\n".join(networkx.generate_graphml(graph)) + "\n")

    def to_networkx(self) -> MultiDiGraph:
        """A networkx graph of site names.

        The key of an edge is the name of its port, its attribute `carries` a list of labels.
        """
        import networkx

        graph = networkx.MultiDiGraph()
        for site in self.sites:
            graph.add_node(str(site), label=self.label(site), layer=site.layer, kind=site.kind)
        for edge, carries in zip(self.edges, self.carries, strict=True):
            graph.add_edge(
                str(edge.src), str(edge.dst.site), key=edge.dst.name, carries=list(carries)
            )
        return graph


def true_units(circuit: Circuit, granularity: str) -> frozenset[str]:
    """The names of a circuit's units.

    Raises ValueError for granularity "position", since a Circuit has no positions.
    """
    if granularity == "position":
        raise ValueError("a circuit has no positions: granularity 'position' needs position_units")
    return frozenset(unit_name(edge, granularity) for edge in circuit.edges)

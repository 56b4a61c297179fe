"""Circuit: a set of edges between sites, with labels; JSON and networkx forms (floor 5)."""

from __future__ import annotations

import json
from dataclasses import dataclass

from rasplab.sites import Edge, Port, Site


@dataclass(frozen=True)
class Circuit:
    """A sub-graph of a transformer.

    edges    sorted, each once
    carries  what each edge carries: labels of s-ops, in the order of `edges`
    labels   what each site does, for every site of an edge: (site, text), sorted
    places   where in the source each site comes from: (site, "file:line:column"), those that have
             one
    """

    edges: tuple[Edge, ...]
    carries: tuple[tuple[str, ...], ...]
    labels: tuple[tuple[Site, str], ...]
    places: tuple[tuple[Site, str], ...] = ()

    @property
    def sites(self) -> tuple[Site, ...]:
        """Every site of an edge, in forward order."""
        return tuple(sorted({e.src for e in self.edges} | {e.dst.site for e in self.edges}))

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
    def from_json(text: str) -> Circuit:
        """The circuit written by `to_json`."""
        rows = json.loads(text)
        pairs = sorted((Edge(Site.parse(s), Port.parse(d)), tuple(c)) for s, d, c in rows["edges"])
        return Circuit(
            tuple(e for e, _ in pairs),
            tuple(c for _, c in pairs),
            tuple(sorted((Site.parse(s), t) for s, t in rows["labels"].items())),
            tuple(sorted((Site.parse(s), t) for s, t in rows["places"].items())),
        )

    def to_networkx(self):
        """A networkx MultiDiGraph of site names; an edge's key is the port, its `carries` a list of
        labels.
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

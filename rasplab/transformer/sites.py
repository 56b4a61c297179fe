"""The parts of a transformer that a circuit is made of: Site, Port, Edge, in forward order.

Text forms: `tok_embed`, `pos_embed`, `L1H0`, `L1M`, `unembed` for sites; `L1H0.q`, `L1M.in`,
`unembed.in` for ports. Token and position embeddings are two sites.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import total_ordering

KINDS = ("tok_embed", "pos_embed", "head", "mlp", "unembed")
PORTS = {"head": ("q", "k", "v"), "mlp": ("in",), "unembed": ("in",)}


@total_ordering
@dataclass(frozen=True, slots=True)
class Site:
    """A component; `layer` and `head` are -1 where they do not apply."""

    kind: str
    layer: int = -1
    head: int = -1

    @property
    def time(self) -> int:
        """When it writes: embeddings 0, heads of layer l 2l+1, its MLP 2l+2, unembedding last."""
        match self.kind:
            case "tok_embed" | "pos_embed":
                return 0
            case "head":
                return 2 * self.layer + 1
            case "mlp":
                return 2 * self.layer + 2
        return 1 << 30  # after the last layer of any model

    def _order(self) -> tuple[int, int, int]:
        return (self.time, KINDS.index(self.kind), self.head)

    def __lt__(self, other: Site) -> bool:
        return self._order() < other._order()

    def __str__(self) -> str:
        return {"head": f"L{self.layer}H{self.head}", "mlp": f"L{self.layer}M"}.get(
            self.kind, self.kind
        )

    @staticmethod
    def parse(text: str) -> Site:
        """The site written `text`, such as L1H0.

        Raises ValueError for anything else.
        """
        if text in ("tok_embed", "pos_embed", "unembed"):
            return Site(text)
        if match := re.fullmatch(r"L(\d+)(?:H(\d+)|M)", text):
            layer, head = match.groups()
            return Site("head", int(layer), int(head)) if head else Site("mlp", int(layer))
        raise ValueError(f"unknown site {text!r}; write tok_embed, pos_embed, L0H1, L0M or unembed")


@total_ordering
@dataclass(frozen=True, slots=True)
class Port:
    """Where a site reads the stream: q, k or v of a head, `in` of an MLP or the unembedding.

    Raises ValueError for a name that the site's kind does not have.
    """

    site: Site
    name: str

    def __post_init__(self):
        if self.name not in PORTS.get(self.site.kind, ()):
            raise ValueError(f"{self.site} has no port {self.name!r}")

    def __lt__(self, other: Port) -> bool:
        # by name, that is k, q, v: not the order of PORTS
        return (self.site, self.name) < (other.site, other.name)

    def __str__(self) -> str:
        return f"{self.site}.{self.name}"

    @staticmethod
    def parse(text: str) -> Port:
        """The port written `text`, such as L1H0.q."""
        site, _, name = text.partition(".")
        return Port(Site.parse(site), name)


@total_ordering
@dataclass(frozen=True, slots=True)
class Edge:
    """What `src` writes and `dst` reads.

    Raises ValueError where src does not come before dst in the forward order.
    """

    src: Site
    dst: Port

    def __post_init__(self):
        if self.src.time >= self.dst.site.time:
            raise ValueError(f"{self.src} does not come before {self.dst}")

    def __lt__(self, other: Edge) -> bool:
        return (self.dst, self.src) < (other.dst, other.src)

    def __str__(self) -> str:
        return f"{self.src}->{self.dst}"


def all_heads(n_layers: int, n_heads: int) -> tuple[Site, ...]:
    """Every head of a transformer, in forward order."""
    return tuple(Site("head", layer, h) for layer in range(n_layers) for h in range(n_heads))

"""Small circuits, and the hover texts of pictures."""

from xml.etree import ElementTree

from rasplab.circuit.graph import Circuit
from rasplab.transformer.sites import Edge, Port, Site

SVG = "{http://www.w3.org/2000/svg}"


def circuit(*rows: tuple[str, str, str]) -> Circuit:
    """A circuit from (source, port, what is carried)."""
    edges = sorted((Edge(Site.parse(s), Port.parse(d)), (c,)) for s, d, c in rows)
    sites = {e.src for e, _ in edges} | {e.dst.site for e, _ in edges}
    labels = tuple(sorted((s, f"<{s}> & co") for s in sites))
    places = tuple((s, "sort.rasp:4:1") for s in sorted(sites) if s.kind == "head")
    return Circuit(tuple(e for e, _ in edges), tuple(c for _, c in edges), labels, places)


SORT = circuit(
    ("tok_embed", "L0H0.q", "tokens"),
    ("tok_embed", "L0H0.k", "tokens"),
    ("L0H0", "L0M.in", "width"),
    ("L0M", "L1H0.k", "num_smaller"),
    ("pos_embed", "L1H0.q", "indices"),
    ("tok_embed", "L1H0.v", "tokens"),
    ("L1H0", "unembed.in", "sort"),
)


def titles(picture: str) -> list[str]:
    """The hover texts of a picture, which must be well-formed XML."""
    return [t.text for t in ElementTree.fromstring(picture).iter(f"{SVG}title")]

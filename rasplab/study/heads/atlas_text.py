"""An atlas as text: a map of layers and heads, then the heads found, selector by selector."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rasplab.base.text import lined_up
from rasplab.transformer.sites import Site

if TYPE_CHECKING:
    from rasplab.study.heads.atlas import Atlas


def atlas_text(atlas: Atlas) -> str:
    """Best selector by layer and head, and for each selector its heads with score and interval."""
    lines = [f"{atlas.model}: {atlas.sequences} sequences of {atlas.length} {atlas.source}", ""]
    lines += lined_up(_map(atlas))
    lines += ["", "selector, head, score [95% interval], similarity, chance"]
    rows = [row for j, name in enumerate(atlas.selectors) for row in _found(atlas, j, name)]
    return "\n".join(lines + lined_up(rows))


def _map(atlas: Atlas) -> list[list[str]]:
    n_heads = 1 + max(h.head for h in atlas.heads)
    rows = [["", *(f"H{h}" for h in range(n_heads))]]
    for layer in range(1 + max(h.layer for h in atlas.heads)):
        best = [atlas.best(Site("head", layer, h)) for h in range(n_heads)]
        rows.append([f"L{layer}", *(f"{e.selector} {e.score:.2f}" for e in best)])
    return rows


def _found(atlas: Atlas, j: int, name: str) -> list[list[str]]:
    heads = atlas.heads_of(name)
    rows = []
    for k, head in enumerate(heads):
        e = atlas.entry(atlas.heads.index(head), j)
        score = f"{e.score:.2f} [{e.low:.2f}, {e.high:.2f}]"
        rows.append([name if not k else "", str(head), score, f"{e.similarity:.2f}",
                     f"{e.chance:.2f}"])  # fmt: skip
    return rows or [[name, "none", "", "", ""]]

"""Units: what is patched at a time (nodes, components, edges or positions), as masks of edges."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from rasplab.base.errors import RaspValueError
from rasplab.circuit.graph import unit_name
from rasplab.circuit.patching.edge_model import EdgeModel
from rasplab.transformer.sites import Site


@dataclass(frozen=True, eq=False)
class Units:
    """The units of a model, in forward order of their readers.

    names  as text: L0H1, L0H1->L1H0, L0H1->L1H0.q, L0H1->L1H0.q@3 (@BOS for position 0)
    cells  the index in `names` of the unit of each edge (and position); len(names) where none is
    """

    granularity: str
    names: tuple[str, ...]
    cells: Int[Tensor, " edge"] | Int[Tensor, "edge pos"]

    def __len__(self) -> int:
        return len(self.names)

    @property
    def sources(self) -> tuple[Site, ...]:
        """The site that writes into each unit."""
        return tuple(Site.parse(name.partition("->")[0]) for name in self.names)

    def spread(self, masks: Float[Tensor, "variant unit"]) -> Float[Tensor, "variant edge *pos"]:
        """Masks of edges from masks of units."""
        zero = torch.zeros_like(masks[:, :1])  # for the edges that belong to no unit
        return torch.cat([masks, zero], 1)[:, self.cells]

    def only(self, chosen: Collection[str]) -> Bool[Tensor, " unit"]:
        """Which units are named in `chosen`.

        Raises RaspValueError for a name that is not a unit's.
        """
        known = set(self.names)
        unknown_names = [name for name in chosen if name not in known]
        if unknown_names:
            raise RaspValueError(
                f"the model has no {self.granularity} {unknown_names[0]}",
                hint=f"it has {len(self)} of them, such as {', '.join(self.names[:3])}",
            )
        selected = set(chosen)
        return torch.tensor([name in selected for name in self.names], device=self.cells.device)


def units_of(edge_model: EdgeModel, granularity: str, n_pos: int) -> Units:
    """The units of a model; edges from or to sites that write nothing belong to none.

    n_pos  positions of the inputs, BOS included
    """
    known: dict[str, int] = {}
    places = range(n_pos) if granularity == "position" else (0,)
    # -1 where an edge has no unit; in the end the index of the column of zeros that `spread` adds
    cells = torch.full((len(edge_model.edges), len(places)), -1)
    for i, edge in enumerate(edge_model.edges):
        if edge.src in edge_model.dead or edge.dst.site in edge_model.dead:
            continue
        for p in places:
            name = unit_name(edge, granularity, p)
            cells[i, p] = known.setdefault(name, len(known))
    cells[cells < 0] = len(known)
    if granularity != "position":
        cells = cells[:, 0]
    return Units(granularity, tuple(known), cells.to(edge_model.weights.W_E.device))

"""What is patched at a time: sites, edges, ports, positions."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from rasplab.base.errors import RaspValueError
from rasplab.circuit.graph import unit_name
from rasplab.circuit.patching.edge_model import EdgeModel
from rasplab.transformer.sites import Site


@dataclass(frozen=True, eq=False)
class Units:
    """The units of a model, in forward order of their readers.

    names  as text: L0H1, L0H1->L1H0, L0H1->L1H0.q, L0H1->L1H0.q@3 (@BOS for position 0)
    cells  [edge] or [edge, pos]: the unit of each edge of the flow; len(names) where there is none
    """

    granularity: str
    names: tuple[str, ...]
    cells: Tensor

    def __len__(self) -> int:
        return len(self.names)

    @property
    def sources(self) -> tuple[Site, ...]:
        """The site that each unit comes from."""
        return tuple(Site.parse(name.partition("->")[0]) for name in self.names)

    def spread(self, masks: Tensor) -> Tensor:
        """Masks of edges [variant, edge(, pos)] from masks of units [variant, unit]."""
        silent = torch.zeros_like(masks[:, :1])
        return torch.cat([masks, silent], 1)[:, self.cells]

    def only(self, chosen) -> Tensor:
        """bool [unit]: those named in `chosen`. Raises RaspValueError for a name that is none."""
        known = set(self.names)
        strange = [name for name in chosen if name not in known]
        if strange:
            raise RaspValueError(
                f"the model has no {self.granularity} {strange[0]}",
                hint=f"it has {len(self)} of them, such as {', '.join(self.names[:3])}",
            )
        wanted = set(chosen)
        return torch.tensor([name in wanted for name in self.names], device=self.cells.device)


def units_of(edge_model: EdgeModel, granularity: str, n_pos: int, device=None) -> Units:
    """The units of a model; edges from or to sites that write nothing belong to none."""
    known: dict[str, int] = {}
    places = range(n_pos) if granularity == "position" else (0,)
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
    return Units(granularity, tuple(known), cells.to(device or edge_model.weights.W_E.device))

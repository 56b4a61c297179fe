"""Compiled: a program as transformer weights, with every stage that led there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rasplab.base.doors import Doors
from rasplab.compiler.layout.place import Layout
from rasplab.compiler.lower.readout import Certificate
from rasplab.compiler.lower.residual import Choice, LinearForm
from rasplab.program.domain import Domain
from rasplab.program.graph import Program
from rasplab.program.values import Atom
from rasplab.transformer.readout import Readout
from rasplab.transformer.sites import Site
from rasplab.transformer.weights import Weights


class CompiledDoors(
    Doors,
    homes={
        "listing": "rasplab.compiler.inspect.listing:listing",
        "report": "rasplab.compiler.inspect.report:report",
        "stage": "rasplab.compiler.inspect.report:stage",
        "explain": "rasplab.compiler.inspect.provenance:explain",
        "save": "rasplab.compiler.serialize:save",
        "rotated": "rasplab.compiler.transforms:rotated",
        "with_noise": "rasplab.compiler.transforms:with_noise",
        "shuffled_heads": "rasplab.compiler.transforms:shuffled_heads",
        "with_decoys": "rasplab.compiler.transforms:with_decoys",
        "to_model": "rasplab.model.native:to_model",
    },
):
    """The methods of Compiled that other files and higher rooms provide."""

    if TYPE_CHECKING:

        def listing(self) -> str:
            """The model as text: each head, neuron group and residual direction with its place."""
            ...

        def report(self) -> str:
            """What the compiler chose, s-op by s-op, and what each alternative would have cost."""
            ...

        def stage(self, name: str) -> str:
            """The result of one stage as text."""
            ...

        def explain(self, tokens: Sequence[Atom], position: int) -> str:
            """How the output at `position` comes about, step by step."""
            ...

        def save(self, folder: str | Path) -> None:
            """Write weights.safetensors and compiled.json into `folder`."""
            ...

        def rotated(self, seed: int = 0) -> Compiled:
            """The same function in another basis of every space."""
            ...

        def with_noise(self, sigma: float, seed: int = 0) -> Compiled:
            """Every weight changed at random by about `sigma` of its size."""
            ...

        def shuffled_heads(self, seed: int = 0) -> Compiled:
            """The same function with each layer's heads in another order."""
            ...

        def with_decoys(self, seed: int = 0) -> Compiled:
            """The same function beside heads that attend like the true ones and are not read."""
            ...

        def to_model(self, device: str = "auto", dtype: str | None = None) -> Any:
            """The weights in a TransformerLens model: a `LensModel` (model.bridge)."""
            ...


@dataclass(frozen=True)
class Compiled(CompiledDoors):
    """A program as transformer weights, with every stage that led there.

    certificate  bound on the numerical error of the read-out, and the dtype it holds in
    choices  what the compiler decided on the way, with what else there was
    further  the read-outs of the program's further outputs; their logits follow those of `readout`
    checked  why the program counts as legal: "inferred" from the values, or "run" on some inputs of
             the domain
    seconds  how long compilation took
    """

    program: Program
    domain: Domain
    basis: str
    layout: Layout
    read_out: tuple[LinearForm, ...]
    readout: Readout
    certificate: Certificate
    weights: Weights
    checked: str
    choices: tuple[Choice, ...]
    further: tuple[Readout, ...]
    seconds: float = field(compare=False)

    @property
    def n_params(self) -> int:
        """Size of the dense weights."""
        return self.weights.n_params

    @property
    def nonzero_params(self) -> int:
        """How many weights are not 0."""
        return self.weights.nonzero_params

    @cached_property
    def heads(self) -> dict[tuple[int, int], str]:
        """What each head does: (layer, head) -> `select(...) -> s-op, s-op`."""
        labels = self.program.labels
        return {
            (layer, i): f"{labels[h.selector]} -> {', '.join(labels[n] for n in h.nodes)}"
            for layer, i, h in self.layout.heads
        }

    def site_nodes(self) -> dict[Site, list[int]]:
        """The s-ops that every head and MLP serves."""
        nodes: dict[Site, list[int]] = {}
        for layer, i, head in self.layout.heads:
            nodes.setdefault(Site("head", layer, i), []).extend(head.nodes)
        for direction, site in zip(self.layout.directions, self.layout.writers, strict=True):
            if (
                site.kind == "mlp"
                and direction.node is not None
                and direction.node not in nodes.setdefault(site, [])
            ):
                nodes[site].append(direction.node)
        return nodes

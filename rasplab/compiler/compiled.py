"""Compiled: a program as transformer weights, with the results of the stages that led there."""

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
            """The compiler's decisions by s-op, with what each alternative would have cost."""
            ...

        def stage(self, name: str) -> str:
            """The result of one of `compiler.STAGE_VIEWS` as text."""
            ...

        def explain(self, tokens: Sequence[Atom], position: int) -> str:
            """How the output at `position` comes about, step by step."""
            ...

        def save(self, folder: str | Path, force: bool = False) -> None:
            """Write weights.safetensors and compiled.json into `folder`.

            force  replace a model of another program or kind
            """
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
            """The same function beside heads that attend like the others and that nothing reads."""
            ...

        def to_model(self, device: str = "auto", dtype: str | None = None) -> Any:
            """The weights in a TransformerLens model: a `LensModel` (model.bridge)."""
            ...


@dataclass(frozen=True)
class Compiled(CompiledDoors):
    """A program as transformer weights, with the results of the stages that led there.

    basis        "compact" or "one_hot"
    layout       every head, neuron and residual direction with its place
    readout      what the logits of the output mean
    certificate  bound on the numerical error of the read-out, and the dtype it holds in
    weights      dense arrays, float64
    checked      how it is known that every input is legal: "inferred", "run on every input", or
                 "run on a sample"
    choices      the compiler's decisions, each with its alternatives
    further      the read-outs of the program's further outputs, whose logits follow the first's
    seconds      how long compilation took
    transforms   what was done to the weights since, as (function of transforms.py, its arguments)
    """

    program: Program
    domain: Domain
    basis: str
    layout: Layout
    readout: Readout
    certificate: Certificate
    weights: Weights
    checked: str
    choices: tuple[Choice, ...]
    further: tuple[Readout, ...]
    seconds: float = field(compare=False)
    transforms: tuple[tuple[str, tuple[float | int, ...]], ...] = ()

    @property
    def read_out(self) -> tuple[LinearForm, ...]:
        """One form per logit, over the directions of `layout`."""
        return self.layout.read_out

    @property
    def n_params(self) -> int:
        """Size of the dense weights."""
        return self.weights.n_params

    @property
    def nonzero_params(self) -> int:
        """The number of weights that are not 0."""
        return self.weights.nonzero_params

    @cached_property
    def heads(self) -> dict[tuple[int, int], str]:
        """What each head does, by (layer, head): `selector -> s-op, s-op`."""
        labels = self.program.labels
        return {
            (layer, i): f"{labels[head.selector]} -> {', '.join(labels[n] for n in head.nodes)}"
            for layer, i, head in self.layout.heads
        }

    def site_nodes(self) -> dict[Site, list[int]]:
        """The node ids of the s-ops that every head and MLP serves."""
        nodes: dict[Site, list[int]] = {}
        for layer, i, head in self.layout.heads:
            nodes.setdefault(Site("head", layer, i), []).extend(head.nodes)
        for direction, site in zip(self.layout.directions, self.layout.writers, strict=True):
            if site.kind == "mlp" and direction.node is not None:
                served = nodes.setdefault(site, [])
                if direction.node not in served:
                    served.append(direction.node)
        return nodes

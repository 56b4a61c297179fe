"""The compiler: a RASP program and a finite domain become transformer weights that say what the
interpreter says.

The stages, in order:
  infer     which values every s-op can take, at every length and position
            infer.py, over values.py, widths.py, sums.py, order.py
  lower     s-ops to linear forms, heads and neurons over named directions
            lower.py, over attend.py, codes.py, join.py, hinges.py, tables.py
  read out  the outputs to logits                                    readout.py
  place     what is needed gets a layer, a head, an index            place.py
  assemble  the layout to dense arrays                               assemble.py
`normalize.py` holds the normal forms of selectors, `forms.py` the residual stream that lowering
designs; `disguise.py` gives the same function in other weights.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from rasplab.compiler.layout.place import Layout
from rasplab.compiler.lower.readout import Certificate
from rasplab.compiler.lower.residual import Choice, Form
from rasplab.program.domain import Domain
from rasplab.program.graph import Program
from rasplab.transformer.readout import Readout
from rasplab.transformer.sites import Site
from rasplab.transformer.weights import Weights


@dataclass(frozen=True)
class Compiled:
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
    read_out: tuple[Form, ...]
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

    def listing(self) -> str:
        """The model as text: layer by layer, each head, neuron group and residual direction with
        its place.
        """
        from rasplab.compiler.inspect.listing import listing

        return listing(self)

    def report(self) -> str:
        """What the compiler chose, s-op by s-op, and what each alternative would have cost."""
        from rasplab.compiler.inspect.report import report

        return report(self)

    def stage(self, name: str) -> str:
        """What stands after "infer", "encode", "lower" or "place", as text."""
        from rasplab.compiler.inspect.report import stage

        return stage(self, name)

    def explain(self, tokens, position: int) -> str:
        """How the output at `position` comes about on an input: step by step, with the values that
        the weights hold at each site beside the interpreter's.

        Raises RaspValueError for tokens outside the domain, ValueError for a position outside them.
        """
        from rasplab.compiler.inspect.provenance import explain

        return explain(self, tokens, position)

    def to_model(self, device: str = "auto", dtype: str | None = None):
        """The weights in a TransformerLens model (rasplab.model.bridge.LensModel), in the
        certificate's dtype.
        """
        from rasplab.model.bridge import load_weights

        dtype = dtype or self.certificate.dtype
        return load_weights(
            self.weights,
            self.domain,
            self.readout,
            device=device,
            dtype=dtype,
            compiled=self,
            further=self.further,
        )

    def save(self, folder) -> None:
        """Write weights.safetensors and compiled.json into `folder`, whole or not at all."""
        from rasplab.compiler.serialize import save

        save(self, folder)

    def rotated(self, seed: int = 0) -> Compiled:
        """The same function in another basis of every space; see rasplab.compiler.transforms."""
        from rasplab.compiler import transforms as disguise

        return disguise.rotated(self, seed)

    def with_noise(self, sigma: float, seed: int = 0) -> Compiled:
        """Every weight off by about `sigma` of its size, at random."""
        from rasplab.compiler import transforms as disguise

        return disguise.with_noise(self, sigma, seed)

    def shuffled_heads(self, seed: int = 0) -> Compiled:
        """The same function with each layer's heads in another order."""
        from rasplab.compiler import transforms as disguise

        return disguise.shuffled_heads(self, seed)

    def with_decoys(self, seed: int = 0) -> Compiled:
        """The same function beside heads that attend like the true ones and are not read."""
        from rasplab.compiler import transforms as disguise

        return disguise.with_decoys(self, seed)

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

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

import time
from dataclasses import dataclass, field
from functools import cached_property
from typing import NoReturn

from rasplab.compiler.assemble import assemble
from rasplab.compiler.forms import Choice, Form
from rasplab.compiler.infer import Inferred
from rasplab.compiler.lower import Lowering
from rasplab.compiler.place import Layout, place
from rasplab.compiler.readout import Certificate, read_out
from rasplab.domain import Domain, Readout
from rasplab.errors import CompileError, RaspError
from rasplab.program import Program
from rasplab.sites import Site
from rasplab.weights import Weights

BASES = ("compact", "one_hot")

ATTEMPTS = (("float32", True), ("float32", False), ("float64", True), ("float64", False))
"""Dtypes, and whether counting heads may show their selector at the price of accuracy."""

DOUBTED_INPUTS = 20_000
"""How many inputs are run where legality cannot be read off the inferred values."""


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
        from rasplab.compiler.listing import listing

        return listing(self)

    def report(self) -> str:
        """What the compiler chose, s-op by s-op, and what each alternative would have cost."""
        from rasplab.compiler.report import report

        return report(self)

    def stage(self, name: str) -> str:
        """What stands after "infer", "encode", "lower" or "place", as text."""
        from rasplab.compiler.report import stage

        return stage(self, name)

    def explain(self, tokens, position: int) -> str:
        """How the output at `position` comes about on an input: step by step, with the values that
        the weights hold at each site beside the interpreter's.

        Raises RaspValueError for tokens outside the domain, ValueError for a position outside them.
        """
        from rasplab.compiler.explain import explain

        return explain(self, tokens, position)

    def to_model(self, device: str = "auto", dtype: str | None = None):
        """The weights in a TransformerLens model (rasplab.model.lens.LensModel), in the
        certificate's dtype.
        """
        from rasplab.model.lens import load_weights

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
        from rasplab.compiler.files import save

        save(self, folder)

    def rotated(self, seed: int = 0) -> Compiled:
        """The same function in another basis of every space; see rasplab.compiler.disguise."""
        from rasplab.compiler import disguise

        return disguise.rotated(self, seed)

    def with_noise(self, sigma: float, seed: int = 0) -> Compiled:
        """Every weight off by about `sigma` of its size, at random."""
        from rasplab.compiler import disguise

        return disguise.with_noise(self, sigma, seed)

    def shuffled_heads(self, seed: int = 0) -> Compiled:
        """The same function with each layer's heads in another order."""
        from rasplab.compiler import disguise

        return disguise.shuffled_heads(self, seed)

    def with_decoys(self, seed: int = 0) -> Compiled:
        """The same function beside heads that attend like the true ones and are not read."""
        from rasplab.compiler import disguise

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


def compile_program(program: Program, domain: Domain, basis: str = "compact") -> Compiled:
    """Compile `program` for `domain`.

    Raises CompileError, with the place, for a program that has no exact model there; ValueError for
    a bad basis.
    """
    if basis not in BASES:
        raise ValueError(f"basis is {basis!r}; it can be {' or '.join(BASES)}")
    start = time.perf_counter()
    for output in filter(program.is_selector, program.outputs):
        raise CompileError(
            "the output is a selector; a model gives s-ops", program.span(output),
            "aggregate it, or take its selector_width",
        )  # fmt: skip
    inferred = Inferred(program, domain)
    lowering, forms, readouts, certificate = _lowered(inferred, basis)
    checked = _check_doubts(inferred)
    layout, forms = place(lowering.stream, forms)
    weights = assemble(layout, forms, domain)
    seconds = time.perf_counter() - start
    return Compiled(
        program,
        domain,
        basis,
        layout,
        tuple(forms),
        readouts[0],
        certificate,
        weights,
        checked,
        tuple(dict.fromkeys(lowering.stream.choices)),
        readouts[1:],
        seconds,
    )


def _lowered(inferred: Inferred, basis: str):
    """The stream, all logits, what they mean, and the certificate of the output that is nearest to
    losing it: the first of ATTEMPTS that has one.
    """
    program = inferred.program
    lowering, failed = None, []
    for dtype, shares in ATTEMPTS:
        if lowering and lowering.dtype == dtype and not lowering.attention.has_shares:
            continue
        lowering = Lowering(inferred, basis, dtype, shares)
        forms, readouts, certificates = zip(
            *(read_out(lowering, output) for output in program.outputs), strict=True
        )
        worst = max(range(len(certificates)), key=lambda k: certificates[k].share)
        certificate, output = certificates[worst], program.outputs[worst]
        said = f"{dtype}{'' if shares else ', widths without 1/(1+w)'}: {certificate}"
        if certificate.holds:
            lowering.stream.choose(output, "precision", said, *failed)
            return lowering, [form for part in forms for form in part], readouts, certificate
        failed.append(said)
    raise CompileError(
        f"values of {program.labels[output]!r} lie {certificate.gap:.1g} apart; "
        f"the model is exact to {certificate.error:.1g} in float64",
        program.span(output),
        "use a smaller max_len or fewer different numbers",
    )


def _check_doubts(inferred: Inferred) -> str:
    """Where some combination of values would be illegal, run inputs: refuse if one meets it."""
    if not inferred.doubts:
        return "inferred"
    from rasplab.batch import evaluate_batch
    from rasplab.inputs import all_ids, sampled_ids

    domain = inferred.domain
    few = domain.size <= DOUBTED_INPUTS
    for ids in all_ids(domain) if few else sampled_ids(domain, DOUBTED_INPUTS, seed=0):
        faults = evaluate_batch(inferred.program, ids, domain.vocab, domain.causal).faults
        if faults.any():
            _refuse(inferred, [domain.vocab[k] for k in ids[faults.argmax()]])
    return "run on every input" if few else "run on a sample"


def _refuse(inferred: Inferred, tokens: list) -> NoReturn:
    """The refusal of a program that fails on an input: what the interpreter says of it."""
    from rasplab.interpret import evaluate

    try:
        evaluate(inferred.program, tokens, causal=inferred.domain.causal)
    except RaspError as error:
        raise CompileError(
            f"the program fails on the input {tokens!r}: {error.message}",
            error.span or inferred.program.span(inferred.doubts[0][0]),
            "make every input of the vocabulary legal, or compile for another vocabulary",
        ) from error
    raise AssertionError(f"only the batched interpreter refuses {tokens}")

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
from typing import NoReturn

from rasplab.base.errors import CompileError, RaspError
from rasplab.compiler.compiled import Compiled
from rasplab.compiler.infer.value_sets import ValueSets
from rasplab.compiler.layout.assemble import assemble
from rasplab.compiler.layout.place import place
from rasplab.compiler.lower.lower import Lowering
from rasplab.compiler.lower.readout import read_out
from rasplab.program.domain import Domain
from rasplab.program.graph import Program

BASES = ("compact", "one_hot")

ATTEMPTS = (("float32", True), ("float32", False), ("float64", True), ("float64", False))
"""Dtypes, and whether counting heads may show their selector at the price of accuracy."""

DOUBTED_INPUTS = 20_000
"""How many inputs are run where legality cannot be read off the inferred values."""


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
    value_sets = ValueSets(program, domain)
    lowering, forms, readouts, certificate = _lowered(value_sets, basis)
    checked = _check_doubts(value_sets)
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


def _lowered(value_sets: ValueSets, basis: str):
    """The stream, all logits, what they mean, and the certificate of the output that is nearest to
    losing it: the first of ATTEMPTS that has one.
    """
    program = value_sets.program
    lowering, failed = None, []
    for dtype, shares in ATTEMPTS:
        if lowering and lowering.dtype == dtype and not lowering.attention.has_shares:
            continue
        lowering = Lowering(value_sets, basis, dtype, shares)
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


def _check_doubts(value_sets: ValueSets) -> str:
    """Where some combination of values would be illegal, run inputs: refuse if one meets it."""
    if not value_sets.doubts:
        return "inferred"
    from rasplab.program.batch.evaluate import evaluate_batch
    from rasplab.program.inputs import all_ids, sampled_ids

    domain = value_sets.domain
    few = domain.size <= DOUBTED_INPUTS
    for ids in all_ids(domain) if few else sampled_ids(domain, DOUBTED_INPUTS, seed=0):
        faults = evaluate_batch(value_sets.program, ids, domain.vocab, domain.causal).faults
        if faults.any():
            _refuse(value_sets, [domain.vocab[k] for k in ids[faults.argmax()]])
    return "run on every input" if few else "run on a sample"


def _refuse(value_sets: ValueSets, tokens: list) -> NoReturn:
    """The refusal of a program that fails on an input: what the interpreter says of it."""
    from rasplab.program.interpret.exact import evaluate

    try:
        evaluate(value_sets.program, tokens, causal=value_sets.domain.causal)
    except RaspError as error:
        raise CompileError(
            f"the program fails on the input {tokens!r}: {error.message}",
            error.span or value_sets.program.span(value_sets.doubts[0][0]),
            "make every input of the vocabulary legal, or compile for another vocabulary",
        ) from error
    raise AssertionError(f"only the batched interpreter refuses {tokens}")

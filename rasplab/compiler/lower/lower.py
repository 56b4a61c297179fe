"""The compiler's second stage: from value sets to heads, neurons and logits.

Input: ValueSets and a basis. Output: Lowered, with a certificate that it is exact in some dtype.
sop_forms.py makes linear forms of s-ops, heads.py and scores.py the heads, joint_functions.py and
piecewise_linear.py the neurons, readout.py the logits; residual.py holds what they make.
"""

from __future__ import annotations

from dataclasses import dataclass

from rasplab.base.errors import CompileError
from rasplab.compiler.infer.value_sets import ValueSets
from rasplab.compiler.lower.readout import Certificate, read_out
from rasplab.compiler.lower.residual import Choice, LinearForm, ResidualStream
from rasplab.compiler.lower.sop_forms import Lowering
from rasplab.transformer.readout import Readout

ATTEMPTS = (("float32", True), ("float32", False), ("float64", True), ("float64", False))
"""Dtypes, and whether counting heads may show their selector at the price of accuracy."""


@dataclass(frozen=True)
class Lowered:
    """A program as heads, neurons and logits over residual directions, not yet placed.

    logits       one form per logit, output by output
    readouts     what the logits mean, one per output
    certificate  of the output that is nearest to losing it
    """

    stream: ResidualStream
    logits: tuple[LinearForm, ...]
    readouts: tuple[Readout, ...]
    certificate: Certificate

    @property
    def choices(self) -> tuple[Choice, ...]:
        """The decisions taken, each once."""
        return tuple(dict.fromkeys(self.stream.choices))


def lower(value_sets: ValueSets, basis: str) -> Lowered:
    """Heads, neurons and logits of a program: the first of ATTEMPTS that is exact.

    basis  "compact" or "one_hot"
    Raises CompileError, with the output, where even float64 is not exact; and where a use needs
    values that cannot be listed or told apart.
    """
    program = value_sets.program
    previous: Lowering | None = None
    failures: list[tuple[str, int, Certificate]] = []
    for dtype, allow_shares in ATTEMPTS:
        if previous and previous.dtype == dtype and not previous.attention.has_shares:
            continue  # without shares to forbid, the attempt would be the same again
        previous = lowering = Lowering(value_sets, basis, dtype, allow_shares)
        outcomes = [read_out(lowering, output) for output in program.outputs]
        worst = max(range(len(outcomes)), key=lambda k: outcomes[k].certificate.share)
        certificate, output = outcomes[worst].certificate, program.outputs[worst]
        attempt = f"{dtype}{'' if allow_shares else ', widths without 1/(1+w)'}: {certificate}"
        logits = tuple(form for outcome in outcomes for form in outcome.logits)
        fits = not lowering.stream.overflows(logits)
        if certificate.holds and fits:
            lowering.stream.choose(output, "precision", attempt, *(text for text, _, _ in failures))
            readouts = tuple(outcome.readout for outcome in outcomes)
            return Lowered(lowering.stream, logits, readouts, certificate)
        attempt += "" if fits else f", numbers too large for {dtype}"
        failures.append((attempt, output, certificate))
    _, output, certificate = failures[-1]
    if certificate.holds:
        raise OverflowError("numbers too large for float64")
    raise CompileError(
        f"values of {program.labels[output]!r} lie {certificate.gap:.1g} apart; "
        f"the model is exact to {certificate.error:.1g} in float64",
        program.span(output),
        "use a smaller max_len or fewer different numbers",
    )

"""The compiler's second stage: from value sets to heads, neurons and logits.

Input: ValueSets and a basis. Output: Lowered, with a certificate that it is exact in some dtype.
sop_forms.py makes linear forms of s-ops, heads.py and scores.py the heads, joint_functions.py and
piecewise_linear.py the neurons, readout.py the logits; residual.py holds what they make.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from rasplab.base.errors import CompileError
from rasplab.compiler.infer.value_sets import ValueSets
from rasplab.compiler.lower.readout import Certificate, read_out
from rasplab.compiler.lower.residual import Choice, LinearForm, ResidualStream
from rasplab.compiler.lower.sop_forms import Lowering
from rasplab.transformer.readout import Readout

ATTEMPTS = (("float32", True), ("float32", False), ("float64", True), ("float64", False))
"""Dtypes, and whether counting heads may show their selector at the price of accuracy."""

COARSE = 0.1
"""Share of its tolerance that an error takes up, from which a finer dtype is tried."""


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
    One that is barely exact is left for a finer one that is smaller and has fewer layers.
    Raises CompileError, with the output, where even float64 is not exact; and where a use needs
    values that cannot be listed or told apart.
    """
    program = value_sets.program
    previous: _Attempt | None = None
    exact: _Attempt | None = None
    failures: list[_Attempt] = []
    for dtype, allow_shares in ATTEMPTS:
        if previous and previous.dtype == dtype and not previous.lowering.attention.has_shares:
            continue  # without shares to forbid, the attempt would be the same again
        if exact and exact.dtype == dtype:
            continue
        previous = _Attempt(value_sets, basis, dtype, allow_shares)
        if not (previous.certificate.holds and previous.fits):
            failures.append(previous)
        elif not exact or (previous.time < exact.time and previous.size < exact.size):
            exact = previous
        if exact and exact.certificate.share < COARSE:
            break
    if exact:
        return exact.lowered(failures)
    worst = failures[-1]
    output, certificate = worst.output, worst.certificate
    if certificate.holds:
        raise OverflowError("numbers too large for float64")
    raise CompileError(
        f"values of {program.labels[output]!r} lie {certificate.gap:.1g} apart; "
        f"the model is exact to {certificate.error:.1g} in float64",
        program.span(output),
        "use a smaller max_len or fewer different numbers",
    )


class _Attempt:
    """A lowering of all outputs, with the certificate of the one that is nearest to losing it."""

    def __init__(self, value_sets: ValueSets, basis: str, dtype: str, allow_shares: bool):
        self.dtype = dtype
        self.lowering = Lowering(value_sets, basis, dtype, allow_shares)
        outputs = value_sets.program.outputs
        self.outcomes = [read_out(self.lowering, output) for output in outputs]
        worst = max(range(len(outputs)), key=lambda k: self.outcomes[k].certificate.share)
        self.output, self.certificate = outputs[worst], self.outcomes[worst].certificate
        widths = "" if allow_shares else ", widths without 1/(1+w)"
        self.fits = not self.lowering.stream.overflows(self._logits)
        too_large = "" if self.fits else f", numbers too large for {dtype}"
        self.text = f"{dtype}{widths}: {self.certificate}{too_large}"

    @property
    def time(self) -> int:
        """The half layer in which the last of the logits is written."""
        return self.lowering.stream.time(*self._logits)

    @property
    def size(self) -> int:
        """About how many weights it will have, before anything has a place."""
        stream = self.lowering.stream
        heads, neurons = (
            max(Counter(part.time for part in parts).values(), default=0)
            for parts in (stream.heads, stream.neurons)
        )
        d_head = max((max(len(h.pairs), len(h.outs)) for h in stream.heads), default=0)
        layers = (self.time + 1) // 2
        return layers * len(stream.directions) * (4 * heads * d_head + 2 * neurons)

    @property
    def _logits(self) -> tuple[LinearForm, ...]:
        return tuple(form for outcome in self.outcomes for form in outcome.logits)

    def lowered(self, failures: list[_Attempt]) -> Lowered:
        """The attempt as the result of the stage, beside those that failed."""
        stream = self.lowering.stream
        stream.choose(self.output, "precision", self.text, *(f.text for f in failures))
        readouts = tuple(outcome.readout for outcome in self.outcomes)
        return Lowered(stream, self._logits, readouts, self.certificate)

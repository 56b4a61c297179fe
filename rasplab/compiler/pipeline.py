"""compile_program: the stages of the compiler in order (see `rasplab.compiler`)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from rasplab.base.arguments import FLAG, PROGRAM, TEXT, VOCAB, takes, whole
from rasplab.base.errors import CompileError
from rasplab.base.limits import deep_nodes
from rasplab.compiler.compiled import Compiled
from rasplab.compiler.infer.value_sets import ValueSets, infer
from rasplab.compiler.layout.assemble import assemble
from rasplab.compiler.layout.place import place
from rasplab.compiler.legality import check_legality
from rasplab.compiler.lower.lower import Lowered, lower
from rasplab.compiler.stage_checks import checked
from rasplab.program.domain import Domain, make_domain
from rasplab.program.graph import Program
from rasplab.program.values import Atom

BASES = ("compact", "one_hot")

STAGE_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "infer": infer,
    "lower": lower,
    "place": place,
    "assemble": assemble,
}


@takes(program=PROGRAM, vocab=VOCAB, max_len=whole(1), basis=TEXT, causal=FLAG)
def compile(
    program: Program,
    vocab: Iterable[Atom],
    max_len: int,
    *,
    basis: str = "compact",
    causal: bool = False,
) -> Compiled:
    """Compile a program into transformer weights, exact on every input of its domain.

    The domain is every sequence of 1 to `max_len` tokens of `vocab`.

    vocab   str, int, float or bool tokens; a string is read as its characters
    basis   "compact": the smallest model; "one_hot": a direction for every value of a leaf
    causal  every selector sees keys up to the query only

    Raises CompileError, with the place in the program, where no exact model exists; ValueError for
    bad arguments.
    """
    return compile_program(program, make_domain(vocab, max_len, causal), basis)


def compile_program(program: Program, domain: Domain, basis: str = "compact") -> Compiled:
    """Compile `program` into weights that give its values on every input of `domain`.

    basis  "compact": the smallest model; "one_hot": every value of a leaf is a direction of its own
    Raises CompileError, with the place, for a program that has no exact model there; ValueError for
    an unknown basis.
    """
    _check_request(program, basis)
    with deep_nodes(len(program.nodes)):
        return _compiled(program, domain, basis)


def _compiled(program: Program, domain: Domain, basis: str) -> Compiled:
    start = time.perf_counter()
    value_sets = checked(infer(program, domain))
    legality = check_legality(value_sets)
    if legality.total:
        # some part fails where no output reads it: there it takes any value that it has elsewhere
        value_sets = checked(infer(program, domain, total=True))
    lowered = checked(_lowered(value_sets, basis))
    layout = checked(place(lowered))
    weights = checked(assemble(layout, domain), layout)
    return Compiled(
        program,
        domain,
        basis,
        layout,
        lowered.readouts[0],
        lowered.certificate,
        weights,
        legality.reason,
        lowered.choices,
        lowered.readouts[1:],
        time.perf_counter() - start,
    )


def _lowered(value_sets: ValueSets, basis: str) -> Lowered:
    try:
        return lower(value_sets, basis)
    except OverflowError:
        raise CompileError(
            "the program's numbers are too large for weights in float64",
            hint="keep the numbers and their products below 10^308",
        ) from None


def _check_request(program: Program, basis: str) -> None:
    if basis not in BASES:
        raise ValueError(f"unknown basis {basis!r}; the bases are {' and '.join(BASES)}")
    for output in filter(program.is_selector, program.outputs):
        raise CompileError(
            "the output is a selector; a model gives s-ops",
            program.span(output),
            "aggregate it, or take its selector_width",
        )

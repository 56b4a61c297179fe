"""rasplab: from RASP programs to transformer weights, and from trained models back to selectors.

Nine stages, one room each. A room uses only the rooms above it in this list:

  base         values of settings, faults with a place, files, statistics
  program      Program, input -> values: the graph, its exact and batched interpreters, analysis
  lang         text -> Program -> text: parse, load, format; the same from Python (rasplab.dsl)
  transformer  Weights, input ids -> logits: sites, forward pass, read-out
  compiler     Program, Domain -> Compiled: exact weights with a certificate
  model        Compiled or folder -> LensModel: TransformerLens, verify, hooks, checkpoints
  circuit      LensModel, Pairs -> EdgeScores -> Score: true circuits, discovery, evaluation
  study        LensModel, Program -> Evidence: training, verdicts on heads, benchmarks
  apps         all of it -> text, pictures, pages: command line, REPL, notebook, demo

Names below are loaded when first used: `import rasplab` imports neither torch nor numpy.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import TYPE_CHECKING

from rasplab.base.errors import CompileError, RaspError

if TYPE_CHECKING:
    from rasplab.compiler.compiled import Compiled
    from rasplab.program.graph import Program

__version__ = "0.1.0"

_HOMES = {
    "parse": "rasplab.lang.loading",
    "load": "rasplab.lang.loading",
    "evaluate": "rasplab.program.interpret.exact",
    "equal": "rasplab.program.analysis.equivalence",
    "is_raspl": "rasplab.program.analysis.rasp_l",
    "limit": "rasplab.base.limits",
    "evaluate_many": "rasplab.program.batch.many",
    "verify": "rasplab.model.verify",
    "train": "rasplab.study.training.trainer",
    "match": "rasplab.study.heads.screen",
    "judge": "rasplab.study.heads.verdict",
    "judge_seeds": "rasplab.study.bench.across_seeds",
    "side_by_side": "rasplab.apps.show.side_by_side",
    "superpose": "rasplab.study.bench.superposition",
    "circuit_of": "rasplab.circuit.structural",
    "effective_circuit": "rasplab.circuit.effective",
    "discover": "rasplab.circuit.discovery.discover",
    "score": "rasplab.circuit.evaluation.score",
    "load_compiled": "rasplab.compiler.serialize",
    "load_model": "rasplab.model.checkpoint",
    "from_tracr": "rasplab.model.tracr",
    "load_ipython_extension": "rasplab.apps.notebook.extension",
}

__all__ = ["CompileError", "RaspError", "compile", *_HOMES]


def compile(
    program: Program,
    vocab: Iterable,
    max_len: int,
    *,
    basis: str = "compact",
    causal: bool = False,
) -> Compiled:
    """Compile a program into transformer weights, exact on every input of 1 to max_len tokens of
    `vocab`.

    vocab   str, int, float or bool tokens; a string is read as its characters
    basis   "compact": the smallest model; "one_hot": every value of a leaf is a direction of its
            own
    causal  every selector sees keys up to the query only
    Raises CompileError, with the place in the program, where no exact model exists; ValueError for
    bad arguments.
    """
    from rasplab.compiler.pipeline import compile_program
    from rasplab.program.domain import make_domain

    return compile_program(program, make_domain(vocab, max_len, causal), basis)


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"rasplab has no {name!r}; it has {', '.join(sorted(__all__))}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__():
    return sorted([*__all__, "__version__"])

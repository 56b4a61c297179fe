"""rasplab: from RASP programs to transformer weights, and from trained models back to selectors.

Nine stages, one package each. A package uses only those above it in this list:

  base         nothing -> limits, errors with a place, atomic files, text, statistics
  program      Program, tokens -> values: the graph, its exact and batched interpreters, analysis
  lang         text -> Program -> text: parse, load, format; the same from Python (rasplab.dsl)
  transformer  Weights, token ids -> logits -> values: sites, forward pass, read-out
  compiler     Program, Domain -> Compiled: exact weights with a certificate
  model        Compiled or folder -> LensModel: TransformerLens, verify, interventions, checkpoints
  circuit      LensModel, Pairs -> EdgeScores -> Score: true circuits, discovery, evaluation
  study        LensModel, Program -> Evidence: training, verdicts on heads, benchmarks
  apps         all of these -> text, pictures, pages: command line, REPL, notebook, demo

The functions below are the front door. Each is imported when it is first used, so that
`import rasplab` imports neither torch nor numpy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from rasplab.base.version import __version__ as __version__

if TYPE_CHECKING:  # for type checkers and editors, the names of _HOMES; a test compares the two
    from rasplab.apps.notebook.extension import load_ipython_extension as load_ipython_extension
    from rasplab.apps.show.side_by_side import side_by_side as side_by_side
    from rasplab.base.errors import CompileError as CompileError
    from rasplab.base.errors import RaspError as RaspError
    from rasplab.base.limits import limit as limit
    from rasplab.circuit.discovery.discover import discover as discover
    from rasplab.circuit.effective import effective_circuit as effective_circuit
    from rasplab.circuit.evaluation.score import score as score
    from rasplab.circuit.structural import circuit_of as circuit_of
    from rasplab.compiler.pipeline import compile as compile
    from rasplab.compiler.serialize import load_compiled as load_compiled
    from rasplab.lang.loading import load as load
    from rasplab.lang.loading import parse as parse
    from rasplab.model.checkpoint import load_model as load_model
    from rasplab.model.tracr import from_tracr as from_tracr
    from rasplab.model.verify import verify as verify
    from rasplab.program.analysis.equivalence import equal as equal
    from rasplab.program.analysis.rasp_l import is_raspl as is_raspl
    from rasplab.program.batch.many import evaluate_many as evaluate_many
    from rasplab.program.interpret.exact import evaluate as evaluate
    from rasplab.study.bench.across_seeds import judge_seeds as judge_seeds
    from rasplab.study.bench.superposition import superpose as superpose
    from rasplab.study.heads.screen import match as match
    from rasplab.study.heads.verdict import judge as judge
    from rasplab.study.training.trainer import train as train

_HOMES = {
    "parse": "rasplab.lang.loading",
    "load": "rasplab.lang.loading",
    "evaluate": "rasplab.program.interpret.exact",
    "equal": "rasplab.program.analysis.equivalence",
    "is_raspl": "rasplab.program.analysis.rasp_l",
    "limit": "rasplab.base.limits",
    "compile": "rasplab.compiler.pipeline",
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
    "CompileError": "rasplab.base.errors",
    "RaspError": "rasplab.base.errors",
}
"""The public names, and the module of each."""

__all__ = [*_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"rasplab has no {name!r}; it has {', '.join(sorted(__all__))}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])

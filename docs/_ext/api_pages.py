"""The pages of the API reference: which public names and types stand on which page.

Texts and signatures come from the docstrings and annotations; only the grouping is written here.
tests/docs checks that every name of `rasplab.__all__`, and every type that such a function returns,
is on a page.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module

import rasplab.dsl
from rasplab.base.doors import Doors


@dataclass(frozen=True)
class Page:
    """One page: functions by public name, classes by the module that defines them."""

    title: str
    text: str
    functions: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()


PAGES = {
    "programs": Page(
        "Programs",
        "Text to program, its exact value on inputs, and what is known before it runs.",
        ("parse", "load", "evaluate", "evaluate_many", "equal", "is_raspl", "limit"),
        (
            "rasplab.program.graph.Program",
            "rasplab.program.interpret.exact.Trace",
            "rasplab.program.analysis.requirements.Explanation",
            "rasplab.program.analysis.equivalence.Equality",
            "rasplab.program.analysis.rasp_l.Verdict",
            "rasplab.program.domain.Domain",
            "rasplab.base.limits.Limits",
        ),
    ),
    "compiler": Page(
        "Compiled models",
        "Program and domain to exact weights, with a certificate; inspection and transformation.",
        ("compile", "load_compiled", "superpose"),
        (
            "rasplab.compiler.compiled.Compiled",
            "rasplab.compiler.lower.readout.Certificate",
            "rasplab.transformer.weights.Weights",
            "rasplab.transformer.readout.Readout",
            "rasplab.transformer.sites.Site",
            "rasplab.study.bench.superposition.Superposed",
        ),
    ),
    "models": Page(
        "Models",
        "Weights in TransformerLens, and the comparison of a model with the interpreter.",
        ("verify", "load_model", "from_tracr"),
        (
            "rasplab.model.bridge.LensModel",
            "rasplab.model.verify.Report",
            "rasplab.model.recipe.Recipe",
            "rasplab.model.recipe.Trained",
        ),
    ),
    "circuits": Page(
        "Circuits",
        "True circuits of compiled models, discovery methods, and scores of these against those.",
        ("circuit_of", "effective_circuit", "discover", "score"),
        (
            "rasplab.circuit.graph.Circuit",
            "rasplab.circuit.patching.pairs.Pairs",
            "rasplab.circuit.discovery.edge_scores.EdgeScores",
            "rasplab.circuit.evaluation.score.Truth",
            "rasplab.circuit.evaluation.score.Score",
        ),
    ),
    "studies": Page(
        "Studies of trained models",
        "Training on a program's answers, and the comparison of heads with selectors.",
        ("train", "match", "judge", "judge_seeds", "side_by_side"),
        (
            "rasplab.study.heads.screen.MatchTable",
            "rasplab.study.heads.evidence.Evidence",
            "rasplab.study.heads.evidence.Finding",
            "rasplab.study.bench.across_seeds.Seeds",
            "rasplab.study.heads.atlas.Atlas",
            "rasplab.apps.show.side_by_side.SideBySide",
        ),
    ),
}

OTHER = {"CompileError", "RaspError", "load_ipython_extension"}
"""Public names that stand on the pages of errors and of the notebook extension."""


def pages() -> dict[str, str]:
    """File name -> Markdown."""
    made = {f"{name}.md": page_text(page) for name, page in PAGES.items()}
    return {**made, "dsl.md": dsl_page(), "errors.md": errors_page()}


def page_text(page: Page) -> str:
    """A page: first the functions, as `rasplab.NAME`, then the types that they take and return."""
    parts = [f"# {page.title}", page.text, "## Functions"]
    parts += [directive("autofunction", f"rasplab.{name}") for name in page.functions]
    parts += ["## Types"]
    parts += [directive("autoclass", name, *member_options(name)) for name in page.classes]
    return "\n\n".join(parts) + "\n"


def member_options(name: str) -> tuple[str, ...]:
    """Options of a class: its own members, and the doors of a type that has some."""
    module, _, attribute = name.rpartition(".")
    options = (":members:", ":undoc-members:", ":exclude-members: homes")
    doors = issubclass(getattr(import_module(module), attribute), Doors)
    return (*options, ":inherited-members: Doors") if doors else options


def dsl_page() -> str:
    """The names of `rasplab.dsl`."""
    from rasplab.lang.dsl.operators import Selector, SOp

    kinds = (SOp, Selector)
    names = {name: getattr(rasplab.dsl, name) for name in [*rasplab.dsl.__all__, "max", "min"]}
    leaves = [n for n, v in names.items() if isinstance(v, kinds)]
    functions = [n for n, v in names.items() if not isinstance(v, (type, *kinds))]
    rows = [f"| `{name}` | {type(names[name]).__name__} |" for name in leaves]
    parts = ["# rasplab.dsl", "```{eval-rst}\n.. automodule:: rasplab.lang.dsl.library\n```"]
    parts += ["## Given s-ops and selectors", "| name | type |\n|---|---|\n" + "\n".join(rows)]
    parts += ["## Functions"]
    parts += [directive("autofunction", f"rasplab.dsl.{name}") for name in functions]
    parts += ["## Types"]
    parts += [directive("autoclass", f"rasplab.dsl.{c.__name__}", ":members:") for c in kinds]
    return "\n\n".join(parts) + "\n"


def errors_page() -> str:
    """The exceptions."""
    names = ["RaspError", "RaspSyntaxError", "RaspNameError", "RaspTypeError", "RaspValueError"]
    names += ["CompileError", "FileError"]
    parts = ["# Exceptions", "See {doc}`errors </errors/index>` for examples and ways out."]
    for name in names:
        members = (":members:",) if name == "RaspError" else ()
        options = (":show-inheritance:", *members)
        parts.append(directive("autoexception", f"rasplab.base.errors.{name}", *options))
    parts.append(directive("autoclass", "rasplab.base.errors.Span", ":members:"))
    parts.append(directive("autoclass", "rasplab.base.errors.Source", ":members:"))
    return "\n\n".join(parts) + "\n"


def directive(kind: str, name: str, *options: str) -> str:
    """An autodoc directive."""
    lines = [f".. {kind}:: {name}", *(f"   {option}" for option in options)]
    return "\n".join(["```{eval-rst}", *lines, "```"])

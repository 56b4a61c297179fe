"""The API reference and the glossary name everything that users meet."""

from __future__ import annotations

import importlib
import inspect
import sys
from pathlib import Path
from types import ModuleType
from typing import get_args

import pytest

import rasplab

ROOT = Path(__file__).parents[2]
GLOSSARY = (ROOT / "docs" / "glossary.md").read_text("utf-8")


@pytest.fixture(scope="module")
def api_pages() -> ModuleType:
    """docs/_ext/api_pages.py."""
    sys.path.insert(0, str(ROOT / "docs" / "_ext"))
    try:
        return importlib.import_module("api_pages")
    finally:
        sys.path.pop(0)


def test_every_public_name_is_documented(api_pages):
    """Each name of `rasplab` is on a page of the reference."""
    named = {name for page in api_pages.PAGES.values() for name in page.functions}
    assert named | api_pages.OTHER == set(rasplab.__all__)


def test_every_type_that_a_function_returns_is_documented(api_pages):
    """A class of rasplab in a return annotation is on a page, and every listed class exists."""
    classes = {name for page in api_pages.PAGES.values() for name in page.classes}
    for name in classes:
        module, _, attribute = name.rpartition(".")
        assert inspect.isclass(getattr(importlib.import_module(module), attribute)), name
    short = {name.rpartition(".")[2] for name in classes}
    for name in set(rasplab.__all__) - api_pages.OTHER:
        function = getattr(rasplab, name)
        if inspect.isfunction(function):
            returned = str(function.__annotations__["return"]).rpartition(".")[2]
            assert returned in short or not returned[:1].isupper(), f"{name} -> {returned}"


def terms() -> list[str]:
    """Names that the code prints and that a reader may look up."""
    from rasplab.circuit.discovery.discover import METHODS
    from rasplab.circuit.graph import GRANULARITIES
    from rasplab.circuit.patching.experiment import ABLATIONS
    from rasplab.circuit.patching.metrics import METRICS
    from rasplab.compiler.pipeline import BASES
    from rasplab.study.heads.counterfactuals import FAMILIES
    from rasplab.study.heads.evidence import Verdict
    from rasplab.study.heads.screen import VIEWS
    from rasplab.study.heads.substitution import CONTROLS

    tables = (METHODS, METRICS, GRANULARITIES, BASES, FAMILIES, VIEWS, CONTROLS)
    return [*get_args(Verdict), *(name for table in tables for name in table), *ABLATIONS]


@pytest.mark.parametrize("term", sorted(set(terms())))
def test_the_glossary_has_every_name(term):
    """Each verdict, method, metric, ablation, granularity, basis, family, view and control."""
    assert f"`{term}`" in GLOSSARY or f"\n{term}\n" in GLOSSARY


@pytest.mark.parametrize(
    "term",
    ["interchange accuracy", "similarity", "chance", "BOS", "certificate", "margin", "domain"]
    + ["s-op", "selector", "site", "port", "edge", "structural", "effective", "faithfulness"]
    + ["completeness", "minimality", "ROC AUC", "pessimistic", "average precision", "null"],
)
def test_the_glossary_defines_the_terms(term):
    """Each term stands in the glossary with a definition below it."""
    assert f"\n{term}\n  " in GLOSSARY

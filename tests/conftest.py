"""What all tests share: array shapes and types are checked wherever a module declares them."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.shape_checks import check_annotations, unchecked

TESTS = Path(__file__).parent
PACKAGE = TESTS.parent / "rasplab"


def modules_with_shapes() -> list[str]:
    """The modules that import jaxtyping at run time, not under TYPE_CHECKING alone."""
    line = "\nfrom jaxtyping import"
    files = [p for p in PACKAGE.rglob("*.py") if line in p.read_text("utf-8")]
    return [".".join(p.relative_to(PACKAGE.parent).with_suffix("").parts) for p in sorted(files)]


# The compiler checks the result of each of its stages (compiler/stage_checks.py); also in workers.
os.environ["RASPLAB_CHECK_STAGES"] = "1"

# Installed before any test imports the package: beartype then checks arguments and results.
check_annotations(modules_with_shapes())


@pytest.fixture
def unchecked_annotations() -> Iterator[None]:
    """For long tests whose functions other tests call: checks take a third of their time."""
    with unchecked():
        yield


LONGEST = (
    "apps/notebook/test_extension.py",
    "docs/test_site.py",
    "study/heads/test_verdict.py",
    "compiler/test_mutations.py",
    "study/bench/test_planted.py",
    "study/bench/test_sweep.py",
    "study/heads/test_qk_interchange.py",
    "apps/test_demo.py",
    "compiler/test_pipeline.py",
)
"""The files of tests that take longest."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start with the longest files, so that no worker is left alone with one at the end."""
    rank = {TESTS / name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path, len(rank)))

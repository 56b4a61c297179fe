"""What all tests share: array shapes and types are checked wherever a module declares them."""

import os
from pathlib import Path

from support.shape_checks import check_annotations

PACKAGE = Path(__file__).parents[1] / "rasplab"


def modules_with_shapes() -> list[str]:
    """The modules that import jaxtyping at run time, not under TYPE_CHECKING alone."""
    line = "\nfrom jaxtyping import"
    files = [p for p in PACKAGE.rglob("*.py") if line in p.read_text("utf-8")]
    return [".".join(p.relative_to(PACKAGE.parent).with_suffix("").parts) for p in sorted(files)]


# The compiler checks the result of each of its stages (compiler/stage_checks.py); also in workers.
os.environ["RASPLAB_CHECK_STAGES"] = "1"

# Installed before any test imports the package: beartype then checks arguments and results.
check_annotations(modules_with_shapes())

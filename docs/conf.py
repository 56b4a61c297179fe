"""How the site is built: `make docs`, without a network, warnings being errors."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

DOCS = Path(__file__).parent
ROOT = DOCS.parent
sys.path.insert(0, str(DOCS / "_ext"))

import generate  # noqa: E402 (docs/_ext is on the path from here on)

import rasplab  # noqa: E402

project = "rasplab"
author = "rasplab contributors"
copyright = "2026, rasplab contributors"
version = release = rasplab.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "run_blocks", "plain_docstrings"]
exclude_patterns = [
    "generated/deviations.md",
    "generated/rooms.md",
    "_build",
    "_ext",
    "_static",
    "notebooks/images",
    "**/.ipynb_checkpoints",
]
suppress_warnings = ["config.cache"]

# Written before the sources are read: tables from stored results, the command line from its parser,
# the API pages from the public names. Nothing in docs/generated is typed by hand or committed.
generate.write_all(DOCS / "generated", ROOT)

html_theme = "furo"
html_title = f"rasplab {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_theme_options = {"source_repository": "", "navigation_with_keys": True}
pygments_style = "friendly"
pygments_dark_style = "monokai"

myst_enable_extensions = ["colon_fence", "deflist", "fieldlist", "attrs_inline", "dollarmath"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
python_maximum_signature_line_length = 80
toc_object_entries_show_parents = "hide"


def _package_digest() -> str:
    """A digest of what notebooks run: the package, the grammar and the zoo."""
    digest = hashlib.sha256()
    for folder in ("rasplab", "grammars", "circuits"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(str(path.relative_to(ROOT)).encode() + path.read_bytes())
    return digest.hexdigest()[:16]


# Outputs are cached by a notebook's code and by the package: a rebuild after a change of text runs
# nothing, a rebuild after a change of code runs everything. RASPLAB_DOCS_NOTEBOOKS=off skips them.
nb_execution_mode = os.environ.get("RASPLAB_DOCS_NOTEBOOKS", "cache")
nb_execution_cache_path = str(DOCS / "_build" / "notebooks" / _package_digest())
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_merge_streams = True

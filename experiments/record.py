"""Results files: `experiments/results/NAME.json`, each with the conditions of its measurement.

The documentation builds its tables from these files, so a script writes one only after a complete
run.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path

from rasplab.base.atomic import write_atomic

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "experiments" / "results"
CIRCUITS = ROOT / "circuits"
"""The programs and models of the checkout, which these scripts rewrite."""

PACKAGES = ("rasplab", "torch", "transformer-lens", "numpy")


def conditions() -> dict:
    """Machine and versions: processor, cores, 1-minute load average, Python and libraries."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in PACKAGES},
    }


def _processor() -> str:
    """The processor's name as Linux gives it, else what Python knows of it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def write_results(name: str, measured: dict, content: dict) -> Path:
    """Write `content` and the conditions `measured` to results/NAME.json; say so on stderr.

    measured  from `conditions()`, called before the measurement, so that the load average is not
              that of the measurement itself
    """
    path = RESULTS / f"{name}.json"
    text = json.dumps({"conditions": measured, **content}, indent=1, ensure_ascii=False)
    write_atomic(path, text + "\n")
    print(f"written to {path.relative_to(ROOT)}", file=sys.stderr)
    return path

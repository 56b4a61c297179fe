"""Discovery methods on models whose circuit is known: `make bench-circuits`.

`python experiments/discovery.py [DIR]` runs `rasplab bench circuits` on all programs, some 5 to 15
minutes, and writes its summary, the scores on every model, and ACDC's Tracr tasks beside the
published numbers to results/discovery.json. Rows are kept in DIR (default out/bench_circuits), so
that a run that was stopped goes on.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

from record import conditions, write_results

from rasplab.apps.cli.parser import main as rasplab
from rasplab.study.bench.acdc_tables import replicate
from rasplab.study.bench.discovery_bench import PAIRS

SEED = 0


def scores_by_model(rows: list[dict]) -> list[dict]:
    """One entry for each model and ablation: its units, and the AUC of every method."""
    models: dict[tuple[str, str, str], dict] = {}
    for row in rows:
        key = (row["program"], row["variant"], row["ablation"])
        names = dict(zip(("program", "variant", "ablation"), key, strict=True))
        empty = {"units": row["units"], "granularity": row["granularity"], "auc": {}}
        model = models.setdefault(key, names | empty)
        model["auc"][row["method"]] = {
            truth: row[truth] and row[truth]["auc"] for truth in ("effective", "structural")
        }
    return list(models.values())


def main(folder: str = "out/bench_circuits") -> int:
    """Run what is not in `folder` yet and write the results; the exit code of the benchmark."""
    measured = conditions()
    code = rasplab(["bench", "circuits", "-o", folder, "--seed", str(SEED)])
    if code:
        return code
    table = json.loads((Path(folder) / "table.json").read_text(encoding="utf-8"))
    content = {
        "seed": SEED,
        "pairs": PAIRS,
        "summary": table["summary"],
        "models": scores_by_model(table["rows"]),
        "acdc": [asdict(row) for row in replicate(SEED)],
    }
    write_results("discovery", measured, content)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

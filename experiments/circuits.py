"""Write the true circuits of the zoo programs: `make circuits`.

`python experiments/circuits.py [NAME ...]` compiles each program for its domain and writes the
structural circuit to circuits/truth/NAME.json and the effective edges under each ablation to
circuits/effective/NAME.json. Without names all programs are done anew, in about a minute.
"""

from __future__ import annotations

import sys

from record import CIRCUITS

from rasplab.base.atomic import write_atomic
from rasplab.circuit.effective import effective_json
from rasplab.circuit.structural import circuit_of
from rasplab.compiler.pipeline import compile_program
from rasplab.lang.loading import load
from rasplab.program.zoo import entries


def main(names: list[str]) -> None:
    """Write the circuits of these programs, by default of all."""
    for name in names or entries("zoo"):
        entry = entries("zoo")[name]
        compiled = compile_program(load(entry.path), entry.domain)
        circuit = circuit_of(compiled)
        write_atomic(CIRCUITS / "truth" / f"{name}.json", circuit.to_json())
        effective = effective_json(compiled.to_model(device="cpu"))
        write_atomic(CIRCUITS / "effective" / f"{name}.json", effective)
        print(f"{name}: {len(circuit.sites)} sites, {len(circuit.edges)} edges", flush=True)
    print("written to circuits/truth and circuits/effective", file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1:])

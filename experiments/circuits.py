"""`python -m rasplab.circuit`: write the true circuits of every zoo program: structural to
circuits/truth/NAME.json, effective under each ablation to circuits/effective/NAME.json.
"""

from rasplab.circuit.effective import effective_json
from rasplab.circuit.structural import circuit_of
from rasplab.compiler.pipeline import compile_program
from rasplab.lang.loading import load
from rasplab.program.zoo import entries, shipped


def main() -> None:
    """Compile every zoo program for its domain and store what its components feed each other."""
    truth, effective = shipped("circuits") / "truth", shipped("circuits") / "effective"
    truth.mkdir(exist_ok=True)
    effective.mkdir(exist_ok=True)
    for name, entry in entries("zoo").items():
        compiled = compile_program(load(entry.path), entry.domain)
        circuit = circuit_of(compiled)
        (truth / f"{name}.json").write_text(circuit.to_json(), encoding="utf-8")
        found = effective_json(compiled.to_model(device="cpu"))
        (effective / f"{name}.json").write_text(found, encoding="utf-8")
        print(f"{name}: {len(circuit.sites)} sites, {len(circuit.edges)} edges")


if __name__ == "__main__":
    main()

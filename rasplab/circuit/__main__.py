"""`python -m rasplab.circuit`: write the true circuit of every zoo program to
circuits/truth/NAME.json.
"""

from rasplab.circuit.truth import circuit_of
from rasplab.compiler import compile_program
from rasplab.lang import load
from rasplab.zoo import entries, shipped


def main() -> None:
    """Compile every zoo program for its domain and store what its components feed each other."""
    folder = shipped("circuits") / "truth"
    folder.mkdir(exist_ok=True)
    for name, entry in entries().items():
        circuit = circuit_of(compile_program(load(entry.path), entry.domain))
        (folder / f"{name}.json").write_text(circuit.to_json(), encoding="utf-8")
        print(f"{name}: {len(circuit.sites)} sites, {len(circuit.edges)} edges")


if __name__ == "__main__":
    main()

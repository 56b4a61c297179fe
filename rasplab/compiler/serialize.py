"""Compiled models on disk: weights.safetensors and compiled.json in a folder.

A compiled model is a pure function of program, domain and basis. Loading compiles the program again
and compares the stored weights with the result, so a loaded model has everything that a compiled
one has, and a damaged file is noticed.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from rasplab.base.atomic import write_atomic
from rasplab.base.errors import FileError, Source, Span
from rasplab.compiler.compiled import Compiled
from rasplab.compiler.pipeline import compile_program
from rasplab.compiler.transforms import transformed_again
from rasplab.program.domain import Domain
from rasplab.program.graph import (
    Aggregate,
    Combine,
    Constant,
    Indices,
    Map,
    Node,
    Program,
    Select,
    SelectorWidth,
    Tokens,
)
from rasplab.transformer.weights import Weights

FORMAT = 1
"""The version of compiled.json."""

_AGAIN = "compile the program again: `rasplab compile FILE -o DIR`"

NODE_TYPES: dict[str, Callable[..., Node]] = {
    t.__name__: t
    for t in (Tokens, Indices, Constant, Map, Select, Combine, Aggregate, SelectorWidth)
}


def save(compiled: Compiled, folder: str | Path) -> None:
    """Write both files into `folder`, which is made if needed; no reader sees half a file.

    Raises FileError where they cannot be written.
    """
    from safetensors.numpy import save as to_bytes

    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        arrays = {name: np.ascontiguousarray(a) for name, a in compiled.weights.arrays().items()}
        write_atomic(folder / "weights.safetensors", to_bytes(arrays))
        write_atomic(folder / "compiled.json", _json(compiled).encode())
    except OSError as error:
        raise FileError(
            f"cannot write {folder}: {error.strerror}", hint="choose another folder with -o"
        ) from None


def load_compiled(folder: str | Path) -> Compiled:
    """The compiled model in `folder`.

    Raises FileError if it is missing, damaged, or of another version.
    """
    folder = Path(folder)
    if not (folder / "compiled.json").is_file():
        raise FileError(
            f"no compiled model in {folder}", hint="write one with `rasplab compile FILE -o DIR`"
        )
    try:
        row = json.loads((folder / "compiled.json").read_text(encoding="utf-8"))
        if row["format"] != FORMAT:
            raise FileError(
                f"{folder} has format {row['format']}, this rasplab reads {FORMAT}", hint=_AGAIN
            )
        domain = Domain(tuple(row["vocab"]), row["max_len"], row["causal"])
        compiled = compile_program(_program(row), domain, row["basis"])
        compiled = transformed_again(compiled, row.get("transforms", ()))
    except (ValueError, KeyError, TypeError, IndexError, AssertionError) as error:
        raise FileError(f"{folder / 'compiled.json'} is damaged: {error}", hint=_AGAIN) from None
    return _with_stored(folder / "weights.safetensors", compiled)


def _with_stored(path: Path, compiled: Compiled) -> Compiled:
    """The model with the weights of the file, which have to be those that compilation gives.

    Raises FileError where they are not. Compilation repeats every bit; a transform may differ in
    the last digits on another machine, where matrices are multiplied in another order.
    """
    from safetensors.numpy import load as from_bytes

    try:
        stored = from_bytes(path.read_bytes())
    except Exception as error:  # the format's reader raises its own types
        raise FileError(f"{path} cannot be read: {error}", hint=_AGAIN) from None
    for name, array in compiled.weights.arrays().items():
        if name not in stored or not _same(stored[name], array, exact=not compiled.transforms):
            raise FileError(
                f"{path}: {name} differs from what the program compiles to", hint=_AGAIN
            )
    return replace(compiled, weights=Weights(**stored)) if compiled.transforms else compiled


def _same(stored: np.ndarray, computed: np.ndarray, exact: bool) -> bool:
    """Whether two arrays are equal; unless `exact`, up to 1e-9 of the largest number in them."""
    if exact or stored.shape != computed.shape:
        return np.array_equal(stored, computed)
    scale = float(np.abs(computed).max(initial=0.0))
    return np.allclose(stored, computed, rtol=0, atol=1e-9 * scale)


def _json(compiled: Compiled) -> str:
    program, domain = compiled.program, compiled.domain
    sources = list(dict.fromkeys(s.source for s in program.spans if s))
    row = {
        "format": FORMAT,
        "digest": program.digest,
        "nodes": [[type(n).__name__, *(getattr(n, f) for f in n.__slots__)] for n in program.nodes],
        "output": program.output,
        **({"also": list(program.also)} if program.also else {}),
        **({"transforms": compiled.transforms} if compiled.transforms else {}),
        "names": list(program.names),
        "sources": [[Path(s.name).name, s.text] for s in sources],
        "spans": [[sources.index(s.source), s.start, s.stop] if s else None for s in program.spans],
        "vocab": list(domain.vocab),
        "max_len": domain.max_len,
        "causal": domain.causal,
        "basis": compiled.basis,
        "shape": compiled.weights.shape(),
        "attn_scale": compiled.weights.attn_scale,
        "dtype": compiled.certificate.dtype,
        "values": compiled.readout.values,
    }
    return json.dumps(row, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _program(row: dict[str, Any]) -> Program:
    sources = [Source(name, text) for name, text in row["sources"]]
    spans = tuple(Span(sources[s[0]], s[1], s[2]) if s else None for s in row["spans"])
    names = tuple((name, i) for name, i in row["names"])
    nodes = tuple(NODE_TYPES[kind](*map(_tuples, fields)) for kind, *fields in row["nodes"])
    return Program(nodes, row["output"], names, spans, tuple(row.get("also", ())))


def _tuples(value: Any) -> Any:
    """Lists as tuples, inside too: JSON has no tuples, and nodes hold no lists."""
    return tuple(map(_tuples, value)) if isinstance(value, list) else value

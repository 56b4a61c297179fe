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

from rasplab.base.arguments import FLAG, PATH, takes
from rasplab.base.atomic import complete_folder, write_together
from rasplab.base.errors import CompileError, FileError, Source, Span
from rasplab.base.folders import COMPILED, FORCE, drop_others, require_kind
from rasplab.base.schema import (
    Schema,
    SchemaError,
    array,
    atom,
    boolean,
    integer,
    nullable,
    one_of,
    plain,
    read_json,
    record,
    refuse,
    row,
    string,
)
from rasplab.base.text import clipped
from rasplab.compiler.compiled import Compiled
from rasplab.compiler.pipeline import BASES, compile_program
from rasplab.compiler.transforms import transformed_again
from rasplab.program.domain import Domain, make_domain
from rasplab.program.functions import CASTS, FUNCTIONS, PREDICATES
from rasplab.program.graph import (
    SELECTORS,
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
    operands,
)
from rasplab.transformer.weights import Weights

WEIGHTS = "weights.safetensors"

FORMAT = 1
"""The version of compiled.json."""

_AGAIN = "compile the program again: `rasplab compile FILE -o DIR`"

NODE_TYPES: dict[str, Callable[..., Node]] = {
    t.__name__: t
    for t in (Tokens, Indices, Constant, Map, Select, Combine, Aggregate, SelectorWidth)
}


@takes(folder=PATH, force=FLAG)
def save(compiled: Compiled, folder: str | Path, force: bool = False) -> None:
    """Write both files into `folder`, which is made if needed; no reader sees half of a model.

    force  replace a model of another program or kind

    Raises FileError where they cannot be written, or where the folder holds something else.
    """
    from safetensors.numpy import save as to_bytes

    folder = Path(folder)
    require_kind(folder, COMPILED, force=force)
    if not force:
        _require_same_program(folder, compiled)
    arrays = {name: np.ascontiguousarray(a) for name, a in compiled.weights.arrays().items()}
    files = {WEIGHTS: to_bytes(arrays), COMPILED: _json(compiled).encode()}
    try:
        write_together(folder, files)
        drop_others(folder, COMPILED)
    except OSError as error:
        raise FileError(
            f"cannot write {folder}: {error.strerror}", hint="choose another folder with -o"
        ) from None


def _require_same_program(folder: Path, compiled: Compiled) -> None:
    """Raise FileError where the folder holds a compiled model of a program in another file."""
    path = complete_folder(folder) / COMPILED
    if not path.is_file():
        return
    try:
        stored = read_json(path, COMPILED_MODEL, hint=_AGAIN)
    except FileError:
        return  # what cannot be read is replaced
    names = [source for source, _ in stored["sources"]]
    given = [source for source, _ in _sources(compiled.program)]
    # A program's own text may stand before or after what it loads, and may load more than before:
    # it is the same one where all sources of either are among those of the other.
    nested = set(names) <= set(given) or set(given) <= set(names)
    if nested and bool(names) == bool(given):
        return
    was, now = _described(names, given), _described(given, names)
    raise FileError(
        f"{folder} holds the compiled model {was}, which one {now} does not replace", hint=FORCE
    )


def _described(names: list[str], others: list[str]) -> str:
    """A program by the last of its sources that another does not have."""
    own_names = [name for name in names if name not in others]
    return f"of {own_names[-1]}" if own_names else "without a text"


@takes(folder=PATH)
def load_compiled(folder: str | Path) -> Compiled:
    """The compiled model in `folder`.

    Raises FileError if it is missing, damaged, or of another version.
    """
    folder = complete_folder(Path(folder))
    path = folder / COMPILED
    if not path.is_file():
        raise FileError(
            f"no compiled model in {folder}", hint="write one with `rasplab compile FILE -o DIR`"
        )
    rows = read_json(path, _versioned, hint=_AGAIN)
    stored = _stored_weights(folder / WEIGHTS)
    try:
        domain = make_domain(rows["vocab"], rows["max_len"], rows["causal"])
        _require_sizes(domain, stored)
        compiled = compile_program(_program(rows), domain, rows["basis"])
        compiled = transformed_again(compiled, rows.get("transforms", ()))
    except CompileError as error:
        raise FileError(f"{path} is damaged: {error.message}", hint=_AGAIN) from None
    except (ValueError, KeyError, TypeError, IndexError, AssertionError) as error:
        reason = " ".join(str(error).split())
        raise FileError(f"{path} is damaged: {reason}", hint=_AGAIN) from None
    return _with_stored(folder / WEIGHTS, stored, compiled)


def _stored_weights(path: Path) -> dict[str, np.ndarray]:
    from safetensors.numpy import load as from_bytes

    try:
        return from_bytes(path.read_bytes())
    except Exception as error:  # the format's reader raises its own types
        reason = " ".join(str(error).split())
        raise FileError(f"{path} cannot be read: {reason}", hint=_AGAIN) from None


def _require_sizes(domain: Domain, stored: dict[str, np.ndarray]) -> None:
    """Raise ValueError where the weights have other sizes than the domain, before compiling.

    A damaged max_len would otherwise compile for hours.
    """
    for name, size in (("W_E", len(domain.vocab) + 1), ("W_pos", domain.max_len + 1)):
        weight = stored.get(name)
        if weight is None or weight.ndim != 2 or len(weight) != size:
            shape = "missing" if weight is None else f"of shape {list(weight.shape)}"
            raise ValueError(f"{name} in {WEIGHTS} is {shape}; it has to have {size} rows")


def _with_stored(path: Path, stored: dict[str, np.ndarray], compiled: Compiled) -> Compiled:
    """The model with the weights of the file, which have to be those that compilation gives.

    Raises FileError where they are not. Compilation repeats every bit; a transform may differ in
    the last digits on another machine, where matrices are multiplied in another order.
    """
    for name, weight in compiled.weights.arrays().items():
        if name not in stored or not _same(stored[name], weight, exact=not compiled.transforms):
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


def _sources(program: Program) -> list[tuple[str, str]]:
    """Name and text of every source of a program, in the order of its nodes."""
    sources = dict.fromkeys(s.source for s in program.spans if s)
    return [(Path(s.name).name, s.text) for s in sources]


def _json(compiled: Compiled) -> str:
    program, domain = compiled.program, compiled.domain
    # each source once, in the order in which nodes first name it; spans refer to it by number
    sources = list(dict.fromkeys(s.source for s in program.spans if s))
    fields = {
        "format": FORMAT,
        "digest": program.digest,
        # slots are in the order of the fields, which NODE_FIELDS describes
        "nodes": [[type(n).__name__, *(getattr(n, f) for f in n.__slots__)] for n in program.nodes],
        "output": program.output,
        **({"also": list(program.also)} if program.also else {}),
        **({"transforms": compiled.transforms} if compiled.transforms else {}),
        "names": list(program.names),
        "sources": list(map(list, _sources(program))),
        "spans": [[sources.index(s.source), s.start, s.stop] if s else None for s in program.spans],
        "vocab": list(domain.vocab),
        "max_len": domain.max_len,
        "causal": domain.causal,
        "basis": compiled.basis,
        "shape": compiled.weights.shape(),
        "attn_scale": compiled.weights.attn_scale,
        "dtype": compiled.certificate.dtype,
        "values": compiled.readout.values,
        "outputs": _outputs(compiled),
    }
    return json.dumps(fields, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _outputs(compiled: Compiled) -> list[dict[str, Any]]:
    """How the logits of each output are decoded, output by output.

    width   how many logits it has; those of one output follow those of the one before
    values  what it can hold: the largest logit names one; or, with `number`, the single logit is a
            number, and the nearest of these is meant
    unit    as [numerator, denominator], where values is null: a number is the nearest multiple of
            unit / k over all k up to `denominator`
    """
    program = compiled.program
    return [
        {
            "name": program.labels[output],
            "width": readout.width,
            "number": readout.number,
            "values": readout.values,
            "unit": [readout.unit.numerator, readout.unit.denominator],
            "denominator": readout.denominator,
        }
        for output, readout in zip(
            program.outputs, (compiled.readout, *compiled.further), strict=True
        )
    ]


def _versioned(value: Any, where: str) -> dict[str, Any]:
    """`COMPILED_MODEL`, where the version is one that is read."""
    version = record({"format": plain})(value, where)["format"]
    if version != FORMAT or type(version) is not int:
        raise SchemaError(f"it has format {clipped(version)}, this rasplab reads {FORMAT}")
    return COMPILED_MODEL(value, where)


def _node(value: Any, where: str) -> Any:
    """One node as the list of its type and fields, which `_program` makes a node of."""
    if not (isinstance(value, list) and value and value[0] in list(NODE_FIELDS)):
        refuse(value, where, f"a list that begins with {', '.join(NODE_FIELDS)}")
    return row(one_of(value[0]), *NODE_FIELDS[value[0]])(value, where)


_ID = integer(0)
NODE_FIELDS: dict[str, tuple[Schema, ...]] = {
    "Tokens": (one_of(*CASTS),),
    "Indices": (),
    "Constant": (plain,),
    "Map": (one_of(*FUNCTIONS), array(_ID)),
    "Select": (_ID, _ID, one_of(*PREDICATES)),
    "Combine": (one_of("and", "or", "not"), array(_ID, 1)),
    "Aggregate": (_ID, _ID, atom),
    "SelectorWidth": (_ID,),
}
"""The fields of every node type in compiled.json."""

COMPILED_MODEL = record(
    {
        "format": integer(),
        "nodes": array(_node, 1),
        "output": _ID,
        "names": array(row(string, _ID)),
        "sources": array(row(string, string)),
        "spans": array(nullable(row(_ID, _ID, _ID))),
        "vocab": array(atom, 1),
        "max_len": integer(1),
        "causal": boolean,
        "basis": one_of(*BASES),
    },
    {"also": array(_ID), "transforms": array(array(plain, 1))},
)
"""What `save` writes, as far as `load_compiled` reads it."""


def _program(rows: dict[str, Any]) -> Program:
    """The program of `COMPILED_MODEL`. Raises ValueError where its parts contradict each other."""
    sources = [Source(name, text) for name, text in rows["sources"]]
    spans = tuple(Span(sources[s[0]], s[1], s[2]) if s else None for s in rows["spans"])
    names = tuple((name, i) for name, i in rows["names"])
    nodes = tuple(NODE_TYPES[kind](*map(_tuples, fields)) for kind, *fields in rows["nodes"])
    selectors = {i for i, node in enumerate(nodes) if isinstance(node, SELECTORS)}
    for i, node in enumerate(nodes):
        _check_node(i, node, selectors)
    if any(i >= len(nodes) for _, i in names) or len(spans) not in (0, len(nodes)):
        raise ValueError("its names or spans are of nodes that it does not have")
    return Program(nodes, rows["output"], names, spans, tuple(rows.get("also", ())))


def _check_node(i: int, node: Node, selectors: set[int]) -> None:
    """Raise ValueError for operands that come later, of the wrong kind, or of a wrong number."""
    read = operands(node)
    of_selectors = {
        Combine: read,
        Aggregate: read[:1],
        SelectorWidth: read,
    }.get(type(node), ())
    if any(a >= i for a in read) or {a for a in read if a in selectors} != set(of_selectors):
        raise ValueError(f"node {i} reads nodes that it cannot read: {clipped(node)}")
    if isinstance(node, Map) and FUNCTIONS[node.fn].arity != len(read):
        raise ValueError(f"node {i} has {len(read)} operands: {clipped(node)}")
    if isinstance(node, Combine) and (len(read) == 1) != (node.fn == "not"):
        raise ValueError(f"node {i} has {len(read)} operands: {clipped(node)}")


def _tuples(value: Any) -> Any:
    """Lists as tuples, inside too: JSON has no tuples, and nodes hold no lists."""
    return tuple(map(_tuples, value)) if isinstance(value, list) else value

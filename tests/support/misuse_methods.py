"""Wrong arguments for the methods of what public functions return, as calls.

`support.misuse` makes the calls and judges how they fail. Every public method is called, those that
higher rooms provide too; one that needs arguments has them in VALID.
"""

from __future__ import annotations

import inspect
import io
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import rasplab
from rasplab.base.doors import Door

Calls = Iterator[tuple[str, Callable[[], Any]]]


def results(functions: dict[str, dict[str, Any]]) -> list[Any]:
    """One object of each type that public functions return, and those that these hold."""
    evaluated = {
        name: getattr(rasplab, name)(**functions[name])
        for name in ("parse", "compile", "evaluate", "equal", "is_raspl", "verify", "load_model")
        + ("match", "judge", "superpose", "circuit_of", "discover", "score", "side_by_side")
    }
    model = functions["verify"]["model"]
    program, compiled, circuit = (evaluated[n] for n in ("parse", "compile", "circuit_of"))
    inner = [model, model.domain, program.explain(), circuit.diff(circuit), compiled.certificate]
    inner += [evaluated["judge"].domain]
    inner += [evaluated["judge"].findings[0][0], evaluated["load_model"].recipe]
    return [*evaluated.values(), *inner]


def valid_arguments(folder: str, functions: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Arguments that the methods take, by "Type.method"; the others need none."""
    circuit = rasplab.circuit_of(functions["circuit_of"]["compiled"])
    site, ids = circuit.sites[0], np.array([[0, 1]])
    inputs: dict[str, Any] = dict.fromkeys(("all_codes", "codes", "lens_ids"), {"ids": ids})
    inputs |= {"logits": {"ids": ids}, "patterns_of": {"ids": ids}, "run": {"tokens": "ab"}}
    inputs |= {
        "run_all": {"tokens": "ab"},
        "run_batch": {"inputs": ["ab"]},
        "to": {"device": "cpu"},
    }
    inputs |= {"patterns": {"inputs": ["ab"]}, "run_hooked": {"tokens": "ab", "hooks": []}}
    inputs |= {"decoded": {"logits": []}}
    of = {"head": "L0H0", "selector": "flip"}
    return {
        **{f"LensModel.{name}": arguments for name, arguments in inputs.items()},
        "Compiled.explain": {"tokens": "ab", "position": 0},
        "Compiled.rotated": {"seed": 0},
        "Compiled.save": {"folder": f"{folder}/saved", "force": True},
        "Compiled.shuffled_heads": {"seed": 0},
        "Compiled.stage": {"name": "infer"},
        "Compiled.to_model": {"device": "cpu", "dtype": "float32"},
        "Compiled.with_decoys": {"seed": 0},
        "Compiled.with_noise": {"sigma": 0.1, "seed": 0},
        "Program.explain": {"causal": False},
        "Program.id_of": {"name": "x"},
        "Program.is_selector": {"i": 0},
        "Program.span": {"i": 0},
        "Trace.value": {"i": 0},
        "Trace.__getitem__": {"name": "x"},
        "MatchTable.alike": {"j": 0},
        "Evidence.implementing": {"selector": "flip"},
        "Evidence.of": of,
        "Circuit.diff": {"other": circuit},
        "Circuit.from_json": {"text": circuit.to_json(), "where": "the text"},
        "Circuit.kept": {"edges": circuit.edges},
        "Circuit.label": {"site": site},
        "Recipe.from_json": {"rows": {}},
        "EdgeScores.from_json": {"text": "{}", "where": "the text"},
        "EdgeScores.top": {"n": 1},
        "Domain.encode": {"tokens": "ab"},
        "Domain.sample": {"count": 2, "seed": 0},
    }


def method_calls(
    folder: str, functions: dict[str, dict[str, Any]], values: Callable[[], list[Any]]
) -> Calls:
    """Every public attribute read, and every method with one argument replaced."""
    valid, seen = valid_arguments(folder, functions), set()
    for thing in results(functions):
        kind = type(thing)
        for name in _public(kind):
            where = f"{kind.__name__}.{name}"
            if where in seen or not kind.__module__.startswith("rasplab."):
                continue
            seen.add(where)
            yield from _calls(thing, name, where, valid.get(where, {}), values)
    unknown = set(valid) - seen
    assert not unknown, f"no such methods: {unknown}"


def _public(kind: type) -> list[str]:
    return [n for n in dir(kind) if not n.startswith("_") or n in ("__getitem__", "__str__")]


def _calls(
    thing: Any, name: str, where: str, valid: dict[str, Any], values: Callable[[], list[Any]]
) -> Calls:
    attribute = inspect.getattr_static(type(thing), name)
    is_method = inspect.isfunction(attribute) or isinstance(attribute, Door | staticmethod)
    if not is_method or name in ("__str__",):
        yield f"methods({where})", lambda: getattr(thing, name)
        return
    yield f"methods({where})", lambda: getattr(thing, name)(**valid)
    for parameter in valid:
        for value in values():
            bound = valid | {parameter: value}
            yield f"methods({where}, {parameter}=...)", lambda b=bound: _quiet(thing, name, b)


def _quiet(thing: Any, name: str, arguments: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = getattr(thing, name)(**arguments)
    print(result, file=io.StringIO())

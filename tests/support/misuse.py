"""Wrong arguments for every public function: what leaves has to be an error of ours.

Run as a program, so that no type checker of the tests stands before the checks of the package:
prints one line for each call that fails in another way, and the number of calls.
"""

from __future__ import annotations

import contextlib
import dis
import inspect
import io
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any

from misuse_methods import method_calls
from misuse_settings import option_calls, setting_calls

import rasplab
from rasplab import dsl
from rasplab.model.open_models import AnyModel

TEXT = 'flip = select(indices, length - 1 - indices, ==); x = aggregate(flip, tokens, "-");'


def nonsense(program: Any, compiled: Any) -> list[Any]:
    """Values that hardly any parameter takes; each function takes a few."""
    simple = [None, 0, -1, 1.5, float("nan"), float("inf"), 10**30, 10**5000, True, 1j]
    texts = ["", "nosuch", "\ud800", "\x00", "<b>", b"x", "a\nb"]
    lists = [[], [None], [[]], [{}], [1, "a"], [float("nan")], ["\ud800"], (), {}, {1: 2}, {"a"}]
    objects = [object(), print, int, ValueError("x"), program, compiled, dsl.tokens, dsl.full_s]
    deep: list = []
    for _ in range(5000):
        deep = [deep]
    return [
        *simple,
        *texts,
        *lists,
        *objects,
        deep,
        [deep],
        [("nosuch", print)],
        (i for i in "ab"),
        sys,
        ...,
    ]


def baselines(folder: str) -> dict[str, dict[str, Any]]:
    """Arguments that every public function takes."""
    program = rasplab.parse(TEXT)
    compiled = rasplab.compile(program, "ab", 3)
    model = compiled.to_model(device="cpu")
    compiled.save(f"{folder}/compiled")
    trained = rasplab.train("hist", out=f"{folder}/t", steps=1, device="cpu", progress=False)
    scores = rasplab.discover(model, "eap")
    from rasplab.circuit.evaluation.score import truth_of

    path = f"{folder}/p.rasp"
    with open(path, "w", encoding="utf-8") as file:
        file.write(TEXT)
    both = {"model": model, "program": program}
    vocab = {"vocab": "ab", "max_len": 3}
    return {
        "compile": {"program": program, **vocab, "basis": "compact", "causal": False},
        "parse": {"text": TEXT, "output": "x", "name": "<text>"},
        "load": {"path": path, "output": ["x"]},
        "evaluate": {"program": program, "tokens": "ab", "causal": False},
        "equal": {"a": program, "b": program, **vocab, "causal": False, "max_inputs": 10}
        | {"seed": 0, "progress": None},
        "is_raspl": {"program": program, "causal": False},
        "limit": {"tokens": 10_000, "bits": 12_000},
        "evaluate_many": {"program": program, "batch": ["ab", "a"], "vocab": None}
        | {"causal": False},
        "verify": both | {"max_inputs": 10, "seed": 0, "progress": None},
        "train": {"name": "hist", "seed": 0, "out": None, "device": "cpu", "progress": False}
        | {"force": False, "steps": 1, "layers": 1, "norm": "LN", "act": "gelu", "vocab": "ab"}
        | {"supervise": None, "lr": 0.01, "max_len": 3},
        "match": both | {"n": 4, "seed": 0},
        "judge": both | {"pairs": 2, "seed": 0, "progress": lambda done, total: None},
        "judge_seeds": {"recipe": trained.recipe, "program": None, "seeds": (0, 1)}
        | {"folder": f"{folder}/seeds", "pairs": 2, "progress": False},
        "side_by_side": {"program": program, "compiled": model, "trained": model}
        | {"inputs": ["ab"], "heads": None, "evidence": None},
        "superpose": {"compiled": compiled, "d_model": 4, "seed": 0, "steps": 1}
        | {"progress": False},
        "circuit_of": {"compiled": compiled},
        "effective_circuit": {"model": model, "pairs": None, "ablation": "zero", "seed": 0}
        | {"tolerance": 1e-6},
        "discover": {"model": model, "method": "eap", "pairs": None, "ablation": "zero"}
        | {"metric": None, "granularity": None, "seed": 0, "progress": None, "max_seconds": 9.0},
        "score": {"scores": scores, "truth": truth_of(model), "mixed": False, "seed": 0}
        | {"resamples": 5},
        "load_compiled": {"folder": f"{folder}/compiled"},
        "load_model": {"folder": f"{folder}/t", "device": "cpu"},
        "from_tracr": {"assembled": None, "output_label": None, "device": "cpu"}
        | {"dtype": "float32"},
        "load_ipython_extension": {"shell": None},
    }


def dsl_baselines() -> dict[str, dict[str, Any]]:
    """Arguments of the functions of rasplab.dsl; the result is made a program."""
    values: dict[str, Any] = {
        name: dsl.full_s if name in ("selector", "sel") else dsl.indices
        for function in map(dsl.__dict__.get, dsl.__all__)
        if inspect.isfunction(function)
        for name in inspect.signature(function).parameters
    }
    values |= {"predicate": "==", "default": 0, "name": None}
    return {
        name: {n: values[n] for n in inspect.signature(getattr(dsl, name)).parameters}
        for name in dsl.__all__
        if inspect.isfunction(getattr(dsl, name))
    }


def calls(folder: str) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Every call with one argument replaced, and what to call it in a report."""
    program = rasplab.parse(TEXT)
    compiled = rasplab.compile(program, "ab", 2)
    functions = baselines(folder)
    for name, arguments in functions.items():
        function = getattr(rasplab, name)
        for parameter in arguments:
            for value in nonsense(program, compiled):
                if parameter == "progress" and callable(value):
                    continue  # what a user's function raises is the user's
                bound = arguments | {parameter: value}
                yield f"{name}({parameter}=...)", lambda f=function, b=bound: f(**b)
    for name, arguments in dsl_baselines().items():
        function = getattr(dsl, name)
        for parameter in arguments:
            for value in nonsense(program, compiled):
                bound = arguments | {parameter: value}
                yield f"dsl.{name}({parameter}=...)", lambda f=function, b=bound: _built(f(**b))
    flip = rasplab.parse("flip = select(indices, length - 1 - indices, ==);", output="flip")
    lens = rasplab.compile(program, "ab", 5).to_model(device="cpu").lens
    model = AnyModel("m", lens, 0, range(1, 3), 6, False)
    yield from setting_calls(lambda: nonsense(program, compiled), model, {"flip": flip})
    yield from method_calls(folder, functions, lambda: nonsense(program, compiled))
    yield from option_calls()


def _built(result: Any) -> None:
    if isinstance(result, dsl.SOp | dsl.Selector):
        dsl.program(result)


def fault_of(call: Callable[[], Any]) -> str | None:
    """What is wrong with how a call fails; None where it returns or fails as it should."""
    try:
        with contextlib.redirect_stderr(io.StringIO()), rasplab.limit():
            call()
    except rasplab.RaspError as error:
        return None if error.message.strip() else "empty message"
    except Exception as error:
        if isinstance(error, ValueError | TypeError) and _is_ours(error):
            return None
        file, line, *_ = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__} of {file}:{line}: {str(error)[:80]!r}"
    return None


def _is_ours(error: Exception) -> bool:
    """Whether a statement `raise` of the package made it, with a message of one line."""
    last = error.__traceback__
    assert last is not None
    while last.tb_next is not None:
        last = last.tb_next
    code = last.tb_frame.f_code
    is_raised = dis.opname[code.co_code[last.tb_lasti]] == "RAISE_VARARGS"
    is_within = code.co_filename.startswith(os.path.dirname(rasplab.__file__))
    return is_raised and is_within and "\n" not in str(error)


def main(names: list[str]) -> int:
    """Make every call, or those of the named functions; print the faults."""
    counts = {True: 0, False: 0}
    printed = set()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for name, call in calls(folder):
            if names and name.partition("(")[0] not in names:
                continue
            start = time.perf_counter()
            fault = fault_of(call)
            if time.perf_counter() - start > 20:
                fault = fault or "more than 20 s"
            counts[fault is None] += 1
            line = f"{name}: {fault}".encode("ascii", "backslashreplace").decode()
            if fault and line not in printed:
                printed.add(line)
                print(line, flush=True)
    print(f"{sum(counts.values())} calls, {counts[False]} faults")
    return 1 if counts[False] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Trained models on disk: model.safetensors beside model.json,
each written whole or not at all.

Each file replaces its forerunner in one step, the weights first.
Between the two steps the weights are one checkpoint
younger than the record; both are of one run, so the pair loads,
and the numbers in the weights' header count.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from rasplab.base.atomic import write_atomic
from rasplab.base.errors import FileError, RaspValueError
from rasplab.model.bridge import LensModel
from rasplab.model.native import fresh_model, plain_parameters, require_numbers
from rasplab.model.recipe import Trained
from rasplab.program.domain import Domain
from rasplab.transformer.readout import Readout

FORMAT = "rasplab trained model 2"
WEIGHTS, RECORD = "model.safetensors", "model.json"
HEADER = "rasplab"


def save_model(model: LensModel, folder: str | Path) -> Path:
    """Write a trained (or fresh) model into `folder`, made if need be.
    Raises FileError where that fails."""
    from safetensors.torch import save

    folder = Path(folder)
    tensors = {
        name: p.detach().cpu().contiguous()
        for name, p in sorted(plain_parameters(model.lens).items())
    }
    record = _record(model)
    # no seconds here, and one entry (safetensors shuffles several): equal runs give equal bytes
    header = {"run": _run(record), "digest": _digest(tensors), "trained": _progress(model)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(folder / WEIGHTS, save(tensors, {HEADER: json.dumps(header, sort_keys=True)}))
        write_atomic(
            folder / RECORD, (json.dumps(record, indent=1, sort_keys=True) + "\n").encode()
        )
    except OSError as error:
        raise FileError(f"cannot write to {folder}: {error.strerror or error}") from None
    return folder


def load_model(folder: str | Path, device: str = "auto") -> LensModel:
    """The model that `save_model` wrote. Raises FileError for files missing, damaged,
    of another version, or with weights that are no numbers."""
    import torch

    folder = Path(folder)
    record = _read_record(folder / RECORD)
    tensors, header = _read_weights(folder / WEIGHTS)
    if header.get("run") != _run(record):
        raise _damaged(folder / WEIGHTS, f"it is not of the run that {RECORD} describes")
    try:
        model = _rebuilt(record, header, device)
        with torch.no_grad():
            for name, parameter in plain_parameters(model.lens).items():
                assert parameter.shape == tensors[name].shape, name
                parameter.copy_(tensors[name])
    except (KeyError, TypeError, ValueError, AssertionError) as error:
        raise _damaged(folder / RECORD, f"{type(error).__name__}: {error}") from None
    try:
        require_numbers(model)
    except RaspValueError as error:
        raise FileError(f"{folder / WEIGHTS}: {error.message}", hint=error.hint) from None
    model.lens.eval()
    return model


def _record(model: LensModel) -> dict:
    cfg = model.lens.cfg
    config = {
        "layers": cfg.n_layers, "heads": cfg.n_heads, "d_model": cfg.d_model,
        "d_mlp": 0 if cfg.attn_only else cfg.d_mlp,
        "norm": cfg.normalization_type, "act": cfg.act_fn,
    }  # fmt: skip
    domain, progress = model.domain, _progress(model)
    return {
        "format": FORMAT,
        "versions": versions(),
        "config": config,
        "domain": {"vocab": list(domain.vocab), "max_len": domain.max_len, "causal": domain.causal},
        "readout": list(model.readout.values),
        "recipe": model.recipe.to_json() if model.recipe else None,
        "trained": progress and progress | _history(model.trained),
    }


def _history(came: Trained) -> dict:
    """Seconds, and the curve in few digits."""
    curve = [[step, float(f"{loss:.4g}"), round(right, 4)] for step, loss, right in came.curve]
    return {"seconds": round(came.seconds, 1), "curve": curve}


def _progress(model: LensModel) -> dict | None:
    """How far training came, the same for equal runs."""
    return (
        {"step": model.trained.step, "held_out": model.trained.held_out} if model.trained else None
    )


def _run(record: dict) -> str:
    """What the two files must agree on: everything but how far training came."""
    same = {name: record.get(name) for name in ("config", "domain", "readout", "recipe")}
    return hashlib.sha256(json.dumps(same, sort_keys=True).encode()).hexdigest()


def _digest(tensors: dict[str, Any]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode() + tensors[name].numpy().tobytes())
    return digest.hexdigest()


def _read_record(path: Path) -> dict:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise FileError(
            f"there is no trained model at {path.parent}: {path.name} is missing", hint=_AGAIN
        ) from None
    except ValueError as error:
        raise _damaged(path, str(error)) from None
    found = record.get("format") if isinstance(record, dict) else None
    if found != FORMAT:
        raise FileError(
            f"{path} is of another version: {found!r}, this rasplab reads {FORMAT!r}", hint=_AGAIN
        )
    return record


def _read_weights(path: Path) -> tuple[dict, dict]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
            header = json.loads((file.metadata() or {}).get(HEADER, "{}"))
    except FileNotFoundError:
        raise FileError(
            f"there is no trained model at {path.parent}: {path.name} is missing", hint=_AGAIN
        ) from None
    except (OSError, ValueError, SafetensorError) as error:
        raise _damaged(path, str(error)) from None
    if header.get("digest") != _digest(tensors):
        raise _damaged(path, "the weights are not those that were saved")
    return tensors, header


def _rebuilt(record: dict, header: dict, device: str) -> LensModel:
    from rasplab.model.recipe import Recipe, Trained

    domain = record["domain"]
    model = fresh_model(
        Domain(tuple(domain["vocab"]), domain["max_len"], domain["causal"]),
        Readout(tuple(tuple(v) if isinstance(v, list) else v for v in record["readout"])),
        **record["config"],
        device=device,
    )
    trained = header["trained"] and header["trained"] | {
        "seconds": record["trained"]["seconds"],
        "curve": tuple(map(tuple, record["trained"]["curve"])),
    }
    return replace(
        model,
        recipe=Recipe.from_json(record["recipe"]) if record["recipe"] else None,
        trained=Trained(**trained) if trained else None,
    )


_AGAIN = "train it again: rasplab train TASK -o DIR"


def _damaged(path: Path, why: str) -> FileError:
    return FileError(f"{path} is damaged: {why}", hint=_AGAIN)


def versions() -> dict[str, str]:
    """The versions of what decides a trained model beside its recipe."""
    from importlib.metadata import version

    return {name: version(name) for name in ("rasplab", "torch", "transformer-lens", "numpy")}

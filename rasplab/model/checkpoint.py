"""Trained models on disk, and the state of a training run; every file is replaced atomically.

A trained model is model.safetensors beside model.json. The weights are written first, so between
the two writes they are one checkpoint newer than the record; both are of one run, so the pair
loads, and the numbers in the header of the weights count.

resume.safetensors is the training state: weights, AdamW's moments and the step. A run that was
killed resumes from it bit-identically.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from rasplab.base.atomic import write_atomic
from rasplab.base.errors import FileError, RaspValueError
from rasplab.model.bridge import LensModel
from rasplab.model.native import fresh_model, plain_parameters, require_numbers
from rasplab.model.recipe import Recipe, Trained
from rasplab.program.domain import Domain
from rasplab.transformer.readout import Readout

FORMAT = "rasplab trained model 2"
WEIGHTS, RECORD = "model.safetensors", "model.json"
HEADER = "rasplab"
RETRAIN = "train it again: rasplab train TASK -o DIR"

STATE, STATE_FORMAT = "resume.safetensors", "rasplab training state 1"
MOMENTS = ("exp_avg", "exp_avg_sq")
"""AdamW's moments of a parameter, by their names in torch."""


def save_model(model: LensModel, folder: str | Path) -> Path:
    """Write a trained (or fresh) model into `folder`, which is made if it does not exist.

    Raises FileError where the folder cannot be written.
    """
    from safetensors.torch import save

    folder = Path(folder)
    tensors = {
        name: p.detach().cpu().contiguous()
        for name, p in sorted(plain_parameters(model.lens).items())
    }
    record = _record(model)
    # equal runs give equal bytes: no seconds, and one entry, since safetensors shuffles several
    header = {"run": _run(record), "digest": _digest(tensors), "trained": _progress(model)}
    text = json.dumps(record, indent=1, sort_keys=True) + "\n"
    _write(folder, WEIGHTS, save(tensors, {HEADER: json.dumps(header, sort_keys=True)}))
    _write(folder, RECORD, text.encode())
    return folder


def _write(folder: Path, name: str, data: bytes) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(folder / name, data)
    except OSError as error:
        raise FileError(f"cannot write to {folder}: {error.strerror or error}") from None


def load_model(folder: str | Path, device: str = "auto") -> LensModel:
    """The model that `save_model` wrote.

    device  "auto" (cuda where there is one), "cpu" or "cuda"

    Raises FileError for files that are missing, damaged or of another version, and for weights
    that are nan or infinite.
    """
    folder = Path(folder)
    record = _read_record(folder / RECORD)
    tensors, header = _read_weights(folder / WEIGHTS)
    if header.get("run") != _run(record):
        raise _damaged(folder / WEIGHTS, f"it is of another run than {RECORD}")
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


def _record(model: LensModel) -> dict[str, Any]:
    """The content of model.json."""
    cfg = model.lens.cfg
    config = {
        "layers": cfg.n_layers,
        "heads": cfg.n_heads,
        "d_model": cfg.d_model,
        "d_mlp": 0 if cfg.attn_only else cfg.d_mlp,
        "norm": cfg.normalization_type,
        "act": cfg.act_fn,
    }
    domain, trained = model.domain, model.trained
    return {
        "format": FORMAT,
        "versions": versions(),
        "config": config,
        "domain": {"vocab": list(domain.vocab), "max_len": domain.max_len, "causal": domain.causal},
        "readout": list(model.readout.classes),
        "recipe": model.recipe.to_json() if model.recipe else None,
        "trained": (_progress(model) or {}) | _history(trained) if trained else None,
    }


def _history(trained: Trained) -> dict[str, Any]:
    """Seconds, and the curve in few digits."""
    curve = [[step, float(f"{loss:.4g}"), round(share, 4)] for step, loss, share in trained.curve]
    return {"seconds": round(trained.seconds, 1), "curve": curve}


def _progress(model: LensModel) -> dict[str, Any] | None:
    """Step and held-out accuracy, which are equal for equal runs."""
    return (
        {"step": model.trained.step, "held_out": model.trained.held_out} if model.trained else None
    )


def _run(record: dict) -> str:
    """The digest of what the two files must agree on: everything but the progress of training."""
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
            f"there is no trained model at {path.parent}: {path.name} is missing", hint=RETRAIN
        ) from None
    except ValueError as error:
        raise _damaged(path, str(error)) from None
    version = record.get("format") if isinstance(record, dict) else None
    if version != FORMAT:
        raise FileError(
            f"{path} is of another version: {version!r}, this rasplab reads {FORMAT!r}",
            hint=RETRAIN,
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
            f"there is no trained model at {path.parent}: {path.name} is missing", hint=RETRAIN
        ) from None
    except (OSError, ValueError, SafetensorError) as error:
        raise _damaged(path, str(error)) from None
    if header.get("digest") != _digest(tensors):
        raise _damaged(path, "the weights are not those that were saved")
    return tensors, header


def _rebuilt(record: dict, header: dict, device: str) -> LensModel:
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


def _damaged(path: Path, why: str) -> FileError:
    return FileError(f"{path} is damaged: {why}", hint=RETRAIN)


def versions() -> dict[str, str]:
    """The versions of the libraries that decide a trained model beside its recipe."""
    from importlib.metadata import version

    return {name: version(name) for name in ("rasplab", "torch", "transformer-lens", "numpy")}


# Training state ------------------------------------------------------------


def save_state(
    folder: Path, model: LensModel, optimizer: torch.optim.AdamW, recipe: Recipe
) -> None:
    """Write the training state of a model that has begun training.

    Raises FileError where the folder cannot be written.
    """
    from safetensors.torch import save

    tensors = {}
    for name, parameter in plain_parameters(model.lens).items():
        tensors[f"weight.{name}"] = parameter.detach().cpu().contiguous()
        for moment in MOMENTS:
            tensor = optimizer.state[parameter][moment]
            tensors[f"{moment}.{name}"] = tensor.detach().cpu().contiguous()
    done = model.trained
    assert done is not None, "training has begun"
    header = {
        "format": STATE_FORMAT,
        "recipe": _text(recipe),
        "trained": json.dumps([done.step, done.held_out, done.seconds, done.curve]),
    }
    _write(folder, STATE, save(tensors, header))


def load_state(
    folder: Path, model: LensModel, optimizer: torch.optim.AdamW, recipe: Recipe
) -> Trained | None:
    """Put the state in `folder` into `model` and `optimizer`, in place.

    Returns how far training had gone; None where the folder holds no state.

    Raises FileError for a state of another recipe or version, or a damaged one.
    """
    from safetensors import SafetensorError, safe_open

    if not (folder / STATE).is_file():
        return None
    try:
        with safe_open(folder / STATE, "pt") as file:
            header = file.metadata() or {}
            _require_same(folder, header, recipe)
            progress = json.loads(header["trained"])
            _put(file, model, optimizer, progress[0])
    except (OSError, ValueError, KeyError, IndexError, SafetensorError) as error:
        raise FileError(
            f"{folder / STATE} is damaged: {error}", hint="delete it to train from the start"
        ) from None
    return Trained(*progress[:3], curve=tuple(map(tuple, progress[3])))


def _require_same(folder: Path, header: dict, recipe: Recipe) -> None:
    """Raise FileError where a state is of another version or recipe."""
    way_out = f"choose another folder with -o, or delete {folder / STATE}"
    if header.get("format") != STATE_FORMAT:
        raise FileError(
            f"{folder / STATE} is of another version: {header.get('format')!r}, "
            f"this rasplab reads {STATE_FORMAT!r}",
            hint=way_out,
        )
    stored, given = json.loads(header["recipe"]), json.loads(_text(recipe))
    if stored != given:
        names = [n for n in sorted(stored | given) if stored.get(n) != given.get(n)]
        other = ", ".join(f"{n} {stored.get(n)!r}, not {given.get(n)!r}" for n in names)
        raise FileError(
            f"{folder} holds a run that was stopped, with other settings: {other}", hint=way_out
        )


@torch.no_grad()
def _put(file: Any, model: LensModel, optimizer: torch.optim.AdamW, step: int) -> None:
    for name, parameter in plain_parameters(model.lens).items():
        parameter.copy_(file.get_tensor(f"weight.{name}"))
        moments = {m: file.get_tensor(f"{m}.{name}").to(parameter.device) for m in MOMENTS}
        optimizer.state[parameter] = {"step": torch.tensor(float(step)), **moments}


def _text(recipe: Recipe) -> str:
    return json.dumps(recipe.to_json(), sort_keys=True)


def drop_state(folder: Path) -> None:
    """Delete the training state, once training is over."""
    (folder / STATE).unlink(missing_ok=True)

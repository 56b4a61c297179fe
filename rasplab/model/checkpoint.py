"""Trained models on disk; every file is replaced atomically.

A trained model is model.safetensors beside model.json, written together: a reader sees both of one
checkpoint. Where only the weights are copied, they may be another checkpoint of the same run; the
numbers in their header count.

`training_state` holds what a run that was stopped resumes from.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rasplab.base.arguments import DEVICE, FLAG, MODEL, PATH, takes
from rasplab.base.atomic import complete_folder, write_together
from rasplab.base.errors import FileError, RaspValueError
from rasplab.base.folders import FORCE, STOPPED, TRAINED, drop_others, require_kind
from rasplab.base.schema import (
    SchemaError,
    array,
    atom,
    boolean,
    integer,
    loads,
    nullable,
    number,
    one_of,
    plain,
    read_json,
    record,
    row,
    string,
)
from rasplab.base.text import clipped
from rasplab.model.bridge import LensModel, plain_parameters, require_numbers, resolve_device
from rasplab.model.native import fresh_model
from rasplab.model.recipe import ACTS, NORMS, Recipe, Trained, recipe_schema
from rasplab.program.domain import make_domain
from rasplab.transformer.readout import Readout

FORMAT = "rasplab trained model 2"
WEIGHTS, RECORD = "model.safetensors", "model.json"
HEADER = "rasplab"
RETRAIN = "train it again: rasplab train TASK -o DIR"


@takes(model=MODEL, folder=PATH, force=FLAG)
def save_model(model: LensModel, folder: str | Path, force: bool = False) -> Path:
    """Write a trained (or fresh) model into `folder`, which is made if it does not exist.

    force  replace a model of another task or kind

    Raises FileError where the folder cannot be written, or holds something else.
    """
    from safetensors.torch import save

    folder = Path(folder)
    require_place(folder, model.recipe, force)
    tensors = {
        # safetensors takes no views with gaps
        name: p.detach().cpu().contiguous()
        for name, p in sorted(plain_parameters(model.lens).items())
    }
    content = _record(model)
    # equal runs give equal bytes: no seconds, and one entry, since safetensors shuffles several
    header = {"run": _run(content), "digest": _digest(tensors), "trained": _progress(model)}
    text = json.dumps(content, indent=1, sort_keys=True) + "\n"
    weights = save(tensors, {HEADER: json.dumps(header, sort_keys=True)})
    _write(folder, {WEIGHTS: weights, RECORD: text.encode()})
    return folder


def require_place(folder: Path, recipe: Recipe | None, force: bool = False) -> None:
    """Raise FileError where `folder` holds a model of another kind, or of another task.

    recipe  of the model that is to be written; None for a model without a task
    force   other models are accepted; sweeps and benchmarks are not
    """
    require_kind(folder, TRAINED, STOPPED, force=force)
    path = complete_folder(folder) / RECORD
    if force or recipe is None or not path.is_file():
        return
    try:
        stored = _read_record(path)["recipe"]
    except FileError:
        return  # what cannot be read is replaced
    if stored is not None and stored["task"] != recipe.task:
        raise FileError(
            f"{folder} holds the trained model of {stored['task']}, which one of {recipe.task} "
            "does not replace",
            hint=FORCE,
        )


def _write(folder: Path, files: dict[str, bytes]) -> None:
    try:
        write_together(folder, files)
        drop_others(folder, TRAINED, STOPPED)
    except OSError as error:
        raise unwritable(folder, error) from None


def unwritable(folder: Path, error: OSError) -> FileError:
    """The error for a folder that cannot be written, with what the system says of it."""
    return FileError(
        f"cannot write to {folder}: {error.strerror or error}",
        hint="choose another folder with -o",
    )


@takes(folder=PATH, device=DEVICE)
def load_model(folder: str | Path, device: str = "auto") -> LensModel:
    """The model that `save_model` wrote.

    device  "auto" (cuda where there is one), "cpu" or "cuda"

    Raises FileError for files that are missing, damaged or of another version, and for weights
    that are nan or infinite.
    """
    resolve_device(device)
    folder = complete_folder(Path(folder))
    stored = _read_record(folder / RECORD)
    tensors, header = _read_weights(folder / WEIGHTS)
    if header.get("run") != _run(stored):
        raise _damaged(folder / WEIGHTS, f"it is of another run than {RECORD}")
    _require_sizes(folder / RECORD, stored, tensors)
    try:
        model = _rebuilt(stored, header, device)
    except (ValueError, RaspValueError) as error:
        raise _damaged(folder / RECORD, " ".join(str(error).split())) from None
    with torch.no_grad():
        for name, parameter in plain_parameters(model.lens).items():
            weight = tensors.get(name)
            if weight is None or parameter.shape != weight.shape:
                raise _damaged(folder / WEIGHTS, f"{name} is missing, or has another shape")
            parameter.copy_(weight)
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
    # few digits: the file is read by people too, and the curve only drawn
    curve = [[step, float(f"{loss:.4g}"), round(share, 4)] for step, loss, share in trained.curve]
    return {"seconds": round(trained.seconds, 1), "curve": curve}


def _progress(model: LensModel) -> dict[str, Any] | None:
    """Step and held-out accuracy, which are equal for equal runs."""
    return (
        {"step": model.trained.step, "held_out": model.trained.held_out} if model.trained else None
    )


def _run(content: dict) -> str:
    """The digest of what the two files must agree on: everything but the progress of training."""
    same = {name: content.get(name) for name in ("config", "domain", "readout", "recipe")}
    return hashlib.sha256(json.dumps(same, sort_keys=True).encode()).hexdigest()


def _digest(tensors: dict[str, Any]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode() + tensors[name].numpy().tobytes())
    return digest.hexdigest()


def _require_sizes(path: Path, stored: dict, tensors: dict[str, Tensor]) -> None:
    """Raise FileError where the record claims other sizes than the weights have.

    Asked before the model is built, so that no claim is allocated.
    """
    config, domain = stored["config"], stored["domain"]
    # parameters are called layers.0.attn.q.weight and so on
    layers = {name.split(".")[1] for name in tensors if name.startswith("layers.")}
    claims = [
        ("layers", config["layers"], len(layers)),
        ("vocab", len(domain["vocab"]) + 1, _size(tensors, "tok_embed.weight", 0)),
        ("d_model", config["d_model"], _size(tensors, "tok_embed.weight", 1)),
        ("max_len", domain["max_len"] + 1, _size(tensors, "pos.weight", 0)),
        ("d_mlp", config["d_mlp"], _size(tensors, "layers.0.mlp.fc_in.weight", 0)),
    ]
    for name, claim, size in claims:
        if claim != size:
            raise _damaged(path, f"its {name} needs {claim:,} of what {WEIGHTS} has {size:,} of")


def _size(tensors: dict[str, Tensor], name: str, axis: int) -> int:
    """The size of a stored matrix; 0 where there is none."""
    weight = tensors.get(name)
    return weight.shape[axis] if weight is not None and weight.ndim == 2 else 0


_MODEL = record(
    {
        "config": record(
            {
                **dict.fromkeys(("layers", "heads", "d_model"), integer(1)),
                "d_mlp": integer(0),
                "norm": nullable(one_of(*NORMS)),
                "act": one_of(*ACTS),
            },
            further=False,
        ),
        "domain": record(
            {"vocab": array(atom, 1), "max_len": integer(1), "causal": boolean}, further=False
        ),
        "readout": array(plain, 1),
        "recipe": nullable(recipe_schema),
        "trained": nullable(
            record(
                {
                    "step": integer(0),
                    "held_out": number(0, 1),
                    "seconds": number(0),
                    "curve": array(row(integer(0), number(), number(0, 1))),
                }
            )
        ),
    }
)
"""What `_record` makes, without format and versions."""

_PROGRESS = record({"step": integer(0), "held_out": number(0, 1)}, further=False)
_HEADER = record({"run": string, "digest": string, "trained": nullable(_PROGRESS)})
"""The entry HEADER of the weights."""


def _read_record(path: Path) -> dict:
    if not path.is_file():
        raise FileError(
            f"there is no trained model at {path.parent}: {path.name} is missing", hint=RETRAIN
        )
    stored = read_json(path, plain, hint=RETRAIN)
    version = stored.get("format") if isinstance(stored, dict) else None
    if version != FORMAT:
        raise FileError(
            f"{path} is of another version: {clipped(version)!r}, this rasplab reads {FORMAT!r}",
            hint=RETRAIN,
        )
    try:
        return _MODEL(stored, "")
    except SchemaError as error:
        raise _damaged(path, str(error)) from None


def _read_weights(path: Path) -> tuple[dict, dict]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
            header = _HEADER(loads((file.metadata() or {}).get(HEADER, "{}")), "its header")
    except FileNotFoundError:
        raise FileError(
            f"there is no trained model at {path.parent}: {path.name} is missing", hint=RETRAIN
        ) from None
    except (OSError, ValueError, SafetensorError) as error:
        raise _damaged(path, " ".join(str(error).split())) from None
    if header.get("digest") != _digest(tensors):
        raise _damaged(path, "the weights are not those that were saved")
    return tensors, header


def _rebuilt(stored: dict, header: dict, device: str) -> LensModel:
    domain = stored["domain"]
    model = fresh_model(
        make_domain(domain["vocab"], domain["max_len"], domain["causal"]),
        Readout(tuple(map(_tuples, stored["readout"]))),
        **stored["config"],
        device=device,
    )
    # the header is of the weights that were loaded; the record may
    # be of another checkpoint, and gives only what it alone has
    if (header["trained"] is None) != (stored["trained"] is None):
        raise ValueError(f"only one of {WEIGHTS} and {RECORD} says how far training went")
    trained = header["trained"] and header["trained"] | {
        "seconds": stored["trained"]["seconds"],
        "curve": tuple(map(tuple, stored["trained"]["curve"])),
    }
    return replace(
        model,
        recipe=Recipe.from_json(stored["recipe"]) if stored["recipe"] else None,
        trained=Trained(**trained) if trained else None,
    )


def _tuples(value: Any) -> Any:
    """Lists as tuples, inside too: JSON has no tuples, and values are no lists."""
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _damaged(path: Path, why: str) -> FileError:
    return FileError(f"{path} is damaged: {why}", hint=RETRAIN)


def versions() -> dict[str, str]:
    """The versions of the libraries that decide a trained model beside its recipe."""
    from importlib.metadata import version

    return {name: version(name) for name in ("rasplab", "torch", "transformer-lens", "numpy")}

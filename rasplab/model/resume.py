"""Training in the middle, on disk: one file that holds all of it, so that a run which is killed
goes on as if it had not been.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from rasplab.base.atomic import write_atomic
from rasplab.base.errors import FileError
from rasplab.model.bridge import LensModel
from rasplab.model.native import plain_parameters
from rasplab.model.recipe import Recipe, Trained

STATE = "resume.safetensors"
FORMAT = "rasplab training state 1"
MOMENTS = ("exp_avg", "exp_avg_sq")


def save_state(
    folder: Path, model: LensModel, optimizer: torch.optim.AdamW, recipe: Recipe
) -> None:
    """Weights, AdamW's moments and how far training came, whole or not at all.
    Raises FileError where the folder cannot be written."""
    from safetensors.torch import save

    tensors = {}
    for name, parameter in plain_parameters(model.lens).items():
        tensors[f"weight.{name}"] = parameter.detach().cpu().contiguous()
        for moment in MOMENTS:
            found = optimizer.state[parameter][moment]
            tensors[f"{moment}.{name}"] = found.detach().cpu().contiguous()
    came = model.trained
    header = {
        "format": FORMAT,
        "recipe": _text(recipe),
        "trained": json.dumps([came.step, came.held_out, came.seconds, came.curve]),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(folder / STATE, save(tensors, header))
    except OSError as error:
        raise FileError(f"cannot write to {folder}: {error.strerror or error}") from None


def load_state(
    folder: Path, model: LensModel, optimizer: torch.optim.AdamW, recipe: Recipe
) -> Trained | None:
    """Put the state in `folder` into `model` and `optimizer`: how far training had come; None where
    there is no state. Raises FileError for one of another recipe or version, or a damaged one."""
    from safetensors import SafetensorError, safe_open

    if not (folder / STATE).is_file():
        return None
    try:
        with safe_open(folder / STATE, "pt") as file:
            header = file.metadata() or {}
            _require_same(folder, header, recipe)
            came = json.loads(header["trained"])
            _put(file, model, optimizer, came[0])
    except (OSError, ValueError, KeyError, IndexError, SafetensorError) as error:
        raise FileError(
            f"{folder / STATE} is damaged: {error}", hint="delete it to train from the start"
        ) from None
    return Trained(*came[:3], curve=tuple(map(tuple, came[3])))


def _require_same(folder: Path, header: dict, recipe: Recipe) -> None:
    """Raises FileError where a state is of another version or recipe."""
    way_out = f"choose another folder with -o, or delete {folder / STATE}"
    if header.get("format") != FORMAT:
        raise FileError(
            f"{folder / STATE} is of another version: {header.get('format')!r}, "
            f"this rasplab reads {FORMAT!r}", hint=way_out,
        )  # fmt: skip
    found, wanted = json.loads(header["recipe"]), json.loads(_text(recipe))
    if found != wanted:
        names = [n for n in sorted(found | wanted) if found.get(n) != wanted.get(n)]
        other = ", ".join(f"{n} {found.get(n)!r}, not {wanted.get(n)!r}" for n in names)
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
    """Training is over: nothing to resume."""
    (folder / STATE).unlink(missing_ok=True)

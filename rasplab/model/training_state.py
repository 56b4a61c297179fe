"""The state of a training run on disk: weights, AdamW's moments and the step, in one file.

A run that was killed resumes from it bit-identically.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from rasplab.base.atomic import write_atomic
from rasplab.base.errors import FileError
from rasplab.base.schema import array, integer, loads, number, row
from rasplab.model.bridge import LensModel, plain_parameters
from rasplab.model.checkpoint import unwritable
from rasplab.model.recipe import Recipe, Trained, recipe_schema

STATE, STATE_FORMAT = "resume.safetensors", "rasplab training state 1"
MOMENTS = ("exp_avg", "exp_avg_sq")
"""AdamW's moments of a parameter, by their names in torch."""


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
    try:
        write_atomic(folder / STATE, save(tensors, header))
    except OSError as error:
        raise unwritable(folder, error) from None


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
            progress = _STATE_PROGRESS(loads(header.get("trained", "")), "its progress")
            _put(file, model, optimizer, progress[0])
    except (OSError, ValueError, SafetensorError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise FileError(
            f"{folder / STATE} is damaged: {reason}", hint="delete it to train from the start"
        ) from None
    return Trained(*progress[:3], curve=tuple(map(tuple, progress[3])))


_POINT = row(integer(0), number(), number(0, 1))
_STATE_PROGRESS = row(integer(1), number(0, 1), number(0), array(_POINT))
"""Step, held-out accuracy, seconds and curve."""


def _require_same(folder: Path, header: dict, recipe: Recipe) -> None:
    """Raise FileError where a state is of another version or recipe."""
    way_out = f"choose another folder with -o, or delete {folder / STATE}"
    if header.get("format") != STATE_FORMAT:
        raise FileError(
            f"{folder / STATE} is of another version: {header.get('format')!r}, "
            f"this rasplab reads {STATE_FORMAT!r}",
            hint=way_out,
        )
    stored = recipe_schema(loads(header.get("recipe", "")), "its recipe")
    given = json.loads(_text(recipe))
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
        # as AdamW makes it on its first step: `step` is a float on the CPU
        optimizer.state[parameter] = {"step": torch.tensor(float(step)), **moments}


def _text(recipe: Recipe) -> str:
    return json.dumps(recipe.to_json(), sort_keys=True)


def drop_state(folder: Path) -> None:
    """Delete the training state, once training is over."""
    (folder / STATE).unlink(missing_ok=True)

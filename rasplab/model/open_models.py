"""AnyModel: any trained model as attention patterns; ids -> patterns.

It comes from a rasplab folder, a Hugging Face folder, or a name that TransformerLens boots. Only
ids and patterns are used, so the vocabulary and the architecture do not matter.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Integer

from rasplab.base.errors import FileError, RaspValueError
from rasplab.model.bridge import pattern_hook, resolve_device

CELLS = 1 << 24
"""Pattern entries (query x key, over heads) of one forward pass: 64 MB of float32."""

HUB_TIMEOUT_S = 5.0
"""Timeout of the one request that tests for a network, in seconds."""

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "vocab.json", "tokenizer.model")


@dataclass(frozen=True, eq=False)
class AnyModel:
    """A TransformerBridge of which only the attention patterns are used.

    name    of its folder, or the published name
    bos     the id that is put before every input
    ids     the ids that inputs may hold
    n_ctx   the longest input, BOS included
    """

    name: str
    lens: Any
    bos: int
    ids: range
    n_ctx: int
    causal: bool

    @property
    def n_layers(self) -> int:
        """Number of layers."""
        return self.lens.cfg.n_layers

    @property
    def n_heads(self) -> int:
        """Heads per layer."""
        return self.lens.cfg.n_heads

    @torch.no_grad()
    def patterns(
        self, ids: Integer[np.ndarray, "batch pos"]
    ) -> Float[np.ndarray, "batch site query key"]:
        """The attention patterns of all heads; row and column 0 are BOS, put before every input."""
        n = ids.shape[1] + 1
        rows = max(1, CELLS // (self.n_layers * self.n_heads * n * n))
        return np.concatenate(
            [self._patterns(ids[start : start + rows]) for start in range(0, len(ids), rows)]
        )

    def _patterns(self, ids: np.ndarray) -> np.ndarray:
        device = next(self.lens.parameters()).device
        full = torch.from_numpy(np.pad(ids, ((0, 0), (1, 0)), constant_values=self.bos)).to(device)
        names = [pattern_hook(layer) for layer in range(self.n_layers)]
        _, cache = self.lens.run_with_cache(full, names_filter=lambda name: name in names)
        patterns = torch.stack([cache[name] for name in names], 1).float().cpu().numpy()
        return patterns.reshape(len(ids), -1, *patterns.shape[-2:])

    def encoded(self, text: str, n_pos: int) -> Integer[np.ndarray, "batch {n_pos}"]:
        """A text as ids, cut into pieces of `n_pos` tokens; a shorter last one is dropped.

        Raises RaspValueError where the model has no tokenizer, or the text is too short.
        """
        tokenizer = getattr(self.lens, "tokenizer", None)
        if tokenizer is None or len(tokenizer) <= 1:
            raise RaspValueError(f"{self.name} has no tokenizer to read text with")
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        count = len(ids) // n_pos
        if not count:
            raise RaspValueError(f"the text has {len(ids)} tokens; {n_pos} are needed")
        return np.array(ids[: count * n_pos]).reshape(count, n_pos)


def load_any_model(name: str, device: str = "auto") -> AnyModel:
    """The model in the folder `name`, or published under that name.

    Raises FileError, with the reason, where no model can be loaded.
    """
    folder = Path(name)
    if (folder / "model.json").is_file() or (folder / "compiled.json").is_file():
        return _of_rasplab(folder, device)
    if folder.is_dir() and not (folder / "config.json").is_file():
        raise FileError(
            f"{name} holds no model", hint="name a folder with model.json or config.json"
        )
    if not folder.is_dir() and not _may_be_published(name):
        what = f"{name} is a file" if folder.exists() else f"there is no folder {name}"
        raise FileError(what, hint=KINDS)
    try:
        with _quiet(), _impatient(folder.is_dir()):
            lens = _booted(name, folder, device)
    except Exception as error:  # whatever the libraries raise for what they cannot find or read
        raise FileError(_reason(name, error), hint=KINDS) from None
    return _read_from(folder.resolve().name if folder.is_dir() else name, lens)


KINDS = (
    "name a rasplab folder, a Hugging Face folder, or a model that TransformerLens knows; "
    "the latter are downloaded, which needs a network"
)


def _may_be_published(name: str) -> bool:
    """Whether a published model could have this name: NAME or OWNER/NAME, and not a file's."""
    from huggingface_hub.utils import HFValidationError, validate_repo_id

    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return not Path(name).exists()


def _reason(name: str, error: BaseException) -> str:
    """Why a model cannot be loaded, in one line."""
    from huggingface_hub.errors import (
        GatedRepoError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
    )

    missing = f"there is no model {name}: no such folder, and huggingface.co"
    # the libraries wrap each other's errors: what is behind
    # one says more than it does; a chain may end in a circle
    causes, at = [], error
    while at is not None and at not in causes:
        causes, at = [*causes, at], at.__cause__ or at.__context__
    for kind, text in (
        (GatedRepoError, f"huggingface.co gives the model {name} only to those it knows"),
        (RepositoryNotFoundError, f"{missing} has none of that name"),
        (LocalEntryNotFoundError, f"{missing}, which may have one, cannot be reached"),
    ):
        if any(isinstance(cause, kind) for cause in causes):
            return text
    return f"cannot load the model {name}: {_first_line(error)}"


def _of_rasplab(folder: Path, device: str) -> AnyModel:
    from rasplab.compiler.serialize import load_compiled
    from rasplab.model.checkpoint import load_model

    compiled = (folder / "compiled.json").is_file()
    model = load_compiled(folder).to_model(device) if compiled else load_model(folder, device)
    domain = model.domain
    ids = range(1, len(domain.vocab) + 1)
    return AnyModel(folder.resolve().name, model.lens, 0, ids, domain.max_len + 1, domain.causal)


def _booted(name: str, folder: Path, device: str) -> Any:
    from transformer_lens.model_bridge import TransformerBridge

    local = folder.is_dir()
    bare = local and not any((folder / file).is_file() for file in TOKENIZER_FILES)
    tokenizer = _bare_tokenizer() if bare else None
    where = str(folder.resolve()) if local else name
    lens = TransformerBridge.boot_transformers(
        where, device=resolve_device(device), tokenizer=tokenizer
    )
    lens.eval()
    return lens


def _bare_tokenizer() -> Any:
    """A tokenizer for a folder without one: TransformerLens needs one, though only ids are used."""
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel({"<any>": 0}, unk_token="<any>"))
    return PreTrainedTokenizerFast(tokenizer_object=words, pad_token="<any>")


def _read_from(name: str, lens: Any) -> AnyModel:
    cfg, bos = lens.cfg, getattr(getattr(lens, "tokenizer", None), "bos_token_id", None)
    if bos is None or bos >= cfg.d_vocab:
        bos = 0
    causal = getattr(cfg, "attention_dir", "causal") == "causal"
    # inputs never hold BOS where it is the first id;
    # elsewhere it stays in the range, as one of many ids
    ids = range(bos == 0, cfg.d_vocab)
    return AnyModel(name, lens, bos, ids, cfg.n_ctx, causal)


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__


@contextmanager
def _quiet() -> Iterator[None]:
    """Silences the libraries, which warn at every retry; their error is enough."""
    import logging

    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


@contextmanager
def _impatient(local: bool) -> Iterator[None]:
    """Sets the library offline where there is no network, by one request.

    Only what was downloaded before is then looked for; else the library would retry each file for
    half a minute.
    """
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    # the library asks this at every request, so setting it now has an effect
    constants.HF_HUB_OFFLINE = before or not (local or _online())
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def _online() -> bool:
    from huggingface_hub import constants, get_session

    try:
        get_session().head(constants.ENDPOINT, timeout=HUB_TIMEOUT_S)
    except Exception:  # whatever the client raises where nobody answers
        return False
    return True

"""Weights to TransformerLens and back to values; the only file that imports transformer_lens.

Sequences of ids: 0 is BOS, 1 + t is token t of the vocabulary.
Every input is run as BOS followed by its tokens;
what the model says at BOS is dropped. There is no padding: a batch holds inputs of one length.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from rasplab.base.errors import RaspValueError
from rasplab.compiler.compiled import Compiled
from rasplab.program.domain import Domain
from rasplab.program.graph import Program
from rasplab.program.values import Atom
from rasplab.transformer.decode import CodeTable
from rasplab.transformer.readout import Readout

if TYPE_CHECKING:
    from rasplab.model.recipe import Recipe, Trained

BATCH_FLOATS = {"cpu": 1 << 20, "cuda": 1 << 26}
"""Floats of the widest activation per forward pass: 4 MB of float32 stays in the caches of a CPU
(measured: twice as quick as 32 MB)."""


@dataclass(frozen=True, eq=False)
class LensModel:
    """A TransformerBridge that reads inputs of `domain` and whose logits mean what `readout` says.

    lens      the TransformerBridge: hooks and caches as TransformerLens has them
    compiled  what it was compiled from, or None
    recipe    how it was trained, or None
    further   what the logits after those of `readout` mean: further outputs of the program
    """

    lens: Any
    domain: Domain
    readout: Readout
    compiled: Compiled | None = None
    recipe: Recipe | None = None
    trained: Trained | None = None
    further: tuple[Readout, ...] = ()

    @property
    def device(self) -> torch.device:
        """Where the parameters lie."""
        return next(self.lens.parameters()).device

    @property
    def n_layers(self) -> int:
        """Layers of the transformer."""
        return self.lens.cfg.n_layers

    @property
    def n_heads(self) -> int:
        """Heads in each layer."""
        return self.lens.cfg.n_heads

    @property
    def n_params(self) -> int:
        """Numbers in all parameters."""
        return sum(p.numel() for p in self.lens.parameters())

    @property
    def accuracy(self) -> float | None:
        """Held-out accuracy of a trained model, as a share of positions."""
        return self.trained.held_out if self.trained else None

    @property
    def steps(self) -> int | None:
        """How many steps a trained model was trained."""
        return self.trained.step if self.trained else None

    @property
    def program(self) -> Program | None:
        """The program it was compiled from or trained on, where known."""
        if self.compiled is not None:
            return self.compiled.program
        return self.recipe.program() if self.recipe is not None else None

    def to(self, device: str) -> LensModel:
        """The same model, moved in place to `device` ("cpu", "cuda", "auto")."""
        self.lens.to(resolve_device(device))
        return self

    def run(self, tokens: Sequence[Atom]) -> list:
        """The decoded value at each position; a str is read as its characters.

        Raises RaspValueError for a token outside the vocabulary, no token, or too many.
        """
        return self.run_batch([tokens])[0]

    def run_all(self, tokens: Sequence[Atom]) -> dict[str, list]:
        """The decoded values of every output of the program, by name."""
        ids = np.array([self.domain.encode(_tokens(tokens))])
        labels = [self.program.labels[i] for i in self.program.outputs]
        tables = self.all_codes(ids)
        return {
            label: [table.values[c] for c in table.codes[0]]
            for label, table in zip(labels, tables, strict=True)
        }

    def run_batch(self, inputs: Iterable[Sequence[Atom]]) -> list[list]:
        """`run` for many inputs, of any lengths, in the order given."""
        encoded = [self.domain.encode(_tokens(tokens)) for tokens in inputs]
        results: list[list] = [[]] * len(encoded)
        for rows in by_length(encoded):
            table = self.codes(np.array([encoded[r] for r in rows]))
            for row, codes in zip(rows, table.codes, strict=True):
                results[row] = [table.values[c] for c in codes]
        return results

    def codes(self, ids: np.ndarray) -> CodeTable:
        """Decoded values as codes [batch, pos] into a table;
        `ids` [batch, pos] are vocabulary ids from 0."""
        return self.decoded(self._chunks(ids))

    def all_codes(self, ids: np.ndarray) -> list[CodeTable]:
        """`codes` of every output: the main one first, then the further ones."""
        logits, start, tables = self.logits(ids), 0, []
        for readout in (self.readout, *self.further):
            part = logits[..., start : start + readout.width]
            tables.append(readout.table([part]))
            start += readout.width
        return tables

    def decoded(self, logits: Iterable[torch.Tensor]) -> CodeTable:
        """What logits [batch, pos, d_vocab_out], in several parts, say: codes into a table."""
        width = self.readout.width
        return self.readout.table(part[..., :width] for part in logits)

    @torch.no_grad()
    def logits(self, ids: np.ndarray) -> torch.Tensor:
        """Logits [batch, pos, d_vocab_out] on the device, BOS dropped;
        `ids` [batch, pos] from 0."""
        return torch.cat(list(self._chunks(ids)))

    @torch.no_grad()
    def patterns(self, inputs: Sequence[Sequence[Atom]]) -> np.ndarray:
        """Attention [batch, layer, head, query, key] for inputs of one length;
        row and column 0 are BOS.

        Raises ValueError when the lengths differ.
        """
        encoded = [self.domain.encode(_tokens(tokens)) for tokens in inputs]
        if len({len(e) for e in encoded}) != 1:
            raise ValueError(
                f"patterns wants inputs of one length, got {sorted({len(e) for e in encoded})}"
            )
        return self.patterns_of(np.array(encoded))

    @torch.no_grad()
    def patterns_of(self, ids: np.ndarray) -> np.ndarray:
        """`patterns` for vocabulary ids [batch, pos]."""
        names = [pattern_hook(layer) for layer in range(self.n_layers)]
        parts = []
        for chunk in self._pieces(ids):
            _, cache = self.lens.run_with_cache(chunk, names_filter=lambda name: name in names)
            parts.append(torch.stack([cache[name] for name in names], 1).float().cpu().numpy())
        return np.concatenate(parts)

    @torch.no_grad()
    def run_hooked(self, tokens: Sequence[Atom], hooks: list[tuple[str, Callable]]) -> list:
        """`run` with TransformerLens forward hooks: (hook name, function of (activation, hook))."""
        ids = self.lens_ids(np.array([self.domain.encode(_tokens(tokens))]))
        logits = self.lens.run_with_hooks(ids, fwd_hooks=hooks)[0, 1:]
        return self.readout.decode(logits[:, : self.readout.width].float().cpu().numpy())

    def lens_ids(self, ids: np.ndarray) -> torch.Tensor:
        """BOS and `ids` [batch, pos] as the model reads them: [batch, pos + 1], on the device."""
        rows = np.zeros((ids.shape[0], ids.shape[1] + 1), np.int64)
        rows[:, 1:] = ids + 1
        return torch.from_numpy(rows).to(self.device)

    def _pieces(self, ids: np.ndarray) -> Iterator[torch.Tensor]:
        floats = BATCH_FLOATS.get(self.device.type, BATCH_FLOATS["cpu"])
        rows = max(1, floats // (widest(self.lens.cfg, ids.shape[1] + 1) * (ids.shape[1] + 1)))
        for start in range(0, len(ids), rows):
            yield self.lens_ids(ids[start : start + rows])

    @torch.no_grad()
    def _chunks(self, ids: np.ndarray) -> Iterator[torch.Tensor]:
        for piece in self._pieces(ids):
            yield self.lens(piece)[:, 1:]


def _tokens(tokens: Sequence[Atom]) -> Sequence[Atom]:
    if not isinstance(tokens, Sequence):
        raise RaspValueError(f"an input is a string or a list of tokens, not {tokens!r}")
    return tokens


def by_length(encoded: Sequence[Sequence[int]]) -> list[list[int]]:
    """Row numbers grouped by the row's length, shortest first."""
    groups: dict[int, list[int]] = {}
    for row, ids in enumerate(encoded):
        groups.setdefault(len(ids), []).append(row)
    return [groups[n] for n in sorted(groups)]


def widest(cfg: Any, n_ctx: int) -> int:
    """The widest activation per position of a TransformerLens config:
    MLP, q/k/v, pattern rows or residual."""
    return max(cfg.d_mlp or 0, cfg.n_heads * cfg.d_head, cfg.n_heads * n_ctx, cfg.d_model)


def pattern_hook(layer: int) -> str:
    """TransformerLens' name for a layer's attention pattern [batch, head, query, key]."""
    return f"blocks.{layer}.attn.hook_pattern"


def resolve_device(device: str | torch.device) -> torch.device:
    """A torch device; "auto" is cuda when there is one. Raises RaspValueError where it is not
    available."""
    if str(device) == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        wanted = torch.device(device)
    except RuntimeError:
        raise RaspValueError(f"{device!r} is no device", hint="write cpu, cuda or auto") from None
    if wanted.type == "cuda" and not torch.cuda.is_available():
        raise RaspValueError("there is no cuda device here", hint="use --device cpu or auto")
    return wanted

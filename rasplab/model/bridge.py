"""LensModel: a TransformerBridge with its domain and readout; inputs -> values, logits, patterns.

The bridge's ids are 0 for BOS and 1 + t for token t of the vocabulary. Every input is run as BOS
followed by its tokens; the output at BOS is dropped. Batches hold inputs of one length, unpadded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, count
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Integer
from torch import Tensor

from rasplab.base.arguments import DEVICE, HOOKS, INPUTS, Kind, shown, takes
from rasplab.base.errors import RaspNameError, RaspValueError
from rasplab.compiler.compiled import Compiled
from rasplab.model.recipe import Recipe, Trained
from rasplab.program.batch.columns import Column
from rasplab.program.domain import Domain
from rasplab.program.graph import Program
from rasplab.program.values import Atom, Value
from rasplab.transformer.decode import row_values
from rasplab.transformer.forward import with_bos
from rasplab.transformer.readout import Readout

BATCH_FLOATS = {"cpu": 1 << 20, "cuda": 1 << 26}
"""Floats of the widest activation per forward pass: 4 MB of float32 stays in the caches of a CPU
(measured: twice as quick as 32 MB)."""


PIECES = Kind("tensors of logits, in pieces along the batch", lambda v: isinstance(v, Iterable))

Input = Sequence[Atom] | Any
"""A str, read as its characters, or a list of tokens; RaspValueError is raised for others."""

Hook = Callable[..., Any]
"""A TransformerLens hook: a function of (activation, hook)."""


@dataclass(frozen=True, eq=False)
class LensModel:
    """A TransformerBridge that reads inputs of `domain` and whose logits mean what `readout` says.

    lens      the TransformerBridge: hooks and caches as TransformerLens has them
    compiled  what it was compiled from, or None
    recipe    how it was trained, or None
    trained   how far its training went, or None
    further   readouts of the logits after those of `readout`: further outputs of the program
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
        """The device of the parameters."""
        return next(self.lens.parameters()).device

    @property
    def n_layers(self) -> int:
        """Number of layers."""
        return self.lens.cfg.n_layers

    @property
    def n_heads(self) -> int:
        """Heads per layer."""
        return self.lens.cfg.n_heads

    @property
    def n_params(self) -> int:
        """Number of parameters."""
        return sum(p.numel() for p in self.lens.parameters())

    @property
    def accuracy(self) -> float | None:
        """Held-out accuracy of a trained model, as a share of positions."""
        return self.trained.held_out if self.trained else None

    @property
    def steps(self) -> int | None:
        """Training steps of a trained model."""
        return self.trained.step if self.trained else None

    @property
    def program(self) -> Program | None:
        """The program it was compiled from or trained on, where known."""
        if self.compiled is not None:
            return self.compiled.program
        return self.recipe.program() if self.recipe is not None else None

    @takes(device=DEVICE)
    def to(self, device: str) -> LensModel:
        """The same model, moved in place to `device` ("cpu", "cuda", "auto")."""
        self.lens.to(resolve_device(device))
        return self

    def run(self, tokens: Input) -> list[Value]:
        """The decoded value at each position; a str is read as its characters.

        Raises RaspValueError for a token outside the vocabulary, no token, or too many.
        """
        return self.run_batch([tokens])[0]

    def run_all(self, tokens: Input) -> dict[str, list[Value]]:
        """The decoded values of every output of the program, by name.

        Raises ValueError for a model that does not know its program.
        """
        ids = np.array([self.domain.encode(tokens)])
        program = self.program
        if program is None:
            raise ValueError("this model does not know its program, and so not its outputs' names")
        labels, tables = output_names(program), self.all_codes(ids)
        return {label: row_values(t, 0) for label, t in zip(labels, tables, strict=True)}

    @takes(inputs=INPUTS)
    def run_batch(self, inputs: Iterable[Input]) -> list[list[Value]]:
        """`run` for many inputs, of any lengths, in the order given."""
        encoded = [self.domain.encode(tokens) for tokens in inputs]
        results: list[list[Value]] = [[]] * len(encoded)
        for rows in by_length(encoded):
            table = self.codes(np.array([encoded[r] for r in rows]))
            for i, row in enumerate(rows):
                results[row] = row_values(table, i)
        return results

    def codes(self, ids: Integer[np.ndarray, "batch pos"]) -> Column:
        """The decoded values for vocabulary ids from 0, as codes into a table."""
        return self.decoded(self._chunks(ids))

    def all_codes(self, ids: Integer[np.ndarray, "batch pos"]) -> list[Column]:
        """The decoded values of every output: the main one first, then the further ones."""
        logits, start, tables = self.logits(ids), 0, []
        for readout in (self.readout, *self.further):
            # the logits of the outputs stand one behind the other, in the program's order
            part = logits[..., start : start + readout.width]
            tables.append(readout.table([_finite(part)]))
            start += readout.width
        return tables

    @takes(logits=PIECES)
    def decoded(self, logits: Iterable[Float[Tensor, "_ pos d_vocab_out"]]) -> Column:
        """The values of the main output, for logits in pieces along the batch.

        Raises RaspValueError for logits that are nan or infinite: no class would mean anything.
        """
        width = self.readout.width
        return self.readout.table(_checked_logits(part, width)[..., :width] for part in logits)

    @torch.no_grad()
    def logits(
        self, ids: Integer[np.ndarray, "batch pos"]
    ) -> Float[Tensor, "batch pos d_vocab_out"]:
        """The logits at the tokens, without BOS, on the device; `ids` count from 0."""
        return torch.cat(list(self._chunks(ids)))

    @takes(inputs=INPUTS)
    @torch.no_grad()
    def patterns(self, inputs: Sequence[Input]) -> Float[np.ndarray, "batch layer head query key"]:
        """The attention patterns for inputs of one length; row and column 0 are BOS.

        Raises ValueError when the lengths differ.
        """
        encoded = [self.domain.encode(tokens) for tokens in inputs]
        if len({len(e) for e in encoded}) != 1:
            raise ValueError(
                f"patterns takes inputs of one length, got {sorted({len(e) for e in encoded})}"
            )
        return self.patterns_of(np.array(encoded))

    @torch.no_grad()
    def patterns_of(
        self, ids: Integer[np.ndarray, "batch pos"]
    ) -> Float[np.ndarray, "batch layer head query key"]:
        """`patterns` for vocabulary ids from 0."""
        names = [pattern_hook(layer) for layer in range(self.n_layers)]
        parts = []
        for chunk in self._pieces(ids):
            _, cache = self.lens.run_with_cache(chunk, names_filter=lambda name: name in names)
            # a layer's pattern is [batch, head, query, key]: layers become axis 1
            parts.append(torch.stack([cache[name] for name in names], 1).float().cpu().numpy())
        return np.concatenate(parts)

    @takes(hooks=HOOKS)
    @torch.no_grad()
    def run_hooked(self, tokens: Input, hooks: list[tuple[str, Hook]]) -> list[Value]:
        """`run` with TransformerLens forward hooks: (hook name, function of (activation, hook)).

        Raises RaspNameError for a name that TransformerLens does not know.
        """
        ids = self.lens_ids(np.array([self.domain.encode(tokens)]))
        try:
            logits = self.lens.run_with_hooks(ids, fwd_hooks=hooks)[0, 1:]
        except KeyError as error:
            if not str(error.args[0]).startswith("Hook name"):  # raised by a hook
                raise
            raise RaspNameError(
                error.args[0], hint="`model.lens.hook_dict` has the names of all hooks"
            ) from None
        return self.readout.decode(_finite(logits)[:, : self.readout.width].float().cpu().numpy())

    def lens_ids(self, ids: Integer[np.ndarray, "batch pos"]) -> Integer[Tensor, "batch 1+pos"]:
        """BOS and `ids` as the model reads them, on the device.

        Raises RaspValueError for what is not a table of vocabulary ids, and for a model with a
        weight that is nan or infinite.
        """
        ids = _checked_ids(ids, len(self.domain.vocab))
        # a weight may have been changed since, and a ReLU hides -inf from the logits
        require_numbers(self, hint="a weight was changed since the model was made or loaded")
        return torch.from_numpy(with_bos(ids.astype(np.int64))).to(self.device)

    def _pieces(self, ids: np.ndarray) -> Iterator[torch.Tensor]:
        tokens = self.lens_ids(ids)
        floats = BATCH_FLOATS.get(self.device.type, BATCH_FLOATS["cpu"])
        # floats of one input: the widest activation of a position, at all its positions
        n_ctx = tokens.shape[1]
        rows = max(1, floats // (widest(self.lens.cfg, n_ctx) * n_ctx))
        yield from tokens.split(rows)

    @torch.no_grad()
    def _chunks(self, ids: np.ndarray) -> Iterator[torch.Tensor]:
        for piece in self._pieces(ids):
            yield self.lens(piece)[:, 1:]  # without the output at BOS


def _checked_ids(ids: Any, n_vocab: int) -> np.ndarray:
    """`ids` as an array [batch, pos] of vocabulary ids; RaspValueError where it is not one."""
    # stands for what numpy makes no table of; it has one axis, so it is refused below
    array: np.ndarray = np.empty(0, object)
    with suppress(ValueError):  # rows of different lengths
        array = np.asarray(ids)
    if array.ndim != 2 or not array.size or not np.issubdtype(array.dtype, np.integer):
        raise RaspValueError(
            "ids are whole numbers [batch, pos], inputs of one length, not "
            f"{array.dtype} of shape {list(array.shape)}",
            hint="domain.encode(tokens) gives the ids of an input",
        )
    outside = array[(array < 0) | (array >= n_vocab)]
    if outside.size:
        raise RaspValueError(
            f"the id {outside[0]} is outside the vocabulary, ids 0 to {n_vocab - 1}"
        )
    return array


def _checked_logits(logits: Any, width: int) -> torch.Tensor:
    """A piece of logits; RaspValueError where it is no tensor [batch, pos, at least width]."""
    if not isinstance(logits, Tensor) or logits.ndim != 3 or logits.shape[-1] < width:
        raise RaspValueError(
            f"logits are tensors [batch, pos, d_vocab_out] with {width} logits at least, "
            f"not {shown(logits)}"
        )
    return _finite(logits)


def _finite(logits: torch.Tensor) -> torch.Tensor:
    """The logits; RaspValueError where one is nan or infinite."""
    if not torch.isfinite(logits).all():
        raise RaspValueError(
            f"the model's logits hold nan or inf, in {str(logits.dtype).removeprefix('torch.')}",
            hint="its weights are not finite, or too large for this dtype",
        )
    return logits


def plain_parameters(lens: Any) -> dict[str, Float[Tensor, "*_"]]:
    """The native module's parameters by name, without the prefixes of the bridge's wrappers."""
    return {
        name.replace("_original_component.", ""): p
        for name, p in lens.original_model.named_parameters()
    }


def require_numbers(model: LensModel, hint: str = "train it again, with a lower lr") -> None:
    """Raise RaspValueError where a weight is nan or infinite: all comparisons would be false."""
    # nan and infinite weights make their sum so; one answer of the device for all parameters
    parameters = model.lens.original_model.parameters()
    sums = [p.detach().sum(dtype=torch.float64) for p in parameters]
    if torch.isfinite(torch.stack(sums)).all():
        return
    named = plain_parameters(model.lens).items()
    name = next(n for n, p in named if not torch.isfinite(p).all())
    raise RaspValueError(f"the model's weights hold nan or inf, in {name}", hint=hint)


def by_length(encoded: Sequence[Sequence[int]]) -> list[list[int]]:
    """Row numbers grouped by the row's length, shortest first."""
    groups: dict[int, list[int]] = {}
    for row, ids in enumerate(encoded):
        groups.setdefault(len(ids), []).append(row)
    return [groups[n] for n in sorted(groups)]


def widest(cfg: Any, n_ctx: int) -> int:
    """The floats of the widest activation per position: MLP, q/k/v, pattern rows or residual."""
    return max(cfg.d_mlp or 0, cfg.n_heads * cfg.d_head, cfg.n_heads * n_ctx, cfg.d_model)


def pattern_hook(layer: int) -> str:
    """TransformerLens' name for a layer's attention pattern [batch, head, query, key]."""
    return f"blocks.{layer}.attn.hook_pattern"


def output_names(program: Program) -> list[str]:
    """A name for every output of a program, no two equal.

    Outputs that are one node get its names in turn, and numbers where it has too few.
    """
    names: list[str] = []
    for output in program.outputs:
        known = [name for name, i in program.names if i == output]
        numbered = (f"{program.labels[output]} ({n})" for n in count(2))
        free = chain(known, [program.labels[output]], numbered)
        # `numbered` never ends, so one is free
        names.append(next(name for name in free if name not in names))
    return names


def resolve_device(device: str | torch.device) -> torch.device:
    """The torch device of that name; "auto" is cuda where there is one, else cpu.

    Raises RaspValueError for an unknown device, or cuda where there is none.
    """
    if str(device) == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
    except RuntimeError:
        raise RaspValueError(
            f"unknown device {shown(device)}", hint="use cpu, cuda or auto"
        ) from None
    if resolved.type == "cuda" and not torch.cuda.is_available():
        raise RaspValueError("there is no cuda device here", hint="use --device cpu or auto")
    return resolved

"""Weights to TransformerLens and back to values; the only file that imports transformer_lens.

Sequences of ids: 0 is BOS, 1 + t is token t of the vocabulary.
Every input is run as BOS followed by its tokens;
what the model says at BOS is dropped. There is no padding: a batch holds inputs of one length.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from rasplab.base.errors import RaspValueError
from rasplab.compiler.compiled import Compiled
from rasplab.program.domain import Domain
from rasplab.program.graph import Program
from rasplab.program.values import Atom
from rasplab.transformer.decode import CodeTable, decode_logits
from rasplab.transformer.readout import Readout
from rasplab.transformer.weights import Weights

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
            tables.append(decode_logits(readout, [part]))
            start += readout.width
        return tables

    def decoded(self, logits: Iterable[torch.Tensor]) -> CodeTable:
        """What logits [batch, pos, d_vocab_out], in several parts, say: codes into a table."""
        width = self.readout.width
        return decode_logits(self.readout, (part[..., :width] for part in logits))

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


def boot(device: str | torch.device, dtype: torch.dtype, **config: Any) -> Any:
    """A native TransformerBridge; `config` are TransformerBridgeConfig's own names."""
    from transformer_lens.config import TransformerBridgeConfig
    from transformer_lens.model_bridge import TransformerBridge

    cfg = TransformerBridgeConfig(architecture="TransformerLensNative", dtype=dtype, **config)
    return TransformerBridge.boot_native(cfg, device=resolve_device(device), dtype=dtype)


def attention_dir(domain: Domain) -> str:
    """TransformerLens' word for causal or not."""
    return "causal" if domain.causal else "bidirectional"


def to_model(compiled: Compiled, device: str = "auto", dtype: str | None = None) -> LensModel:
    """The weights of a compiled program in a TransformerLens model.

    device  "auto" (cuda where there is one), "cpu" or "cuda"
    dtype   "float32" or "float64"; by default the certificate's
    """
    return load_weights(
        compiled.weights,
        compiled.domain,
        compiled.readout,
        device=device,
        dtype=dtype or compiled.certificate.dtype,
        compiled=compiled,
        further=compiled.further,
    )


def load_weights(
    weights: Weights,
    domain: Domain,
    readout: Readout,
    device: str = "auto",
    dtype: str = "float32",
    compiled: Any = None,
    further: tuple[Readout, ...] = (),
) -> LensModel:
    """The model of these weights, loaded as they are (see Weights for shapes and scale).

    A width of 0 (no head, no neuron) becomes one that is all zero,
    since TransformerLens has no empty ones.
    """
    weights = padded(weights)
    lens = boot(
        device, getattr(torch, dtype), act_fn="relu", normalization_type=None,
        attention_dir=attention_dir(domain), init_weights=False, attn_scale=weights.attn_scale,
        **weights.shape(),
    )  # fmt: skip
    with torch.no_grad():
        for name, array in parameters_of(weights).items():
            _parameter(lens, name).copy_(torch.from_numpy(np.ascontiguousarray(array)))
    lens.eval()
    return LensModel(lens, domain, readout, compiled, further=further)


def padded(weights: Weights) -> Weights:
    """The same weights with every width of heads and MLP at least 1."""
    wanted = {name: max(1, size) for name, size in weights.shape().items() if name != "n_layers"}
    if all(weights.shape()[name] == size for name, size in wanted.items()):
        return weights
    layers, heads, d_head, d_mlp = (
        weights.W_Q.shape[0],
        wanted["n_heads"],
        wanted["d_head"],
        wanted["d_mlp"],
    )
    d_model = wanted["d_model"]
    shapes = {
        **dict.fromkeys(("W_Q", "W_K", "W_V"), (layers, heads, d_model, d_head)),
        **dict.fromkeys(("b_Q", "b_K", "b_V"), (layers, heads, d_head)),
        "W_O": (layers, heads, d_head, d_model),
        "W_in": (layers, d_model, d_mlp), "b_in": (layers, d_mlp),
        "W_out": (layers, d_mlp, d_model),
    }  # fmt: skip
    return replace(
        weights, **{name: _grown(getattr(weights, name), shape) for name, shape in shapes.items()}
    )


def _grown(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    grown = np.zeros(shape, array.dtype)
    grown[tuple(slice(n) for n in array.shape)] = array
    return grown


def parameters_of(weights: Weights) -> dict[str, np.ndarray]:
    """The native module's parameters by name; its Linear layers hold [out, in]."""
    named = {
        "tok_embed.weight": weights.W_E,
        "pos.weight": weights.W_pos,
        "head.weight": weights.W_U.T,
    }
    for layer in range(weights.W_Q.shape[0]):
        at = f"layers.{layer}."
        for letter in "QKV":
            named[f"{at}attn.{letter.lower()}.weight"] = _joined(
                getattr(weights, f"W_{letter}")[layer]
            )
            named[f"{at}attn.{letter.lower()}.bias"] = getattr(weights, f"b_{letter}")[
                layer
            ].reshape(-1)
        named[f"{at}attn.o.weight"] = weights.W_O[layer].reshape(-1, weights.W_O.shape[-1]).T
        named[f"{at}attn.o.bias"] = weights.b_O[layer]
        named[f"{at}mlp.fc_in.weight"] = weights.W_in[layer].T
        named[f"{at}mlp.fc_in.bias"] = weights.b_in[layer]
        named[f"{at}mlp.fc_out.weight"] = weights.W_out[layer].T
        named[f"{at}mlp.fc_out.bias"] = weights.b_out[layer]
    return named


def _joined(per_head: np.ndarray) -> np.ndarray:
    """[head, d_model, d_head] as [head * d_head, d_model]."""
    return per_head.transpose(0, 2, 1).reshape(-1, per_head.shape[1])


def plain_parameters(lens: Any) -> dict[str, torch.Tensor]:
    """The native module's parameters by its own names, without the wrappers of the bridge."""
    return {
        name.replace("_original_component.", ""): p
        for name, p in lens.original_model.named_parameters()
    }


def _parameter(lens: Any, name: str) -> torch.Tensor:
    parameters = plain_parameters(lens)
    assert name in parameters, f"no parameter {name}; there are {sorted(parameters)}"
    return parameters[name]


def fresh_model(
    domain: Domain,
    readout: Readout,
    layers: int,
    heads: int,
    d_model: int,
    d_mlp: int,
    seed: int = 0,
    norm: str | None = "LN",
    act: str = "gelu",
    device: str = "auto",
) -> LensModel:
    """An untrained model for `domain`, its weights drawn with `seed`; d_head is d_model / heads.

    d_mlp 0 is attention only
    norm  a normalization_type of TransformerLens: None, "LN", "LNPre", "RMS", ...
    act   an act_fn of TransformerLens: "relu", "gelu", ...
    """
    if d_model % heads:
        raise ValueError(f"heads must divide d_model, got heads={heads}, d_model={d_model}")
    lens = boot(
        device, torch.float32, n_layers=layers, n_heads=heads, d_model=d_model,
        d_head=d_model // heads, d_mlp=max(1, d_mlp), attn_only=not d_mlp,
        d_vocab=len(domain.vocab) + 1,
        d_vocab_out=1 if readout.number else len(readout.values), n_ctx=domain.max_len + 1,
        act_fn=act, normalization_type=norm, attention_dir=attention_dir(domain), seed=seed,
    )  # fmt: skip
    return LensModel(lens, domain, readout)


def reinitialised(model: LensModel, seed: int = 0) -> LensModel:
    """A model of the same shape, domain and readout with weights drawn anew: a control."""
    cfg = model.lens.cfg
    same = ("n_layers", "n_heads", "d_model", "d_head", "d_mlp", "d_vocab", "d_vocab_out", "n_ctx")
    lens = boot(
        model.device, next(model.lens.parameters()).dtype, act_fn=cfg.act_fn,
        normalization_type=cfg.normalization_type, attention_dir=cfg.attention_dir, seed=seed,
        attn_only=cfg.attn_only,
        **{name: getattr(cfg, name) for name in same},
    )  # fmt: skip
    lens.eval()
    return replace(model, lens=lens, compiled=None, trained=None)


def require_numbers(model: LensModel) -> None:
    """Raises RaspValueError where a weight is nan or infinite: every comparison would be false."""
    for name, parameter in plain_parameters(model.lens).items():
        if not torch.isfinite(parameter).all():
            raise RaspValueError(
                f"the model's weights hold nan or inf, in {name}",
                hint="train it again, with a lower lr",
            )

"""The inputs of a finite model: all sequences of a vocabulary up to a length."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import isfinite
from typing import TYPE_CHECKING, Any

from rasplab.base.arguments import SEED, TOKENS, shown, takes, whole
from rasplab.base.errors import RaspValueError
from rasplab.program.values import Atom, plain

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Int

BOS = "BOS"
"""How the token at position 0 of the model is shown: the beginning of the sequence."""


@dataclass(frozen=True)
class Domain:
    """All sequences of 1 to max_len tokens of a vocabulary.

    vocab   distinct under `typed_key`; a token's id is its place here
    causal  every selector is masked to keys up to its query
    """

    vocab: tuple[Atom, ...]
    max_len: int
    causal: bool = False

    @cached_property
    def _ids(self) -> dict[tuple, int]:
        return {_token_key(t): i for i, t in enumerate(self.vocab)}

    @property
    def size(self) -> int:
        """How many inputs there are."""
        return sum(len(self.vocab) ** n for n in range(1, self.max_len + 1))

    def encode(self, tokens: Sequence[Atom]) -> list[int]:
        """Vocabulary ids of an input, from 0, BOS not counted.

        Raises RaspValueError for a token outside the vocabulary, an empty input, or one longer than
        max_len.
        """
        if not isinstance(tokens, str) and not TOKENS.test(tokens):
            raise RaspValueError(f"an input is a string or a list of tokens, not {shown(tokens)}")
        if not 1 <= len(tokens) <= self.max_len:
            raise RaspValueError(
                f"the input has {len(tokens)} tokens; this model takes 1 to {self.max_len}",
                hint="shorten the input, or compile with a larger max_len",
            )
        try:
            return [self._ids[_token_key(t)] for t in tokens]
        except (KeyError, TypeError):
            # numpy's scalars have keys of their own, and lists have none
            return [self._id(token, position) for position, token in enumerate(tokens)]

    def _id(self, token: Any, position: int) -> int:
        """The id of one token; RaspValueError where it is not in the vocabulary."""
        token = plain(token)
        key = _token_key(token) if isinstance(token, int | float | str) else None
        if key not in self._ids:
            first = ", ".join(map(repr, self.vocab[:12]))
            first += ", ..." if len(self.vocab) > 12 else ""
            raise RaspValueError(
                f"{shown(token)} (position {position}) is not in the vocabulary",
                hint=f"the vocabulary is {first}; compile with one that holds {shown(token)}",
            )
        return self._ids[key]

    def inputs(self) -> Iterator[tuple[Atom, ...]]:
        """Every input, shortest first."""
        for n in range(1, self.max_len + 1):
            yield from product(self.vocab, repeat=n)

    @takes(count=whole(0), seed=SEED)
    def sample(self, count: int, seed: int = 0) -> list[Int[np.ndarray, " pos"]]:
        """Random inputs as ids, in random order of lengths; `inputs.sampled_ids` gives batches.

        A quarter has length max_len, the others any length alike often. Half of them use 1 to 4
        distinct tokens, so that repeats and ties occur at every length.
        """
        import numpy as np

        rng = np.random.default_rng(seed)
        lengths = rng.integers(1, self.max_len + 1, count)
        lengths[rng.random(count) < 0.25] = self.max_len
        samples = []
        for n in lengths:
            few = rng.random() < 0.5 and len(self.vocab) > 4
            pool = np.arange(len(self.vocab))
            if few:
                pool = rng.choice(pool, rng.integers(1, 5), replace=False)
            samples.append(rng.choice(pool, n))
        return samples


def _token_key(token: Atom) -> tuple[type, Atom]:
    """A key equal where `typed_key` is, without the text: 1, 1.0 and True are one key of a dict."""
    if type(token) is float and not token:
        return (float, repr(token))  # 0.0 and -0.0
    return (type(token), token)


def make_domain(vocab: Iterable[Atom], max_len: int, causal: bool = False) -> Domain:
    """The domain of a vocabulary and a maximum length.

    Raises ValueError for an empty vocabulary, tokens that are not atoms, not finite or given twice,
    and a max_len that is not an int of at least 1.
    """
    tokens, max_len = tuple(map(plain, vocab)), plain(max_len)
    if not tokens:
        raise ValueError("vocab is empty; it needs at least one token")
    for token in tokens:
        if not isinstance(token, int | float | str):
            raise ValueError(
                f"vocab holds {shown(token)} of type {type(token).__name__}; "
                "tokens are str, int, float, bool"
            )
        if isinstance(token, float) and not isfinite(token):
            raise ValueError(f"vocab holds {token!r}; tokens are finite")
    if len({*map(_token_key, tokens)}) < len(tokens):
        raise ValueError(f"vocab holds a token twice: {list(tokens)!r}")
    if isinstance(max_len, bool) or not isinstance(max_len, int) or max_len < 1:
        raise ValueError(f"max_len is {shown(max_len)}; it has to be an int of at least 1")
    return Domain(tokens, max_len, causal)

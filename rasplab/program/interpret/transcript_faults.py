"""What the REPL's transcript prints for an error, beside the message that a RaspError carries.

The transcript follows the reference implementation word for word. Errors of arithmetic itself
(division by zero, an operation on types that do not support it) are `host` errors: the transcript
prints "something went wrong" for them.
"""

from __future__ import annotations

from typing import Any, TypeVar

from rasplab.base.errors import RaspError

AnyRaspError = TypeVar("AnyRaspError", bound=RaspError)


def with_transcript(error: AnyRaspError, transcript: str, host: bool = False) -> AnyRaspError:
    """The same error, with what the transcript prints for it."""
    error.transcript, error.host = transcript, host
    return error


def transcript_of(error: RaspError) -> str:
    """What the transcript prints for an error."""
    return error.message if error.transcript is None else error.transcript


def with_article(word: str) -> str:
    """The word after "a" or "an"."""
    return f"{'an' if word.startswith(('int', 's-op')) else 'a'} {word}"


def thawed(value: Any) -> Any:
    """A value with its tuples as lists, which is how the transcript prints them."""
    return [thawed(v) for v in value] if isinstance(value, tuple) else value

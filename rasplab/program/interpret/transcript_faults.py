"""How a fault is told in the REPL's transcript, beside the fuller message that a RaspError carries.

`transcript` is the short line of the transcript; `host` is True for faults of arithmetic itself
(division by zero, an operation on types that do not take it), which the transcript tells as
"something went wrong".
"""

from __future__ import annotations

from rasplab.base.errors import RaspError


def with_transcript(error: RaspError, transcript: str, host: bool = False) -> RaspError:
    """The same fault, with what the transcript says of it."""
    error.transcript, error.host = transcript, host
    return error


def transcript_of(error: RaspError) -> str:
    """What the transcript says of a fault."""
    return getattr(error, "transcript", error.message)


def is_host(error: RaspError) -> bool:
    """Whether the fault is one of arithmetic itself."""
    return getattr(error, "host", False)


def with_article(word: str) -> str:
    """The word after "a" or "an"."""
    return f"{'an' if word.startswith(('int', 's-op')) else 'a'} {word}"


def shown(value) -> str:
    """A value inside a message: strings in double quotes, tuples as lists."""
    if isinstance(value, str):
        return f'"{value}"'
    return repr(thawed(value))


def thawed(value):
    """A value with its tuples as lists."""
    return [thawed(v) for v in value] if isinstance(value, tuple) else value

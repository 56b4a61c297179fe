"""Damaged JSON: every way in which a value of a document can be of the wrong type or size."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

NONSENSE: tuple[Any, ...] = (
    None,
    True,
    -1,
    10**6,
    10**30,
    0.5,
    -2.0,
    "",
    "<script>",
    [],
    [[]],
    {},
    {"a": 1},
    [None, 1],
)


def damaged(document: Any) -> Iterator[tuple[str, Any]]:
    """Copies of a document with one part replaced by each of NONSENSE, or left out.

    Of lists the first two items are damaged; each copy comes with the place of the damage.
    """
    for place in _places(document):
        for value in NONSENSE:
            yield f"{place} = {value!r}", _replaced(document, place, value)
        yield f"{place} left out", _replaced(document, place)


def _places(value: Any, place: tuple = ()) -> Iterator[tuple]:
    if place:
        yield place
    match value:
        case dict():
            for name, part in value.items():
                yield from _places(part, (*place, name))
        case list():
            for i, part in enumerate(value[:2]):
                yield from _places(part, (*place, i))


def _replaced(document: Any, place: tuple, *value: Any) -> Any:
    changed = copy.deepcopy(document)
    part = changed
    for name in place[:-1]:
        part = part[name]
    if value:
        part[place[-1]] = value[0]
    else:
        del part[place[-1]]
    return changed


TEXTS: dict[str, str] = {
    "empty": "",
    "not JSON": "{",
    "a list": "[]",
    "a number": "7",
    "null": "null",
    "nested 100,000 deep": "[" * 100_000 + "]" * 100_000,
    "nested objects": '{"a":' * 5_000 + "1" + "}" * 5_000,
    "5,000 digits": "9" * 5000,
    "beyond float64": "[1e999]",
    "nan": "[NaN]",
    "infinite": '{"a": -Infinity}',
    "half a surrogate pair": '["\\ud800"]',
}
"""Texts that no reader takes."""


def dumps(document: Any) -> str:
    """A document as JSON text."""
    return json.dumps(document, ensure_ascii=True)

"""Methods implemented in higher rooms: a table of names and homes, imported when called."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from types import MethodType
from typing import Any, ClassVar


def resolve(home: str) -> Callable[..., Any]:
    """The function at `module:name`; its module is imported now."""
    module, _, name = home.partition(":")
    return getattr(import_module(module), name)


class Door:
    """One method: a descriptor that imports the function at `home` when it is looked up."""

    def __init__(self, home: str):
        self.home = home

    def __get__(self, instance: object, owner: type | None = None) -> Callable[..., Any]:
        function = resolve(self.home)
        return function if instance is None else MethodType(function, instance)


class Doors:
    """Base of a type's table of doors.

    A subclass names its doors as `homes={method: "module:function"}`; each function takes the
    instance as its first argument. The subclass also declares their signatures under TYPE_CHECKING.
    """

    homes: ClassVar[Mapping[str, str]] = {}

    def __init_subclass__(cls, homes: Mapping[str, str] | None = None, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        if homes is not None:
            cls.homes = homes
            for name, home in homes.items():
                setattr(cls, name, Door(home))

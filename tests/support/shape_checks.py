"""Annotations checked at run time: types by beartype, shapes of arrays by jaxtyping.

The import hook of jaxtyping does the same and takes some five times as long: it binds the arguments
to the signature of every call, and checks them twice, to word its message.
"""

from __future__ import annotations

import ast
import functools
import inspect
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import is_dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType
from typing import Any

from beartype import BeartypeConf, beartype
from jaxtyping import TypeCheckError, jaxtyped

_beartype: Callable[[Any], Any] = beartype(conf=BeartypeConf(violation_type=TypeCheckError))

_suspended: list[bool] = []


@contextmanager
def unchecked() -> Iterator[None]:
    """Calls in this context are not checked: they show what the package says without the hook."""
    _suspended.append(True)
    try:
        yield
    finally:
        _suspended.pop()


def checked(target: Any) -> Any:
    """A function whose arguments and result are checked; a dataclass whose fields are."""
    if not inspect.isclass(target):
        return _checked_function(target)
    if is_dataclass(target) and "__init__" in vars(target):
        setattr(target, "__init__", _checked_function(target.__init__))  # noqa: B010
    return target


def _checked_function(function: Callable[..., Any]) -> Callable[..., Any]:
    sized = any("{" in str(hint) for hint in function.__annotations__.values())
    hints = dict(function.__annotations__)
    if sized or inspect.isgeneratorfunction(function):
        # a size that an argument says; what runs when the call is over, in another's context
        typed = jaxtyped(function, typechecker=_beartype)
    else:
        typed = _beartype(function)  # puts types in the place of the texts of annotations

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if _suspended:
            return function(*args, **kwargs)
        with jaxtyped("context"):  # the name of an axis means one size within a call
            return typed(*args, **kwargs)

    call.__annotations__ = hints
    return call


class _Decorated(ast.NodeTransformer):
    """Every function and class of a module with the decorator `checked`."""

    DECORATOR = "_checked"

    def visit_Module(self, node: ast.Module) -> ast.Module:
        self.generic_visit(node)
        start = 1  # behind the docstring and what is imported from __future__
        while isinstance(node.body[start], ast.ImportFrom) and "__future__" in ast.dump(
            node.body[start]
        ):
            start += 1
        line = f"from {__name__} import checked as {self.DECORATOR}"
        node.body[start:start] = ast.parse(line).body
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        self.generic_visit(node)
        node.decorator_list.append(self._decorator(node))  # under others, which hide annotations
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.ClassDef:
        self.generic_visit(node)
        node.decorator_list.insert(0, self._decorator(node))  # over `dataclass`
        return node

    def _decorator(self, node: ast.stmt) -> ast.expr:
        return ast.copy_location(ast.Name(self.DECORATOR, ast.Load()), node)


class _Loader(SourceFileLoader):
    def source_to_code(self, data: Any, path: Any, *, _optimize: int = -1) -> Any:
        tree = _Decorated().visit(ast.parse(data, path))
        return compile(ast.fix_missing_locations(tree), path, "exec", dont_inherit=True)

    def get_code(self, fullname: str) -> Any:
        """Compile the source: bytecode on file has no checks."""
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


class _Finder(MetaPathFinder):
    def __init__(self, modules: Sequence[str]) -> None:
        self.modules = frozenset(modules)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in self.modules:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.origin is not None:
            spec.loader = _Loader(name, spec.origin)
        return spec


def check_annotations(modules: Sequence[str]) -> None:
    """Check annotations of the given modules, which may not be imported yet."""
    sys.meta_path.insert(0, _Finder(modules))

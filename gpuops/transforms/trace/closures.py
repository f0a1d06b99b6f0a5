"""Where an object that a traced function uses, and was not given, comes from.

The function's closure, its globals and its own object are searched, and those of the functions it
calls, until a way to the object is found. The way is kept: a graph goes it again at each replay, so
that it finds what the function would find then.
"""

from __future__ import annotations

import functools
import types
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

from gpuops.devices import array_kind

__all__ = ["Source", "SourceGone", "find_source", "reachable"]

MAX_DEPTH = 6
MAX_VISITED = 20_000

# Modules whose functions know the default stream and handle, and every kernel.
_OWN = frozenset({"gpuops.cuda.streams", "gpuops.cuda.handles", "gpuops.ops"})
_PLAIN = (int, float, complex, str, bytes, bool, type(None), type(Ellipsis))


class SourceGone(Exception):
    """A way that led to an object ends before it; the text says where."""


@dataclass(frozen=True, slots=True)
class Source:
    """A way to an object.

    Attributes:
        text: in the words of Python: ``L['h']`` for a variable of the function around,
            ``G['H']`` for a global one, ``L['self'].h`` for an attribute.
        steps: functions from one object to the next; the first gets None.
    """

    text: str
    steps: tuple[Callable[[Any], Any], ...]

    def find(self) -> Any:
        """The object that is there now.

        Raises:
            SourceGone: the way ends: a variable was deleted, an attribute is gone.
        """
        value = None
        for step in self.steps:
            try:
                value = step(value)
            except Exception as error:
                raise SourceGone(f"{type(error).__name__}: {error}") from None
        return value

    def then(self, text: str, step: Callable[[Any], Any]) -> Source:
        """The way one step on."""
        return Source(self.text + text, (*self.steps, step))


def find_source(fn: Any, wanted: Any) -> Source | None:
    """The shortest way from a function to an object that it can reach; None if there is none.

    >>> config = {"size": (1, 2)}
    >>> find_source(lambda: config["size"], config["size"]).text  # a global variable here
    "G['config']['size']"
    """
    for source, value in _reachable(fn):
        if value is wanted:
            return source
    return None


def reachable(fn: Any) -> Iterator[Any]:
    """What a function can reach: its closure, its globals, its own object, and on from there.

    >>> numbers = [1.5]
    >>> any(value is numbers for value in reachable(lambda: numbers))
    True
    """
    return (value for _, value in _reachable(fn))


def _reachable(fn: Any) -> Iterator[tuple[Source, Any]]:
    """What a function can reach with the ways to it, the nearest first."""
    seen: set[int] = set()
    queue = deque((source, 1) for source in _roots(fn, ""))
    while queue and len(seen) < MAX_VISITED:
        source, depth = queue.popleft()
        try:
            value = source.find()
        except SourceGone:
            continue
        yield source, value
        if id(value) in seen or isinstance(value, _PLAIN) or depth > MAX_DEPTH:
            continue
        seen.add(id(value))
        queue.extend((following, depth + 1) for following in _following(source, value))


def _roots(fn: Any, owner: str) -> Iterator[Source]:
    """Where a search begins: what a function's own code can name."""
    if isinstance(fn, functools.partial):
        for index, value in enumerate(fn.args):
            yield Source(f"partial.args[{index}]", (_fixed(value),))
        for name, value in fn.keywords.items():
            yield Source(f"partial.keywords[{name!r}]", (_fixed(value),))
        yield from _roots(fn.func, owner)
        return
    if isinstance(fn, types.MethodType):
        yield Source(f"L['self']{owner}", (_fixed(fn.__self__),))
        fn = fn.__func__
    elif not isinstance(fn, types.FunctionType):
        method = getattr(fn, "__call__", None)  # noqa: B004  # its code is wanted, not whether
        if not isinstance(method, types.MethodType):
            return
        yield Source(f"L['self']{owner}", (_fixed(fn),))
        fn = method.__func__
    code = fn.__code__
    names = sorted(_names(code))
    named = [
        Source(f"L[{name!r}]{owner}", (_contents(cell),))
        for name, cell in zip(code.co_freevars, fn.__closure__ or (), strict=True)
    ]
    named += _defaults(fn, owner)
    named += [
        Source(f"G[{name!r}]", (_global(fn.__globals__, name),))
        for name in names
        if name in fn.__globals__
    ]
    for source in named:
        yield source
        yield from _in_modules(source, names)


def _in_modules(source: Source, names: list[str], depth: int = 3) -> Iterator[Source]:
    """What a function's code can name in a module: ``module.name``, ``package.module.name``."""
    try:
        value = source.find()
    except SourceGone:
        return
    if isinstance(value, types.ModuleType) and depth:
        for name in names:
            if name in vars(value):
                inner = source.then(f".{name}", _attribute(name))
                yield inner
                yield from _in_modules(inner, names, depth - 1)


def _defaults(fn: types.FunctionType, owner: str) -> Iterator[Source]:
    code = fn.__code__
    positional = code.co_varnames[: code.co_argcount]
    defaults = fn.__defaults__ or ()
    pairs = [*zip(positional[len(positional) - len(defaults) :], defaults, strict=True)]
    for name, value in [*pairs, *(fn.__kwdefaults__ or {}).items()]:
        yield Source(f"L[{name!r}]{owner}", (_fixed(value),))


def _following(source: Source, value: Any) -> Iterator[Source]:
    """The steps that lead on from an object."""
    cls = type(value)
    if isinstance(value, types.ModuleType):
        return  # the names that the code has are roots; the others are foreign
    if isinstance(value, types.FunctionType) and value.__module__ in _OWN:
        return
    if isinstance(value, (types.FunctionType, types.MethodType, functools.partial)):
        name = getattr(value, "__name__", "partial")
        yield from _roots(value, f" of {name}")
    elif cls is dict:
        yield from (source.then(f"[{key!r}]", _item(key)) for key in value)
    elif cls in (list, tuple):
        yield from (source.then(f"[{index}]", _item(index)) for index in range(len(value)))
    elif array_kind(cls) is None and not (isinstance(value, type) and issubclass(value, Enum)):
        # Members of an enumeration are constants wherever their class is.
        for name in _attributes(value):
            yield source.then(f".{name}", _attribute(name))


def _attributes(value: Any) -> Iterator[str]:
    """The names of what an object or a class itself has; no property is run."""
    if cls_names := getattr(type(value), "__slots__", None):
        yield from (cls_names,) if isinstance(cls_names, str) else cls_names
    try:
        names = vars(value)
    except TypeError:
        return
    yield from (name for name in list(names) if not name.startswith("__"))
    if not isinstance(value, type) and type(value).__module__ != "builtins":
        yield from (
            name
            for base in type(value).__mro__
            for name, found in list(vars(base).items())
            if not name.startswith("__") and not _is_descriptor(found)
        )


def _is_descriptor(value: Any) -> bool:
    return hasattr(type(value), "__get__") or isinstance(value, _PLAIN)


def _names(code: types.CodeType) -> set[str]:
    """The global names in a function's code, and in that of the functions inside of it."""
    found = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found |= _names(constant)
    return found


# -- steps -----------------------------------------------------------------------------------------


def _fixed(value: Any) -> Callable[[Any], Any]:
    return lambda _: value


def _contents(cell: types.CellType) -> Callable[[Any], Any]:
    return lambda _: cell.cell_contents


def _global(names: dict[str, Any], name: str) -> Callable[[Any], Any]:
    return lambda _: names[name]


def _item(key: Any) -> Callable[[Any], Any]:
    return lambda value: value[key]


def _attribute(name: str) -> Callable[[Any], Any]:
    return lambda value: getattr(value, name)

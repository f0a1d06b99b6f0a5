"""Nested tuples, lists and dictionaries: taken apart into leaves, and put together again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["leaves", "map_leaves"]

Path = tuple[Any, ...]
"""The keys from the whole to a leaf."""


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Each leaf with its path, in order.

    >>> list(leaves({"a": [1, 2], "b": ()}))
    [(('a', 0), 1), (('a', 1), 2)]
    """
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, (*path, key))
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from leaves(item, (*path, index))
    else:
        yield path, value


def map_leaves(function: Callable[[Path, Any], Any], value: Any, path: Path = ()) -> Any:
    """The same structure with each leaf replaced by ``function(path, leaf)``.

    >>> map_leaves(lambda path, leaf: leaf * 2, {"a": [1, 2], "b": (3,)})
    {'a': [2, 4], 'b': (6,)}
    """
    if isinstance(value, dict):
        return {k: map_leaves(function, item, (*path, k)) for k, item in value.items()}
    if isinstance(value, (list, tuple)):
        items = [map_leaves(function, item, (*path, i)) for i, item in enumerate(value)]
        if isinstance(value, list):
            return items
        # A named tuple takes its fields one by one.
        return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
    return function(path, value)

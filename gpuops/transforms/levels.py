"""Which of several nested transformations gets a call: the one that began last.

A differentiation inside a tracing inside a batching is a stack of interpreters. Each one, when it
begins, takes the next number of one counter as its depth; a call goes to the deepest among its
arguments' transformations, which runs the operator on what its own arrays hold. All wrapper types
of such transformations have one level with the dispatcher, and share the interpreter here.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Any, Final, Protocol

from gpuops.interception import ambient, register_wrapper
from gpuops.registry import Operator, Registration

__all__ = ["LEVEL", "Transform", "begin", "nested_types", "register_nested"]

LEVEL: Final = 10
"""The level of their wrappers with the dispatcher: above fakes, which they can hold."""

nested_types: set[type] = set()
"""The wrapper types: arrays with an attribute ``transform``."""

_depths = count(1)


class Transform(Protocol):
    """One run of a transformation.

    Attributes:
        depth: from `begin`.
    """

    depth: int

    def interpret(self, operator: Operator, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """Run an operator that has an array of this transformation among its arguments."""


def begin() -> int:
    """The depth of a transformation that begins now: higher than that of all before it.

    >>> begin() < begin()
    True
    """
    return next(_depths)


def register_nested(cls: type) -> Registration:
    """Let calls with arrays of exactly this type go to their ``transform``.

    Args:
        cls: a wrapper class whose instances have an attribute ``transform``, a `Transform`.

    Returns:
        A handle that undoes it.
    """
    nested_types.add(cls)
    return register_wrapper(cls, _interpret, LEVEL)


def _interpret(operator: Operator, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    chosen: Any = None
    depth = 0
    for arg in args:
        cls = type(arg)
        if cls in nested_types:
            transform = arg.transform
            if transform is not chosen and transform.depth > depth:
                chosen = transform
                depth = transform.depth
        elif cls is list:
            for item in arg:
                if type(item) in nested_types and item.transform.depth > depth:
                    chosen = item.transform
                    depth = chosen.depth
    if kwargs:
        for arg in kwargs.values():
            for item in arg if type(arg) is list else (arg,):
                if type(item) in nested_types and item.transform.depth > depth:
                    chosen = item.transform
                    depth = chosen.depth
    # A tracing takes all calls made while it runs, also those with arrays from outside of it.
    mode = ambient.get()
    if mode is not None and getattr(mode, "depth", 0) > depth:
        chosen = mode
    return chosen.interpret(operator, args, kwargs)

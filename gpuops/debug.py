"""Debug mode: every call is checked for undeclared mutation and aliasing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from gpuops import checks
from gpuops.errors import UsageError, describe
from gpuops.registry import registry

__all__ = ["debug"]


@contextmanager
def debug(enabled: bool = True) -> Iterator[None]:
    """Check every operator call made in the block, in this thread or task.

    A call then fails if its kernel changed an argument that the operator does not declare as
    mutated, or returned an array that shares memory with an argument or with another output, or
    that is on another device than the arguments. The arguments are copied for that, so a call
    costs far more than a call. The environment variable ``GPUOPS_DEBUG=1`` does the same for the
    whole process.

    Args:
        enabled: False switches the checks off in the block.

    Raises:
        UsageError: `enabled` is no bool.

    >>> import numpy as np, gpuops
    >>> @gpuops.custom_op("demo_debug::zero_first", mutates_args=())
    ... def zero_first(x: gpuops.Array) -> gpuops.Array:
    ...     x[0] = 0
    ...     return x.copy()
    >>> with debug():
    ...     zero_first(np.ones(3))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    gpuops.errors.MutationError: demo_debug::zero_first: Argument x is not defined as mutable ...
    >>> zero_first.undo()
    """
    if not isinstance(enabled, bool):
        raise UsageError(f"debug: enabled must be True or False, got {describe(enabled)}")
    token = checks.enabled.set(enabled)
    _count(1 if enabled else 0)
    try:
        yield
    finally:
        _count(-1 if enabled else 0)
        checks.enabled.reset(token)


def _count(step: int) -> None:
    with registry.lock:
        before = checks.state.contexts
        checks.state.contexts = before + step
        if bool(before) != bool(checks.state.contexts):
            registry.refresh_calls()

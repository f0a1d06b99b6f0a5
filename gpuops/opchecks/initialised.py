"""`test_initialised`: every element of an output has been written.

What ``numpy.empty`` and its like hand out during a call is filled with one pattern of bytes, and
in a second call with another. A result that changes with the pattern has unwritten elements, or
was computed from some. Memory that compiled code allocates is out of sight.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import numpy as np

from gpuops.opchecks.report import leaves
from gpuops.opchecks.subject import Subject, copied

__all__ = ["check"]

# As floats they are finite and far apart, and as bools they are both true and no number: one of
# them differs from whatever the memory held.
_PATTERNS = (0x00, 0x5A)


def check(subject: Subject) -> None:
    """Call the operator with memory that holds two patterns, and compare bit by bit.

    Raises:
        Failure: an output depends on what its memory held before.
    """
    plain = [_bits(subject, None) for _ in range(2)]
    if plain[0] != plain[1]:
        return  # not repeatable: test_trace says so
    results = [_bits(subject, pattern) for pattern in _PATTERNS]
    for (name, left), (_, right) in zip(*results, strict=True):
        if left != right:
            raise subject.fail(f"{name} has elements that its kernel never writes")


def _bits(subject: Subject, pattern: int | None) -> list[tuple[str, bytes]]:
    values = copied(subject.values)
    with np.errstate(all="ignore"):
        if pattern is None:
            result = subject.call(values)
        else:
            with _poisoned(subject, pattern):
                result = subject.call(values)
    found = leaves(subject.operator, result)
    for parameter, value in zip(subject.operator.schema.parameters, values, strict=True):
        if parameter.is_mutated:
            items = value if isinstance(value, list) else [value]
            found += [(f"argument {parameter.name!r}", item) for item in items]
    return [
        (name, v.tobytes() if isinstance(v, np.ndarray) else repr(v).encode()) for name, v in found
    ]


@contextmanager
def _poisoned(subject: Subject, pattern: int) -> Iterator[None]:
    def filled(make: Any) -> Any:
        def made(*args: Any, **kwargs: Any) -> Any:
            array = make(*args, **kwargs)
            if not array.dtype.hasobject and array.flags.forc:
                flat = array.T if array.flags.f_contiguous else array
                flat.reshape(-1).view(np.uint8)[...] = pattern
            return array

        return made

    replaced = {np.empty: filled(np.empty), np.empty_like: filled(np.empty_like)}
    patches: list[Any] = [mock.patch.object(np, old.__name__, new) for old, new in replaced.items()]
    # A kernel's module may hold the functions under names of its own.
    for table in _modules_of(subject):
        for name, value in list(table.items()):
            for old, new in replaced.items():
                if value is old:
                    patches.append(mock.patch.dict(table, {name: new}))
    for patch in patches:
        patch.start()
    try:
        yield
    finally:
        for patch in reversed(patches):
            patch.stop()


def _modules_of(subject: Subject) -> list[dict[str, Any]]:
    kernel = subject.operator.effective_kernel("cpu")
    function = None if kernel is None else kernel.load()
    table = getattr(function, "__globals__", None)
    return [] if table is None else [table]

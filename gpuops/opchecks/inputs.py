"""Further inputs, made from the sample: other sizes, ranks and values.

They are drawn with NumPy only, from a seed, so that the checks need nothing that an installation
does not have. Whether the operator accepts one, the operator says.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from gpuops.errors import AliasError, MutationError, ReturnError
from gpuops.opchecks.subject import Subject, copied

__all__ = ["accepted", "drawn"]

# How a size that occurs in the sample's shapes changes. Sizes that are equal stay equal, so that
# what has to fit goes on fitting.
_RESIZED: tuple[Callable[[int, int], int], ...] = (
    lambda size, rank: size + 1,
    lambda size, rank: 2 * size + rank,
    lambda size, rank: size + rank if size > 1 else size,
    lambda size, rank: 1,
    lambda size, rank: 0,
)
_LARGEST = 1 << 16


def drawn(subject: Subject) -> Iterator[list[Any]]:
    """The sample, then variants of it; each is made anew and may be written to."""
    yield copied(subject.values)
    random = np.random.default_rng(subject.seed)
    sizes = sorted({n for array in subject.arrays(subject.values) for n in array.shape})
    yield subject.map(subject.values, lambda parameter, array: _random(array, array.shape, random))
    for change in _RESIZED:
        table = {size: change(size, rank) for rank, size in enumerate(sizes)}
        yield from _reshaped(subject, lambda shape, t=table: tuple(t[n] for n in shape))  # type: ignore[misc]
    for size in sizes:
        yield from _reshaped(
            subject,
            lambda shape, s=size: tuple(n + 2 if n == s else n for n in shape),  # type: ignore[misc]
        )
    yield from _reshaped(subject, lambda shape: (2, *shape))
    yield from _reshaped(subject, lambda shape: shape[1:])


def _reshaped(
    subject: Subject, change: Callable[[tuple[int, ...]], tuple[int, ...]]
) -> Iterator[list[Any]]:
    def one(parameter: Any, array: Any) -> Any:
        return np.resize(array, change(array.shape)) if array.size else array.copy()

    shapes = [change(array.shape) for array in subject.arrays(subject.values)]
    if sum(math.prod(shape) for shape in shapes) <= _LARGEST:
        yield subject.map(copied(subject.values), one)


def _random(array: Any, shape: tuple[int, ...], random: np.random.Generator) -> Any:
    """Floats of both signs; what may be an index or a mask only changes places."""
    if array.dtype.kind == "f":
        return random.standard_normal(shape).astype(array.dtype)
    if array.dtype.kind == "c":
        parts = random.standard_normal((2, *shape))
        return (parts[0] + 1j * parts[1]).astype(array.dtype)
    return random.permutation(array.reshape(-1)).reshape(shape)


def accepted(subject: Subject) -> Iterator[tuple[list[Any], list[Any], Any]]:
    """Those of `drawn` that the operator computes: the arguments before, after, and the result.

    Raises:
        Failure: the operator does not even take its sample.
    """
    for number, values in enumerate(drawn(subject)):
        before = copied(values)
        try:
            with np.errstate(all="ignore"):
                result = subject.call(values)
        except (AliasError, MutationError, ReturnError):
            raise  # debug mode found something: that is no refusal
        except Exception as error:
            if number == 0:
                raise subject.fail(
                    f"the sample fails with {type(error).__name__}: {error}"
                ) from error
            continue
        yield before, values, result

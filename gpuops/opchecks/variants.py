"""Variants of a sample that single checks need: other values, fewer elements, broadcast shapes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from gpuops.cuda.transfer import asarray
from gpuops.devices import device_of
from gpuops.opchecks.draw_arrays import resized as resized_array
from gpuops.opchecks.subject import REFUSED, Subject, copied

__all__ = [
    "broadcast",
    "cut",
    "elements",
    "on_its_device",
    "other_scalars",
    "other_values",
    "resized",
]

Values = list[Any]


def elements(subject: Subject, values: Values) -> int:
    """How many elements the arrays of a call have together."""
    return sum(int(array.size) for array in subject.arrays(values))


def other_values(subject: Subject, values: Values, number: int = 0) -> Values | None:
    """The same shapes with other data, if the operator takes it.

    Floats are drawn from a normal distribution, else moved a little from what they are; what may be
    an index or a mask changes places only.

    Args:
        subject: the operator.
        values: the call to vary.
        number: which variant: the same number gives the same one.

    Returns:
        New arguments, or None where the operator takes none that was tried.
    """
    random = np.random.default_rng((abs(subject.seed), number))

    def drawn(parameter: Any, array: Any) -> Any:
        if array.dtype.kind == "f":
            return np.asarray(random.standard_normal(array.shape), array.dtype)
        if array.dtype.kind == "c":
            parts = random.standard_normal((2, *array.shape))
            return np.asarray(parts[0] + 1j * parts[1], array.dtype)
        return random.permutation(array.reshape(-1)).reshape(array.shape)

    def moved(parameter: Any, array: Any) -> Any:
        if array.dtype.kind not in "fc":
            return drawn(parameter, array)
        return np.asarray(array * random.uniform(0.9, 1.1, array.shape), array.dtype)

    def shuffled(parameter: Any, array: Any) -> Any:
        return random.permutation(array.reshape(-1)).reshape(array.shape)

    for change in (drawn, moved, shuffled):
        made = subject.map(copied(values), on_its_device(change))
        if subject.attempt(made) is not REFUSED:
            return made
    return None


def on_its_device(change: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """A change of arrays of the host, for arrays of other devices too: what it makes goes there."""

    def one(parameter: Any, array: Any) -> Any:
        device = device_of(array)
        if device is None or device.type == "cpu":
            return change(parameter, array)
        return asarray(change(parameter, asarray(array, device="cpu")), device=device)

    return one


def resized(subject: Subject, values: Values, table: dict[int, int]) -> Values:
    """The call with sizes exchanged in all shapes, ``{old: new}``; data is repeated or cut."""

    def one(parameter: Any, array: Any) -> Any:
        shape = tuple(table.get(size, size) for size in array.shape)
        if shape == array.shape:
            return array
        return resized_array(array, shape)

    return subject.map(copied(values), on_its_device(one))


def cut(subject: Subject, values: Values, limit: int) -> Values | None:
    """The call with fewer elements, at most `limit` in all arrays, if the operator takes one.

    Sizes that are equal stay equal. The largest shrink first; then sizes that divide the old ones,
    which operators that work in groups need.

    Returns:
        The call itself if it is small enough, a smaller one, or None where all were refused.
    """
    if elements(subject, values) <= limit:
        return values
    sizes = sorted({n for array in subject.arrays(values) for n in array.shape if n > 1})
    for most in (64, 32, 16, 8, 5, 4, 3, 2, 1):
        for table in (
            {n: min(n, most) for n in sizes},
            {n: math.gcd(n, most) if n > most else n for n in sizes},
            {n: min(n, most) for n in sizes[-1:]},
        ):
            made = resized(subject, values, table)
            if elements(subject, made) <= limit and subject.attempt(made) is not REFUSED:
                return made
    return None


def broadcast(subject: Subject, values: Values) -> Iterator[Values]:
    """Calls in which one array has an axis of size 1, or none, where the sample's is longer.

    Those of which the outputs have the shapes that they have for the sample: what is otherwise
    computed of such arrays by NumPy's rules, nobody may have meant.
    """
    expected = _shapes(subject.attempt(values))
    for position, value in enumerate(values):
        if not isinstance(value, np.ndarray):
            continue
        changes: list[Any] = [
            value.take([0], axis) for axis in range(value.ndim) if value.shape[axis] > 1
        ]
        if value.ndim:
            changes += [value[0].copy(), np.array(value.reshape(-1)[0])] if value.size else []
        for changed in changes:
            made = copied(values)
            made[position] = np.asarray(changed)
            if _shapes(subject.attempt(made)) == expected:
                yield made


_SCALARS: dict[type, Callable[[Any], Any]] = {
    bool: lambda value: not value,
    int: lambda value: value + 1,
    # Not what 0, 0.5 and 1 become by themselves, and in the interval that they are the ends of.
    float: lambda value: 0.75 * value + 0.1,
}


def other_scalars(values: Values) -> Iterator[Values]:
    """Calls in which one number or flag is another one. Whether they are taken is not asked."""
    for position, value in enumerate(values):
        if type(value) in _SCALARS:
            made = copied(values)
            made[position] = _SCALARS[type(value)](value)
            yield made


def _shapes(result: Any) -> Any:
    if isinstance(result, (list, tuple)):
        return [_shapes(item) for item in result]
    return result is REFUSED, np.shape(result)

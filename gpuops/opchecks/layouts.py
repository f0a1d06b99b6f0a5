"""`test_layouts`: the values do not depend on how the arguments lie in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gpuops.opchecks.report import difference, leaves
from gpuops.opchecks.subject import REFUSALS, Subject, copied

__all__ = ["LAYOUTS", "check", "laid_out"]


def _every_second(array: Any) -> Any:
    room = np.empty((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
    room[..., 1::2] = array
    return room[..., 1::2]


def _fortran(array: Any) -> Any:
    return np.array(array, order="F")


def _backwards(array: Any) -> Any:
    flip = (slice(None, None, -1),) * array.ndim
    return np.ascontiguousarray(array[flip])[flip]


def _unaligned(array: Any) -> Any:
    room = np.empty(array.nbytes + 65, np.uint8)
    start = (1 - room.ctypes.data) % 64
    made: Any = np.ndarray(array.shape, array.dtype, room, start)
    made[...] = array
    return made


def _read_only(array: Any) -> Any:
    made = array.copy()
    made.flags.writeable = False
    return made


def _repeated(array: Any) -> Any:
    """Every row the first one, with the stride zero."""
    return np.broadcast_to(array[:1], array.shape)


LAYOUTS: dict[str, Callable[[Any], Any]] = {
    "every second element": _every_second,
    "Fortran order": _fortran,
    "negative strides": _backwards,
    "unaligned": _unaligned,
    "read-only": _read_only,
    "stride zero": _repeated,
}
"""What is tried, by name: arrays with the same values in another layout."""


def check(subject: Subject) -> None:
    """Call the operator with each layout; it gives the values of contiguous arrays or refuses.

    Raises:
        Failure: other values, or an error that is no refusal.
    """
    for name, make in LAYOUTS.items():
        values = subject.map(copied(subject.values), laid_out(name, make))
        plain = subject.map(copied(values), lambda parameter, array: np.array(array, order="C"))
        try:
            expected = subject.call(plain)
        except REFUSALS:
            continue
        try:
            got = subject.checked_call(values)
        except REFUSALS:
            continue
        except Exception as error:
            raise subject.fail(
                f"arrays of the layout {name!r} fail with {type(error).__name__}: {error}", values
            ) from error
        pairs = zip(leaves(subject.operator, expected), leaves(subject.operator, got), strict=True)
        for (output, left), (_, right) in pairs:
            problem = difference(left, right, rtol=subject.rtol, atol=subject.atol)
            if problem:
                raise subject.fail(
                    f"{output} depends on the layout of the arguments ({name}): {problem}", values
                )
        _check_written(subject, name, plain, values)


def laid_out(name: str, make: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    """A layout as `Subject.map` takes it; arrays that cannot have it stay as they are."""

    def one(parameter: Any, array: Any) -> Any:
        fixed = name in ("read-only", "stride zero")
        if not array.ndim or not array.size or (parameter.is_mutated and fixed):
            return array
        return make(array)

    return one


def _check_written(subject: Subject, name: str, plain: list[Any], values: list[Any]) -> None:
    for parameter, left, right in zip(
        subject.operator.schema.parameters, plain, values, strict=True
    ):
        if not parameter.is_mutated or left is None:
            continue
        pairs = zip(left, right, strict=True) if isinstance(left, list) else [(left, right)]
        for one, other in pairs:
            problem = difference(one, other, rtol=subject.rtol, atol=subject.atol)
            if problem:
                raise subject.fail(
                    f"what is written to {parameter.name!r} depends on the layout of the "
                    f"arguments ({name}): {problem}",
                    values,
                )

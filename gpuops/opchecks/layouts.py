"""`test_layouts`: the values do not depend on how the arguments lie in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from gpuops.debug import debug
from gpuops.opchecks.copies import Copies
from gpuops.opchecks.report import leaves
from gpuops.opchecks.subject import REFUSALS, REFUSED, Subject, copied
from gpuops.opchecks.trace import compare
from gpuops.opchecks.variants import other_values

__all__ = ["LAYOUTS", "check", "laid_out"]


def _every_second(array: Any) -> Any:
    room = _room((*array.shape[:-1], 2 * array.shape[-1]), array)
    room[..., 1::2] = array
    return room[..., 1::2]


def _every_second_row(array: Any) -> Any:
    room = _room((2 * array.shape[0], *array.shape[1:]), array)
    room[::2] = array
    return room[::2]


def _fortran(array: Any) -> Any:
    return np.array(array, order="F")


def _axes_moved(array: Any) -> Any:
    """The axes in another order: neither the last nor the first is contiguous, from 3 axes on."""
    return np.ascontiguousarray(np.moveaxis(array, 0, -1)).transpose(
        (array.ndim - 1, *range(array.ndim - 1))
    )


def _backwards(array: Any) -> Any:
    flip = (slice(None, None, -1),) * array.ndim
    return np.ascontiguousarray(array[flip])[flip]


def _unaligned(array: Any) -> Any:
    if array.dtype.hasobject:  # bytes are no references
        return array.copy()
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


def _repeated_last(array: Any) -> Any:
    """Every column the first one, likewise."""
    return np.broadcast_to(array[..., :1], array.shape)


def _one_repeated(array: Any) -> Any:
    return np.broadcast_to(array.reshape(-1)[:1].reshape(()), array.shape)


def _within(array: Any) -> Any:
    """C-contiguous, in the middle of a larger array."""
    room = _room((array.size + 10,), array)
    made = room[5 : 5 + array.size].reshape(array.shape)
    made[...] = array
    return made


def _room(shape: tuple[int, ...], array: Any) -> Any:
    """A larger array, which holds what would be noticed in a result."""
    filler: Any = 99 if array.dtype.kind in "iufc" else 1
    if array.dtype.kind not in "biufc":
        return np.zeros(shape, array.dtype)
    return np.full(shape, filler, array.dtype)


LAYOUTS: dict[str, Callable[[Any], Any]] = {
    "every second element": _every_second,
    "every second row": _every_second_row,
    "Fortran order": _fortran,
    "axes moved": _axes_moved,
    "negative strides": _backwards,
    "part of a larger array": _within,
    "unaligned": _unaligned,
    "read-only": _read_only,
    "stride zero": _repeated,
    "stride zero in the last axis": _repeated_last,
    "stride zero everywhere": _one_repeated,
}
"""What is tried, by name: arrays with the same values in another layout."""

_NOT_WRITTEN_TO = ("read-only", *(name for name in LAYOUTS if name.startswith("stride zero")))
"""Layouts that what a kernel writes to cannot have."""


def check(subject: Subject) -> None:
    """Call the operator with each layout; it gives the values of contiguous arrays or refuses.

    All arrays have the layout, then one at a time. Arrays without elements and 0-d arrays are
    taken or refused.

    Raises:
        Failure: other values, or an error that is no refusal; bytes between an argument's elements
            that change.
    """
    # Once for all calls: entering debug mode makes the call of every operator anew.
    with debug(), np.errstate(all="ignore"):
        _check_all(subject)


def _check_all(subject: Subject) -> None:
    tried = 0
    for number, base in enumerate(_bases(subject)):
        alone = not number and not subject.is_drawn
        for name, which, values in _calls(subject, base, alone=alone):
            plain = subject.map(copied(values), lambda parameter, array: np.array(array, order="C"))
            try:
                expected = subject.call(plain)
            except REFUSALS:
                continue
            tried += _check_call(subject, name, which, values, (expected, plain))
    if not subject.is_drawn:
        _check_no_axes(subject)
        if not tried and subject.arrays(subject.values):
            subject.leave_unchecked(
                "layouts: none was taken, or the arrays have too few elements to have any"
            )


def _bases(subject: Subject) -> Iterator[list[Any]]:
    """The sample; with other values, as equal ones lie alike; with an axis more, for 1-d ones."""
    yield subject.values
    if subject.is_drawn:
        return
    other = other_values(subject, subject.values)
    start = subject.values if other is None else other
    if other is not None:
        yield other
    arrays = subject.arrays(start)
    if arrays and max(array.ndim for array in arrays) == 1:
        raised = subject.map(copied(start), _stacked)
        if subject.attempt(raised) is not REFUSED:
            yield raised


def _stacked(parameter: Any, array: Any) -> Any:
    return np.stack([array, np.roll(array, 1), np.roll(array, 2)])


def _calls(
    subject: Subject, base: list[Any], *, alone: bool
) -> Iterator[tuple[str, str, list[Any]]]:
    """Calls with each layout, of all arrays and, if `alone`, of each one."""
    arrays = subject.arrays(base)
    for name, make in LAYOUTS.items():
        yield name, "", subject.map(copied(base), laid_out(name, make))
        if alone and len(arrays) > 1:
            for number in range(len(arrays)):
                one = _Only(number, laid_out(name, make))
                yield name, f" of array {number} alone", subject.map(copied(base), one)


class _Only:
    """A change of one array of a call, as `Subject.map` takes it."""

    def __init__(self, number: int, change: Callable[[Any, Any], Any]) -> None:
        self.number, self.change, self.seen = number, change, 0

    def __call__(self, parameter: Any, array: Any) -> Any:
        self.seen += 1
        return self.change(parameter, array) if self.seen == self.number + 1 else array


def laid_out(name: str, make: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    """A layout as `Subject.map` takes it; arrays that cannot have it stay as they are."""

    def one(parameter: Any, array: Any) -> Any:
        if parameter.is_mutated and name in _NOT_WRITTEN_TO:
            return array
        if not array.size or (not array.ndim and name not in ("unaligned", "read-only")):
            return array
        return make(array)

    return one


def _check_call(subject: Subject, name: str, which: str, values: list[Any], expected: Any) -> bool:
    """Compare one call with that of contiguous arrays; False if it was refused."""
    before, name = copied(values), f"{name}{which}"
    try:
        # The arrays themselves, whose `base` is an array of their own dtype.
        got = subject.call(values)
    except REFUSALS:
        return False
    except Exception as error:
        raise subject.fail(
            f"arrays of the layout {name!r} fail with {type(error).__name__}: {error}", before
        ) from error
    pairs = zip(leaves(subject.operator, expected[0]), leaves(subject.operator, got), strict=True)
    for (output, left), (_, right) in pairs:
        problem = subject.difference(left, right, before)
        if problem:
            raise subject.fail(
                f"{output} depends on the layout of the arguments ({name}): {problem}", before
            )
    _check_written(subject, name, expected[1], values, before)
    if not subject.is_drawn and not which:
        _check_surroundings(subject, name, before)
    return True


def _check_surroundings(subject: Subject, name: str, before: list[Any]) -> None:
    copies = Copies(before)
    copies.watch()
    subject.call(copies.values)
    if copies.damaged() is not None:
        raise subject.fail(
            f"with arrays of the layout {name!r}, the kernel writes to memory beside an argument's "
            "elements",
            before,
        )


def _check_written(
    subject: Subject, name: str, plain: list[Any], given: list[Any], values: list[Any]
) -> None:
    for parameter, left, right in zip(
        subject.operator.schema.parameters, plain, given, strict=True
    ):
        if not parameter.is_mutated or left is None:
            continue
        pairs = zip(left, right, strict=True) if isinstance(left, list) else [(left, right)]
        for one, other in pairs:
            problem = subject.difference(one, other, values)
            if problem:
                raise subject.fail(
                    f"what is written to {parameter.name!r} depends on the layout of the "
                    f"arguments ({name}): {problem}",
                    values,
                )


def _check_no_axes(subject: Subject) -> None:
    """Arrays without elements, and without axes: taken twice with one result, or refused."""
    changes: dict[str, Callable[[Any, Any], Any]] = {
        "no elements": lambda parameter, array: array[:0] if array.ndim else array,
        "no elements in the last axis": lambda parameter, array: (
            array[..., :0] if array.ndim else array
        ),
        "0-d": lambda parameter, array: (
            np.array(array.reshape(-1)[0]) if array.size else np.zeros((), array.dtype)
        ),
    }
    for name, change in changes.items():
        values = subject.map(copied(subject.values), change)
        outcomes = []
        for _ in range(2):
            given = copied(values)
            try:
                outcomes.append((subject.call(given), given))
            except REFUSALS:
                break
            except Exception as error:
                raise subject.fail(
                    f"arrays that are {name!r} fail with {type(error).__name__}: {error}. What "
                    "the kernel cannot take, it has to refuse with an error that says so",
                    values,
                ) from error
        if len(outcomes) == 2:
            first, second = outcomes
            how = f"called twice with arrays that are {name!r}"
            compare(subject, first, second, how, values)

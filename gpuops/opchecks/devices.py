"""`test_devices`: the "cuda" kernel gives what the "cpu" kernel gives, wherever it runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuops.cases import arguments_on
from gpuops.cuda.available import load_cupy, why_unavailable
from gpuops.cuda.ordering import OrderError, note_accesses
from gpuops.cuda.simulated import SimulatedArray, simulator
from gpuops.cuda.streams import Stream
from gpuops.devices import Device, array_kind, device_of
from gpuops.opchecks.report import host, leaves
from gpuops.opchecks.subject import REFUSED, Subject, copied
from gpuops.opchecks.trace import Outcome
from gpuops.opchecks.variants import cut, other_values, resized

__all__ = ["check", "check_written"]

# The simulator runs a kernel a thousand times slower than a GPU.
_ELEMENTS = 4096
_SIMULATED = 2


def check(subject: Subject) -> None:
    """Run the operator on "cuda", a GPU where there is one and else simulated, and compare.

    The sample, cut to a size that can be simulated, with other values and other sizes; on another
    stream than the default one; on another device than the current one. Compared are what is
    returned and what is written to arguments. Every byte of an output has to be written.

    An operator without a "cuda" kernel passes.

    Raises:
        Failure: other values, an output elsewhere, one that the kernel did not write, a launch on
            another stream than the current one.
    """
    if subject.operator.kernel("cuda") is None:
        subject.leave_unchecked("devices: there is no 'cuda' kernel")
        return
    simulated = why_unavailable() is not None
    first = _small(subject) if simulated else subject.values
    with simulator(_SIMULATED) if simulated else nullcontext():
        for values in _inputs(subject, first):
            _compare(subject, values, _Place("on 'cuda'"))
        if not subject.is_drawn:
            _check_stream(subject, first, simulated)
            _check_other_device(subject, first, simulated)


def check_written(subject: Subject) -> None:
    """Check that a "cuda" kernel writes all of its outputs, as the simulator sees it.

    Raises:
        Failure: it does not.
    """
    if subject.operator.kernel("cuda") is None or not subject.arrays(subject.values):
        return
    values = _small(subject)
    with simulator():
        try:
            result, _ = _run(subject, values, _Place("on simulated 'cuda'"))
        except Exception as error:
            subject.leave_unchecked(f"what the 'cuda' kernel writes: it fails ({error})")
            return
        for name, value in leaves(subject.operator, result):
            _check_bytes(subject, name, value, values)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a call runs.

    Attributes:
        how: for messages.
        device: of the arguments; None for the current one.
        stream: a GPU's, in which the arguments are copied, and the call runs.
    """

    how: str
    device: Device | None = None
    stream: AbstractContextManager[Any] | None = None


def _small(subject: Subject) -> list[Any]:
    values = cut(subject, subject.values, _ELEMENTS)
    if values is not None:
        return values
    subject.leave_unchecked(
        f"the simulated kernel on fewer than {_ELEMENTS} elements: the operator refuses all that "
        "were tried, and the whole sample is simulated"
    )
    return subject.values


def _inputs(subject: Subject, first: list[Any]) -> Iterator[list[Any]]:
    yield first
    if subject.is_drawn:
        return
    other = other_values(subject, first)
    if other is not None:
        yield other
    start = first if other is None else other
    sizes = sorted({n for array in subject.arrays(first) for n in array.shape})
    for change in (lambda n: n + 1, lambda n: 1):
        made = resized(subject, start, {n: change(n) for n in sizes})
        if subject.attempt(made) is not REFUSED:
            yield made


def _run(subject: Subject, values: list[Any], place: _Place) -> Outcome:
    """The call with its arguments moved to a device: the result, and the arguments there."""
    device = Device("cuda") if place.device is None else place.device
    positional, _ = arguments_on(subject.operator, (tuple(copied(values)), {}), device)
    given = list(positional)
    if place.stream is None:
        return subject.call(given), given
    with place.stream:
        given = copied(given)  # made by the stream, when it is done with what is in its queue
        result = subject.call(given)
        load_cupy("wait for a stream").cuda.get_current_stream().synchronize()
    return result, given


def _compare(subject: Subject, values: list[Any], place: _Place) -> None:
    operator = subject.operator
    given = copied(values)
    with np.errstate(all="ignore"):
        expected = subject.call(given)
    try:
        result, moved = _run(subject, values, place)
    except Exception as error:
        raise subject.fail(
            f"the 'cuda' kernel {operator.kernel('cuda')} fails where the 'cpu' one does not: "
            f"{type(error).__name__}: {error} (the call was {place.how})",
            values,
        ) from error
    wanted = _device_of_arrays(moved)
    left, right = leaves(operator, expected), leaves(operator, result)
    if len(left) != len(right):
        raise subject.fail(
            f"{place.how} it returns {len(right)} values and not {len(left)}", values
        )
    for (name, one), (_, other) in zip(left, right, strict=True):
        _check_bytes(subject, name, other, values)
        where = device_of(other)
        if where is not None and (where.type != "cuda" or wanted not in (None, where)):
            raise subject.fail(
                f"{name} of the 'cuda' kernel is on {where}, not on {wanted or 'cuda:0'}", values
            )
        problem = subject.difference(one, host(other), values)
        if problem:
            raise subject.fail(f"{name} {place.how} is not what it is on 'cpu': {problem}", values)
    for name, one, other in _written_to(subject, given, moved):
        problem = subject.difference(one, host(other), values)
        if problem:
            raise subject.fail(
                f"what is written to {name!r} {place.how} is not what it is on 'cpu': {problem}",
                values,
            )


def _written_to(
    subject: Subject, given: list[Any], moved: list[Any]
) -> Iterator[tuple[str, Any, Any]]:
    """The arrays that are declared as mutated, of both calls."""
    for parameter, one, other in zip(subject.operator.schema.parameters, given, moved, strict=True):
        if not parameter.is_mutated:
            continue
        pairs = zip(one, other, strict=True) if isinstance(one, list) else [(one, other)]
        for left, right in pairs:
            if array_kind(type(left)) is not None:
                yield parameter.name, left, right


def _device_of_arrays(values: list[Any]) -> Device | None:
    for value in values:
        for item in value if isinstance(value, list) else [value]:
            if (found := device_of(item)) is not None:
                return found
    return None


def _check_bytes(subject: Subject, name: str, value: Any, values: list[Any]) -> None:
    if not isinstance(value, SimulatedArray):
        return
    written = value.written
    if written is not None and value.flags.forc and not written.all():
        raise subject.fail(
            f"the 'cuda' kernel {subject.operator.kernel('cuda')} writes {int(written.sum())} "
            f"of the {written.size} bytes of {name}: it has elements that its kernel never writes",
            values,
        )


# -- streams and devices ---------------------------------------------------------------------------


def _check_stream(subject: Subject, values: list[Any], simulated: bool) -> None:
    """Arguments that the current stream, not the default one, has yet to write."""
    if not subject.arrays(values):
        return
    if not simulated:
        _compare(subject, values, _Place("on another stream", stream=_busy_stream()))
        return
    side = Stream()
    positional, _ = arguments_on(subject.operator, (tuple(copied(values)), {}), "cuda")
    given = list(positional)
    arrays = _simulated_arrays(given)
    timeline: Any = side._timeline
    note_accesses(timeline, "what makes the arguments", [], arrays)
    try:
        with side:
            result = subject.call(given)
        outputs = _simulated_arrays([value for _, value in leaves(subject.operator, result)])
        note_accesses(timeline, "what uses the outputs", [*outputs, *arrays], [])
    except OrderError as error:
        raise subject.fail(
            f"the 'cuda' kernel {subject.operator.kernel('cuda')} launches on another stream than "
            f"the current one, and nothing makes the streams wait for each other: {error}",
            values,
        ) from error


def _simulated_arrays(values: list[Any]) -> list[Any]:
    found = []
    for value in values:
        items = value if isinstance(value, list) else [value]
        found += [item for item in items if isinstance(item, SimulatedArray) and item.size]
    return found


def _busy_stream() -> AbstractContextManager[Any]:
    """A stream of a GPU that has something to do before what comes next."""
    cupy = load_cupy("check another stream")
    stream = cupy.cuda.Stream(non_blocking=True)
    with stream:
        room = cupy.zeros(1 << 26, dtype=cupy.uint8)
        for _ in range(20):
            room += 1
    context: AbstractContextManager[Any] = stream
    return context


def _check_other_device(subject: Subject, values: list[Any], simulated: bool) -> None:
    """Arguments on a device that is not the current one."""
    if not subject.arrays(values):
        return
    if not simulated and load_cupy("count devices").cuda.runtime.getDeviceCount() < 2:
        subject.leave_unchecked("another device: there is one GPU")
        return
    _compare(subject, values, _Place("on 'cuda:1' while 'cuda:0' is current", Device("cuda:1")))

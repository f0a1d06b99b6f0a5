"""`test_fake`: the fake kernel gives the metadata that the kernel gives, for every input."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import Any

import numpy as np

from gpuops.devices import Device, array_kind, device_of
from gpuops.errors import Location, location_of
from gpuops.opaque import is_opaque_type
from gpuops.opchecks.inputs import accepted
from gpuops.opchecks.layouts import LAYOUTS, laid_out
from gpuops.opchecks.report import Failure, leaves
from gpuops.opchecks.subject import REFUSED, Subject, copied
from gpuops.opchecks.variants import resized
from gpuops.register import FAKE, device_parameter
from gpuops.symbols import is_symbolic
from gpuops.symbols.algebra import evaluate
from gpuops.transforms.fake import FakeArray, FakeMode
from gpuops.transforms.providers import find_rule

__all__ = ["check"]


_SHOWN = 1 << 12


def check(subject: Subject) -> None:
    """Compare the fake's outputs with the real ones, on the sample and on what is drawn.

    The sample comes in other memory layouts too, and on other devices, where only the fake runs.
    The fake has to give the same again after all of these.

    Raises:
        Failure: there is no fake, it fails where the kernel does not, or its outputs differ in
            number, type, shape, dtype, strides, device or aliasing.
    """
    calls: list[tuple[list[Any], list[tuple[str, Any]], list[Any], FakeMode]] = []
    # What is drawn comes in other sizes and layouts already.
    more = () if subject.is_drawn else _varied(subject)
    for number, (before, result) in enumerate(chain(_accepted(subject), more)):
        mode = FakeMode()
        fakes = subject.map(before, partial(_faked, mode))
        real = _metadata(subject, result)
        if number and not all(array.flags.c_contiguous for array in subject.arrays(before)):
            real = _without_kept_order(subject, before, real)
        _compare(subject, before, real, _call_fake(subject, before, fakes, mode), mode)
        calls.append((subject.map(before, _without_data), real, fakes, mode))
    for shown, real, fakes, mode in calls:
        try:
            out = _call_fake(subject, shown, fakes, mode)
            _compare(subject, shown, real, out, mode)
        except Failure as failure:
            raise _fail(
                subject,
                "called again with the same arrays, after others, the fake gives something else "
                f"(it depends on what it, or the kernel, did before): {failure}",
                shown,
            ) from failure
    for device in () if subject.is_drawn else (Device("cuda:0"), Device("cuda:1")):
        _check_device(subject, device)


def _accepted(subject: Subject) -> Iterator[tuple[list[Any], Any]]:
    for before, _, result in accepted(subject):
        yield before, result


def _varied(subject: Subject) -> Iterator[tuple[list[Any], Any]]:
    """The sample in other sizes, which a fake may remember, and in other layouts.

    What is Fortran-ordered may give Fortran-ordered outputs.
    """
    sizes = {n for array in subject.arrays(subject.values) for n in array.shape}
    for change in (lambda n: n + 1, lambda n: 1, lambda n: 0) if sizes else ():
        other = resized(subject, subject.values, {n: change(n) for n in sizes})
        if (result := subject.attempt(other)) is not REFUSED:
            yield other, result
    for name, make in LAYOUTS.items():
        values = subject.map(copied(subject.values), laid_out(name, make))
        result = subject.attempt(values)
        if result is not REFUSED:
            yield values, result


def _call_fake(subject: Subject, shown: list[Any], fakes: list[Any], mode: FakeMode) -> Any:
    try:
        with mode:
            return subject.call(fakes)
    except Exception as error:
        raise _fail(
            subject,
            f"the kernel takes an input that the fake fails on with {type(error).__name__}: "
            f"{error}",
            shown,
        ) from error


def _faked(mode: FakeMode, parameter: Any, array: Any) -> FakeArray:
    return mode.from_array(array)


def _without_data(parameter: Any, array: Any) -> Any:
    """An array for messages, of which only metadata is looked at: one that takes little room."""
    if array.flags.c_contiguous and array.size > _SHOWN:
        return np.broadcast_to(np.zeros((), array.dtype), array.shape)
    return array


def _check_device(subject: Subject, device: Device) -> None:
    """Run the fake on arrays of a device, which need not exist; outputs are on it, too."""
    operator = subject.operator
    if not subject.arrays(subject.values) or device_parameter(operator.schema) is not None:
        return
    mode = FakeMode()

    def on_device(parameter: Any, array: Any) -> FakeArray:
        fake = mode.from_array(array)
        return FakeArray.raw(fake.shape, fake.dtype, device, fake.strides, mode)

    try:
        with mode:
            out = subject.call(subject.map(copied(subject.values), on_device))
    except Exception as error:
        if operator.kernel("cuda") is not None and not _has_objects(subject):
            raise _fail(
                subject,
                f"the fake fails on arrays on {device} with {type(error).__name__}: {error}",
                subject.values,
            ) from error
        subject.leave_unchecked(
            f"the fake on {device}, where it fails with {type(error).__name__}: {error}"
        )
        return
    for name, claimed in leaves(operator, out):
        if type(claimed) is FakeArray and claimed.device != device:
            raise _fail(
                subject,
                f"the device of {name} is {claimed.device} in the fake's result for arrays on "
                f"{device}: outputs are where the inputs are",
                subject.values,
            )


def _has_objects(subject: Subject) -> bool:
    return any(is_opaque_type(type(value)) for value in subject.values)


@dataclass(frozen=True, slots=True)
class _Meta:
    """What a fake has to know of an array."""

    shape: tuple[int, ...]
    dtype: Any
    strides: tuple[int, ...]
    device: Any
    itemsize: int
    is_order_kept: bool = False

    @property
    def is_contiguous(self) -> bool:
        step = self.itemsize
        for size, stride in zip(reversed(self.shape), reversed(self.strides), strict=True):
            if size > 1 and stride != step:
                return False
            step *= size
        return True


def _metadata(subject: Subject, result: Any) -> list[tuple[str, Any]]:
    """The leaves of a result, arrays without their data."""
    return [
        (name, value)
        if array_kind(type(value)) is None
        else (
            name,
            _Meta(value.shape, value.dtype, value.strides, device_of(value), value.dtype.itemsize),
        )
        for name, value in leaves(subject.operator, result)
    ]


def _fail(subject: Subject, problem: str, values: list[Any]) -> Failure:
    return subject.fail(f"{problem}. {_place(subject)}", values)


def _place(subject: Subject) -> str:
    entry = find_rule(subject.operator, FAKE)
    if entry is None:
        return "No fake kernel is registered"
    place: Location = location_of(entry.value) or entry.location
    return f"The fake kernel is at {place}"


def _without_kept_order(
    subject: Subject, before: list[Any], real: list[tuple[str, Any]]
) -> list[tuple[str, Any]]:
    """Outputs whose order is that of the inputs, as NumPy's functions give them, unknown strides.

    A kernel's outputs are C-contiguous unless its fake says otherwise. Much code that never sees
    such inputs does not care, so that this is only told.
    """
    found: list[tuple[str, Any]] = []
    for name, value in real:
        if type(value) is _Meta and not value.is_contiguous:
            subject.leave_unchecked(
                f"the strides of {name} where an argument is not C-contiguous: the kernel gives "
                f"{value.strides} for the shape {value.shape} then"
            )
            value = replace(value, is_order_kept=True)
        found.append((name, value))
    return found


def _compare(
    subject: Subject, before: list[Any], real: list[tuple[str, Any]], out: Any, mode: FakeMode
) -> None:
    operator = subject.operator
    fake = leaves(operator, out)
    if len(real) != len(fake):
        raise _fail(subject, f"the kernel returns {len(real)} arrays, the fake {len(fake)}", before)
    sizes = _bindings(real, fake)
    seen: dict[int, str] = {}
    for (name, actual), (_, claimed) in zip(real, fake, strict=True):
        if type(actual) is not _Meta:
            problem = _number(actual, claimed, mode, sizes)
            if problem:
                raise _fail(subject, f"{name} is {problem}", before)
            continue
        if type(claimed) is not FakeArray:
            raise _fail(subject, f"{name} is an array, but the fake's is {claimed!r}", before)
        if id(claimed) in seen and operator.schema.is_functional:
            raise _fail(
                subject, f"the fake returns one array as {seen[id(claimed)]} and {name}", before
            )
        seen[id(claimed)] = name
        found = _difference(actual, claimed, mode, sizes)
        if found and found[0] not in subject.lenient:
            what, text = found
            raise _fail(subject, f"the {what} of {name} {text}", before)


def _bindings(real: list[tuple[str, Any]], fake: list[tuple[str, Any]]) -> dict[Any, int]:
    """What the symbols that the fake made are in the real result, where each occurs first."""
    found: dict[Any, int] = {}
    for (_, actual), (_, claimed) in zip(real, fake, strict=True):
        if type(actual) is _Meta and type(claimed) is FakeArray:
            pairs = list(zip(actual.shape, claimed.shape, strict=False))
        else:
            pairs = [(actual, claimed)]
        for size, guess in pairs:
            if is_symbolic(guess) and type(size) is int and guess.expr.is_Symbol:
                found.setdefault(guess.expr, size)
    return found


def _number(actual: Any, claimed: Any, mode: FakeMode, sizes: dict[Any, int]) -> str | None:
    """How a value that is no array differs; one that depends on data only where it may be said."""
    if (actual is None) != (claimed is None):
        return f"{actual!r}, but the fake's is {claimed!r}"
    if type(actual) is not int:
        return None
    if is_symbolic(claimed):
        return _size(actual, claimed, mode, sizes)
    if type(claimed) is int and claimed != actual:
        return (
            f"{actual}, but the fake's is {claimed}; a number that depends on data is "
            "get_ctx().new_dynamic_size() in a fake"
        )
    return None


def _difference(
    actual: _Meta, claimed: FakeArray, mode: FakeMode, sizes: dict[Any, int]
) -> tuple[str, str] | None:
    """What differs first, and how."""
    if problem := _shapes(actual.shape, claimed.shape, mode, sizes):
        return "shape", f"is {problem}"
    if problem := _plain(actual.dtype, claimed.dtype):
        return "dtype", f"is {problem}"
    if problem := _plain(actual.device, claimed.device):
        return "device", f"is {problem}"
    if problem := _strides(actual, claimed, sizes):
        return "strides", f"are {problem}"
    return None


def _plain(actual: Any, claimed: Any) -> str | None:
    return None if actual == claimed else f"{actual}, but the fake's is {claimed}"


def _shapes(
    actual: tuple[int, ...], claimed: tuple[Any, ...], mode: FakeMode, sizes: dict[Any, int]
) -> str | None:
    if len(actual) != len(claimed):
        return f"{actual}, but the fake's is {claimed}"
    for axis, (size, guess) in enumerate(zip(actual, claimed, strict=True)):
        if not is_symbolic(guess):
            if size != guess:
                return f"{actual}, but the fake's is {claimed}"
        elif problem := _size(size, guess, mode, sizes):
            return problem.replace(",", f" in axis {axis},", 1)
    return None


def _size(size: int, guess: Any, mode: FakeMode, sizes: dict[Any, int]) -> str | None:
    """How a size differs from a symbol, or an expression of symbols."""
    known = evaluate(guess.expr, sizes)
    if known is not None and known != size:
        return f"{size}, but {guess} is {known} elsewhere"
    symbol = mode.shape_env.symbol(guess) if mode.shape_env is not None else None
    if symbol is not None and not symbol.low <= size <= symbol.high:
        return f"{size}, outside the bounds of {symbol.describe()}"
    return None


def _strides(actual: _Meta, claimed: FakeArray, sizes: dict[Any, int]) -> str | None:
    """Strides of axes with one element at most, and of empty arrays, mean nothing."""
    if 0 in actual.shape or (actual.is_order_kept and claimed.flags.c_contiguous):
        return None
    for size, mine, other in zip(actual.shape, actual.strides, claimed.strides, strict=True):
        value = evaluate(other.expr, sizes) if is_symbolic(other) else other
        if size > 1 and value is not None and mine != value:
            return f"{actual.strides}, but the fake's are {claimed.strides}"
    return None

"""`test_fake`: the fake kernel gives the metadata that the kernel gives, for every input."""

from __future__ import annotations

from functools import partial
from typing import Any

from gpuops.devices import array_kind, device_of
from gpuops.errors import Location, location_of
from gpuops.opchecks.inputs import accepted
from gpuops.opchecks.report import Failure, leaves
from gpuops.opchecks.subject import Subject
from gpuops.register import FAKE
from gpuops.symbols import is_symbolic
from gpuops.transforms.fake import FakeArray, FakeMode
from gpuops.transforms.providers import find_rule

__all__ = ["check"]


def check(subject: Subject) -> None:
    """Compare the fake's outputs with the real ones, on the sample and on what is drawn.

    Raises:
        Failure: there is no fake, it fails where the kernel does not, or its outputs differ in
            number, type, shape, dtype, strides, device or aliasing.
    """
    for before, _, result in accepted(subject):
        mode = FakeMode()
        fakes = subject.map(before, partial(_faked, mode))
        try:
            with mode:
                out = subject.call(fakes)
        except Exception as error:
            raise _fail(
                subject,
                f"the kernel takes an input that the fake fails on with "
                f"{type(error).__name__}: {error}",
                before,
            ) from error
        _compare(subject, before, result, out, mode)


def _faked(mode: FakeMode, parameter: Any, array: Any) -> FakeArray:
    return mode.from_array(array)


def _fail(subject: Subject, problem: str, values: list[Any]) -> Failure:
    return subject.fail(f"{problem}. {_place(subject)}", values)


def _place(subject: Subject) -> str:
    entry = find_rule(subject.operator, FAKE)
    if entry is None:
        return "No fake kernel is registered"
    place: Location = location_of(entry.value) or entry.location
    return f"The fake kernel is at {place}"


def _compare(subject: Subject, before: list[Any], result: Any, out: Any, mode: FakeMode) -> None:
    operator = subject.operator
    real, fake = leaves(operator, result), leaves(operator, out)
    if len(real) != len(fake):
        raise _fail(subject, f"the kernel returns {len(real)} arrays, the fake {len(fake)}", before)
    sizes: dict[str, int] = {}
    seen: dict[int, str] = {}
    for (name, actual), (_, claimed) in zip(real, fake, strict=True):
        if array_kind(type(actual)) is None:
            if (actual is None) != (claimed is None):
                raise _fail(subject, f"{name} is {actual!r}, but the fake's is {claimed!r}", before)
            continue
        if type(claimed) is not FakeArray:
            raise _fail(subject, f"{name} is an array, but the fake's is {claimed!r}", before)
        if id(claimed) in seen and operator.schema.is_functional:
            raise _fail(
                subject, f"the fake returns one array as {seen[id(claimed)]} and {name}", before
            )
        seen[id(claimed)] = name
        problem = _difference(actual, claimed, mode, sizes)
        if problem and problem[0] not in subject.lenient:
            what, text = problem
            raise _fail(subject, f"the {what} of {name} {text}", before)


def _difference(
    actual: Any, claimed: FakeArray, mode: FakeMode, sizes: dict[str, int]
) -> tuple[str, str] | None:
    """What differs first, and how."""
    if problem := _shapes(actual.shape, claimed.shape, mode, sizes):
        return "shape", f"is {problem}"
    if problem := _plain(actual.dtype, claimed.dtype):
        return "dtype", f"is {problem}"
    if problem := _plain(device_of(actual), claimed.device):
        return "device", f"is {problem}"
    if problem := _strides(actual, claimed):
        return "strides", f"are {problem}"
    return None


def _plain(actual: Any, claimed: Any) -> str | None:
    return None if actual == claimed else f"{actual}, but the fake's is {claimed}"


def _shapes(
    actual: tuple[int, ...], claimed: tuple[Any, ...], mode: FakeMode, sizes: dict[str, int]
) -> str | None:
    if len(actual) != len(claimed):
        return f"{actual}, but the fake's is {claimed}"
    for axis, (size, guess) in enumerate(zip(actual, claimed, strict=True)):
        if not is_symbolic(guess):
            if size != guess:
                return f"{actual}, but the fake's is {claimed}"
            continue
        known = sizes.setdefault(str(guess), size)
        if known != size:
            return f"{size} in axis {axis}, but {guess} is {known} elsewhere"
        symbol = mode.shape_env.symbol(guess) if mode.shape_env is not None else None
        if symbol is not None and not symbol.low <= size <= symbol.high:
            return f"{size} in axis {axis}, outside the bounds of {symbol.describe()}"
    return None


def _strides(actual: Any, claimed: FakeArray) -> str | None:
    """Strides of axes with one element at most, and of empty arrays, mean nothing."""
    if not actual.size:
        return None
    for size, mine, other in zip(actual.shape, actual.strides, claimed.strides, strict=True):
        if size > 1 and not is_symbolic(other) and mine != other:
            return f"{actual.strides}, but the fake's are {claimed.strides}"
    return None

"""The fake kernel of a row: its rule for metadata, with fakes in and fakes out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gpuops.devices import Device
from gpuops.errors import GpuopsError, ShapeError
from gpuops.register import FAKE
from gpuops.registry import Operator, registry
from gpuops.symbols import SymComplex, SymFlag, SymFloat, SymInt
from gpuops.transforms.fake import FakeArray, of_metadata
from gpuops.transforms.fake.context import current_mode
from gpuops.xp._arguments import weak_types
from gpuops.xp._errors import named
from gpuops.xp._meta import Meta, ReadOnly, View, dense

__all__ = ["register_rule"]

weak_types.update({SymInt, SymFloat, SymComplex, SymFlag})

# What stands for a number that nobody knows where only its type matters.
_SAMPLES: dict[type, Any] = {SymFloat: 1.0, SymComplex: 1j, SymFlag: True}

_CPU = Device("cpu")


def register_rule(operator: Operator, rule: Callable[..., Any]) -> None:
    """Make a rule for `Meta` the fake kernel of an operator."""
    fake = fake_kernel(operator, rule)
    ufunc = getattr(rule, "ufunc", None)
    if ufunc is not None and ufunc.nout == 1:
        fake = _with_short_cut(operator, ufunc, fake)
    registry.add_rule(operator, FAKE, of_metadata(fake))


def fake_kernel(operator: Operator, rule: Callable[..., Any]) -> Callable[..., Any]:
    """The function that takes and returns fakes.

    The rule reads shapes, dtypes and strides off the fakes themselves. What it refuses gets the
    operator's name here, once.
    """
    name = operator.qualname
    # Of other parameters, a rule needs the value. So does `arange` of its numbers.
    scalars = operator.name != "arange" and any(
        parameter.type.base == "Scalar" for parameter in operator.schema.parameters
    )

    def fake(*args: Any, **kwargs: Any) -> Any:
        if scalars:
            args = tuple([_SAMPLES.get(type(value), value) for value in args])
            kwargs = {key: _SAMPLES.get(type(value), value) for key, value in kwargs.items()}
        try:
            out = rule(*args, **kwargs)
        except (ValueError, TypeError, IndexError, ArithmeticError) as error:
            if isinstance(error, GpuopsError) and not isinstance(error, ShapeError):
                raise
            better = named(error, name, (*args, *kwargs.values()))
            if better is None:
                raise
            raise better from None
        sources = _sources(args)
        if type(out) is Meta and sources:
            return FakeArray.raw(out[0], out[1], sources[0]._device, out[2], _mode(sources))
        return _wrap(out, sources, kwargs)

    fake.__name__ = fake.__qualname__ = getattr(rule, "__name__", operator.name).lstrip("_")
    fake.__module__ = rule.__module__
    fake.func = rule  # type: ignore[attr-defined]  # whose place errors tell
    return fake


_only_ints = frozenset({int}).issuperset
_SMALL = range(128)
_MOST_KNOWN = 4096


def _plain(x1: FakeArray, x2: FakeArray) -> bool:
    """Whether no size and no stride of two arrays is symbolic."""
    for x in (x1, x2):
        if not _only_ints(map(type, x._shape)):
            return False
        if x._strides is not None and not _only_ints(map(type, x._strides)):
            return False
    return True


def _with_short_cut(operator: Operator, ufunc: np.ufunc, fake: Any) -> Callable[..., Any]:
    """The fake of a ufunc, quick for contiguous arrays of one shape, and numbers beside them.

    `fake` takes a few times as long as the rest of a fake call; what is asked here is as little
    as the answer depends on. Dtypes are remembered, by those of the operands.
    """
    kinds = tuple(parameter.type.base for parameter in operator.schema.parameters)
    # Operands' dtypes and layouts -> the result's; strides are None for contiguous ones.
    known: dict[Any, tuple[np.dtype[Any], tuple[int, ...] | None]] = {}
    raw = FakeArray.raw

    def remember(key: Any, args: tuple[Any, ...]) -> Any:
        if len(known) > _MOST_KNOWN:
            known.clear()
        out = fake(*args)
        contiguous = out._strides == dense(out._shape, out._dtype.itemsize)
        known[key] = out._dtype, None if contiguous else out._strides
        return out

    def unary(x: Any) -> Any:
        shape, strides = x._shape, x._strides
        if not _only_ints(map(type, shape)) or not (
            strides is None or _only_ints(map(type, strides))
        ):
            return fake(x)
        key = (x._dtype, shape, strides)
        found = known.get(key)
        if found is None:
            return remember(key, (x,))
        return raw(shape, found[0], x._device, found[1], x._mode)

    def binary(x1: Any, x2: Any) -> Any:
        shape = x1._shape
        if shape is not x2._shape and (shape != x2._shape if _plain(x1, x2) else True):
            return fake(x1, x2)
        s1, s2 = x1._strides, x2._strides
        if s1 is None and s2 is None:
            key: Any = (x1._dtype, x2._dtype)
        elif _plain(x1, x2):
            key = (x1._dtype, x2._dtype, shape, s1, s2)
        else:
            return fake(x1, x2)
        found = known.get(key)
        if found is None:
            return remember(key, (x1, x2))
        return raw(shape, found[0], x1._device, found[1], x1._mode or x2._mode)

    def with_number(x: Any, number: Any, args: tuple[Any, ...]) -> Any:
        kind = type(number)
        if (kind is not int or number in _SMALL) and _plain(x, x):
            key = (x._dtype, kind, x._shape, x._strides)
            found = known.get(key)
            if found is None:
                return remember(key, args)
            return raw(x._shape, found[0], x._device, found[1], x._mode)
        return fake(*args)

    short: Callable[..., Any]
    if kinds == ("Array",):
        short = unary
    elif kinds == ("Array", "Array"):
        short = binary
    elif kinds[0] == "Array":

        def short(x1: Any, x2: Any) -> Any:
            return with_number(x1, x2, (x1, x2))
    else:

        def short(x1: Any, x2: Any) -> Any:
            return with_number(x2, x1, (x1, x2))

    short.__name__ = short.__qualname__ = fake.__name__
    made: Any = short
    made.func = fake.func
    return short


def _sources(args: Sequence[Any]) -> list[FakeArray]:
    """The fakes among positional arguments, in lists too."""
    found: list[FakeArray] = []
    for value in args:
        if type(value) is FakeArray:
            found.append(value)
        elif type(value) is list:
            found += [item for item in value if type(item) is FakeArray]
    return found


def _mode(sources: list[FakeArray]) -> Any:
    """The mode of the fakes; those of no mode go with any."""
    for source in sources:
        if source._mode is not None:
            return source._mode
    return None


def _wrap(out: Any, sources: list[FakeArray], kwargs: dict[str, Any]) -> Any:
    if isinstance(out, Meta):
        return _array(out, sources, kwargs)
    if isinstance(out, tuple):
        return tuple(_wrap(item, sources, kwargs) for item in out)
    if isinstance(out, list):
        # A list of views is one of views of each argument, or of parts of the only one.
        owners = sources if len(sources) == len(out) else sources[:1] * len(out)
        return [
            _wrap(item, owners[index : index + 1] or sources, kwargs)
            for index, item in enumerate(out)
        ]
    return out


def _array(meta: Meta, sources: list[FakeArray], kwargs: dict[str, Any]) -> FakeArray:
    shape, dtype, strides = meta
    if not sources:
        device = kwargs.get("device") or _CPU
        return FakeArray.raw(shape, dtype, device, strides, current_mode())
    if isinstance(meta, View):
        writeable = False if isinstance(meta, ReadOnly) else None
        return sources[0].new_view(shape, strides, dtype, writeable=writeable)
    return FakeArray.raw(shape, dtype, sources[0]._device, strides, _mode(sources))

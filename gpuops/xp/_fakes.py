"""The fake kernel of a row: its rule for metadata, with fakes in and fakes out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from gpuops.devices import Device
from gpuops.errors import GpuopsError, ShapeError
from gpuops.register import FAKE
from gpuops.registry import Operator, registry
from gpuops.symbols import SymInt
from gpuops.transforms.fake import FakeArray
from gpuops.transforms.fake.context import current_mode
from gpuops.xp._arguments import weak_types
from gpuops.xp._errors import named
from gpuops.xp._meta import Meta, ReadOnly, View

__all__ = ["register_rule"]

weak_types.add(SymInt)

_CPU = Device("cpu")


def register_rule(operator: Operator, rule: Callable[..., Any]) -> None:
    """Make a rule for `Meta` the fake kernel of an operator."""
    registry.add_rule(operator, FAKE, fake_kernel(operator, rule))


def fake_kernel(operator: Operator, rule: Callable[..., Any]) -> Callable[..., Any]:
    """The function that takes and returns fakes.

    The rule reads shapes, dtypes and strides off the fakes themselves. What it refuses gets the
    operator's name here, once.
    """
    name = operator.qualname

    def fake(*args: Any, **kwargs: Any) -> Any:
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
            first = sources[0]
            return FakeArray.raw(out[0], out[1], first._device, out[2], first._mode)
        return _wrap(out, sources, kwargs)

    fake.__name__ = fake.__qualname__ = getattr(rule, "__name__", operator.name).lstrip("_")
    fake.__module__ = rule.__module__
    return fake


def _sources(args: Sequence[Any]) -> list[FakeArray]:
    """The fakes among positional arguments, in lists too."""
    found: list[FakeArray] = []
    for value in args:
        if type(value) is FakeArray:
            found.append(value)
        elif type(value) is list:
            found += [item for item in value if type(item) is FakeArray]
    return found


def _wrap(out: Any, sources: list[FakeArray], kwargs: dict[str, Any]) -> Any:
    if isinstance(out, Meta):
        return _array(out, sources[0] if sources else None, kwargs)
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


def _array(meta: Meta, source: FakeArray | None, kwargs: dict[str, Any]) -> FakeArray:
    shape, dtype, strides = meta
    if source is None:
        device = kwargs.get("device") or _CPU
        return FakeArray.raw(shape, dtype, device, strides, current_mode())
    if isinstance(meta, View):
        writeable = False if isinstance(meta, ReadOnly) else None
        return source.new_view(shape, strides, dtype, writeable=writeable)
    return FakeArray.raw(shape, dtype, source._device, strides, source._mode)

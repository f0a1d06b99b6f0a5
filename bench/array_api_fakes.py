"""The public array-api-tests suite over fakes.

The suite makes arrays of data and looks at what functions give. Here every array is a pair of a
real one and a fake: shape, dtype and strides are the fake's, and values, which a fake does not
have, are the real one's. Every operator runs on both; a fake that differs from the real result in
shape, dtype or strides, that accepts what NumPy refuses or refuses what it accepts, fails the test
that made the call. Run the suite with this module in the place of the namespace::

    PYTHONPATH=. ARRAY_API_TESTS_MODULE=bench.array_api_fakes pytest array_api_tests
"""

from __future__ import annotations

import sys
from functools import wraps
from types import ModuleType
from typing import Any

import numpy as np

from gpuops import FakeArray, FakeMode, register_wrapper, xp
from gpuops.symbols import is_symbolic
from gpuops.transforms.array_methods import ArrayMethods

LEVEL = 1000
FACTORIES = frozenset(
    "arange asarray empty eye from_dlpack full linspace ones zeros fftfreq rfftfreq".split()  # noqa: SIM905
)

mode = FakeMode()
counts = {"calls": 0, "refusals": 0}


class Pair(ArrayMethods):
    """A real array and its fake."""

    __slots__ = ("fake", "real")

    def __init__(self, real: Any, fake: Any) -> None:
        self.real = real
        self.fake = fake

    shape = property(lambda self: self.fake.shape)
    dtype = property(lambda self: self.fake.dtype)
    ndim = property(lambda self: self.fake.ndim)
    size = property(lambda self: self.fake.size)
    strides = property(lambda self: self.fake.strides)
    device = property(lambda self: str(self.fake.device))

    def __len__(self) -> int:
        return len(self.fake)

    def __bool__(self) -> bool:
        return bool(self.real)

    def __int__(self) -> int:
        return int(self.real)

    def __float__(self) -> float:
        return float(self.real)

    def __complex__(self) -> complex:
        return complex(self.real)

    def __index__(self) -> int:
        return self.real.__index__()

    def __array__(self, dtype: Any = None, *, copy: bool | None = None) -> Any:
        return np.array(self.real, dtype=dtype, copy=copy)

    def __dlpack__(
        self,
        *,
        stream: Any = None,
        max_version: Any = None,
        dl_device: Any = None,
        copy: bool | None = None,
    ) -> Any:
        return self.real.__dlpack__(
            stream=stream, max_version=max_version, dl_device=dl_device, copy=copy
        )

    def __dlpack_device__(self) -> Any:
        return self.real.__dlpack_device__()

    def __array_namespace__(self, *, api_version: str | None = None) -> Any:
        super().__array_namespace__(api_version=api_version)
        return sys.modules[__name__]

    def to_device(self, device: Any, /, *, stream: Any = None) -> Any:
        return Pair(
            xp.to_device(self.real, device, stream=stream),
            xp.to_device(self.fake, device, stream=stream),
        )

    def __repr__(self) -> str:
        return f"Pair({self.real!r})"


def _part(value: Any, which: str) -> Any:
    if type(value) is Pair:
        return getattr(value, which)
    if type(value) is np.ndarray and which == "fake":
        return mode.from_array(value)
    if isinstance(value, (list, tuple)):
        return type(value)(_part(item, which) for item in value)
    return value


def _paired(name: str, real: Any, fake: Any) -> Any:
    """The pair of two results, which have to agree."""
    if isinstance(real, (list, tuple)):
        assert len(real) == len(fake), f"{name}: {len(real)} results, of fakes {len(fake)}"
        items = [_paired(name, a, b) for a, b in zip(real, fake, strict=True)]
        return items if isinstance(real, list) else tuple(items)
    if not isinstance(real, np.ndarray):
        return real
    assert type(fake) is FakeArray, f"{name}: {type(fake)} for an array"
    assert fake.dtype == real.dtype, f"{name}: dtype {real.dtype}, of the fake {fake.dtype}"
    assert len(fake.shape) == real.ndim, f"{name}: shape {real.shape}, of the fake {fake.shape}"
    unknown = False
    for mine, size in zip(fake.shape, real.shape, strict=True):
        if is_symbolic(mine):
            unknown = True
        else:
            assert mine == size, f"{name}: shape {real.shape}, of the fake {fake.shape}"
    if unknown:
        return Pair(real, FakeArray.raw(real.shape, real.dtype, fake.device, real.strides, mode))
    assert fake.strides == real.strides, (
        f"{name}: strides {real.strides}, of the fake {fake.strides}"
    )
    return Pair(real, fake)


def _run(name: str, call: Any, args: Any, kwargs: Any) -> Any:
    counts["calls"] += 1
    try:
        real = call(*_part(tuple(args), "real"), **{k: _part(v, "real") for k, v in kwargs.items()})
    except (TypeError, ValueError, IndexError, ArithmeticError) as error:
        counts["refusals"] += 1
        try:
            call(*_part(tuple(args), "fake"), **{k: _part(v, "fake") for k, v in kwargs.items()})
        except (TypeError, ValueError, IndexError, ArithmeticError):
            raise error from None
        raise AssertionError(f"{name}: a fake is accepted, NumPy says {error!r}") from error
    fake = call(*_part(tuple(args), "fake"), **{k: _part(v, "fake") for k, v in kwargs.items()})
    return _paired(name, real, fake)


def interpret(operator: Any, args: Any, kwargs: Any) -> Any:
    """Run an operator on the real arrays and on the fakes."""
    return _run(operator.qualname, operator.call, args, kwargs)


register_wrapper(Pair, interpret, LEVEL)


def _factory(name: str, function: Any) -> Any:
    def make(*args: Any, **kwargs: Any) -> Any:
        if any(type(value) is Pair for value in args):
            real = function(*_part(args, "real"), **kwargs)
            fake = function(*_part(args, "fake"), **kwargs) if name != "from_dlpack" else None
        else:
            real = function(*args, **kwargs)
            fake = None
        return _paired(name, real, mode.from_array(real) if fake is None else fake)

    def compute(*args: Any, **kwargs: Any) -> Any:
        real = function(*args, **kwargs)
        with mode:
            fake = function(*args, **kwargs)
        return _paired(name, real, fake)

    return wraps(function)(make if name in ("asarray", "from_dlpack") else compute)


class _Namespace(ModuleType):
    def __init__(self, name: str, inner: Any) -> None:
        super().__init__(name)
        self.__inner = inner

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.__inner, name)
        return _factory(name, found) if name in FACTORIES else found


linalg = _Namespace("linalg", xp.linalg)
fft = _Namespace("fft", xp.fft)


def __getattr__(name: str) -> Any:
    found = getattr(xp, name)
    return _factory(name, found) if name in FACTORIES else found


def __dir__() -> list[str]:
    return dir(xp)

"""Arrays of a simulated GPU: NumPy arrays that dispatch to "cuda".

On a machine without a GPU there can be no CuPy array. These take their place inside
`gpuops.cuda.simulator`: their exact type leads to the "cuda" kernels, and a launch with one of them
among its arguments runs in the simulator. What CuPy refuses (mixing with arrays of the host) they
refuse too, so that host code which works here works there.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from types import ModuleType
from typing import Any

import numpy as np

from gpuops.devices import ArrayKind, Device, register_array_kind, simulated_kind
from gpuops.errors import ArgumentError, DeviceError, describe
from gpuops.memory import byte_range

__all__ = [
    "NAMESPACE",
    "SimulatedArray",
    "SimulatedNamespace",
    "check_one_device",
    "concerns",
    "devices",
    "on_device",
    "simulator",
    "state",
]

_DEVICES = (Device("cuda:0"),)

# The current device, and those that there are, in this thread or task.
_current: ContextVar[int] = ContextVar("gpuops_simulated_current", default=0)
_devices: ContextVar[tuple[Device, ...]] = ContextVar("gpuops_simulated_devices", default=_DEVICES)


def devices() -> tuple[Device, ...]:
    """The simulated devices of this context."""
    return _devices.get()


@contextmanager
def _using(index: int) -> Iterator[None]:
    """Let a device be the current one: what is made lies there."""
    token = _current.set(index)
    try:
        yield
    finally:
        _current.reset(token)


class _Allocation:
    """Memory that `empty` gave: where it is, and which of its bytes a kernel has written."""

    __slots__ = ("high", "low", "written")

    def __init__(self, low: int, high: int) -> None:
        self.low, self.high = low, high
        self.written = np.zeros(high - low, np.bool_)


class SimulatedArray(np.ndarray):
    """An array in the memory of the simulated GPU; made by `gpuops.asarray` or its namespace.

    It has NumPy's methods and CuPy's `get`. Reductions and single elements are 0-d arrays, as with
    CuPy. Operations with a `numpy.ndarray` are a `DeviceError`.

    >>> import numpy as np, gpuops
    >>> with gpuops.cuda.simulator():
    ...     x = gpuops.asarray(np.arange(4.0), device="cuda")
    >>> gpuops.device_of(x), (2 * x).sum().get()
    (Device('cuda:0'), array(12.))
    >>> x + np.ones(4)
    Traceback (most recent call last):
    ...
    gpuops.errors.DeviceError: numpy.add: expected arrays on cuda:0, got numpy.ndarray float64[4], \
which is on the host. Move it with gpuops.asarray(x, device='cuda')
    """

    # None for memory that was filled when it was made.
    _allocation: _Allocation | None
    _index: int

    def __array_finalize__(self, of: Any) -> None:
        index = getattr(of, "_index", None)
        self._index = _current.get() if index is None else index
        # Of views; what is made from another array in any other way lies elsewhere.
        allocation = getattr(of, "_allocation", None)
        if allocation is not None:
            low, high = byte_range(self)
            if not (allocation.low <= low and high <= allocation.high):
                allocation = None
        self._allocation = allocation

    @property
    def written(self) -> np.ndarray | None:
        """Which bytes have been written, from the first element's to the last's.

        A bool array that the simulator keeps up to date; None where all of them have been. Only
        what `empty` and `empty_like` gave starts unwritten, and anything that NumPy does with it
        counts as writing all of it.
        """
        allocation = self._allocation
        if allocation is None or not self.size:
            return None
        low, high = byte_range(self)
        return allocation.written[low - allocation.low : high - allocation.low]

    def _touch(self) -> None:
        written = self.written
        if written is not None:
            written[...] = True

    def view(self, *args: Any, **kwargs: Any) -> Any:
        # What is done with a plain view is out of sight.
        if args and args[0] is np.ndarray:
            self._touch()
        return super().view(*args, **kwargs)

    def fill(self, value: Any) -> None:
        self._touch()
        super().fill(value)

    def __setitem__(self, key: Any, value: Any) -> None:
        self._touch()
        super().__setitem__(key, value)

    @property
    def device(self) -> Device:  # type: ignore[override]  # NumPy's says "cpu"
        """Where it is: ``cuda:0``, or another one of the simulator's."""
        return Device("cuda", self._index)

    def get(self) -> np.ndarray:
        """A copy on the host."""
        return np.array(self.view(np.ndarray))

    def __array_namespace__(self, *, api_version: str | None = None) -> Any:
        return NAMESPACE

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if any(map(_is_foreign, inputs)):
            return NotImplemented  # a wrapper's operator gets this array, and not its data
        name = f"numpy.{ufunc.__name__}"
        with _using(_common(name, (inputs, kwargs))):
            found = getattr(ufunc, method)(*_unwrap(name, inputs), **_unwrap(name, kwargs))
            return on_device(found)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if not all(issubclass(cls, np.ndarray) for cls in types):
            return NotImplemented
        name = f"numpy.{func.__name__}"
        with _using(_common(name, (args, kwargs))):
            return on_device(func(*_unwrap(name, args), **_unwrap(name, kwargs)))

    def __getitem__(self, key: Any) -> Any:
        found = super().__getitem__(key)
        if isinstance(found, np.ndarray):
            return found
        keys = key if isinstance(key, tuple) else (key,)
        return super().__getitem__((*keys, ...))


def _is_foreign(value: Any) -> bool:
    """Whether an operand computes with arrays in ways of its own, as those of transforms do."""
    own = not isinstance(value, (np.ndarray, np.generic))
    return own and hasattr(type(value), "__array_ufunc__")


def on_device(value: Any) -> Any:
    """NumPy's results as arrays of the simulated GPU; what is no array stays as it is."""
    if isinstance(value, np.generic):
        value = np.asarray(value)
    if isinstance(value, np.ndarray):
        return value.view(SimulatedArray)
    if type(value) in (tuple, list):
        return type(value)(map(on_device, value))
    if isinstance(value, tuple):  # a namedtuple, as numpy.linalg returns
        return type(value)(*map(on_device, value))
    return value


def _common(name: str, values: Any) -> int:
    """The index of the device that the arrays among a call's arguments are on.

    Raises:
        DeviceError: they are on several.
    """
    found = sorted(set(_indices(values)))
    if len(found) > 1:
        places = " and ".join(f"cuda:{index}" for index in found)
        raise DeviceError(f"{name}: the arrays are on several devices, {places}")
    return found[0] if found else _current.get()


def _indices(value: Any) -> Iterator[int]:
    if isinstance(value, SimulatedArray):
        yield value._index
    elif isinstance(value, dict):
        yield from _indices(tuple(value.values()))
    elif type(value) in (tuple, list):
        for item in value:
            yield from _indices(item)


def _unwrap(name: str, value: Any) -> Any:
    """The host's views of the arrays in a call's arguments.

    Raises:
        DeviceError: one of them is on the host already; a 0-d array counts as a number.
    """
    if isinstance(value, SimulatedArray):
        return value.view(np.ndarray)
    if isinstance(value, np.ndarray) and value.ndim:
        raise DeviceError(
            f"{name}: expected arrays on cuda:{_current.get()}, got {describe(value)}, which is on "
            "the host. "
            "Move it with gpuops.asarray(x, device='cuda')"
        )
    if isinstance(value, dict):
        return {key: _unwrap(name, item) for key, item in value.items()}
    if type(value) in (tuple, list):
        return type(value)(_unwrap(name, item) for item in value)
    return value


class SimulatedNamespace:
    """NumPy's functions, giving arrays of the simulated GPU: what `cupy` is on a real one."""

    ndarray = SimulatedArray
    # They take what is on the host, as CuPy's do.
    _FROM_HOST = frozenset({"array", "asarray", "asanyarray", "ascontiguousarray"})
    _UNWRITTEN = frozenset({"empty", "empty_like"})

    def __init__(self, module: ModuleType) -> None:
        self._module = module
        self.__name__ = f"simulated {module.__name__}"

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._module, name)
        if isinstance(found, ModuleType):
            wrapped: Any = SimulatedNamespace(found)
        elif isinstance(found, type) or not callable(found):
            return found
        else:
            wrapped = self._function(name, found)
        self.__dict__[name] = wrapped
        return wrapped

    def _function(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        full = f"{self._module.__name__}.{name}"
        from_host = name in self._FROM_HOST
        unwritten = name in self._UNWRITTEN

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            if unwritten:
                made = on_device(function(*args, **kwargs))
                made._allocation = _Allocation(*byte_range(made))
                return made
            if not from_host:
                with _using(_common(full, (args, kwargs))):
                    return on_device(function(*_unwrap(full, args), **_unwrap(full, kwargs)))
            if args and isinstance(args[0], SimulatedArray):
                args = (args[0].view(np.ndarray), *args[1:])
            elif args and isinstance(args[0], np.ndarray):
                # Moving to a device is copying, whatever NumPy would have done.
                args = (np.array(args[0], order="K"), *args[1:])
            return on_device(function(*args, **kwargs))

        return call

    def __repr__(self) -> str:
        return f"<{self.__name__}>"


NAMESPACE: Any = SimulatedNamespace(np)


class _State:
    """What this process has ever simulated: where it has not, a launch need not ask further."""

    used = False
    # Called with a launch's kernel, and the arrays it reads and writes, once there are streams.
    on_launch: Callable[[str, list[Any], list[Any]], None] | None = None


state = _State()


def check_one_device(name: str, args: Sequence[Any]) -> None:
    """Check that a launch's arrays are on one device, as a GPU's launch needs them.

    Raises:
        DeviceError: they are on several.
    """
    places = {at: arg._index for at, arg in enumerate(args) if isinstance(arg, SimulatedArray)}
    if len(set(places.values())) > 1:
        listed = ", ".join(f"argument {at} on device {device}" for at, device in places.items())
        raise DeviceError(
            f"Kernel {name!r}: the arrays are on several devices: {listed}. Pass "
            "cuda.pointer(array) for memory of another device that this one can reach"
        )


def concerns(args: Sequence[Any]) -> bool:
    """Whether a launch with these arguments runs in the simulator.

    It does with an array of the simulated GPU, and inside `simulator` without any array.
    """
    if any(isinstance(getattr(arg, "array", arg), SimulatedArray) for arg in args):
        return True
    return simulated_kind.get() is not None and not any(hasattr(arg, "dtype") for arg in args)


_KIND = ArrayKind(
    SimulatedArray,
    "cuda",
    device_of=lambda array: Device("cuda", array._index),
    guard=lambda device: nullcontext() if device.index is None else _using(device.index),
    current=_current.get,
    single_device=False,
)
register_array_kind(_KIND)


@contextmanager
def simulator(devices: int = 1) -> Iterator[None]:
    """Let device "cuda" be simulated in a ``with`` block, in this thread or task.

    Args:
        devices: how many there are.

    In it, ``gpuops.asarray(x, device="cuda")`` gives a `SimulatedArray`. An operator called with
    one runs its "cuda" kernel: dispatch, host code, launch geometry and kernel are those of a GPU,
    and the kernel's instructions run in `gpuops.cuda.simulate` with all of its checks. The devices
    are ``cuda:0``, the current one, and so on; arrays of several do not go together.

    Raises:
        ArgumentError: `devices` is no int above 0.

    >>> import numpy as np, gpuops
    >>> with gpuops.cuda.simulator():
    ...     x = gpuops.asarray(np.zeros(3, np.float32), device="cuda")
    >>> type(x).__name__
    'SimulatedArray'
    """
    if type(devices) is not int or devices < 1:
        raise ArgumentError(f"simulator: devices must be an int above 0, got {describe(devices)}")
    state.used = True
    tokens = (
        (simulated_kind, simulated_kind.set(_KIND)),
        (_devices, _devices.set(tuple(Device("cuda", index) for index in range(devices)))),
        (_current, _current.set(0)),
    )
    try:
        yield
    finally:
        for variable, token in tokens:
            variable.reset(token)  # type: ignore[arg-type]  # each with its own

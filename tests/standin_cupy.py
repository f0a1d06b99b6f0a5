"""A module that looks to gpuops like CuPy, on any number of pretended GPUs.

Only what gpuops relies on: the exact type of arrays, the device they are on, the current device and
how to change it; and loading and launching kernels, which are recorded and do nothing. The data are
NumPy's.
"""

from __future__ import annotations

import types
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np


class Memory:
    """A device pointer."""

    def __init__(self, ptr: int, device: int) -> None:
        self.ptr = ptr
        self.device_id = device


class DriverError(RuntimeError):
    """CuPy's `CUDADriverError`."""


class RuntimeApiError(RuntimeError):
    """CuPy's `CUDARuntimeError`."""


@dataclass
class Launch:
    """One recorded launch."""

    device: int
    symbol: str
    grid: tuple[int, ...]
    block: tuple[int, ...]
    args: tuple[Any, ...]
    shared_mem: int


@dataclass
class Gpu:
    """What the pretended driver was asked to do, and what it shall refuse.

    Attributes:
        loaded: (device, bytes) of every module.
        launches: in order.
        attributes: (symbol, attribute, value) of every function attribute that was set.
        load_error: raised by the next loads.
        launch_error: raised by the next launches.
        sync_errors: raised by the next waits for a stream, one each; None for a wait that succeeds.
        waits: how often a stream was waited for.
        capturing: whether the current stream is being captured into a graph.
    """

    loaded: list[tuple[int, bytes]] = field(default_factory=list)
    launches: list[Launch] = field(default_factory=list)
    attributes: list[tuple[str, int, int]] = field(default_factory=list)
    load_error: str = ""
    launch_error: str = ""
    sync_errors: list[str | None] = field(default_factory=list)
    waits: int = 0
    capturing: bool = False


class StandIn(types.ModuleType):
    """The module; `ones(*shape, device=...)` makes arrays, `current` is the current device."""

    def __init__(self, devices: int, compute_capability: str) -> None:
        super().__init__("cupy")
        self.current = 0
        self.entered: list[int] = []
        self.gpu = Gpu()
        module = self

        class Device:
            def __init__(self, index: int | None = None) -> None:
                self.id = module.current if index is None else index
                self.compute_capability = compute_capability

            def __enter__(self) -> None:
                self.before, module.current = module.current, self.id
                module.entered.append(self.id)

            def __exit__(self, *exc_info: object) -> None:
                module.current = self.before

        class ndarray:  # CuPy's spelling
            def __init__(self, host: np.ndarray, device: int, base: Any = None) -> None:
                self.host = host
                self.device = Device(device)
                self.base = base
                self.shape, self.dtype, self.strides = host.shape, host.dtype, host.strides
                self.size, self.itemsize, self.ndim = host.size, host.itemsize, host.ndim
                self.data = Memory(host.ctypes.data, device)
                self._c_contiguous = host.flags.c_contiguous

            flags = property(lambda self: self.host.flags)

            def __getitem__(self, index: Any) -> ndarray:
                return ndarray(self.host[index], self.device.id, self)

            def __add__(self, other: Any) -> ndarray:
                return ndarray(self.host + getattr(other, "host", other), self.device.id)

            def tobytes(self) -> bytes:
                return self.host.tobytes()

            def copy(self) -> ndarray:
                return ndarray(self.host.copy(), self.device.id)

        ndarray.__module__ = "cupy"
        self.ndarray = ndarray
        self.cuda = types.SimpleNamespace(
            Device=Device,
            runtime=types.SimpleNamespace(
                getDevice=lambda: module.current,
                getDeviceCount=lambda: devices,
                getDeviceProperties=lambda device: {"sharedMemPerBlockOptin": 232448},
                CUDARuntimeError=RuntimeApiError,
            ),
            driver=_driver(self),
            function=_function(self),
            get_current_stream=lambda: _Stream(module.gpu),
        )

    def ones(self, *shape: int, device: int = 0) -> Any:
        """An array of ones on a device."""
        return self.ndarray(np.ones(shape), device)


def _driver(module: StandIn) -> types.SimpleNamespace:
    def set_attribute(function: str, attribute: int, value: int) -> None:
        module.gpu.attributes.append((function, attribute, value))

    return types.SimpleNamespace(
        CUDADriverError=DriverError,
        CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES=8,
        funcSetAttribute=set_attribute,
    )


def _function(module: StandIn) -> types.SimpleNamespace:
    class Function:
        def __init__(self, symbol: str, device: int) -> None:
            self.ptr = symbol
            self.device = device

        def __call__(
            self, grid: tuple[int, ...], block: tuple[int, ...], args: Any, shared_mem: int = 0
        ) -> None:
            assert self.device == module.current, "loaded on another device than the current one"
            if module.gpu.launch_error:
                raise DriverError(module.gpu.launch_error)
            module.gpu.launches.append(
                Launch(module.current, self.ptr, grid, block, args, shared_mem)
            )

    class Module:
        def load(self, code: bytes) -> None:
            assert type(code) is bytes
            if module.gpu.load_error:
                raise DriverError(module.gpu.load_error)
            self.device = module.current
            module.gpu.loaded.append((module.current, code))

        def get_function(self, symbol: str) -> Function:
            return Function(symbol, self.device)

    return types.SimpleNamespace(Module=Module)


class _Stream:
    def __init__(self, gpu: Gpu) -> None:
        self.gpu = gpu

    def is_capturing(self) -> bool:
        return self.gpu.capturing

    def synchronize(self) -> None:
        self.gpu.waits += 1
        error = self.gpu.sync_errors.pop(0) if self.gpu.sync_errors else None
        if error:
            raise RuntimeApiError(error)


@contextmanager
def loaded(devices: int = 1, compute_capability: str = "90") -> Iterator[StandIn]:
    """The stand-in as `cupy` in `sys.modules`, for the length of a ``with`` block."""
    import sys

    from gpuops.devices import forget_array_kind

    before = sys.modules.get("cupy")
    module = sys.modules["cupy"] = StandIn(devices, compute_capability)
    try:
        yield module
    finally:
        forget_array_kind(module.ndarray)
        if before is None:
            del sys.modules["cupy"]
        else:
            sys.modules["cupy"] = before

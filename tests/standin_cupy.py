"""A module that looks to the dispatcher like CuPy, on any number of pretended GPUs.

Only what dispatch relies on: the exact type of arrays, the device they are on, the current device
and how to change it. The data are NumPy's.
"""

from __future__ import annotations

import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np


class Memory:
    """A device pointer."""

    def __init__(self, ptr: int) -> None:
        self.ptr = ptr


class StandIn(types.ModuleType):
    """The module; `arrays(device, ...)` makes arrays, `current` is the current device."""

    def __init__(self, devices: int) -> None:
        super().__init__("cupy")
        self.current = 0
        self.entered: list[int] = []
        module = self

        class Device:
            def __init__(self, index: int) -> None:
                self.id = index

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
                self.data = Memory(host.ctypes.data)

            def __getitem__(self, index: Any) -> ndarray:
                return ndarray(self.host[index], self.device.id, self)

            def __add__(self, other: Any) -> ndarray:
                return ndarray(self.host + getattr(other, "host", other), self.device.id)

            def tobytes(self) -> bytes:
                return self.host.tobytes()

            def copy(self) -> ndarray:
                return ndarray(self.host.copy(), self.device.id)

        self.ndarray = ndarray
        self.cuda = types.SimpleNamespace(
            Device=Device,
            runtime=types.SimpleNamespace(
                getDevice=lambda: module.current, getDeviceCount=lambda: devices
            ),
        )

    def ones(self, *shape: int, device: int = 0) -> Any:
        """An array of ones on a device."""
        return self.ndarray(np.ones(shape), device)


@contextmanager
def loaded(devices: int = 1) -> Iterator[StandIn]:
    """The stand-in as `cupy` in `sys.modules`, for the length of a ``with`` block."""
    import sys

    from gpuops.devices import forget_array_kind

    before = sys.modules.get("cupy")
    module = sys.modules["cupy"] = StandIn(devices)
    try:
        yield module
    finally:
        forget_array_kind(module.ndarray)
        if before is None:
            del sys.modules["cupy"]
        else:
            sys.modules["cupy"] = before

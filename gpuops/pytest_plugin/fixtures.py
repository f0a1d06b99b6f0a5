"""Fixtures: where to test "cuda" kernels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import numpy as np

    from gpuops import Device

__all__ = ["CudaDevice", "cuda_device", "simulated_cuda"]


@dataclass(frozen=True, slots=True)
class CudaDevice:
    """A GPU or its simulation.

    Attributes:
        device: `gpuops.Device`, ``cuda:0``.
        simulated: whether kernels run in the simulator, with its checks.
        reason: why it is simulated; None on a GPU.
    """

    device: Device
    simulated: bool
    reason: str | None

    def asarray(self, x: Any, dtype: Any = None) -> Any:
        """`x` as an array on the device."""
        import gpuops

        return gpuops.asarray(x, dtype=dtype, device=self.device)

    def get(self, x: Any) -> np.ndarray:
        """An array of the device as a NumPy array."""
        import gpuops

        host: np.ndarray = gpuops.asarray(x, device="cpu")
        return host

    def synchronize(self) -> None:
        """Wait for what was launched: an error of a kernel shows here, on a GPU."""
        if not self.simulated:
            import cupy

            cupy.cuda.get_current_stream().synchronize()


@pytest.fixture
def cuda_device() -> Iterator[CudaDevice]:
    """A GPU where there is one, else the simulator."""
    from gpuops.cuda.available import why_unavailable

    reason = why_unavailable()
    if reason is not None:
        yield from _simulated(reason)
        return
    from gpuops import Device

    device = CudaDevice(Device("cuda:0"), False, None)
    yield device
    device.synchronize()


@pytest.fixture
def simulated_cuda() -> Iterator[CudaDevice]:
    """The simulator, whether or not there is a GPU."""
    yield from _simulated("asked for")


def _simulated(reason: str) -> Iterator[CudaDevice]:
    import gpuops

    with gpuops.cuda.simulator():
        yield CudaDevice(gpuops.Device("cuda:0"), True, reason)

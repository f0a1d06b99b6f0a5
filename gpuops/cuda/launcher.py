"""Launching a compiled kernel through CuPy, on the device of its arguments."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial
from types import FunctionType
from typing import TYPE_CHECKING, Any

from gpuops.checks import enabled as debug_enabled
from gpuops.checks import state as debug_state
from gpuops.cuda.available import load_cupy
from gpuops.cuda.binaries import obtain
from gpuops.cuda.checker import make_launch
from gpuops.cuda.geometry import MAX_THREADS
from gpuops.cuda.limits import DEFAULT_SHARED, block_threads
from gpuops.cuda.signature import Pointer
from gpuops.cuda.store import Binary
from gpuops.errors import ArgumentError, DeviceError, GpuopsError

if TYPE_CHECKING:
    from gpuops.cuda.kernel import Kernel

__all__ = ["LaunchError", "current_arch", "launcher_for"]

Launch = Callable[[tuple[int, ...], tuple[int, ...], Sequence[Any], int], None]


class LaunchError(GpuopsError, RuntimeError):
    """A kernel could not be loaded or launched, or failed while it ran."""


def launcher_for(kernel: Kernel) -> Launch:
    """What launches a kernel: on the only GPU there is, or on that of the arguments.

    Raises:
        DeviceError: CuPy is not installed, or there is no CUDA device.
        CompileError: the source does not compile.
    """
    cupy = load_cupy(f"launch {kernel.name!r}")
    if cupy.cuda.runtime.getDeviceCount() == 1:
        return LoadedKernel(kernel, cupy).launch
    return _OnDevices(kernel, cupy).launch


class LoadedKernel:
    """A kernel, loaded on the device that was current when this was made.

    Attributes:
        launch: checks the arguments and launches on the current stream, without waiting; see
            `gpuops.cuda.checker`.
        function: CuPy's.
        max_threads: per block, with the kernel's registers and launch bounds.
    """

    def __init__(self, kernel: Kernel, cupy: Any) -> None:
        self.kernel = kernel
        self.cupy = cupy
        binary = obtain(kernel, current_arch(cupy))
        self.function = self._load(binary)
        self.signature = kernel.signature_from(binary)
        self.max_threads = block_threads(binary.resources)
        self.static_shared = binary.resources.static_shared
        self.driver_error = cupy.cuda.driver.CUDADriverError
        self.encoders = _encoders(cupy.cuda.function)
        self.names: dict[str, Any] = {
            "function": self.function,
            "slow": self._launch_with_care,
            "debug": debug_state,
            "failed": partial(self._failed, "could not be launched"),
            "DriverError": self.driver_error,
            # How much dynamic shared memory a launch can have without a further question.
            "plain_shared": max(DEFAULT_SHARED - self.static_shared, 0),
        }
        if self.max_threads < MAX_THREADS:  # else `launch_sizes` has checked enough
            self.names["max_threads"] = self.max_threads
        self.launch: Launch = make_launch(self.signature, cupy.ndarray, self.encoders, self.names)

    def _load(self, binary: Binary) -> Any:
        module = self.cupy.cuda.function.Module()
        try:
            module.load(binary.code)
            return module.get_function(binary.symbol)
        except self.cupy.cuda.driver.CUDADriverError as error:
            device = self.cupy.cuda.Device()
            raise LaunchError(
                f"Kernel {self.kernel.name!r}: the cubin for {binary.arch} from "
                f"{binary.origin or binary.toolchain} cannot be loaded on device {device.id} "
                f"(compute capability {device.compute_capability}): {error}"
            ) from error

    def _launch_with_care(
        self,
        blocks: tuple[int, ...],
        threads: tuple[int, ...],
        args: Sequence[Any],
        shared_mem: int,
    ) -> None:
        """Launch where something is unusual, or wrong."""
        checked = self.signature.check_arguments(args, self.cupy.ndarray, self.encoders)
        self._prepare(threads, shared_mem)
        if debug_state.contexts and debug_enabled.get():
            return self._launch_and_wait(blocks, threads, checked, shared_mem)
        try:
            self.function(blocks, threads, checked, shared_mem)
        except self.driver_error as error:
            what = "could not be launched"
            raise self._failed(what, blocks, threads, shared_mem, error) from error

    def _prepare(self, threads: tuple[int, ...], shared_mem: int) -> None:
        """Ask for more dynamic shared memory than a launch gets unasked; refuse what cannot be."""
        count = threads[0] * threads[1] * threads[2]
        if count > self.max_threads:
            raise ArgumentError(
                f"Kernel {self.kernel.name!r}: block {threads} has {count} threads; with its "
                f"registers and __launch_bounds__ it can be launched with {self.max_threads}"
            )
        if shared_mem <= self.names["plain_shared"]:
            return
        properties = self.cupy.cuda.runtime.getDeviceProperties(self.cupy.cuda.Device().id)
        most = int(properties["sharedMemPerBlockOptin"]) - self.static_shared
        if shared_mem > most:
            raise ArgumentError(
                f"Kernel {self.kernel.name!r}: shared_mem must be at most {most} bytes on this "
                f"device beside {self.static_shared} bytes of static shared memory, "
                f"got {shared_mem}"
            )
        driver = self.cupy.cuda.driver
        attribute = driver.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
        driver.funcSetAttribute(self.function.ptr, attribute, shared_mem)
        self.names["plain_shared"] = shared_mem
        if isinstance(self.launch, FunctionType):
            self.launch.__globals__["plain_shared"] = shared_mem

    def _launch_and_wait(
        self,
        blocks: tuple[int, ...],
        threads: tuple[int, ...],
        checked: tuple[Any, ...],
        shared_mem: int,
    ) -> None:
        """Debug mode: wait before and after, so that an error is blamed on who caused it."""
        stream = self.cupy.cuda.get_current_stream()
        # A stream that is being captured into a graph must not be waited for, and runs nothing.
        waits = not stream.is_capturing()
        errors = (self.driver_error, self.cupy.cuda.runtime.CUDARuntimeError)
        try:
            if waits:
                stream.synchronize()
        except errors as error:
            raise LaunchError(
                f"Kernel {self.kernel.name!r} was not launched: what ran before it on this stream "
                f"failed: {error}"
            ) from error
        try:
            self.function(blocks, threads, checked, shared_mem)
            if waits:
                stream.synchronize()
        except errors as error:
            raise self._failed("failed", blocks, threads, shared_mem, error) from error

    def _failed(
        self,
        what: str,
        blocks: tuple[int, ...],
        threads: tuple[int, ...],
        shared_mem: int,
        error: Exception,
    ) -> LaunchError:
        message = (
            f"Kernel {self.kernel.name!r} {what} (grid {blocks}, block {threads}, shared_mem "
            f"{shared_mem}): {error}"
        )
        if what != "failed":
            message += (
                ". The driver also reports here what earlier kernels did wrong: run with "
                "GPUOPS_DEBUG=1 to see which"
            )
        return LaunchError(f"{message}. The kernel was made at {self.kernel.location}")


class _OnDevices:
    """A kernel on a machine with several GPUs: launched where its arrays are."""

    def __init__(self, kernel: Kernel, cupy: Any) -> None:
        self.kernel = kernel
        self.cupy = cupy
        self.loaded: dict[int, LoadedKernel] = {}
        self.lock = threading.Lock()

    def launch(
        self,
        blocks: tuple[int, ...],
        threads: tuple[int, ...],
        args: Sequence[Any],
        shared_mem: int,
    ) -> None:
        """Launch on the device of the arrays, on its current stream."""
        current = self.cupy.cuda.runtime.getDevice()
        device = self._device_of(args, current)
        if device == current:
            return self._on(device).launch(blocks, threads, args, shared_mem)
        with self.cupy.cuda.Device(device):
            self._on(device).launch(blocks, threads, args, shared_mem)

    def _device_of(self, args: Sequence[Any], current: int) -> int:
        array_type = self.cupy.ndarray
        places = {
            position: arg.data.device_id
            for position, arg in enumerate(args)
            if isinstance(arg, array_type)
        }
        if not places:
            return next(
                (int(arg.array.data.device_id) for arg in args if _is_pointer(arg, array_type)),
                current,
            )
        if len(set(places.values())) > 1:
            listed = ", ".join(f"argument {at} on device {device}" for at, device in places.items())
            raise DeviceError(
                f"Kernel {self.kernel.name!r}: the arrays are on several devices: {listed}. Pass "
                "cuda.pointer(array) for memory of another device that this one can reach"
            )
        return int(next(iter(places.values())))

    def _on(self, device: int) -> LoadedKernel:
        """Loaded once per device; it is the current one."""
        found = self.loaded.get(device)
        if found is None:
            with self.lock:
                found = self.loaded.get(device)
                if found is None:
                    found = self.loaded[device] = LoadedKernel(self.kernel, self.cupy)
        return found


def _is_pointer(arg: Any, array_type: type) -> bool:
    return isinstance(arg, Pointer) and isinstance(arg.array, array_type)


def _encoders(function: Any) -> dict[str, Callable[[Any], Any]]:
    """What CuPy passes on with the least work, where this version of it has that.

    It takes a Python number too, but always as 8 bytes, and a NumPy scalar at twice the price. A
    kernel reads as many of the 8 bytes as it declares: the lower ones, on every machine that has
    CUDA.
    """
    signed = getattr(function, "CIntptr", None)
    unsigned = getattr(function, "CUIntMax", None)
    found: dict[str, Callable[[Any], Any]] = {"float64": float}
    if signed is not None:
        for name in ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32"):
            found[name] = signed
    if unsigned is not None:
        found["uint64"] = unsigned
    return found


def current_arch(cupy: Any) -> str:
    """The architecture of the current device, such as ``"sm_90"``."""
    return f"sm_{cupy.cuda.Device().compute_capability}"

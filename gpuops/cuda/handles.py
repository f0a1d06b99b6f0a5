"""Handles: what a kernel needs on a device and does not make anew for each call.

`CublasHandle` is cuBLAS's context and `Workspace` is scratch memory. Both are opaque reference
types, so that operators take them as arguments.

On the simulated device (`gpuops.cuda.simulator`) a handle has the same life (made at the first use
in each thread, destroyed with its owner) and gives the same products, which NumPy computes. What
that does not show: that cuBLAS is called as it should be, its speed, its rounding, and what it does
on several streams at once. Those are for a GPU (``pytest -m cuda``).
"""

from __future__ import annotations

import importlib
import os
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Protocol

import numpy as np

from gpuops.cuda import simulated
from gpuops.cuda.available import load_cupy
from gpuops.cuda.simulated import SimulatedArray
from gpuops.cuda.transfer import namespace
from gpuops.devices import Device, device_of, simulated_kind
from gpuops.errors import ArgumentError, DeviceError, GpuopsError, describe
from gpuops.opaque import OpaqueBase, register_opaque_type

__all__ = ["CublasHandle", "HandleError", "Workspace", "default_handle"]

_ALIGNMENT = 256
"""Where borrowed memory begins: what the widest loads of a GPU and of a CPU ask for, and more."""
_MOST = 2**31 - 1
"""cuBLAS takes sizes as 32-bit ints."""


class HandleError(GpuopsError, RuntimeError):
    """A handle is used after it was closed."""


# -- scratch memory --------------------------------------------------------------------------------


class Workspace(OpaqueBase):
    """Scratch memory that kernels borrow, so that not every call allocates some.

    What was borrowed is given back at the end of the ``with`` block and lent again, on the same
    stream only: there, what comes later runs later, also on the GPU. Blocks may be nested, and
    threads may share a workspace; nobody gets memory that somebody else has.

    Args:
        device: ``"cpu"``, ``"cuda"`` (the current device at each borrowing), ``"cuda:1"``.

    Raises:
        DeviceError: an unknown device.

    >>> workspace = Workspace("cpu")
    >>> with workspace.borrow(1000) as scratch:
    ...     scratch.shape, scratch.dtype
    ((1000,), dtype('uint8'))
    >>> workspace.nbytes >= 1000
    True
    """

    def __init__(self, device: str | Device = "cuda") -> None:
        self.device = Device(device)
        self._lock = threading.Lock()
        # (device index, stream) -> the memory that nobody has.
        self._free: dict[tuple[int | None, int], list[Any]] = {}
        self._held = 0

    @property
    def nbytes(self) -> int:
        """How many bytes it holds, lent or not."""
        return self._held

    @contextmanager
    def borrow(self, nbytes: int) -> Iterator[Any]:
        """Lend memory in a ``with`` block: an uint8 array of `nbytes` that holds anything.

        It begins at a multiple of 256 bytes, so that a view of it as any dtype is aligned.

        Raises:
            ArgumentError: `nbytes` is no int or negative.
            DeviceError: the device does not exist here.
        """
        if not isinstance(nbytes, (int, np.integer)) or isinstance(nbytes, bool) or nbytes < 0:
            raise ArgumentError(
                f"Workspace.borrow: nbytes must be an int of 0 or more, got {describe(nbytes)}"
            )
        key = _place(self.device)
        memory = self._take(key, int(nbytes))
        try:
            yield memory[: int(nbytes)]
        finally:
            self._give_back(key, memory)

    def _take(self, key: tuple[int | None, int], nbytes: int) -> Any:
        with self._lock:
            free = self._free.get(key, [])
            fitting = [memory for memory in free if memory.size >= nbytes]
            if fitting:
                found = min(fitting, key=lambda memory: memory.size)
                free[:] = [memory for memory in free if memory is not found]
                return found
        made = _allocate(self.device, nbytes)
        with self._lock:
            self._held += made.size
        return made

    def _give_back(self, key: tuple[int | None, int], memory: Any) -> None:
        with self._lock:
            if isinstance(memory, SimulatedArray):
                # New memory at each borrowing: the simulator then finds reads of what an earlier
                # borrower left, which are errors that reused memory would hide.
                self._held -= memory.size
            else:
                self._free.setdefault(key, []).append(memory)

    def release(self) -> None:
        """Free all memory that is not lent now."""
        with self._lock:
            self._held -= sum(memory.size for free in self._free.values() for memory in free)
            self._free.clear()

    def __repr__(self) -> str:
        return f"Workspace({str(self.device)!r}) of {self._held} bytes"


def _place(device: Device) -> tuple[int | None, int]:
    """The device's index and the current stream: where memory may be reused without waiting."""
    if device.type == "cpu" or simulated_kind.get() is not None:
        # On the host and in the simulator a call is over when it returns.
        return device.index, 0
    cupy = load_cupy(f"borrow memory of device {str(device)!r}")
    index = cupy.cuda.runtime.getDevice() if device.index is None else device.index
    with cupy.cuda.Device(index):
        return index, int(cupy.cuda.get_current_stream().ptr)


def _allocate(device: Device, nbytes: int) -> Any:
    if device.type == "cpu":
        memory = np.empty(nbytes + _ALIGNMENT, np.uint8)
        start = -memory.ctypes.data % _ALIGNMENT
        return memory[start : start + nbytes]
    xp = namespace(device)
    if simulated_kind.get() is not None or device.index is None:
        return xp.empty(nbytes, dtype=np.uint8)
    with xp.cuda.Device(device.index):
        return xp.empty(nbytes, dtype=np.uint8)


# -- cuBLAS ----------------------------------------------------------------------------------------


class _Library(Protocol):
    """What a handle needs of cuBLAS: CuPy's binding, or NumPy in its place."""

    def create(self, device: int) -> int:
        """A new context on a device."""

    def destroy(self, device: int, context: int) -> None:
        """The end of one."""

    def product(self, context: int, x: Any, weight: Any, out: Any, accumulate: bool) -> None:
        """``out = x @ weight.T``, or that added to `out`, on the current stream."""


class _Cublas:
    """cuBLAS through CuPy's binding.

    The workspace of cuBLAS itself is that of its own pool: CuPy's binding sets the stream before
    each product, and setting the stream resets the workspace.
    """

    # cudaDataType_t.
    _HALF = 2

    def __init__(self) -> None:
        cupy = load_cupy("use cuBLAS")
        try:
            blas = importlib.import_module("cupy_backends.cuda.libs.cublas")
        except ImportError as error:
            raise DeviceError(
                "cuBLAS is not installed: pip install 'gpuops[cublas12]' or 'gpuops[cublas13]' "
                f"({error})"
            ) from error
        self._set_up(cupy, blas)

    def _set_up(self, cupy: Any, blas: Any) -> None:
        self._cupy = cupy
        self._blas = blas
        # Host memory that outlives every call; the pointer mode is that of a new context.
        self._scalars = {
            np.dtype(t): np.array([0, 1], np.float32 if t is np.float16 else t)
            for t in (np.float16, np.float32, np.float64)
        }

    def create(self, device: int) -> int:
        with self._cupy.cuda.Device(device):
            return int(self._blas.create())

    def destroy(self, device: int, context: int) -> None:
        with self._cupy.cuda.Device(device):
            self._blas.destroy(context)

    def product(self, context: int, x: Any, weight: Any, out: Any, accumulate: bool) -> None:
        blas = self._blas
        blas.setStream(context, self._cupy.cuda.get_current_stream().ptr)
        rows, inner = x.shape
        columns = weight.shape[0]
        scalars = self._scalars[out.dtype]
        one = scalars.ctypes.data + scalars.itemsize
        beta = one if accumulate else scalars.ctypes.data
        # cuBLAS thinks in columns: there, row-major matrices are their transposes, and
        # out.T = weight @ x.T.
        # Where there is nothing to add up it still wants the rows' distance to be 1 or more.
        along = max(inner, 1)
        sizes = (blas.CUBLAS_OP_T, blas.CUBLAS_OP_N, columns, rows, inner)
        a, b, c = weight.data.ptr, x.data.ptr, out.data.ptr
        if out.dtype == np.float16:
            half = self._HALF
            blas.gemmEx(
                context, *sizes, one, a, half, along, b, half, along, beta, c, half, columns,
                blas.CUBLAS_COMPUTE_32F, blas.CUBLAS_GEMM_DEFAULT,
            )  # fmt: skip
            return
        gemm = blas.sgemm if out.dtype == np.float32 else blas.dgemm
        gemm(context, *sizes, one, a, along, b, along, beta, c, columns)


class _Simulated:
    """NumPy in the place of cuBLAS, for arrays of the simulated device.

    Attributes:
        alive: the contexts that were created and not destroyed.
        last: the number of the newest one.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.alive: set[int] = set()
        self.last = 0

    def create(self, device: int) -> int:
        with self._lock:
            self.last += 1
            self.alive.add(self.last)
            return self.last

    def destroy(self, device: int, context: int) -> None:
        with self._lock:
            self.alive.remove(context)

    def product(self, context: int, x: Any, weight: Any, out: Any, accumulate: bool) -> None:
        note = simulated.state.on_launch
        if note is not None:
            note("of cuBLAS", [x, weight, out] if accumulate else [x, weight], [out])
        wide = np.promote_types(out.dtype, np.float32)
        left, right = (a.view(np.ndarray).astype(wide) for a in (x, weight))
        with np.errstate(over="ignore", invalid="ignore"):
            result = left @ right.T
            if accumulate:
                result += out.view(np.ndarray)
            out[...] = result.astype(out.dtype)


@cache
def _library(is_simulated: bool) -> _Library:
    return _Simulated() if is_simulated else _Cublas()


class _Contexts:
    """The contexts of one handle. It knows nothing of its handle, so that it can outlive it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.process = os.getpid()
        # (simulated, device index, thread) -> context
        self.found: dict[tuple[bool, int, int], int] = {}

    def destroy(self) -> None:
        with self.lock:
            found, self.found = self.found, {}
        # A forked child has a copy of the numbers and no right to what they mean.
        if self.process == os.getpid():
            for (is_simulated, device, _), context in found.items():
                _library(is_simulated).destroy(device, context)


class CublasHandle(OpaqueBase):
    """A handle of cuBLAS, for operators that multiply matrices.

    cuBLAS's contexts may not be used by two threads at once and belong to one device each. A handle
    may: at its first use on a device in a thread it creates a context for them, which lives as
    long as the handle does or until `close`. Products run on the current stream.

    Attributes:
        workspace: scratch memory of the handle, for the operators that take it.

    >>> import numpy as np, gpuops
    >>> with gpuops.cuda.simulator(), CublasHandle() as handle:
    ...     x = gpuops.asarray(np.ones((2, 3), np.float32), device="cuda")
    ...     out = gpuops.asarray(np.zeros((2, 4), np.float32), device="cuda")
    ...     handle.product(x, gpuops.asarray(np.ones((4, 3), np.float32), device="cuda"), out)
    >>> out.get()[0]
    array([3., 3., 3., 3.], dtype=float32)
    """

    def __init__(self) -> None:
        self.workspace = Workspace("cuda")
        self._contexts = _Contexts()
        self._finalizer = weakref.finalize(self, self._contexts.destroy)
        # The process's end frees what the driver has, maybe before this would run.
        self._finalizer.atexit = False

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return not self._finalizer.alive

    @property
    def contexts(self) -> int:
        """How many contexts it has: one per device and thread that used it."""
        return len(self._contexts.found)

    def close(self) -> None:
        """Destroy the contexts and free the workspace; a second time does nothing."""
        self._finalizer()
        self.workspace.release()

    def __enter__(self) -> CublasHandle:
        self._check_open()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _check_open(self) -> None:
        if self.closed:
            raise HandleError("this CublasHandle was closed; make a new one")

    def product(self, x: Any, weight: Any, out: Any, *, accumulate: bool = False) -> None:
        """``out = x @ weight.T``; with `accumulate`, that is added to `out`.

        Args:
            x: (rows, inner), float16, float32 or float64, C-contiguous, on a GPU.
            weight: (columns, inner), the same.
            out: (rows, columns), the same. float16 is accumulated in float32.
            accumulate: add to what `out` holds.

        Raises:
            ArgumentError: shapes, dtypes or layouts are others, or a size is beyond 2**31 - 1.
            DeviceError: the arrays are on the host or on several devices, or cuBLAS is missing.
            HandleError: the handle was closed.
        """
        self._check_open()
        device = _check_product(x, weight, out)
        if not out.size:
            return
        is_simulated = isinstance(out, SimulatedArray)
        library = _library(is_simulated)
        context = self._context(library, is_simulated, device)
        library.product(context, x, weight, out, accumulate)

    def _context(self, library: _Library, is_simulated: bool, device: int) -> int:
        contexts = self._contexts
        key = (is_simulated, device, threading.get_ident())
        context = contexts.found.get(key)
        if context is None:
            if contexts.process != os.getpid():
                raise HandleError("a CublasHandle cannot be used in a forked child; make a new one")
            context = library.create(device)
            with contexts.lock:
                contexts.found[key] = context
        return context

    def __repr__(self) -> str:
        what = "closed" if self.closed else f"{self.contexts} contexts"
        return f"<CublasHandle, {what}>"


def _check_product(x: Any, weight: Any, out: Any) -> int:
    """The index of the device of a product's arrays.

    Raises:
        ArgumentError, DeviceError: see `CublasHandle.product`.
    """
    arrays = {"x": x, "weight": weight, "out": out}
    devices = {}
    for name, array in arrays.items():
        device = device_of(array)
        if device is None or device.type != "cuda":
            raise DeviceError(
                f"CublasHandle.product: {name} must be on a GPU, got {describe(array)}"
            )
        devices[device] = name
        if array.ndim != 2 or array.dtype not in (np.float16, np.float32, np.float64):
            raise ArgumentError(
                f"CublasHandle.product: {name} must be a matrix of float16, float32 or float64, "
                f"got {describe(array)}"
            )
        if array.dtype != x.dtype or not array.flags.c_contiguous:
            raise ArgumentError(
                f"CublasHandle.product: {name} must be C-contiguous and {x.dtype} like x, "
                f"got {describe(array)}"
            )
        if max(array.shape) > _MOST:
            raise ArgumentError(
                f"CublasHandle.product: {name} has the shape {array.shape}; cuBLAS takes sizes up "
                f"to {_MOST}"
            )
    if len(devices) > 1:
        listed = " and ".join(f"{name} is on {device}" for device, name in devices.items())
        raise DeviceError(f"CublasHandle.product: the arrays must be on one device, but {listed}")
    if x.shape[1] != weight.shape[1] or out.shape != (x.shape[0], weight.shape[0]):
        raise ArgumentError(
            f"CublasHandle.product: the shapes of x {x.shape}, weight {weight.shape} and out "
            f"{out.shape} must be (rows, inner), (columns, inner) and (rows, columns)"
        )
    index = next(iter(devices)).index
    return 0 if index is None else index


@cache
def default_handle() -> CublasHandle:
    """The handle that operators use when they are given none; it lives as long as the process."""
    return CublasHandle()


register_opaque_type(CublasHandle, "CublasHandle", typ="reference")
register_opaque_type(Workspace, "Workspace", typ="reference")

"""How to size a launch: occupancy from what the compiler says a kernel needs."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from gpuops.cuda.available import load_cupy
from gpuops.cuda.binaries import obtain
from gpuops.cuda.geometry import Dim, launch_sizes
from gpuops.cuda.kernel import Kernel
from gpuops.cuda.launcher import current_arch
from gpuops.cuda.limits import WARP, Occupancy, block_threads, occupancy_of
from gpuops.cuda.nvrtc import arch_number
from gpuops.errors import ArgumentError

__all__ = ["best_block_size", "occupancy"]


def occupancy(
    kernel: Kernel, block: Dim, shared_mem: int = 0, *, arch: str | int | None = None
) -> Occupancy:
    """How many blocks of a kernel run on one multiprocessor at a time.

    The same as the driver's ``cuOccupancyMaxActiveBlocksPerMultiprocessor``, and needs no GPU.

    Args:
        kernel: a `gpuops.cuda.Kernel`; compiled if it has not been yet.
        block: threads, an int or a tuple of up to three.
        shared_mem: dynamic shared memory per block in bytes.
        arch: such as ``"sm_90"``; None for that of the current device.

    Raises:
        ArgumentError: a block that no GPU accepts.
        ArchitectureError: the limits of the architecture are not known.
        CompileError: the source does not compile.
        DeviceError: `arch` is None and there is no CUDA device.

    >>> copy = Kernel('extern "C" __global__ void copy(int* x) { x[threadIdx.x] = 1; }', "copy")
    >>> occupancy(copy, 256, arch="sm_90")
    Occupancy(blocks=8, warps=64, fraction=1.0, limited_by='threads')
    >>> occupancy(copy, 256, 100 * 1024, arch="sm_90")
    Occupancy(blocks=2, warps=16, fraction=0.25, limited_by='shared memory')
    """
    _, threads = launch_sizes(kernel.name, 1, block)
    name = _arch(arch)
    return occupancy_of(obtain(kernel, name).resources, prod(threads), name, shared_mem)


def best_block_size(
    kernel: Kernel,
    shared_mem: int | Callable[[int], int] = 0,
    *,
    arch: str | int | None = None,
    limit: int = 1024,
) -> int:
    """The number of threads per block that fills a multiprocessor most; of several, the largest.

    As ``cuOccupancyMaxPotentialBlockSize``: a good start where nothing has been measured.

    Args:
        kernel: a `gpuops.cuda.Kernel`; compiled if it has not been yet.
        shared_mem: dynamic shared memory per block in bytes, or a function of the threads.
        arch: such as ``"sm_90"``; None for that of the current device.
        limit: the most threads that the kernel's code can deal with.

    Returns:
        A multiple of 32.

    Raises:
        ArgumentError: no block of whole warps can be launched.
        ArchitectureError, CompileError, DeviceError: see `occupancy`.

    >>> copy = Kernel('extern "C" __global__ void copy(int* x) { x[threadIdx.x] = 1; }', "copy")
    >>> best_block_size(copy, arch="sm_90"), best_block_size(copy, arch="sm_120")
    (1024, 768)
    """
    name = _arch(arch)
    resources = obtain(kernel, name).resources
    most = min(block_threads(resources), limit)
    best, warps = 0, 0
    for threads in range(most - most % WARP, 0, -WARP):
        dynamic = shared_mem(threads) if callable(shared_mem) else shared_mem
        found = occupancy_of(resources, threads, name, dynamic).warps
        if found > warps:
            best, warps = threads, found
    if not best:
        raise ArgumentError(
            f"Kernel {kernel.name!r} cannot be launched on {name} with whole warps: it takes at "
            f"most {most} threads, and each block has {resources.static_shared} bytes of static "
            "shared memory beside the dynamic"
        )
    return best


def _arch(arch: str | int | None) -> str:
    if arch is None:
        return current_arch(load_cupy("ask for the current device's architecture"))
    return f"sm_{arch_number(arch)}"

"""Occupancy and block sizes.

The numbers in KNOWN come from NVIDIA's own calculator, ``cuda_occupancy.h``, compiled with a C++
compiler. In 47,320 combinations of seven architectures, registers, threads and shared memory it
gave what `occupancy_of` gives, except that it does not ask for launch bounds.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuops import cuda
from gpuops.cuda.cubin import Resources
from gpuops.cuda.limits import _LIMITS, block_threads, limits_of, occupancy_of
from gpuops.errors import ArgumentError, DeviceError, GpuopsError

# architecture, registers, threads, static and dynamic shared memory: blocks
KNOWN = [
    (75, 255, 32, 0, 0, 8),
    (75, 255, 128, 0, 0, 2),
    (75, 255, 256, 0, 0, 1),
    (75, 255, 320, 0, 0, 0),
    (75, 168, 256, 0, 0, 1),
    (75, 96, 320, 100, 50000, 1),
    (75, 16, 256, 8192, 8000, 4),
    (75, 40, 64, 100, 1000, 16),
    (80, 24, 192, 100, 90000, 1),
    (80, 24, 1024, 8192, 0, 2),
    (80, 168, 384, 0, 0, 1),
    (80, 16, 384, 40000, 50000, 1),
    (86, 200, 64, 40000, 8000, 2),
    (90, 64, 1000, 0, 0, 1),
    (90, 32, 384, 40000, 90000, 1),
    (100, 80, 32, 40000, 0, 5),
    (100, 128, 320, 100, 8000, 1),
    (100, 96, 384, 0, 0, 1),
    (120, 40, 1024, 0, 0, 1),
    (120, 255, 1024, 40000, 0, 0),
]


def needs(registers: int = 32, shared: int = 0, bound: int | None = None) -> Resources:
    return Resources(registers, 0, shared, 0, (), bound)


@pytest.mark.parametrize(("arch", "registers", "threads", "static", "dynamic", "blocks"), KNOWN)
def test_known_occupancies(
    arch: int, registers: int, threads: int, static: int, dynamic: int, blocks: int
) -> None:
    found = occupancy_of(needs(registers, static), threads, arch, dynamic)
    assert found.blocks == blocks
    assert found.warps == blocks * -(-threads // 32)
    assert found.fraction == found.warps * 32 / limits_of(arch).threads


@pytest.mark.parametrize(
    ("registers", "shared", "threads", "limit"),
    [
        (16, 0, 1024, "threads"),
        (16, 0, 32, "blocks"),
        (128, 0, 256, "registers"),
        (16, 40000, 32, "shared memory"),
        (16, 240000, 32, "shared memory"),
    ],
)
def test_what_limits(registers: int, shared: int, threads: int, limit: str) -> None:
    assert occupancy_of(needs(registers), threads, "sm_90", shared).limited_by == limit


def test_launch_bounds_limit_too() -> None:
    assert block_threads(needs(32, bound=128)) == 128
    assert occupancy_of(needs(32, bound=128), 256, 80).blocks == 0
    assert block_threads(needs(255)) == 256
    assert block_threads(needs(64)) == 1024


@given(
    arch=st.sampled_from(sorted(_LIMITS)),
    registers=st.integers(1, 255),
    threads=st.integers(1, 1024),
    shared=st.integers(0, 250_000),
)
def test_more_of_anything_never_raises_the_number_of_blocks(
    arch: str, registers: int, threads: int, shared: int
) -> None:
    found = occupancy_of(needs(registers), threads, arch, shared)
    limits = limits_of(arch)
    assert 0 <= found.blocks <= limits.blocks and found.fraction <= 1
    assert found.blocks * shared <= limits.shared
    assert found.blocks * threads <= limits.threads
    assert found.blocks * threads * registers <= 65536
    assert (found.blocks == 0) == (
        threads > block_threads(needs(registers)) or shared > limits.shared_per_block
    )
    for more in (
        occupancy_of(needs(min(registers + 8, 255)), threads, arch, shared),
        occupancy_of(needs(registers), min(threads + 32, 1024), arch, shared),
        occupancy_of(needs(registers), threads, arch, shared + 1000),
    ):
        assert more.blocks <= found.blocks


def test_unknown_architectures() -> None:
    with pytest.raises(cuda.ArchitectureError, match="limits of sm_70 are not known; known are"):
        limits_of("sm_70")
    assert limits_of("sm_90a") == limits_of("compute_90") == limits_of(90)
    assert issubclass(cuda.ArchitectureError, GpuopsError | ValueError)


SOURCE = """
extern "C" __global__ void plain(int* x) { x[threadIdx.x] = 1; }
extern "C" __global__ void __launch_bounds__(192) bound(int* x) { x[threadIdx.x] = 1; }
extern "C" __global__ void __launch_bounds__(16) tiny(int* x) { x[threadIdx.x] = 1; }
"""


def kernel(name: str) -> cuda.Kernel:
    return cuda.Kernel(SOURCE, name)


def test_occupancy_of_a_kernel() -> None:
    assert cuda.occupancy(kernel("plain"), (16, 16), arch="sm_80").blocks == 8
    assert cuda.occupancy(kernel("bound"), 256, arch="sm_80").blocks == 0
    with pytest.raises(ArgumentError, match="block must have at most 1024 threads"):
        cuda.occupancy(kernel("plain"), (64, 32), arch="sm_80")


def test_block_sizes() -> None:
    plain = kernel("plain")
    assert cuda.best_block_size(plain, arch="sm_75") == 1024
    assert cuda.best_block_size(plain, arch="sm_86") == 768  # of 1536 threads, 1024 would be 2/3
    assert cuda.best_block_size(plain, arch="sm_90", limit=600) == 512
    assert cuda.best_block_size(kernel("bound"), arch="sm_90") == 128  # 16 blocks; of 192, only 10
    # A block of 1024 threads needs 128 KiB: one fits; of 800 threads two do; smaller ones need
    # less memory in all, and more of them fit.
    sized = cuda.best_block_size(plain, lambda threads: threads * 128, arch="sm_90")
    best = cuda.occupancy(plain, sized, sized * 128, arch="sm_90").warps
    for threads in range(32, 1025, 32):
        warps = cuda.occupancy(plain, threads, threads * 128, arch="sm_90").warps
        assert warps < best or (warps == best and threads <= sized)


def test_no_block_size() -> None:
    with pytest.raises(ArgumentError, match="'tiny' cannot be launched on sm_90 with whole warps"):
        cuda.best_block_size(kernel("tiny"), arch="sm_90")
    with pytest.raises(ArgumentError, match="'plain' cannot be launched"):
        cuda.best_block_size(kernel("plain"), 300_000, arch="sm_90")


def test_without_an_architecture_the_device_is_asked() -> None:
    from tests import standin_cupy

    with standin_cupy.loaded(compute_capability="86"):
        assert cuda.best_block_size(kernel("plain")) == 768
        assert cuda.occupancy(kernel("plain"), 1024).fraction == 1024 / 1536
    with standin_cupy.loaded(devices=0), pytest.raises(DeviceError, match="cannot ask for the cur"):
        cuda.occupancy(kernel("plain"), 1024)

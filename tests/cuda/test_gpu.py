"""What only a GPU can show: that loaded kernels run, where, on which stream, and what it says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpuops import cuda
from gpuops.cuda.binaries import build, obtain
from gpuops.cuda.launcher import LoadedKernel, current_arch
from gpuops.errors import ArgumentError

pytestmark = pytest.mark.cuda

SOURCE = r"""
#include <cuda_fp16.h>
struct Pair { float a; int b; };
extern "C" __global__ void axpy(const float* x, const float* y, float s, float* out, long long n) {
    long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    if (i < n) out[i] = s * x[i] + y[i];
}
extern "C" __global__ void numbers(double* out, bool a, signed char b, unsigned char c, short d,
                                   unsigned short e, int f, unsigned int g, long long h,
                                   unsigned long long i, float j, double k, __half l, Pair m,
                                   const void* null) {
    const double all[] = {double(a), double(b), double(c), double(d), double(e), double(f),
                          double(g), double(h), double(i), double(j), k, double(__half2float(l)),
                          double(m.a), double(m.b), null ? 1.0 : 0.0};
    for (int n = 0; n < 15; n++) out[n] = all[n];
}
extern "C" __global__ void reversed(float* x, int n) {
    extern __shared__ float room[];
    for (int i = threadIdx.x; i < n; i += blockDim.x) room[i] = x[i];
    __syncthreads();
    for (int i = threadIdx.x; i < n; i += blockDim.x) x[i] = room[n - 1 - i];
}
extern "C" __global__ void spin(long long cycles, int* out) {
    const long long start = clock64();
    while (clock64() - start < cycles) {}
    *out = 1;
}
"""


@pytest.fixture
def cp() -> Any:
    return pytest.importorskip("cupy")


def test_a_launch(cp: Any) -> None:
    x, y = (cp.random.random(100_003, dtype=np.float32) for _ in range(2))
    out = cp.empty_like(x)
    cuda.Kernel(SOURCE, "axpy")(
        cuda.grid_size(x.size, 256), 256, (x, y, 2.5, out, x.size)
    )  # fmt: skip
    np.testing.assert_allclose(out.get(), 2.5 * x.get() + y.get(), rtol=1e-6)


@pytest.mark.parametrize("numpy_scalars", [False, True])
def test_numbers_arrive_as_they_are(numpy_scalars: bool, cp: Any) -> None:
    values = [True, -5, 200, -300, 60000, -7, 4_000_000_000, -(2**40), 2**63, 1.5, 2.5, 0.5]
    types = ["bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64",
             "float32", "float64", "float16"]  # fmt: skip
    given: list[Any] = list(values)
    if numpy_scalars:
        given = [np.dtype(name).type(value) for name, value in zip(types, values, strict=True)]
    pair = np.array((3.5, -9), np.dtype([("a", "f4"), ("b", "i4")]))
    out = cp.zeros(15)
    cuda.Kernel(SOURCE, "numbers")(1, 1, (out, *given, pair, None))
    assert out.get().tolist() == [float(value) for value in values] + [3.5, -9.0, 0.0]


def test_wrong_arguments_do_not_reach_the_device(cp: Any) -> None:
    x = cp.zeros(4, np.float32)
    kernel = cuda.Kernel(SOURCE, "axpy")
    for args in (
        (x, x.astype(np.float64), 1.0, x, 4),
        (x, x[::2], 1.0, x, 4),
        (x, x, np.float64(1), x, 4),
        (x, x, 1.0, np.zeros(4, np.float32), 4),
        (x, x, 1.0, x),
    ):
        with pytest.raises(ArgumentError, match="Kernel 'axpy'"):
            kernel(1, 4, args)


def test_the_current_stream_is_used_and_not_waited_for(cp: Any) -> None:
    kernel, out = cuda.Kernel(SOURCE, "spin"), cp.zeros(1, np.int32)
    kernel(1, 1, (1, out))  # compiled and loaded before it counts
    stream = cp.cuda.Stream(non_blocking=True)
    with stream:
        kernel(1, 1, (500_000_000, out))
        assert not stream.done, "the launch waited, or ran on another stream"
    stream.synchronize()
    assert out.get()[0] == 1


def test_much_shared_memory(cp: Any) -> None:
    size = 64 * 1024 // 4
    x = cp.arange(size, dtype=np.float32)
    kernel = cuda.Kernel(SOURCE, "reversed")
    kernel(1, 256, (x, size), 4 * size)
    assert (x.get() == np.arange(size, dtype=np.float32)[::-1]).all()
    with pytest.raises(ArgumentError, match="shared_mem must be at most"):
        kernel(1, 256, (x, size), 10**6)


@pytest.mark.parametrize("name", ["axpy", "numbers", "reversed"])
def test_the_driver_agrees_on_resources_and_occupancy(name: str, cp: Any) -> None:
    kernel = cuda.Kernel(SOURCE, name)
    loaded = LoadedKernel(kernel, cp)
    resources = obtain(kernel, current_arch(cp)).resources
    driver = cp.cuda.driver
    for attribute, expected in (
        (driver.CU_FUNC_ATTRIBUTE_NUM_REGS, resources.registers),
        (driver.CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES, resources.static_shared),
        (driver.CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, loaded.max_threads),
    ):
        assert driver.funcGetAttribute(attribute, loaded.function.ptr) == expected
    count = getattr(driver, "occupancyMaxActiveBlocksPerMultiprocessor", None)
    if count is None:
        pytest.skip("this CuPy does not ask the driver for the occupancy")
    for threads in (32, 96, 256, 1024):
        for shared in (0, 1000, 20_000, 48_000):
            expected = count(loaded.function.ptr, threads, shared)
            assert cuda.occupancy(kernel, threads, shared).blocks == expected


def test_built_cubins_are_loaded(
    cp: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    source = SOURCE + "// only here"
    path = build(cuda.Kernel(source, "axpy"), current_arch(cp), tmp_path)
    monkeypatch.setenv("GPUOPS_CUBIN_PATH", str(tmp_path))
    kernel = cuda.Kernel(source, "axpy")
    x = cp.ones(4, np.float32)
    kernel(1, 4, (x, x, 3.0, x, 4))
    assert x.get().tolist() == [4.0] * 4
    assert obtain(kernel, current_arch(cp)).origin == path
    assert capfd.readouterr().err == ""


def test_every_device_runs_its_own(cp: Any) -> None:
    count = cp.cuda.runtime.getDeviceCount()
    if count < 2:
        pytest.skip("one GPU only")
    kernel = cuda.Kernel(SOURCE, "axpy")
    for device in reversed(range(count)):
        with cp.cuda.Device(device):
            x = cp.ones(4, np.float32)
        kernel(1, 4, (x, x, 3.0, x, 4))
        assert x.get().tolist() == [4.0] * 4


FAULT = """
import cupy as cp, gpuops
from gpuops import cuda
good = cuda.Kernel('extern "C" __global__ void good(int* x) { *x = 1; }', "good")
bad = cuda.Kernel('extern "C" __global__ void bad(int* x) { x[1LL << 40] = 1; }', "bad")
x = cp.zeros(1, "int32")
with gpuops.debug():
    good(1, 1, (x,))
    try:
        bad(3, 32, (x,))
    except cuda.LaunchError as error:
        print(error)
"""


def test_debug_mode_names_the_kernel_at_fault(cp: Any) -> None:
    """In a process of its own: after an illegal access nothing else works in it."""
    done = subprocess.run(
        [sys.executable, "-c", FAULT], capture_output=True, text=True, env=dict(os.environ)
    )
    assert done.stdout.startswith("Kernel 'bad' failed (grid (3, 1, 1), block (32, 1, 1)"), done

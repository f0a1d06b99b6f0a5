"""Launches, on a stand-in for CuPy that records what the driver is asked to do."""

from __future__ import annotations

import copy
import importlib.util
import inspect
import multiprocessing
import os
import pickle
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuops
from gpuops import cuda
from gpuops.cuda import binaries, launcher
from gpuops.cuda.cubin import read_cubin
from gpuops.errors import ArgumentError, DeviceError, RegistrationError
from tests import standin_cupy
from tests.standin_cupy import Launch, StandIn

SOURCE = r"""
template <typename T> __global__ void scale(const T* x, T* out, T s, long long n) {
    long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    if (i < n) out[i] = x[i] * s;
}
extern "C" __global__ void __launch_bounds__(128) small(float* x) { *x = 1; }
extern "C" __global__ void tiled(float* x) {
    __shared__ float tile[1024];
    extern __shared__ float more[];
    tile[threadIdx.x] = more[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    x[threadIdx.x] = tile[1023 - threadIdx.x] + more[1023 - threadIdx.x];
}
"""


def scale() -> cuda.Kernel:
    return cuda.Kernel(SOURCE, "scale<float>")


def array(cupy: StandIn, *shape: int, device: int = 0, dtype: str = "float32") -> Any:
    return cupy.ndarray(np.ones(shape, dtype), device)


# -- one launch ------------------------------------------------------------------------------------


def test_a_launch(cupy: StandIn) -> None:
    x, out = array(cupy, 8), array(cupy, 8)
    kernel = scale()
    kernel(1, 256, (x, out, 2.5, 8))
    (device, code), (launch,) = cupy.gpu.loaded[0], cupy.gpu.launches
    assert device == 0 and launch.symbol in read_cubin(code)
    assert launch == Launch(0, launch.symbol, (1, 1, 1), (256, 1, 1), launch.args, 0)
    assert launch.args[0] is x and launch.args[1] is out
    assert launch.args[2] == 2.5 and launch.args[2].dtype == np.float32
    assert launch.args[3] == 8
    kernel((4, 2), (32, 8), (x, out, np.float32(1), np.int64(8)), shared_mem=64)
    kernel([np.int64(3)], np.int32(7), [x, out, 1, 8])
    assert [(one.grid, one.block, one.shared_mem) for one in cupy.gpu.launches[1:]] == [
        ((4, 2, 1), (32, 8, 1), 64),
        ((3, 1, 1), (7, 1, 1), 0),
    ]
    assert len(cupy.gpu.loaded) == 1, "loaded more than once"
    assert cupy.gpu.waits == 0, "a launch must not wait"


def test_the_cubin_is_the_devices(cupy: StandIn) -> None:
    with standin_cupy.loaded(compute_capability="75") as turing:
        scale()(1, 1, (array(turing, 1), array(turing, 1), 1.0, 1))
    scale()(1, 1, (array(cupy, 1), array(cupy, 1), 1.0, 1))
    assert turing.gpu.loaded[0][1] == binaries.obtain(scale(), "sm_75").code
    assert cupy.gpu.loaded[0][1] == binaries.obtain(scale(), "sm_90").code
    assert turing.gpu.loaded != cupy.gpu.loaded


def test_wrong_arguments_are_not_launched(cupy: StandIn) -> None:
    x, wide = array(cupy, 8), array(cupy, 8, dtype="float64")
    for args, message in (
        ((x, x, 2.0), "takes 4 arguments, got 3"),
        ((x, wide, 2.0, 8), r"argument 1 \(float\* out\) must be an array of float32"),
        ((x, np.ones(8, np.float32), 2.0, 8), "must be a cupy.ndarray of float32; got numpy"),
        ((x, x[::2], 2.0, 8), "C-contiguous"),
        ((x, x, np.float64(2), 8), "not a NumPy scalar of another type"),
    ):
        with pytest.raises(ArgumentError, match=message):
            scale()(1, 256, args)
    assert cupy.gpu.launches == []


@pytest.mark.parametrize(
    ("grid", "block", "message"),
    [
        (2**31, 1, "grid must be from 0 to .* along x, y and z, got 2147483648"),
        (-1, 1, "grid must be from 0"),
        ((1, 65536), 1, "grid must be from 0"),
        (1, 0, "block must be from 1"),
        (1, 1025, "block must be from 1"),
        (1, (1, 1, 65), "block must be from 1"),
        (1, (32, 33), "block must have at most 1024 threads, got \\(32, 33\\)"),
        (1.0, 1, "grid must be an int or a tuple of one to three, got 1.0"),
        ((1, 1, 1, 1), 1, "grid must be an int or a tuple of one to three"),
        ((), 1, "grid must be an int or a tuple of one to three"),
        (1, "32", "block must be an int or a tuple of one to three, got '32'"),
        (1, (1.5,), "block must be an int"),
    ],
)
def test_sizes_no_gpu_accepts(grid: Any, block: Any, message: str, cupy: StandIn) -> None:
    with pytest.raises(ArgumentError, match=f"Kernel 'scale<float>': {message}"):
        scale()(grid, block, ())
    assert cupy.gpu.loaded == []


def test_an_empty_grid_launches_nothing(cupy: StandIn) -> None:
    scale()(0, 256, (array(cupy, 0), array(cupy, 0), 1.0, 0))
    scale()((3, 0), 256, (array(cupy, 0), array(cupy, 0), 1.0, 0))
    assert cupy.gpu.loaded == [] and cupy.gpu.launches == []


def test_more_threads_than_launch_bounds_allow(cupy: StandIn) -> None:
    kernel = cuda.Kernel(SOURCE, "small")
    kernel(1, 128, (array(cupy, 1),))
    with pytest.raises(
        ArgumentError, match=r"'small': block \(16, 16, 1\) has 256 threads; with it"
    ):
        kernel(1, (16, 16), (array(cupy, 1),))
    assert len(cupy.gpu.launches) == 1


def test_much_shared_memory_is_asked_for(cupy: StandIn) -> None:
    kernel, x = cuda.Kernel(SOURCE, "tiled"), array(cupy, 1024)
    kernel(1, 1024, (x,), 44 * 1024)  # 4 KiB are static: 48 KiB in all need no asking
    assert cupy.gpu.attributes == []
    kernel(1, 1024, (x,), 44 * 1024 + 1)
    kernel(1, 1024, (x,), 44 * 1024 + 1)
    kernel(1, 1024, (x,), 100 * 1024)
    kernel(1, 1024, (x,), 60 * 1024)
    assert cupy.gpu.attributes == [("tiled", 8, 44 * 1024 + 1), ("tiled", 8, 100 * 1024)]
    with pytest.raises(
        ArgumentError, match="shared_mem must be at most 228352 bytes .* got 232448"
    ):
        kernel(1, 1024, (x,), 227 * 1024)
    assert len(cupy.gpu.launches) == 5


# -- several devices -------------------------------------------------------------------------------


def test_a_launch_goes_to_the_arrays_device(two_gpus: StandIn) -> None:
    kernel = scale()
    for device in (1, 0, 1):
        x = array(two_gpus, 4, device=device)
        kernel(1, 32, (x, x, 1.0, 4))
    assert [one.device for one in two_gpus.gpu.launches] == [1, 0, 1]
    assert [device for device, _ in two_gpus.gpu.loaded] == [1, 0], "loaded once per device"
    assert two_gpus.current == 0
    assert two_gpus.entered == [1, 1], "the current device needs no guard"
    with pytest.raises(ArgumentError, match="takes 4 arguments"):
        kernel(1, 32, (array(two_gpus, 4, device=1),))
    assert two_gpus.current == 0, "an error leaves the current device as it was"


def test_arrays_on_several_devices(two_gpus: StandIn) -> None:
    here, there = array(two_gpus, 4), array(two_gpus, 4, device=1)
    with pytest.raises(DeviceError, match="argument 0 on device 0, argument 1 on device 1. Pass "):
        scale()(1, 32, (here, there, 1.0, 4))
    scale()(1, 32, (here, cuda.pointer(there), 1.0, 4))
    scale()(1, 32, (cuda.pointer(there), None, 1.0, 4))
    scale()(1, 32, (None, None, 1.0, 4))
    assert [one.device for one in two_gpus.gpu.launches] == [0, 1, 0]
    assert two_gpus.gpu.launches[0].args[1] is there


# -- errors ----------------------------------------------------------------------------------------


def test_no_cupy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(DeviceError, match="to launch 'scale<float>' takes CuPy: pip install"):
        scale()(1, 1, ())


@pytest.mark.parametrize("devices", [0, -1])
def test_no_device(devices: int) -> None:
    with standin_cupy.loaded(devices=devices) as module:
        if devices < 0:

            def fail() -> int:
                raise standin_cupy.RuntimeApiError("cudaErrorInsufficientDriver")

            module.cuda.runtime.getDeviceCount = fail
        with pytest.raises(DeviceError, match="cannot launch 'scale<float>': .*no (CUDA )?device"):
            scale()(1, 1, ())


def test_a_source_that_does_not_compile_names_the_authors_line(
    cupy: StandIn, tmp_path: Path
) -> None:
    path = tmp_path / "broken.cu"
    path.write_text("__global__ void broken(float* x) {\n    *x = y;\n}\n")
    kernel = cuda.Kernel(path, "broken")
    with pytest.raises(cuda.CompileError) as caught:
        kernel(1, 1, (array(cupy, 1),))
    assert (caught.value.filename, caught.value.line) == (str(path), 2)
    assert str(caught.value).startswith(f'{path}:2: identifier "y" is undefined, compiling broken')
    assert "*x = y;" in str(caught.value)
    text = cuda.Kernel("__global__ void open() {", "open")
    with pytest.raises(cuda.CompileError, match=r"^open.cu:1: expected a \"}\" at the end"):
        text.compile("sm_80")
    with pytest.raises(cuda.CompileError, match="has no __global__ function nosuch: identifier"):
        cuda.Kernel("__global__ void f() {}", "nosuch").compile("sm_80")


def test_an_unknown_architecture() -> None:
    with pytest.raises(cuda.ArchitectureError, match=r"NVRTC \d+\.\d+ does not compile for sm_999"):
        scale().compile("sm_999")
    with pytest.raises(cuda.ArchitectureError, match="expected an architecture such as 'sm_80'"):
        scale().compile("volta")


def test_a_cubin_the_driver_refuses(cupy: StandIn) -> None:
    cupy.gpu.load_error = "CUDA_ERROR_NO_BINARY_FOR_GPU"
    with pytest.raises(
        cuda.LaunchError, match=r"'scale<float>': the cubin for sm_90 from .* cannot be loaded on "
        r"device 0 \(compute capability 90\): CUDA_ERROR_NO_BINARY_FOR_GPU",
    ):  # fmt: skip
        scale()(1, 1, (None, None, 1.0, 1))


def test_a_launch_the_driver_refuses(cupy: StandIn) -> None:
    cupy.gpu.launch_error = "CUDA_ERROR_ILLEGAL_ADDRESS"
    with pytest.raises(cuda.LaunchError) as caught:
        scale()(3, 64, (None, None, 1.0, 1))
    text = str(caught.value)
    assert text.startswith(
        "Kernel 'scale<float>' could not be launched (grid (3, 1, 1), block (64, 1, 1), "
        "shared_mem 0): CUDA_ERROR_ILLEGAL_ADDRESS"
    )
    assert "GPUOPS_DEBUG=1" in text and f"{__file__}:" in text


# -- debug mode ------------------------------------------------------------------------------------


def test_debug_mode_waits_and_names_the_kernel(cupy: StandIn) -> None:
    kernel, args = scale(), (None, None, 1.0, 1)
    with gpuops.debug():
        kernel(1, 32, args)
        assert cupy.gpu.waits == 2
        cupy.gpu.sync_errors = [None, "cudaErrorIllegalAddress"]
        with pytest.raises(cuda.LaunchError) as caught:
            kernel(5, 32, args)
        assert str(caught.value).startswith(
            "Kernel 'scale<float>' failed (grid (5, 1, 1), block (32, 1, 1), shared_mem 0): "
            "cudaErrorIllegalAddress. The kernel was made at "
        )
        assert len(cupy.gpu.launches) == 2
        # What an earlier kernel did wrong is not blamed on this one, and this one does not run.
        cupy.gpu.sync_errors = ["cudaErrorIllegalAddress"]
        with pytest.raises(cuda.LaunchError, match="was not launched: what ran before it on this"):
            kernel(5, 32, args)
        assert len(cupy.gpu.launches) == 2
        with gpuops.debug(False):
            waits = cupy.gpu.waits
            kernel(1, 32, args)
            assert cupy.gpu.waits == waits
    kernel(1, 32, args)
    assert cupy.gpu.waits == waits


def test_debug_mode_does_not_wait_for_a_capture(cupy: StandIn) -> None:
    cupy.gpu.capturing = True
    with gpuops.debug():
        scale()(1, 32, (None, None, 1.0, 1))
    assert cupy.gpu.waits == 0 and len(cupy.gpu.launches) == 1


# -- threads, forks, pickles -----------------------------------------------------------------------


def test_threads_compile_and_load_once(two_gpus: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def slow(kernel: cuda.Kernel, arch: str) -> Any:
        asked.append(arch)
        time.sleep(0.05)
        return binaries.obtain(kernel, arch)

    monkeypatch.setattr(launcher, "obtain", slow)
    kernel, x = scale(), array(two_gpus, 4)
    barrier = threading.Barrier(8)

    def launch(_: int) -> None:
        barrier.wait()
        kernel(1, 32, (x, x, 1.0, 4))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(launch, range(8)))
    assert asked == ["sm_90"]
    assert len(two_gpus.gpu.loaded) == 1 and len(two_gpus.gpu.launches) == 8


def test_a_kernel_is_pickled_by_its_text(cupy: StandIn, tmp_path: Path) -> None:
    path = tmp_path / "one.cu"
    path.write_text('extern "C" __global__ void one(float* x) { *x = 1; }')
    kernel = cuda.Kernel(path, "one", options=("-DN=1",))
    kernel(1, 1, (array(cupy, 1),))
    data = pickle.dumps(kernel)
    path.unlink()
    for other in (pickle.loads(data), copy.deepcopy(kernel), copy.copy(kernel)):
        assert (other.name, other.options, other.source) == (
            kernel.name, kernel.options, kernel.source,
        )  # fmt: skip
        other(1, 1, (array(cupy, 1),))
    assert len(cupy.gpu.loaded) == len(cupy.gpu.launches) == 4, "each loads itself anew"


def _child(kernel: cuda.Kernel, queue: Any) -> None:
    queue.put((kernel._launch is None, str(kernel.signature)))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork processes")
def test_a_forked_child_finds_no_lock_held(cupy: StandIn) -> None:
    kernel = scale()
    kernel(1, 1, (None, None, 1.0, 1))
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    with kernel._lock, warnings.catch_warnings():
        # Python 3.12 warns of forking beside threads, and jax, once imported, of its own.
        warnings.simplefilter("ignore")
        process = context.Process(target=_child, args=(kernel, queue))
        process.start()
        process.join(60)
    code = process.exitcode
    process.kill()
    assert code == 0, "the child hangs" if code is None else "the child failed"
    assert queue.get() == (True, str(kernel.signature))


# -- making kernels --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("x", ""), ArgumentError, "name must be a function's name, got ''"),
        (("x", 3), ArgumentError, "name must be a function's name, got 3"),
        (("nosuch.cu", "f"), RegistrationError, "Kernel 'f': there is no file .*nosuch.cu"),
        ((Path("nosuch"), "f"), RegistrationError, "there is no file"),
    ],
)
def test_kernels_that_cannot_be_made(
    arguments: tuple[Any, ...], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        cuda.Kernel(*arguments)
    with pytest.raises(ArgumentError, match="options must be a sequence of strings"):
        cuda.Kernel("x", "f", options="-O1")


def test_a_file_is_found_beside_the_module_or_in_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here.cu").write_text('extern "C" __global__ void here(int* x) { *x = 1; }')
    make = "from gpuops import cuda\nkernel = cuda.Kernel('here.cu', 'here')"
    module: dict[str, Any] = {"__file__": str(tmp_path / "module.py"), "__name__": "module"}
    exec(make, module)
    assert module["kernel"].location.module == "module"
    monkeypatch.chdir(tmp_path)
    interactive: dict[str, Any] = {"__name__": "__main__"}
    exec(make, interactive)
    for kernel in (module["kernel"], interactive["kernel"]):
        assert kernel.filename == str(tmp_path / "here.cu")
        assert kernel.signature.parameters[0].name == "x"


def test_a_source_is_compiled_with_the_headers_beside_it(tmp_path: Path) -> None:
    (tmp_path / "value.cuh").write_text("constexpr int VALUE = 3;")
    path = tmp_path / "uses.cu"
    path.write_text('#include "value.cuh"\nextern "C" __global__ void uses(int* x) { *x = VALUE; }')
    assert b"uses" in cuda.Kernel(path, "uses").compile("sm_80", ptx=True).code


def test_the_generated_launch_can_be_read(cupy: StandIn) -> None:
    kernel = cuda.Kernel(SOURCE, "small")
    kernel(1, 1, (array(cupy, 1),))
    source = inspect.getsource(kernel._launch)
    assert source.startswith(
        "def launch(blocks, threads, args, shared_mem):\n"
        "    if type(args) is tuple and len(args) == 1 and shared_mem <= plain_shared "
        "and not debug.contexts and threads[0] * threads[1] * threads[2] <= max_threads:\n"
    )
    assert "return function(blocks, threads, values, shared_mem)" in source


ENCODED = """
import ctypes, numpy as np, cupy.cuda.function as function
from gpuops.cuda.launcher import _encoders
encoders = _encoders(function)
for name, encode in encoders.items():
    kind = np.dtype(name)
    if kind.kind == "f":
        values = [1.5, -0.0]
    else:
        limits = np.iinfo(kind) if kind.kind in "iu" else None
        values = [limits.min, limits.max, 7] if limits else [True, False]
    for value in values:
        made = encode(int(value) if kind.kind in "iu" else value)
        if isinstance(made, function.CPointer):
            found = ctypes.string_at(made.ptr, kind.itemsize)
            assert found == np.array(value, kind).tobytes(), (name, value, found)
        else:
            assert type(made) is float
for name, value in (("int64", 2**63), ("uint64", 2**64), ("uint64", -1), ("int64", -2**63 - 1)):
    try:
        encoders[name](value)
    except OverflowError:
        continue
    raise AssertionError((name, value))
print(sorted(encoders))
"""


def test_what_cupy_is_handed_has_the_numbers_bytes() -> None:
    """CuPy's own classes, which need no GPU; in a process of its own, as they import CuPy."""
    if importlib.util.find_spec("cupy") is None:
        pytest.skip("CuPy is not installed")
    done = subprocess.run([sys.executable, "-c", ENCODED], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "'int32'" in done.stdout and "'uint64'" in done.stdout

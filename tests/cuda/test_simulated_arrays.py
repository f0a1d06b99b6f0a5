"""Arrays of the simulated GPU: where they are, what they give, what they refuse; moving arrays."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import gpuops
from gpuops import Array, Device
from gpuops.cuda.simulated import SimulatedArray
from gpuops.errors import ArgumentError, DeviceError

ONE, TWO = "(Array a) -> Array", "(Array a, Array b) -> Array"


@pytest.fixture
def x() -> Iterator[Any]:
    """float32 0..5 in 2x3 on the simulated device, inside the simulator's context."""
    with gpuops.cuda.simulator():
        yield gpuops.asarray(np.arange(6, dtype=np.float32).reshape(2, 3), device="cuda")


def test_moving_copies_and_staying_does_not(x: Any) -> None:
    host = np.arange(3.0)
    there = gpuops.asarray(host, device="cuda")
    there[0] = 7
    assert host[0] == 0 and there.get()[0] == 7
    assert gpuops.asarray(there, device="cuda") is there is gpuops.asarray(there)
    assert gpuops.asarray(host, device="cpu") is host
    back = gpuops.asarray(there, device="cpu")
    assert type(back) is np.ndarray and not np.shares_memory(back, there.view(np.ndarray))
    assert gpuops.device_of(there) is Device("cuda:0") is there.device


def test_asarray_takes_numbers_lists_and_dtypes() -> None:
    assert gpuops.asarray([1, 2]).tolist() == [1, 2]
    assert gpuops.asarray(3, dtype="float16").dtype == np.float16
    with gpuops.cuda.simulator():
        got = gpuops.asarray([[1, 2]], dtype=np.int8, device=Device("cuda:0"))
    assert type(got) is SimulatedArray and got.dtype == np.int8 and got.shape == (1, 2)


@pytest.mark.parametrize("bad", [object(), {"a": 1}, [object()]])
def test_asarray_says_what_it_cannot_take(bad: Any) -> None:
    with pytest.raises(ArgumentError, match="asarray: expected an array or numbers, got"):
        gpuops.asarray(bad)


def test_devices_that_are_not_there() -> None:
    with gpuops.cuda.simulator():
        with pytest.raises(DeviceError, match="there is no cuda:1; the simulator has cuda:0 only"):
            gpuops.asarray(np.ones(2), device="cuda:1")
    with pytest.raises(DeviceError, match="Expected one of cpu, cuda"):
        gpuops.asarray(np.ones(2), device="tpu")


@pytest.mark.skipif(gpuops.cuda.why_unavailable() is None, reason="this machine has a GPU")
def test_without_a_gpu_the_error_names_the_simulator() -> None:
    with pytest.raises(DeviceError, match=r"gpuops.cuda.simulator\(\) runs kernels"):
        gpuops.asarray(np.ones(2), device="cuda")
    with pytest.raises(DeviceError, match=r"gpuops.cuda.simulator\(\) runs kernels"):
        gpuops.cuda.namespace("cuda")


def test_namespaces() -> None:
    assert gpuops.cuda.namespace("cpu") is np
    with gpuops.cuda.simulator():
        xp = gpuops.cuda.namespace("cuda:0")
        assert type(xp.empty((2, 3), dtype=np.int64)) is SimulatedArray
        assert xp.float32 is np.float32 and xp.pi == np.pi
        assert gpuops.asarray([1], device="cuda").__array_namespace__() is xp


@pytest.mark.parametrize(
    "make",
    [
        lambda x, xp: x + 1,
        lambda x, xp: 2.0 * x,
        lambda x, xp: np.exp(x),
        lambda x, xp: xp.exp(x),
        lambda x, xp: x @ x.T,
        lambda x, xp: x.sum(),
        lambda x, xp: x.mean(axis=0),
        lambda x, xp: x.max(),
        lambda x, xp: x[0],
        lambda x, xp: x[0, 1],
        lambda x, xp: x[x > 2],
        lambda x, xp: x.reshape(-1).copy(),
        lambda x, xp: x.astype(np.int32),
        lambda x, xp: xp.concatenate([x, x]),
        lambda x, xp: np.stack([x, x]),
        lambda x, xp: xp.linalg.norm(x),
        lambda x, xp: xp.asarray(np.ones(3)),
        lambda x, xp: xp.ascontiguousarray(x.T),
        lambda x, xp: xp.linalg.svd(x).S,
        lambda x, xp: xp.nonzero(x)[0],
        lambda x, xp: xp.add(x, x, out=x),
    ],
)
def test_results_stay_on_the_device(x: Any, make: Any) -> None:
    expected = make(x.get(), np)
    got = make(x, x.__array_namespace__())
    assert type(got) is SimulatedArray
    assert got.shape == np.shape(expected) and got.dtype == np.asarray(expected).dtype
    assert np.array_equal(got.get(), expected)


def test_numbers_that_the_host_asks_for(x: Any) -> None:
    assert float(x.sum()) == 15.0 and int(x[1, 2]) == 5 and x[1, 1].item() == 4.0
    assert bool((x >= 0).all()) and x.tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize(
    ("mix", "name"),
    [
        (lambda x: x + np.ones(3), "numpy.add"),
        (lambda x: np.ones(3) * x, "numpy.multiply"),
        (lambda x: np.concatenate([x, np.ones((1, 3))]), "numpy.concatenate"),
        (lambda x: x.__array_namespace__().exp(np.ones(3)), "numpy.exp"),
        (lambda x: np.add(x, x, out=np.empty((2, 3), np.float32)), "numpy.add"),
    ],
)
def test_mixing_with_the_host_is_refused_as_by_cupy(x: Any, mix: Any, name: str) -> None:
    with pytest.raises(DeviceError, match=f"{name}: expected arrays on cuda:0, got numpy.ndarray"):
        mix(x)


def test_operators_run_their_cuda_kernel(x: Any, ns: str) -> None:
    seen = []

    @gpuops.custom_op(f"{ns}::double", mutates_args=(), device_types="cpu")
    def double(x: Array) -> Array:
        seen.append("cpu")
        return 2 * x

    @double.register_kernel("cuda")
    def double_cuda(x: Any) -> Any:
        seen.append("cuda")
        return x.__array_namespace__().multiply(x, 2)

    for _ in range(2):  # the second call takes the quick path
        got = double(x)
        assert type(got) is SimulatedArray and np.array_equal(got.get(), 2 * x.get())
    double(x.get())
    assert seen == ["cuda", "cuda", "cpu"]


def test_without_a_cuda_kernel_the_error_names_the_devices(x: Any, ns: str) -> None:
    op = gpuops.custom_op(f"{ns}::f", lambda a: a, mutates_args=(), schema=ONE, device_types="cpu")
    message = f"{ns}::f does not have a kernel registered for cuda; it has kernels for cpu"
    with pytest.raises(NotImplementedError, match=message):
        op(x)


def test_mixed_devices_are_an_error_that_names_both(x: Any, ns: str) -> None:
    add = gpuops.custom_op(f"{ns}::add", lambda a, b: a, mutates_args=(), schema=TWO)
    with pytest.raises(DeviceError, match="'a' is on cuda:0 and 'b' is on cpu"):
        add(x, x.get())


def test_a_kernel_that_returns_a_host_array_is_found_out(x: Any, ns: str) -> None:
    op = gpuops.custom_op(f"{ns}::f", lambda a: a.get(), mutates_args=(), schema=ONE)
    with pytest.raises(gpuops.ReturnError, match=f"{ns}::f"):
        op(x)


def test_debug_mode_sees_views_of_one_allocation(x: Any, ns: str) -> None:
    op = gpuops.custom_op(f"{ns}::f", lambda a: a[:1], mutates_args=(), schema=ONE)
    with gpuops.debug(), pytest.raises(gpuops.AliasError, match="may not alias"):
        op(x[1:])


def test_factories_find_the_simulated_device(ns: str) -> None:
    def zeros(n: int, device: gpuops.Device) -> Array:
        return gpuops.cuda.namespace(device).zeros(n)

    op = gpuops.custom_op(f"{ns}::zeros", zeros, mutates_args=(), device_types=["cpu", "cuda"])
    assert type(op(2, device="cpu")) is np.ndarray
    with gpuops.cuda.simulator():
        assert type(op(2, device="cuda")) is SimulatedArray
        assert type(op(2, device="cuda:0")) is SimulatedArray


def test_the_context_is_of_one_thread_and_ends() -> None:
    inside = []

    def look() -> None:
        from gpuops.devices import simulated_kind

        inside.append(simulated_kind.get())

    with gpuops.cuda.simulator():
        with gpuops.cuda.simulator():
            pass
        assert type(gpuops.asarray([1], device="cuda")) is SimulatedArray
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
    look()
    assert inside == [None, None]


LAYOUTS = {
    "contiguous": lambda x: x,
    "strided": lambda x: x[::2, ::3],
    "reversed": lambda x: x[::-1, ::-1],
    "fortran": lambda x: x.T,
    "broadcast": lambda x: np.broadcast_to(x[:1], x.shape),
    "unaligned": lambda x: x.view(np.uint8).reshape(-1)[4:-4].view(np.float64).reshape(-1),
    "0-d": lambda x: x[1, 1, ...],
    "empty": lambda x: x[:0],
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_copies_with_their_layout(layout: str, device: str) -> None:
    x = LAYOUTS[layout](np.random.default_rng(0).random((6, 8)))
    x.flags.writeable = layout not in ("strided", "broadcast")
    with gpuops.cuda.simulator():
        got = gpuops.cuda.copy_with_layout(x, device)
        host = gpuops.asarray(got, device="cpu")
        dense = gpuops.cuda.contiguous(got)
    assert str(gpuops.device_of(got)).startswith(device)
    assert (got.shape, got.dtype) == (x.shape, x.dtype)
    assert got.strides == x.strides or not x.size, "those of an empty array mean nothing"
    assert got.flags.aligned == x.flags.aligned and np.array_equal(host, x)
    assert got.flags.writeable == x.flags.writeable and not np.shares_memory(host, x)
    assert dense.flags.c_contiguous and dense.flags.aligned and dense.shape == x.shape
    assert type(dense) is type(got) and np.array_equal(gpuops.asarray(dense, device="cpu"), x)
    assert (dense is got) == (layout in ("contiguous", "0-d", "empty"))


COPY = """
extern "C" __global__ void copy(const float* x, float* out, int n) {
    if (threadIdx.x < n) out[threadIdx.x] = x[threadIdx.x];
}
"""


def test_reading_what_empty_gave_is_found_out(x: Any) -> None:
    copy = gpuops.cuda.Kernel(COPY, "copy")
    xp = x.__array_namespace__()
    fresh, out = xp.empty(6, dtype=np.float32), xp.empty(6, dtype=np.float32)
    with pytest.raises(gpuops.cuda.SimulationError, match="uninitialised") as caught:
        copy(1, 32, (fresh, out, 6))
    assert caught.value.kind == "UNINITIALISED" and "copy.cu:3" in str(caught.value)
    copy(1, 32, (x, fresh, 4))
    assert fresh.written.tolist() == [True] * 16 + [False] * 8
    assert fresh[4:].written.tolist() == [False] * 8
    copy(1, 32, (fresh, out, 4))  # what a kernel wrote may be read
    with pytest.raises(gpuops.cuda.SimulationError, match="uninitialised"):
        copy(1, 32, (fresh, out, 5))


@pytest.mark.parametrize(
    "write",
    [
        lambda a: a.fill(0),
        lambda a: a.__setitem__(0, 1),
        lambda a: np.add(a, a, out=a),
        lambda a: a.__iadd__(1),
        lambda a: np.copyto(a, 1),
        lambda a: a.__array_namespace__().copyto(a, 1),
        lambda a: a.view(np.ndarray).fill(0),
    ],
)
def test_what_numpy_writes_counts_as_written(x: Any, write: Any) -> None:
    fresh = x.__array_namespace__().empty_like(x)
    assert not fresh.written.any() and not fresh[1:].written.any()
    assert fresh.copy().written is None, "a copy is other memory"
    fresh = x.__array_namespace__().empty_like(x)
    write(fresh)
    assert fresh.written.all()
    gpuops.cuda.Kernel(COPY, "copy")(1, 32, (fresh, x, 6))


@pytest.mark.parametrize(
    "function",
    [
        lambda x, w: x * w,
        lambda x, w: w - x,
        lambda x, w: np.multiply(x, w),
        lambda x, w: np.concatenate([x, w]),
        lambda x, w: np.where(x > 1, w, x),
    ],
)
def test_arrays_of_transforms_beside_it_get_the_call(x: Any, function: Any) -> None:
    host = x.get()
    for wrap in (gpuops.grad, lambda f: gpuops.vmap(f, out_dims=0)):
        if wrap is gpuops.grad:
            found = wrap(lambda w: gpuops.xp.sum(function(x, w)))(x)
            expected = wrap(lambda w: gpuops.xp.sum(function(host, w)))(host)
        else:
            found = wrap(lambda w: function(x, w * x))(x)
            expected = wrap(lambda w: function(host, w * host))(host)
        assert gpuops.device_of(found).type == "cuda"
        np.testing.assert_array_equal(found.get(), expected)
    second = gpuops.grad(lambda w: gpuops.xp.sum(gpuops.grad(lambda w: (w * w * w).sum())(w)))(x)
    np.testing.assert_array_equal(second.get(), 6 * host)

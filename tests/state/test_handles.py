"""cuBLAS handles, workspaces, and the operator that takes a handle."""

from __future__ import annotations

import gc
import os
import sys
import threading
import weakref
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gpuops
import gpuops_kernels
from gpuops import FakeArray, FakeMode, trace
from gpuops.cuda import CublasHandle, HandleError, Workspace, default_handle
from gpuops.cuda.handles import _library
from gpuops.pytest_plugin import CudaDevice
from tests.forks import passes_in_child

DTYPES = ("float16", "float32", "float64")


def alive() -> set[int]:
    """The simulated contexts that were created and not destroyed."""
    library: Any = _library(True)
    return set(library.alive)


def matrices(device: CudaDevice, dtype: str = "float32", rows: int = 2) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(3)
    x, weight = rng.standard_normal((rows, 3)), rng.standard_normal((4, 3))
    return tuple(device.asarray(a.astype(dtype)) for a in (x, weight, np.zeros((rows, 4))))


# -- products --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("accumulate", [False, True])
@pytest.mark.parametrize(
    "where",
    [
        pytest.param("simulated_cuda", id="simulated"),
        pytest.param("cuda_device", id="gpu", marks=pytest.mark.cuda),
    ],
)
def test_products(dtype: str, accumulate: bool, where: str, request: pytest.FixtureRequest) -> None:
    device = request.getfixturevalue(where)
    x, weight, out = matrices(device, dtype)
    out[...] = 1
    with CublasHandle() as handle:
        handle.product(x, weight, out, accumulate=accumulate)
    expected = device.get(x) @ device.get(weight).T + (1 if accumulate else 0)
    np.testing.assert_allclose(device.get(out), expected, rtol=1e-2 if dtype == "float16" else 1e-5)


def test_products_of_nothing(simulated_cuda: CudaDevice) -> None:
    with CublasHandle() as handle:
        for rows, inner, columns in [(0, 3, 4), (2, 0, 4), (2, 3, 0)]:
            x, weight = np.ones((rows, inner)), np.ones((columns, inner))
            out = simulated_cuda.asarray(np.ones((rows, columns)))
            handle.product(simulated_cuda.asarray(x), simulated_cuda.asarray(weight), out)
            assert (out.get() == 0).all()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda x, w, o: (x.get(), w, o), gpuops.DeviceError, "x must be on a GPU, got numpy"),
        (lambda x, w, o: (x, 3, o), gpuops.DeviceError, "weight must be on a GPU, got int 3"),
        (lambda x, w, o: (x[0], w, o), TypeError, "x must be a matrix of"),
        (lambda x, w, o: (x, w.astype("int32"), o), TypeError, "weight must be a matrix of"),
        (
            lambda x, w, o: (x, w.astype("float64"), o),
            TypeError,
            "weight must be .* float32 like x",
        ),
        (lambda x, w, o: (x, w, o.T), TypeError, "out must be C-contiguous"),
        (lambda x, w, o: (x[:1], w, o), TypeError, r"the shapes of x \(1, 3\), weight \(4, 3\)"),
        (lambda x, w, o: (x, w[:, :2].copy(), o), TypeError, r"weight \(4, 2\) and out \(2, 4\)"),
    ],
)
def test_what_cublas_cannot_take_is_refused(
    change: Any, error: type, message: str, simulated_cuda: CudaDevice
) -> None:
    with CublasHandle() as handle, pytest.raises(error, match=message):
        handle.product(*change(*matrices(simulated_cuda)))


# -- the life of a handle --------------------------------------------------------------------------


def test_a_context_is_made_at_the_first_use_and_once_per_thread(
    simulated_cuda: CudaDevice,
) -> None:
    arrays = matrices(simulated_cuda)
    before = alive()
    handle = CublasHandle()
    assert handle.contexts == 0 and alive() == before
    for _ in range(3):
        handle.product(*arrays)
    assert handle.contexts == 1 and len(alive() - before) == 1
    # All alive at the same time: a thread that is over may leave its number to the next one.
    together = threading.Barrier(8, timeout=30)
    sets = [matrices(simulated_cuda) for _ in range(8)]

    def work(arrays: tuple[Any, Any, Any]) -> None:
        together.wait()
        for _ in range(5):
            handle.product(*arrays)
        together.wait()

    threads = [threading.Thread(target=work, args=(arrays,)) for arrays in sets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert handle.contexts == 9 and len(alive() - before) == 9
    handle.close()
    assert handle.closed and alive() == before
    handle.close()
    with pytest.raises(HandleError, match="was closed"):
        handle.product(*arrays)
    with pytest.raises(RuntimeError, match="was closed"), handle:
        pass


def test_contexts_go_with_the_owner(simulated_cuda: CudaDevice) -> None:
    class Owner:
        def __init__(self) -> None:
            self.handle = CublasHandle()

    before = alive()
    owner = Owner()
    owner.handle.product(*matrices(simulated_cuda))
    found = weakref.ref(owner.handle)
    assert len(alive() - before) == 1
    del owner
    gc.collect()
    assert found() is None and alive() == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork processes")
def test_a_forked_child_neither_uses_nor_destroys_its_parents_contexts(
    simulated_cuda: CudaDevice,
) -> None:
    arrays = matrices(simulated_cuda)
    handle = CublasHandle()
    handle.product(*arrays)
    before = alive()

    def refused_and_nothing_destroyed() -> bool:
        handle._contexts.found.clear()
        with pytest.raises(HandleError):
            handle.product(*arrays)
        handle.close()
        return alive() == before

    assert passes_in_child(refused_and_nothing_destroyed)
    handle.close()


def test_cublas_is_asked_for_with_a_reason() -> None:
    """Without a GPU the real library says what is missing; the simulated one needs nothing."""
    from gpuops.cuda.available import why_unavailable

    if why_unavailable() is None:
        pytest.skip("there is a GPU here, so nothing is missing")
    with pytest.raises(gpuops.DeviceError, match="use cuBLAS"):
        _library(False)


def test_the_default_handle_is_one(simulated_cuda: CudaDevice) -> None:
    assert default_handle() is default_handle() and not default_handle().closed


# -- workspaces ------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 5000), max_size=5))
@settings(deadline=None)
def test_nobody_gets_memory_that_somebody_else_has(sizes: list[int]) -> None:
    workspace = Workspace("cpu")
    for _ in range(2):
        blocks = [workspace.borrow(size) for size in sizes]
        arrays = [block.__enter__() for block in blocks]
        for number, array in enumerate(arrays):
            assert array.dtype == np.uint8
            assert array.size == 0 or array.ctypes.data % 256 == 0
            array[...] = number
        for number, (array, size) in enumerate(zip(arrays, sizes, strict=True)):
            assert array.shape == (size,) and (array == number).all()
        held = workspace.nbytes
        for block in blocks:
            block.__exit__(None, None, None)
    # The second round found everything it needed.
    assert workspace.nbytes == held == sum(sizes)
    workspace.release()
    assert workspace.nbytes == 0


def test_memory_is_lent_again_and_the_smallest_that_fits() -> None:
    workspace = Workspace("cpu")
    with workspace.borrow(100) as small, workspace.borrow(1000) as large:
        addresses = small.ctypes.data, large.ctypes.data
    with workspace.borrow(50) as again:
        assert again.ctypes.data == addresses[0]
    with workspace.borrow(500) as again:
        assert again.ctypes.data == addresses[1]
        workspace.release()
        assert workspace.nbytes == 1000
        again[...] = 1
    with pytest.raises(ZeroDivisionError), workspace.borrow(10):
        raise ZeroDivisionError
    assert repr(workspace) == f"Workspace('cpu') of {workspace.nbytes} bytes"


@pytest.mark.parametrize("nbytes", [-1, 1.5, "10", None, True])
def test_a_size_that_is_none_is_refused(nbytes: Any) -> None:
    with pytest.raises(TypeError, match="nbytes must be an int of 0 or more, got"):
        with Workspace("cpu").borrow(nbytes):
            pass


def test_threads_share_a_workspace() -> None:
    workspace = Workspace("cpu")
    failures: list[int] = []

    def work(number: int) -> None:
        for _ in range(200):
            with workspace.borrow(256) as scratch:
                scratch[...] = number
                if not (scratch == number).all():
                    failures.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    switch = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(switch)
    assert not failures
    assert workspace.nbytes <= 16 * 256


def test_on_the_simulated_device_scratch_memory_is_always_new(simulated_cuda: CudaDevice) -> None:
    """So that the simulator finds a kernel that reads what an earlier borrower left."""
    keep = gpuops.cuda.Kernel(
        'extern "C" __global__ void keep(const float* from, float* to) {'
        " to[threadIdx.x] = from[threadIdx.x]; }",
        "keep",
    )
    workspace = Workspace("cuda")
    out = simulated_cuda.asarray(np.zeros(8, np.float32))
    with workspace.borrow(32) as scratch:
        floats = scratch.view(np.float32)
        keep(1, 8, (out, floats))
        keep(1, 8, (floats, out))
    with workspace.borrow(32) as scratch:
        with pytest.raises(gpuops.cuda.SimulationError, match="uninit|never written|unwritten"):
            keep(1, 8, (scratch.view(np.float32), out))
    assert workspace.nbytes == 0


def test_operators_borrow_from_a_workspace(ns: str) -> None:
    @gpuops.custom_op(f"{ns}::sorted_sum", mutates_args=())
    def sorted_sum(x: gpuops.Array, workspace: Workspace) -> gpuops.Array:
        with workspace.borrow(x.nbytes) as scratch:
            values = scratch.view(x.dtype)
            values[...] = x
            values.sort()
            return np.asarray(values.sum())

    workspace = Workspace("cpu")
    assert sorted_sum(np.array([3.0, 1.0]), workspace) == 4
    with pytest.raises(TypeError, match="argument 'workspace' .* must be a Workspace; got None"):
        sorted_sum(np.array([3.0, 1.0]), None)


# -- linear ----------------------------------------------------------------------------------------


def test_linear_uses_the_handle_it_is_given(simulated_cuda: CudaDevice) -> None:
    x, weight, _ = matrices(simulated_cuda)
    bias = simulated_cuda.asarray(np.arange(4, dtype=np.float32))
    with CublasHandle() as handle:
        out = gpuops_kernels.linear(x, weight, bias, handle)
        assert handle.contexts == 1
        assert np.allclose(out.get(), x.get() @ weight.get().T + np.arange(4))
        gpuops_kernels.linear(x, weight, bias)
        assert handle.contexts == 1 and default_handle().contexts >= 1
    with pytest.raises(HandleError):
        gpuops_kernels.linear(x, weight, bias, handle)
    # The host's BLAS needs none and ignores one.
    host = gpuops_kernels.linear(x.get(), weight.get(), bias.get(), handle)
    assert np.allclose(host, out.get())
    with pytest.raises(TypeError, match="argument 'handle' .*CublasHandle or None; got int 3"):
        gpuops_kernels.linear(x, weight, bias, 3)


def test_linear_in_a_graph(simulated_cuda: CudaDevice) -> None:
    x, weight, _ = matrices(simulated_cuda)
    handle = CublasHandle()

    def layer(x, weight):  # type: ignore[no-untyped-def]
        gpuops_kernels.linear(x, weight, None, handle)  # nothing uses it: left out
        return gpuops_kernels.linear(x, weight, None, handle)

    graph = trace(layer, "symbolic")(x, weight)
    assert handle.contexts == 0
    assert [e.source.text for e in graph.externals] == ["L['handle']"] and len(graph.nodes) == 1
    more = matrices(simulated_cuda, rows=5)[0]
    assert np.allclose(graph(more, weight).get(), more.get() @ weight.get().T)
    assert handle.contexts == 1
    handle.close()
    with pytest.raises(HandleError):
        graph(more, weight)


@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 0, 3)])
def test_the_fake_of_linear(shape: tuple[int, ...]) -> None:
    weight, bias = FakeArray((4, 3), "float32", "cuda:1"), FakeArray((4,), "float32", "cuda:1")
    out = gpuops_kernels.linear(FakeArray(shape, "float32", "cuda:1"), weight, bias)
    assert out.shape == (*shape[:-1], 4) and str(out.device) == "cuda:1"
    with pytest.raises(ValueError, match="weight must have a column per column of x"):
        gpuops_kernels.linear(FakeArray((5,), "float32", "cuda:1"), weight, bias)
    with pytest.raises(TypeError, match="linear: weight must be float64 like x, got float32"):
        gpuops_kernels.linear(FakeArray(shape, "float64", "cuda:1"), weight, bias)


@pytest.mark.parametrize(
    ("args", "error", "message"),
    [
        ((np.ones(3, int), np.ones((2, 3)), None), TypeError, "x must be float16, .* got int64"),
        ((np.ones(()), np.ones((2, 3)), None), ValueError, "x must have at least one axis"),
        ((np.ones(3), np.ones(3), None), ValueError, "weight must have 2 axes, got 1"),
        ((np.ones(3), np.ones((2, 4)), None), ValueError, r"weight must have the shape \(n, 3\)"),
        ((np.ones(3), np.ones((2, 3)), np.ones(3)), ValueError, r"bias must have the shape \(2,\)"),
        ((np.ones(3), np.ones((2, 3)), np.ones((2, 1))), ValueError, "bias must have 1 axes"),
        ((np.ones(3), np.ones((2, 3), "f4"), None), TypeError, "weight must be float64 like x"),
    ],
)
def test_what_linear_refuses(args: Any, error: type, message: str) -> None:
    with pytest.raises(error, match=f"linear: {message}"):
        gpuops_kernels.linear(*args)
    with FakeMode():
        fakes = [None if a is None else FakeArray(a.shape, a.dtype) for a in args]
        with pytest.raises(error):
            gpuops_kernels.linear(*fakes)

"""`Graph.cuda_graph` with a stand-in for CuPy's capture: buffers, refusals, and what is kept.

That a GPU accepts the capture, and is quicker for it, is for ``-m cuda`` (in test_streams.py).
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import gpuops
from gpuops import GraphError, cuda
from gpuops.cuda import streams
from gpuops.cuda.graphs import CapturedGraph, capture
from gpuops.pytest_plugin import CudaDevice


class Capture:
    """Stands for CuPy: what is called between begin and end is called again at each launch."""

    def __init__(self) -> None:
        self.log: list[Any] = []
        self.work: list[Any] = []
        self.current = SimpleNamespace(record=lambda: "event", name="caller's")
        runtime = SimpleNamespace(streamCaptureModeRelaxed=2)
        pool = SimpleNamespace(malloc="malloc of the pool")
        self.cuda = SimpleNamespace(
            Stream=lambda non_blocking: self,
            MemoryPool=lambda: pool,
            using_allocator=self.using_allocator,
            get_current_stream=lambda: self.current,
            runtime=runtime,
        )

    @contextmanager
    def using_allocator(self, allocator: Any) -> Iterator[None]:
        self.log.append(allocator)
        try:
            yield
        finally:
            self.log.append("allocator restored")

    def wait_event(self, event: str) -> None:
        self.log.append(f"waits for the caller's {event}")

    def __enter__(self) -> None:
        self.log.append("enter")

    def __exit__(self, *exc_info: object) -> None:
        self.log.append("exit")

    def begin_capture(self, mode: int) -> None:
        assert mode == 2
        self.log.append("begin")

    def end_capture(self) -> Any:
        self.log.append("end")
        return SimpleNamespace(launch=self.launch)

    def launch(self, stream: Any) -> None:
        assert stream is self.current
        for kernel in self.work:
            kernel()


@pytest.fixture
def made(simulated_cuda: CudaDevice) -> Any:
    cupy = Capture()
    state = simulated_cuda.asarray(np.zeros(1, np.float32))

    def function(x: Any, factor: float, label: Any) -> Any:
        out = x.__array_namespace__().empty(x.shape, dtype=x.dtype)

        def kernel() -> None:
            state[...] += 1  # on the GPU: it advances at each launch
            out[...] = x * factor + state

        cupy.work.append(kernel)
        return [out]

    x = simulated_cuda.asarray(np.ones(3, np.float32))
    label = object()
    return x, cupy, CapturedGraph(function, (x, 2.0, label), cupy), label


def test_arguments_go_through_buffers_and_state_advances(made: Any) -> None:
    x, cupy, captured, label = made
    assert cupy.log == [
        "waits for the caller's event", "malloc of the pool", "enter", "begin", "end", "exit",
        "allocator restored",
    ]  # fmt: skip
    (first,) = captured(x, 2.0, label)
    assert first.get().tolist() == [3, 3, 3]
    (second,) = captured(x * 10, 2.0, label)
    assert second is first and second.get().tolist() == [22, 22, 22]
    assert x.get().tolist() == [1, 1, 1], "the caller's array is only read"
    (third,) = captured(x, 4.0 / 2, label)
    assert third.get().tolist() == [5, 5, 5]


def test_other_arguments_are_refused(made: Any) -> None:
    x, _, captured, label = made
    for args, message in [
        ((x,), "takes 3 arguments, 1 were given"),
        ((x[:2], 2.0, label), r"argument 0 of the CUDA graph is .* float32\[3\], got .*\[2\]"),
        ((x.astype("float64"), 2.0, label), r"got .* float64\[3\]"),
        ((x.get(), 2.0, label), "got numpy.ndarray"),
        ((x, 2.5, label), "argument 1 of the CUDA graph was float 2.0 .*got another float 2.5"),
        ((x, 2.0, object()), "argument 2 of the CUDA graph was an object"),
    ]:
        with pytest.raises(GraphError, match=message):
            captured(*args)


def test_what_is_written_to_is_copied_back(simulated_cuda: CudaDevice) -> None:
    cupy = Capture()

    def function(x: Any, out: Any) -> Any:
        def kernel() -> None:
            out[...] = out * 10 + x

        cupy.work.append(kernel)
        return []

    x, out = (simulated_cuda.asarray(np.full(3, n, np.float32)) for n in (1, 2))
    captured = CapturedGraph(function, (x, out), cupy, [1])
    for expected in (21, 211):
        captured(x, out)
        assert out.get().tolist() == [expected] * 3 and x.get().tolist() == [1] * 3
    with pytest.raises(GraphError, match="arguments 1 and 0 of the CUDA graph share memory"):
        captured(out, out)
    both = simulated_cuda.asarray(np.zeros(5, np.float32))
    with pytest.raises(GraphError, match="share memory"):
        captured(both[:3], both[2:])
    with pytest.raises(GraphError, match="arguments 0 and 1 of the CUDA graph share memory"):
        CapturedGraph(function, (x, x), cupy, [0])
    # Who writes to nothing may be given one array twice.
    CapturedGraph(function, (x, x), cupy)(x, x)


def test_arrays_are_kept_to_the_end_of_the_capture(
    simulated_cuda: CudaDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "_kept", {})
    stream, found = cuda.Stream(), []

    def function(x: Any) -> Any:
        y = x.copy()
        found.append(weakref.ref(y))
        cuda.record_stream(y, stream)
        del y
        gc.collect()
        assert found[0]() is not None and streams.kept_arrays() == 0, "no event was recorded"
        return x

    CapturedGraph(function, (simulated_cuda.asarray(np.ones(3)),), Capture())
    gc.collect()
    assert found[0]() is None
    cuda.record_stream(simulated_cuda.asarray(np.ones(3)), stream)
    assert streams.kept_arrays() == 1


def test_a_failed_capture_is_ended(simulated_cuda: CudaDevice) -> None:
    cupy = Capture()

    def function(x: Any) -> Any:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        CapturedGraph(function, (simulated_cuda.asarray(np.ones(3)),), cupy)
    assert cupy.log[-4:] == ["begin", "end", "exit", "allocator restored"]


def test_without_a_gpu_it_says_so() -> None:
    from gpuops.cuda.available import why_unavailable

    if why_unavailable() is None:
        pytest.skip("there is a GPU here")
    with pytest.raises(gpuops.DeviceError, match="there is none: no CUDA driver"):
        capture(lambda x: x, (np.ones(3),))
